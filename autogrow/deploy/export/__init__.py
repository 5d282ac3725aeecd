"""A delivered net onto a device: everything that `autogrow export` writes, proved against the net itself.

Read `net.py` (what is exported: `PortableNet`), `target.py` (what a target is, and how to add one) and `write.py` (how
an artefact comes to be) in this order.
"""

from autogrow.deploy.export.net import PortableNet, portable
from autogrow.deploy.export.target import TARGETS, Running, Target, Written, target_of
from autogrow.deploy.export.write import Exported, ReceiptError, export

__all__ = [
    "TARGETS",
    "Exported",
    "PortableNet",
    "ReceiptError",
    "Running",
    "Target",
    "Written",
    "export",
    "portable",
    "target_of",
]
