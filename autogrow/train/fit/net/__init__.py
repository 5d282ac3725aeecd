"""The net of a run: built, trained, measured, kept, delivered."""
