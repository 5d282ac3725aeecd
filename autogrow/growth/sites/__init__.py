"""Where a net can grow: traced, interpreted on real tensors, found."""
