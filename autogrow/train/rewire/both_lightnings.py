"""Lightning is published twice, as `pytorch_lightning` and as `lightning.pytorch`: the same code, but other classes.

Whoever's trainer it is, what is asked of it by class is asked of both. Own runs use pytorch_lightning.
"""

from __future__ import annotations

import sys
from typing import Any

_PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def either(module: str, *names: str) -> tuple[Any, ...]:
    """The classes of these names in `module` of both packages, of those that this process has imported.

    >>> import pytorch_lightning
    >>> pytorch_lightning.strategies.DDPStrategy in either("strategies", "DDPStrategy")
    True
    """
    imported = [sys.modules[f"{package}.{module}"] for package in _PACKAGES if f"{package}.{module}" in sys.modules]
    return tuple(getattr(found, name) for found in imported for name in names)
