"""What `autogrow export` does: write a run's net for a target, prove it, say what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig

from autogrow.commands.tasks.asked import loaded
from autogrow.data import DataSpec
from autogrow.deploy.export import Exported, export, portable, target_of
from autogrow.errors import CheckpointError, ConfigError
from autogrow.plain import fault
from autogrow.train.record.folder import CONFIG, RESULT, checkpoint_of, is_complete, read_settings

OUT = "export"
"""Where exports go, in the run folder: a folder for each target."""

TELLING = 0.005
"""Of accuracy: what int8 loses beyond it is said."""


def write_export(cfg: DictConfig) -> None:
    """Write the file, and print its receipt, size and speed."""
    target = target_of(cfg.to)
    given = Path(cfg.run)
    if given.is_dir() and not is_complete(given):
        raise CheckpointError(f"{given} holds no {RESULT}: it is not the folder of a complete run")
    checkpoint = checkpoint_of(given)
    folder = given if given.is_dir() else checkpoint.parent.parent
    name = f"{cfg.to}-int8" if cfg.int8 else cfg.to
    home = given if given.is_dir() else checkpoint.parent
    out = home / OUT / name if cfg.out is None else Path(cfg.out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out}: it must be a folder, and is a file")
    net = portable(loaded(cfg.run), logits=cfg.logits)
    done = export(net, target, out, data=data_of(folder), checkpoint=checkpoint, int8=cfg.int8)
    for line in lines(done):
        print(line)


def data_of(folder: Path) -> DataSpec | None:
    """Where a run's data are, as its config says; None where it has none. Of the folder's own words only plain ones
    are taken: nothing is built of them.
    """
    settings = read_settings(folder) if (folder / CONFIG).is_file() else {}
    if "data" not in settings:
        return None
    given, hints = settings["data"], get_type_hints(DataSpec)
    if not isinstance(given, dict):
        raise CheckpointError(f"{folder / CONFIG} is not a config of a run: data is no mapping")
    known: dict[str, Any] = {f.name: given[f.name] for f in fields(DataSpec) if f.name in given}
    for name, value in known.items():
        found = fault(value, hints[name], name) if hints[name] is not Any else ""
        if found:
            raise CheckpointError(f"{folder / CONFIG} is not a config of a run: data.{found}")
    return DataSpec(**known)


def lines(done: Exported) -> list[str]:
    """What was written and how it did, as lines for a screen."""
    facts, receipt = done.facts, done.facts["receipt"]
    latency = facts["latency"]
    said = [
        f"  answers     differ by at most {receipt['max_abs_change']:.2g} {receipt['unit']}, on {_rows(receipt)}",
        f"  size        {facts['bytes']:,} bytes, {facts['parameters']:,} parameters, {facts['macs']:,} multiply-adds",
        f"  one row     {latency['p50_us']:.3g} µs, 95 % of calls within {latency['p95_us']:.3g} ({facts['runtime']}, one thread)",
    ]
    measured = facts["validation"]
    if facts["int8"] and measured is not None:
        name, before, after = (measured[key] for key in ("measure", "net", "artefact"))
        much = ", more than half a point" if name == "accuracy" and measured["lost"] > TELLING else ""
        said.append(f"  int8        {name} {after:.4g} on validation, the net's {before:.4g}{much}")
    if receipt["why"]:
        said.append(f"  note        {receipt['why']}")
    return [*said, *(str(done.folder / name) for name in done.files)]


def _rows(receipt: Mapping[str, Any]) -> str:
    """What the largest difference is of. In 8 bits, where nothing is promised, validation's leads: drawn rows lie far
    beyond what the grids were chosen on.
    """
    own, drawn = f"{receipt['validation_rows']:,} validation rows", f"{receipt['probe_rows']} drawn"
    if receipt["validation"] is None:
        return f"{drawn} rows"
    if receipt["promise"] is None:
        return f"{own} (on {drawn} far out by {receipt['probe']:.2g})"
    return f"{own} and {drawn} ones"
