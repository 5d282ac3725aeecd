"""A run folder: the names of what is in it, how it is begun, and how it is read.

Each reader says in one line, naming the file, what is wrong with what is not as it was written.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autogrow.errors import CheckpointError, ConfigError, DataError
from autogrow.plain import DEEPEST, NotPlainError, check, check_plain, fault, read_json
from autogrow.train.record.agree import fault_of_card, fault_of_curves, fault_of_result
from autogrow.train.record.contents import Card, Curves, Result, Trial
from autogrow.train.record.files import read_bytes, write_atomically, write_json

if TYPE_CHECKING:
    from autogrow.data.continued.known_rows import KnownRows

Plain = dict[str, Any]

RESULT, CONFIG, CARD = "result.json", "config.yaml", "data_card.json"
LEDGER, METRICS, REPORT, LOG = "ledger.jsonl", "metrics.csv", "report.html", "log.txt"
CURVES = "curves.json"
"""The points that the page draws of the delivered net's answers."""
LOCK = ".lock"
CHECKPOINTS, BEST, LAST, PREVIOUS = "checkpoints", "best.ckpt", "last.ckpt", "previous.ckpt"
PASSED = "passed"
"""Beside the checkpoints: the nets as they were before each growth."""

SPLIT = ".split.npz"
"""In place of a checkpoint's `.ckpt`: which rows its net was trained, validated and tested on."""

SPLITS = "splits.npz"
"""Which rows of the source are train, val and test, by their numbers from 0: three arrays."""

STAGES, STAGES_CSV = "stages.json", "stages.csv"
"""Of data in stages: what each stage found and cost."""

WATCHED, LATEST, COPIES = "watch.json", "latest.json", "files"
"""Of a watched folder: what became of its files, the newest net, and the copies that are learned from."""

TRIALS, TRIAL, TRIAL_RUNS = "trials.jsonl", "trial.json", "trials"
"""Of a search: a line a trial; in the folder of a trial what it found; and where the trials' folders are."""

PLAN, COMPARED, ROWS, COMPARED_PAGE = "plan.json", "compare.json", "rows.csv", "compare.html"
"""Of a comparison: which arms its folder holds and what they are; what was found, a row for each run, and the page."""

DEVICE = "device.json"
"""Of a comparison that asked for it: what each run's net takes on a device."""

FRONT, FRONT_PAGE, NETS = "front.json", "front.html", "nets"
"""Of a front: its nets, the page, and the folder of their checkpoints."""

STUDY, SOLUTIONS, MULTIRUN = "study.log", "optimization_results.yaml", "multirun.yaml"
"""Of a sweep that searches: its journal and what was found; and of any sweep the config of the whole."""

SWEEP_PAGE = "sweep.html"
"""Of a sweep: the page of what was swept."""

RESULT_KEYS = (
    "task",
    "seed",
    "stop_reason",
    "epochs",
    "widths",
    "parameters",
    "flops_per_sample",
    "train_flops",
    "eval_flops",
    "seconds",
    "val",
    "test",
)
CARD_KEYS = (
    "name",
    "origin",
    "task",
    "task_because",
    "rows",
    "columns",
    "targets",
    "splits",
    "split",
    "missing",
    "fingerprint",
    "notes",
)


def start_folder(folder: Path, config: str, card: Plain | None = None) -> None:
    """Make a new run folder with its `config.yaml` and the card of its data.
    An existing ledger or result is never written over.
    """
    if any(os.path.lexists(folder / name) for name in (LEDGER, RESULT)):
        raise ConfigError(f"{folder} already holds a run; go on with resume={folder}, or give another hydra.run.dir")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if card is not None:
            write_json(folder / CARD, card)
        write_atomically(folder / CONFIG, config)
    except OSError as error:
        raise ConfigError(f"the run folder {folder} cannot be written: {error.strerror}") from None
    finally:
        if not is_begun(folder):
            with suppress(OSError):
                (folder / CARD).unlink()  # a card alone is no run: a signal came between the two


def check_same_data(folder: Path, card: Plain, *, key: str = "resume") -> None:
    """Raise DataError where a run that goes on would see other data than it began with. key: what named the folder.

    A folder of an older autogrow has no card before its run is complete, and is not checked.
    """
    if not (folder / CARD).is_file():
        return
    check_fingerprint(f"{key}={folder}", "this run", str(read_card(folder)["fingerprint"]), card)


def check_fingerprint(where: str, what: str, before: str, card: Plain) -> None:
    """Raise DataError where the data of `card` are not those of the fingerprint `before`, that `what` began with."""
    now = str(card["fingerprint"])
    if before != now:
        raise DataError(
            f"{where}: the data have changed since {what} began (fingerprint {before[:12]} then, {now[:12]} now, of "
            f"{card['origin']}); put the old ones back, or start a new one"
        )


def checkpoint_of(source: str | Path) -> Path:
    """The checkpoint that is meant: the file itself, or a run folder's best.ckpt."""
    path = Path(source)
    if not path.is_dir():
        return path
    best = path / CHECKPOINTS / BEST
    if not best.is_file():
        begun = f"; go on with: autogrow fit resume={path}" if is_begun(path) and not is_complete(path) else ""
        raise CheckpointError(f"{path} holds no {CHECKPOINTS}/{BEST}: it is not the folder of a finished run{begun}")
    return best


