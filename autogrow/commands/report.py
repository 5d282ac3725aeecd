"""`autogrow report DIR`: build the page of a run folder again; of a folder of runs, their comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autogrow.commands.compare import build, show
from autogrow.errors import CheckpointError, ConfigError
from autogrow.report import write_report
from autogrow.report.stages import write_stages_report
from autogrow.train.arriving import CARD, STAGES
from autogrow.train.ledger import LEDGER, read_ledger
from autogrow.train.run import RESULT


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    if len(rest) != 1 or "=" in rest[0]:
        raise ConfigError("report takes one run folder, or a folder of runs: autogrow report runs/fit/…")
    folder = Path(rest[0])
    if (folder / STAGES).is_file():
        print(_stages_report(folder))
    elif (folder / LEDGER).is_file() or (folder / RESULT).is_file():
        print(_report(folder))
    else:
        show(folder, build(folder))
    return 0


def _report(folder: Path) -> Path:
    rows = read_ledger(folder)
    result = _result(folder)
    return write_report(
        folder,
        rows=rows,
        result=result,
        card=json.loads((folder / CARD).read_text(encoding="utf-8")),
        config=(folder / "config.yaml").read_text(encoding="utf-8"),
        command=result.get("command", ""),
    )


def _stages_report(folder: Path) -> Path:
    result = _result(folder)
    config = (folder / "config.yaml").read_text(encoding="utf-8")
    return write_stages_report(folder, result=result, config=config, command=result.get("command", ""))


def _result(folder: Path) -> dict[str, Any]:
    if not (folder / RESULT).is_file():
        raise CheckpointError(
            f"{folder} holds no {RESULT}: the run is not complete; go on with autogrow fit resume={folder}"
        )
    return dict(json.loads((folder / RESULT).read_text(encoding="utf-8")))
