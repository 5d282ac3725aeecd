"""What an optimizer knows, carried over a growth."""
