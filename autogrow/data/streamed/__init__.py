"""Rows that never fit into memory: what is known of them is known from a first part, and the rest goes by."""
