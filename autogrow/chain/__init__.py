"""Run after run: data that arrive in stages, and files that appear in a watched folder."""
