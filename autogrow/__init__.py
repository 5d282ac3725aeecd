"""autogrow: a neural net that finds its own size while it trains.

The public names. Each is imported when it is first used, so that `autogrow --help` need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autogrow.version import __version__ as __version__

if TYPE_CHECKING:
    from autogrow.data import DataSpec
    from autogrow.estimators import GrowingClassifier, GrowingRegressor
    from autogrow.growth import Surgery, carry, deepen, grow_to, growth_sites, refine, widen
    from autogrow.nets import DenseNet
    from autogrow.train.fit.net.load import load
    from autogrow.train.fit.run import fit
    from autogrow.train.fit.spec import FitSpec
    from autogrow.train.guest.controller import GrowthController
    from autogrow.train.guest.loading import Growable, load_grown
    from autogrow.train.guest.staged import grow_checkpoint

_HOMES = {
    "DataSpec": "autogrow.data",
    "DenseNet": "autogrow.nets",
    "FitSpec": "autogrow.train.fit.spec",
    "GrowingClassifier": "autogrow.estimators",
    "GrowingRegressor": "autogrow.estimators",
    "GrowthController": "autogrow.train.guest.controller",
    "Growable": "autogrow.train.guest.loading",
    "Surgery": "autogrow.growth",
    "carry": "autogrow.growth",
    "deepen": "autogrow.growth",
    "errors": "autogrow.errors",
    "fit": "autogrow.train.fit.run",
    "grow_checkpoint": "autogrow.train.guest.staged",
    "grow_to": "autogrow.growth",
    "growth_sites": "autogrow.growth",
    "load": "autogrow.train.fit.net.load",
    "load_grown": "autogrow.train.guest.loading",
    "refine": "autogrow.growth",
    "widen": "autogrow.growth",
}

__all__ = [
    "DataSpec",
    "DenseNet",
    "FitSpec",
    "Growable",
    "GrowingClassifier",
    "GrowingRegressor",
    "GrowthController",
    "Surgery",
    "carry",
    "deepen",
    "errors",
    "fit",
    "grow_checkpoint",
    "grow_to",
    "growth_sites",
    "load",
    "load_grown",
    "refine",
    "widen",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autogrow' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    return home if name == "errors" else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
