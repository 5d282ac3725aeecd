"""A growth: planned, applied, proved, recorded."""
