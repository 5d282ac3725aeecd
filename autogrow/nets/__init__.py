"""What is trained. Nets know nothing of growth."""
