"""Tables and images to tensors: sources, splits, preprocessing, in-memory stream."""
