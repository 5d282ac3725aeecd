"""What a large table costs, phase by phase, beside what merely reading it costs and beside LightGBM.

    .venv/bin/python scripts/large_tables.py --rows 1000 100000 1000000 [--folder DIR] [--out FILE.jsonl] [--label now]

Two tables of 30 columns and a class are made: `numbers` (floats alone) and `mixed` (floats, whole numbers, gaps, four
columns of text, a date, a moment in Unix seconds). Each is written as CSV and as Parquet, once. Each measurement is a
process of its own on one thread; a phase is told by its CPU seconds and by the most memory that it held over what the
process had after its imports. Training is two passes of the default recipe. LightGBM is measured where it is installed
(PYTHONPATH may name a folder of its own). Each result is a line of FILE.jsonl; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, BLOCK, TARGET = 30, 250_000, "answer"
HERE = Path(__file__).resolve().parent.parent
Phases = dict[str, dict[str, float]]


def drawn(kind: str, rows: int, rng: np.random.Generator) -> Any:
    """A block of a table."""
    import pandas as pd

    x = rng.normal(size=(rows, COLUMNS)).round(5)
    logit = x[:, :4].sum(1) + x[:, 4] * x[:, 5] + rng.normal(size=rows)
    table = {f"x{k}": x[:, k] for k in range(COLUMNS)}
    if kind == "mixed":
        for k in range(3):
            table[f"x{k}"] = np.where(rng.random(rows) < 0.1, np.nan, x[:, k])
        for k in range(3):
            table[f"x{10 + k}"] = rng.integers(0, 10 ** (k + 2), rows)
        for k, size in enumerate((3, 5, 8, 12)):
            table[f"x{20 + k}"] = np.array([f"kind {i}" for i in range(size)], dtype=object)[
                rng.integers(0, size, rows)
            ]
        table["x28"] = (np.datetime64("2015-01-01") + rng.integers(0, 3650, rows)).astype("datetime64[s]")
        table["x29"] = rng.integers(1_600_000_000, 1_700_000_000, rows)
    return pd.DataFrame({**table, TARGET: np.where(logit > 0, "yes", "no")})


def made(path: Path, kind: str, rows: int) -> Path:
    """The table's file, CSV or Parquet, made where it is not there."""
    from pyarrow import Table, parquet

    if path.exists():
        return path
    rng, writer = np.random.default_rng(0), None
    with path.open("wb") as file:
        for start in range(0, rows, BLOCK):
            block = drawn(kind, min(BLOCK, rows - start), rng)
            if path.suffix == ".csv":
                block.to_csv(file, index=False, header=start == 0)
                continue
            part = Table.from_pandas(block, schema=writer and writer.schema, preserve_index=False)
            writer = writer or parquet.ParquetWriter(file, part.schema)
            writer.write_table(part)
        if writer is not None:
            writer.close()
    return path


def resident(key: str) -> float:
    """MB of memory now (VmRSS), or at most (VmHWM), of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


@contextmanager
def phase(name: str, found: Phases, base: float) -> Iterator[None]:
    """CPU seconds of the block, the most memory that was held in it and what is held after it, over `base`."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    began = time.process_time()
    yield
    seconds = time.process_time() - began
    found[name] = {
        "seconds": round(seconds, 3),
        "peak_mb": round(resident("VmHWM") - base, 1),
        "held_mb": round(resident("VmRSS") - base, 1),
    }


def autogrow_phases(path: Path) -> Phases:
    """Reading, preparing, two passes, and what follows."""
    import pyarrow.parquet  # noqa: F401  (what is imported is not measured)

    from autogrow.data import DataSpec
    from autogrow.data.continued import known_rows  # noqa: F401
    from autogrow.data.sources import readers
    from autogrow.policy import recipe
    from autogrow.train.fit import run
    from autogrow.train.fit.spec import FitSpec, TrainerSpec

    form = path.suffix[1:]
    _warm_up(run, form)
    found: Phases = {}
    base = resident("VmRSS")
    spec = DataSpec(name=form, source=form, path=str(path), target=TARGET)
    plain = readers.READERS[form]

    reading: list[float] = []

    def read(*asked: Any) -> Any:
        began = time.process_time()
        with phase("read", found, base):
            raw = plain(*asked)
        Path("/proc/self/clear_refs").write_text("5")
        reading.append(time.process_time() - began)  # with what it takes to measure it
        return raw

    readers.READERS[form] = read
    with phase("read and prepare", found, base):
        prepared = run.prepare(spec)
    whole = found.pop("read and prepare")
    whole["seconds"] = round(whole["seconds"] - sum(reading), 3)
    found["prepare"] = whole
    finish = run._finish

    def finished(*given: Any) -> Any:
        with phase("finish", found, base):
            return finish(*given)

    run._finish = finished
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        wanted = FitSpec(spec, policy=recipe(), trainer=TrainerSpec(max_epochs=2), out=out)
        with phase("train", found, base):
            result = run.fit(wanted, prepared=prepared)
    seconds = found["train"]["seconds"] - found["finish"]["seconds"]
    timing = result.rows[-1].timing
    share = timing["check_seconds"] / timing["seconds"]
    found["train"]["seconds"] = round(seconds * (1 - share), 3)
    found["checks"] = {**found["train"], "seconds": round(seconds * share, 3)}
    rows = len(prepared.train) + len(prepared.val) + len(prepared.test)
    found["matrix"] = {
        "mb": round(rows * prepared.train.x[:1].nbytes / 2**20, 1),
        "steps": result.rows[-1].step,
        "error": round(result.summary["test"]["error"], 4),
    }
    return found


