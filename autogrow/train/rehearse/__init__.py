"""A run played before anything is trained."""
