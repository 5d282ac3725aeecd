"""The front of a finished run: smaller nets beside the delivered one, each finished as it was."""
