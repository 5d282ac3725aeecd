"""Data that arrive in stages: what is there at a stage, when each row arrives, the files of a watched folder."""
