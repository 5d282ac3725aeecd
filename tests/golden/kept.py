"""What is kept of a golden run, as plain values, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIXTURES, OLD_RUNS = HERE / "fixtures", HERE / "old_runs"
UNTIMED = ("timing", "seconds", "cumulated_seconds")  # of this machine and moment, wherever they stand
MENDED = ("behind", "decided_at")  # of an event: where a deepening went and what decided a growth, which were not told
MENDED_OF = {"anneal": ("flops",)}  # its look at all of val was in the row's eval_flops alone

Plain = dict[str, Any]


def made_with() -> dict[str, str]:
    """What the bits of a run depend on besides the code: where these agree, they have to."""
    numbers = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    return {**numbers, "machine": platform.machine(), "processor": processor()}


def processor() -> str:
    """The processor's name with its family and model; a hypervisor may call several generations the same."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    lines = [line.partition(":") for line in text.partition("\n\n")[0].splitlines()]
    known = {key.strip(): value.strip() for key, _, value in lines}
    return " ".join(known.get(key, "") for key in ("model name", "cpu family", "model", "stepping"))


def kept(folder: Path) -> Plain:
    """Of each run folder in `folder` (and of itself): ledger, result, delivered weights, and what was printed."""
    found: Plain = {}
    for path in sorted(
        {p.parent for p in folder.rglob("*") if p.name in ("ledger.jsonl", "result.json", "printed.txt")}
    ):
        found[path.relative_to(folder).as_posix()] = of_run(path, root=folder)
    return found


def of_run(folder: Path, root: Path) -> Plain:
    """What is kept of one run folder. Paths are told from `root`."""
    content: Plain = {}
    if (folder / "ledger.jsonl").is_file():
        lines = (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        content["ledger"] = [unmended(json.loads(line)) for line in lines]
    if (folder / "result.json").is_file():
        content["result"] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for path in (folder / "checkpoints" / "best.ckpt", folder / "guest.ckpt"):
        if path.is_file():
            content["delivered"] = of_checkpoint(path)
    if (folder / "printed.txt").is_file():
        content["printed"] = (folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    return without(content, str(root.resolve()) + "/")


def of_checkpoint(path: Path) -> Plain:
    """Each tensor's shape and hash, and the recipe of growths that rebuilds the net."""
    import torch

    content = torch.load(path, weights_only=True)
    recipe = content["autogrow"]["recipe"]
    return {"weights": {name: of_tensor(t) for name, t in content["state_dict"].items()}, "recipe": recipe}


def of_tensor(tensor: Any) -> str:
    """Type, shape and hash of the bytes."""
    content = tensor.detach().contiguous().numpy().tobytes()
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} {hashlib.sha256(content).hexdigest()}"


def unmended(row: Plain) -> Plain:
    """A ledger row without the fields of its event that older ledgers did not tell."""
    event = row.get("event")
    if event is None:
        return row
    mended = (*MENDED, *MENDED_OF.get(event["do"], ()))
    return {**row, "event": {k: v for k, v in event.items() if k not in mended}}


def without(value: Any, root: str) -> Any:
    """Plain values without what is of the moment, and with paths told from `root`."""
    if isinstance(value, Mapping):
        named = {k: sorted(v) if k == "versions" else v for k, v in value.items() if k not in UNTIMED}
        return {k: without(v, root) for k, v in named.items()}
    if isinstance(value, (list, tuple)):
        return [without(v, root) for v in value]
    return value.replace(root, "") if isinstance(value, str) else value


def write_fixture(name: str, content: Plain) -> None:
    """Keep what a run is held to: plain JSON, a line for each ledger row, so that a change can be read."""
    FIXTURES.mkdir(exist_ok=True)
    text = json.dumps({"made_with": made_with(), "folders": content}, allow_nan=False, indent=1)
    (FIXTURES / f"{name}.json").write_text(re.sub(r"\n {5,} *|\n {4}(?=[\]}])", " ", text) + "\n", encoding="utf-8")


def read_fixture(name: str) -> Plain:
    """What `write_fixture` kept: 'made_with' and 'folders'."""
    return dict(json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")))


def differences(one: Any, two: Any, where: str = "") -> Iterator[str]:
    """Where two plain values differ, a line each; floats by their bits."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in [*one, *(k for k in two if k not in one)]:
            at = f"{where} {key}".strip()
            if key not in one or key not in two:
                yield f"{at} is only in the {'first' if key in one else 'second'}"
            else:
                yield from differences(one[key], two[key], at)
    elif isinstance(one, list) and isinstance(two, list):
        if len(one) != len(two):
            yield f"{where}: {len(one)} against {len(two)} entries"
        for i, (a, b) in enumerate(zip(one, two, strict=False)):
            yield from differences(a, b, f"{where} {i}")
    elif repr(one) != repr(two):
        yield f"{where}: {one!r} against {two!r}"


def unlike(one: Plain, two: Plain) -> Iterator[str]:
    """Where two runs of different processors differ in more than decisions, which may part as the bits do.

    Compared: the folders, the fields of rows and results, the first row of the first ledger (its losses to 1e-3), and
    that every growth kept its promise.
    """
    if one.keys() != two.keys():
        yield f"the folders {sorted(one)} against {sorted(two)}"
        return
    for name in one:
        a, b = one[name], two[name]
        yield from unlike_keys(a, b, name)
        yield from unlike_keys(a.get("result", {}), b.get("result", {}), f"{name} result")
        for row in b.get("ledger", ()):
            yield from unlike_keys(_always(a["ledger"][0]), _always(row), f"{name} ledger {row['check']}")
            yield from broken_promise(row, f"{name} ledger {row['check']}")
    first = next((name for name in one if "ledger" in one[name]), None)
    if first is not None:
        yield from unlike_rows(one[first]["ledger"][0], two[first]["ledger"][0], f"{first} ledger 0")


def _always(row: Plain) -> Plain:
    """The fields that every row has: new units are compared with old ones where a growth has added some."""
    return {name: value for name, value in row.items() if name != "newborns"}


def unlike_keys(one: Plain, two: Plain, where: str) -> Iterator[str]:
    """Fields that only one of the two has."""
    if one.keys() != two.keys():
        yield f"{where}: the fields {sorted(one.keys() ^ two.keys())} are only in one of them"


def unlike_rows(one: Plain, two: Plain, where: str) -> Iterator[str]:
    """What the first check measured, and of what net."""
    for key in ("step", "passes", "widths", "parameters", "flops_per_sample", "train_flops", "eval_flops"):
        yield from differences(one[key], two[key], f"{where} {key}")
    for key in ("train_loss", "val_loss"):
        if abs(one[key] - two[key]) > 1e-3 * abs(one[key]):
            yield f"{where} {key}: {one[key]!r} against {two[key]!r}"


def broken_promise(row: Plain, where: str) -> Iterator[str]:
    """A growth whose receipt is above what it promised."""
    receipt = (row["event"] or {}).get("receipt")
    if receipt and receipt["promise"] is not None and receipt["max_abs_change"] > receipt["promise"]:
        yield f"{where}: changed by {receipt['max_abs_change']}, promised {receipt['promise']}"
