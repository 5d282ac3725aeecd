"""Scales and shapes of the figures that the pages draw."""
