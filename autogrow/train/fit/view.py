"""What a run tells whoever watches it: the interface of every display, and the one that shows nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, final

from autogrow.policy.history import History, Row


class View(ABC):
    """Something that shows a run: told once that it starts, then each check, then how it ended."""

    @abstractmethod
    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """A run begins; `card` is the data card."""

    @abstractmethod
    def check(self, row: Row) -> None:
        """A check was measured and decided on."""

    @abstractmethod
    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """The run is over: `result` is what `result.json` holds, `folder` the run folder.

        `rows` is the whole history, for a resumed run of which this view has seen only the last part.
        """

    def close(self) -> None:  # noqa: B027  (nothing to put back is the usual case)
        """Leave the screen as it was found; called on the way out, whatever happened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@final
class Silent(View):
    """The view that shows nothing."""

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """Show nothing."""

    def check(self, row: Row) -> None:
        """Show nothing."""

    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """Show nothing."""
