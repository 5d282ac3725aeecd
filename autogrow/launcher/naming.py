"""What a job of a sweep is called: by what it does not share with the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser


def swept(typed: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The overrides of one job whose keys the sweep varies; all of them where it varies none.

    >>> swept(["data=iris", "growth=plateau,gap", "seed=range(2)"], ["data=iris", "growth=gap", "seed=1"])
    ['growth=gap', 'seed=1']
    """
    parsed = OverridesParser.create().parse_overrides(list(typed))
    keys = {o.get_key_element() for o in parsed if o.is_sweep_override()}
    return [o for o in overrides if o.partition("=")[0] in keys] or list(overrides)


def folder_name(overrides: Sequence[str]) -> str:
    """A folder name from overrides that a shell and Hydra's grammar take as it is;
    the same in a sweep that is extended later.

    >>> folder_name(["growth=gap", "seed=1"]), folder_name(["net.widths=[64,64]"]), folder_name([])
    ('growth-gap_seed-1', 'net.widths-64-64', 'run')
    """
    words = [re.sub(r"[^\w.+-]+", "-", o.lstrip("+~")).strip("-") for o in overrides]
    name = "_".join(words) or "run"
    if len(name) <= 100:
        return name
    return f"{name[:90]}-{hashlib.sha256(' '.join(overrides).encode()).hexdigest()[:8]}"


def label(overrides: Sequence[str]) -> str:
    """What a person reads: the overrides in a row, drawn numbers to four digits.

    >>> label(["optimizer.lr=0.004043878009515107", "seed=1"])
    'optimizer.lr=0.004044 seed=1'
    """
    return " ".join(re.sub(r"\d+\.\d{5,}(?:e-?\d+)?", lambda found: f"{float(found[0]):.4g}", o) for o in overrides)
