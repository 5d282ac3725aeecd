"""What a run leaves on disk: the names of its files, how they are written and read, and who is at work in a folder."""
