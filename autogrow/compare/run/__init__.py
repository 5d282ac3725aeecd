"""A comparison while it runs: its plan, what it can afford, how far it is."""
