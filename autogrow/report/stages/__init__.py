"""The page of data that arrived in stages."""
