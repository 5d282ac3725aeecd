"""What a layer should do and cannot: the problem whose solution new units are, and the trial of a growth."""
