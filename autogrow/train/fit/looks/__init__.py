"""What a run looks at besides training: losses on both splits, what policies ask for, the final metrics."""
