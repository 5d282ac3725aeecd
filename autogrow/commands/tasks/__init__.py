"""What a command does once its words stand as a config: here are torch, Lightning and whatever else a run needs."""
