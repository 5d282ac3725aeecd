"""The page of a front: error against size, and the smallest net within the noise of the best."""
