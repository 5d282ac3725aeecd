"""What `conf/` refers to and holds no file of: the schema, our launcher and our sweeper."""

from __future__ import annotations

from autogrow.config import register_schema
from autogrow.launcher import register_launcher, register_sweeper


def register() -> None:
    """Make them known to Hydra; again does nothing."""
    register_schema()
    register_launcher()
    register_sweeper()
