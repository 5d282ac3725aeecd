"""What each kind of operation does to the widths of its tensors."""
