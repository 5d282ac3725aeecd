"""Where rows come from: one reader for each source."""
