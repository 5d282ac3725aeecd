"""A change of the net inside a running fit, and what is said of it."""
