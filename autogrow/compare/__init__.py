"""Was growing worth it? Arms, the random search, statistics."""