def is_complete(folder: Path) -> bool:
    """Whether the run has come to its end: `result.json` is written last."""
    return (folder / RESULT).is_file()


def is_begun(folder: Path) -> bool:
    """Whether there is a run that can be gone on with: `config.yaml` is written first."""
    return (folder / CONFIG).is_file()


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, but for a lock."""
    return all(path.name == LOCK for path in folder.iterdir())


def read_result(folder: Path, needs: Sequence[str] = RESULT_KEYS, *, name: str = "") -> Plain:
    """What a finished run found: its `result.json`, which must have the keys `needs`.
    `name`: what messages call the folder.
    """
    return _read_mapping(
        folder / RESULT, name or str(folder), needs, Result, lambda result: fault_of_result(result, needs)
    )


def read_card(folder: Path, needs: Sequence[str] = CARD_KEYS, *, name: str = "") -> Plain:
    """What a run learned from: its `data_card.json`, which must have the keys `needs`."""
    return _read_mapping(folder / CARD, name or str(folder), needs, Card, fault_of_card)


def read_curves(folder: Path, result: Plain) -> Plain:
    """The points that the page draws of a net's answers; nothing for a run of before they were written."""
    if not os.path.lexists(folder / CURVES) or "metrics" not in result:
        return {}
    return _read_mapping(folder / CURVES, str(folder), (), Curves, lambda curves: fault_of_curves(curves, result))


def read_config(folder: Path, *, name: str = "") -> str:
    """The text of a run's `config.yaml`."""
    return _read_text(folder / CONFIG, name or str(folder))


def read_settings(folder: Path) -> Plain:
    """What a run's `config.yaml` sets, as plain values; empty for a run that was not started with a config."""
    settings = plain_yaml(read_config(folder), f"{folder}: {CONFIG}")
    return {} if settings is None else settings


def plain_yaml(text: str, what: str) -> Any:
    """The mapping of a YAML text, None for an empty one. Raises CheckpointError, in one line, for any other."""
    import yaml

    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):  # up to where it is none of ours: the rest may take for ever
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise NotPlainError("has aliases" if depth <= DEEPEST else "nests its values too deep")
        value = yaml.load(text, yaml.SafeLoader)
        check_plain(value)
        check(value, Mapping[str, Any] | None)
    except NotPlainError as error:
        raise CheckpointError(f"{what} {error}, which no config of ours does") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{what} is not YAML ({' '.join(str(error).split())[:200]})") from None
    return value


def read_plain(path: Path, needs: Sequence[str] = (), kind: Any = Plain) -> Plain:
    """A mapping of this kind in a JSON file of any other name, which must have the keys `needs`."""
    return _read_mapping(path, str(path.parent), needs, kind)


def read_trials(folder: Path) -> list[Plain]:
    """The trials that a search has finished, in order; none for a folder without."""
    if not os.path.lexists(folder / TRIALS):
        return []
    lines = enumerate(_read_text(folder / TRIALS, str(folder)).split("\n"), 1)
    trials = [_mapping(line, f"{folder}: {TRIALS}, line {n},", (), Trial) for n, line in lines if line.strip()]
    for n, trial in enumerate(trials):
        if trial["number"] != n:
            raise CheckpointError(f"{folder}: {TRIALS} has number {trial['number']} in the place of trial {n}")
    return trials


def read_split(checkpoint: Path) -> KnownRows | None:
    """Which rows the net of a checkpoint was trained, validated and tested on; None where nothing says it."""
    from zipfile import BadZipFile

    from autogrow.data.continued.known_rows import (
        KnownRows,  # NumPy and torch: who reads results alone need not wait for them
    )

    path = checkpoint.with_suffix(SPLIT)
    if not path.is_file():
        return None
    try:
        return KnownRows.from_bytes(path.read_bytes())
    except (ValueError, KeyError, TypeError, EOFError, OSError, BadZipFile, NotImplementedError, zlib.error) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path} does not say which rows are in which split ({said})") from None


def _read_mapping(
    path: Path, name: str, needs: Sequence[str], kind: Any, disagrees: Callable[[Plain], str] = lambda _: ""
) -> Plain:
    what = f"{name}: {path.name}"
    content = _mapping(_read_text(path, name), what, needs, kind)
    found = disagrees(content)
    if found:
        raise CheckpointError(f"{what} is not as it was written: {found}")
    return content


def _mapping(text: str, what: str, needs: Sequence[str], kind: Any) -> Plain:
    try:
        content = read_json(text)
    except NotPlainError as error:
        raise CheckpointError(f"{what} {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{what} does not hold a mapping")
    for key in needs:
        if key not in content:
            raise CheckpointError(f"{what} has no {key!r}")
    found = fault(content, kind)
    if found:
        raise CheckpointError(f"{what} is not as it was written: {found}")
    return content


def _read_text(path: Path, name: str) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except FileNotFoundError:
        raise CheckpointError(f"{name}: there is no {path.name}") from None
    except OSError as error:
        raise CheckpointError(f"{name}: {path.name} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{name}: {path.name} is not text ({error})") from None
