"""How a net grows: torch only, no Lightning, no Hydra, no policy."""
