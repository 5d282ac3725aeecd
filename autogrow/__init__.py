"""autogrow: a neural net that finds its own size while it trains."""

__version__ = "0.1.0"
