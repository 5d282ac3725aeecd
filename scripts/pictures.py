"""Draws docs/pictures/: the same set trained under each policy, each run drawn by `autogrow report RUN picture=…`.

PYTHONPATH=. python scripts/pictures.py [name …]        all of them, or some; about two minutes on one core
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from autogrow.report.run.picture import write_picture
from autogrow.train.record.folder import read_result
from autogrow.train.record.ledger import read_ledger

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
SET = ["data=digits", "seed=0"]
RUNS = {
    "growth": [],
    "default": [],
    "never": ["growth=never", "net.widths=[256,256]"],
    "small": ["experiment=small"],
    "accurate": ["experiment=accurate"],
    "plateau": ["growth=plateau"],
    "gap": ["growth=gap"],
    "fixed": ["growth=fixed"],
    "ramp": ["growth=ramp"],
    "score": ["growth=score"],
    "random": ["growth=random"],
    "round_robin": ["growth=round_robin"],
}
"""What is typed for each picture besides the set. `growth` is the default's run once more, wide, for the README."""

WIDE, NARROW = 860, 430


def draw(name: str, folder: Path) -> str:
    """Train one run, draw it, and say what came out."""
    words = [*SET, *RUNS[name]]
    command = [sys.executable, "-m", "autogrow", "fit", *words, f"hydra.run.dir={folder / name}"]
    subprocess.run(command, check=True, capture_output=True)
    rows, result = read_ledger(folder / name), read_result(folder / name)
    wide = name == "growth"
    title = "" if wide else " ".join(RUNS[name]) or "growth=default"
    write_picture(FOLDER / f"{name}.svg", rows=rows, result=result, title=title, width=WIDE if wide else NARROW)
    widths = "-".join(str(width) for width in result["widths"])
    return (
        f"{name}: {widths}, {len(rows)} checks, {result['train_flops'] / 1e9:.2f} GFLOP, "
        f"val {100 * result['val']['error']:.2f} %, test {100 * result['test']['error']:.2f} %"
    )


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs:
        for name in sys.argv[1:] or RUNS:
            print(draw(name, Path(runs)), flush=True)
