"""A run of our own, from a spec to a net that found its own size."""
