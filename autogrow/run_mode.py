"""Whether the words ask for one run or for a sweep: Hydra composes a whole config to find out, then another to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode

from autogrow.overrides import key_of

_KEY, _PLACES = "hydra.mode", "hydra.searchpath"
_SWEEP = ("-m", "--multirun")  # Hydra sees to it itself


@contextmanager
def read_from(words: Sequence[str]) -> Iterator[None]:
    """While the block runs, Hydra reads the mode from the words where they settle it."""
    found = Hydra.get_mode
    if is_settled(words):
        Hydra.get_mode = lambda _self, **_: mode_of(words)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = found  # type: ignore[method-assign]


def mode_of(words: Sequence[str]) -> RunMode | None:
    """The mode that is named among the words; None where none is.

    >>> mode_of(["data=iris", "hydra.mode=RUN"]), mode_of(["data=iris"])
    (<RunMode.RUN: 1>, None)
    """
    said = [word.partition("=")[2] for word in words if key_of(word) == _KEY]
    return RunMode[said[-1]] if said and said[-1] in RunMode.__members__ else None


def is_settled(words: Sequence[str]) -> bool:
    """Whether no config file speaks here: a mode among the words wins over files, and the shipped ones name none.

    >>> [is_settled(words) for words in (["data=iris"], ["-cd", "own"], ["-cd", "own", "hydra.mode=RUN"])]
    [True, False, True]
    """
    if any(key_of(word) == _KEY for word in words):
        return mode_of(words) is not None
    of_ones_own = any(
        (word.startswith("-") and word not in _SWEEP) or key_of(word) in (_PLACES, "hydra") for word in words
    )
    return not of_ones_own and not Plugins.instance().discover(SearchPathPlugin)