def _warm_up(run: Any, form: str) -> None:
    """Everything imported, every thread started."""
    from autogrow.data import DataSpec
    from autogrow.policy import recipe
    from autogrow.train.fit.spec import FitSpec, TrainerSpec

    with tempfile.TemporaryDirectory() as folder:
        path = made(Path(folder) / f"small.{form}", "mixed", 500)
        spec = DataSpec(name=form, source=form, path=str(path), target=TARGET)
        run.fit(FitSpec(spec, policy=recipe(), trainer=TrainerSpec(max_epochs=2), out=Path(folder) / "run"))


def pandas_phases(path: Path) -> Phases:
    """What reading alone takes."""
    import pandas as pd
    from pyarrow import parquet

    found: Phases = {}
    parquet.read_table(path) if path.suffix == ".parquet" and path.stat().st_size < 1e6 else None
    base = resident("VmRSS")
    with phase("read", found, base):
        if path.suffix == ".csv":
            pd.read_csv(path)
        else:
            parquet.read_table(path, use_threads=False)
    return found


def lightgbm_phases(path: Path) -> Phases:
    """Read by pandas, text as its categories, a tenth held out; 100 rounds with everything else left as it is."""
    import lightgbm
    import pandas as pd

    found: Phases = {}
    base = resident("VmRSS")
    with phase("read", found, base):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    with phase("prepare", found, base):
        y = (table.pop(TARGET) == "yes").to_numpy().astype(np.int8)
        for name in table.columns:
            if pd.api.types.is_datetime64_any_dtype(table[name].dtype):
                table[name] = table[name].astype("int64")
            elif not pd.api.types.is_numeric_dtype(table[name].dtype):
                table[name] = table[name].astype("category")
        train = len(table) * 8 // 10
        data = lightgbm.Dataset(table.iloc[:train], y[:train], params={"num_threads": 1, "verbose": -1})
        data.construct()
    with phase("train", found, base):
        settings = {"objective": "binary", "num_threads": 1, "verbose": -1}
        booster = lightgbm.train(settings, data, num_boost_round=100)
    with phase("finish", found, base):
        error = float(((booster.predict(table.iloc[train:], num_threads=1) > 0.5) != y[train:]).mean())
    found["matrix"] = {"error": round(error, 4)}
    return found


WAYS = {"autogrow": autogrow_phases, "reading": pandas_phases, "lightgbm": lightgbm_phases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--kinds", nargs="+", default=["numbers", "mixed"])
    parser.add_argument("--forms", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "large-tables")
    parser.add_argument("--out", type=Path, default=Path("large-tables.jsonl"))
    parser.add_argument("--label", default="now")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FILE"), help="measure one way, in this process")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(WAYS[asked.one[0]](Path(asked.one[1]))))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    lines = asked.out.read_text().splitlines() if asked.out.exists() else []
    done = {tuple(json.loads(line)["cell"]) for line in lines}
    for rows in asked.rows:
        for kind in asked.kinds:
            for form in asked.forms:
                path = made(asked.folder / f"{kind}-{rows}.{form}", kind, rows)
                for way in asked.ways:
                    cell = [asked.label if way == "autogrow" else "", way, kind, form, rows]
                    if tuple(cell) not in done:
                        _measure(cell, path, asked.out)


def _measure(cell: list[Any], path: Path, out: Path) -> None:
    command = [sys.executable, str(Path(__file__).resolve()), "--one", cell[1], str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    said: Any = json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else ended.stderr.strip()[-300:]
    with out.open("a") as file:
        file.write(json.dumps({"cell": cell, "found": said}) + "\n")
    print(cell, json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
