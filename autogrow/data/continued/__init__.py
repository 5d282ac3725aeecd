"""Going on from a finished net: which rows it knows, and how its inputs, classes and statistics follow more data."""
