"""Child processes: one, and many at a time, each in a folder and with a log of its own."""
