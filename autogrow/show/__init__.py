"""What people read while a run goes on and behind it: words and units, the story of a run, the display, loggers."""
