"""What each command does, between the command line and the rooms below: a module per command, with `run(rest)`."""
