"""`autogrow <words>`, with its CPU seconds at the first and at the last optimizer step written into a file.

    .venv/bin/python scripts/marked_run.py FILE fit data=iris

It imports nothing that the program would not, and in its order: torch is asked for its steps once it is there.
"""

from __future__ import annotations

import os
import resource
import runpy
import sys
from typing import Any

BEHIND = "torch.optim.sgd"  # imported once torch's optimizers can be listened to


class Steps:
    """Writes `first last` into an open file at every step."""

    def __init__(self, file: int) -> None:
        self.file, self.first = file, 0.0

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Listen, when torch is being imported; finds no module."""
        if name == BEHIND:
            optimizers = sys.modules["torch.optim.optimizer"]
            optimizers.register_optimizer_step_pre_hook(self.before)
            optimizers.register_optimizer_step_post_hook(self.after)

    def before(self, *_: Any) -> None:
        self.first = self.first or seconds()

    def after(self, *_: Any) -> None:
        os.pwrite(self.file, f"{self.first:.6f} {seconds():.6f}".encode(), 0)


def seconds() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    marks = sys.argv.pop(1)
    sys.path.pop(0)  # this folder is none of the program's
    sys.meta_path.insert(0, Steps(os.open(marks, os.O_CREAT | os.O_WRONLY)))  # type: ignore[arg-type]
    runpy.run_module("autogrow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
