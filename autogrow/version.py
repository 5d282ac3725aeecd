"""The version of autogrow."""

__version__ = "0.1.0"
