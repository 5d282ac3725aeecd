"""A sweep that is run again sees the data that its runs began with: their results stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autogrow.chain.spec import stage_folder
from autogrow.data import DataSpec
from autogrow.data.spec import path_of
from autogrow.errors import CheckpointError, DataError
from autogrow.train.record.folder import CARD, check_fingerprint, is_begun, read_card, read_settings

Plain = Mapping[str, Any]


class SweptData:
    """The data of the sweep in `folder`, which messages call `where`. They are read only where a run of it has begun
    with data of these settings, and once for all of them.
    """

    def __init__(self, folder: Path, where: str) -> None:
        self.folder, self.where = folder, where
        self._now: list[tuple[Plain, Plain | None]] = []

    def check(self, jobs: Sequence[tuple[Path, DictConfig]]) -> None:
        """Raise DataError where a job, a run folder and its config, would see other data than a run of the sweep with
        the same settings of data began with.
        """
        begun = {path.parent: _read(path.parent) for path in sorted(self.folder.glob(f"*/{CARD}"))}
        for folder, cfg in jobs:
            asked = {"data": OmegaConf.to_container(cfg.data, resolve=True), "continue_from": cfg.continue_from}
            for run, read in begun.items():
                if read is not None and all(read[1].get(key) == value for key, value in asked.items()):
                    self._compare(run, read[0], asked)
            self._check_stages(folder, asked)

    def _check_stages(self, folder: Path, asked: Plain) -> None:
        """The last stage that a run has begun saw the data of those before it too."""
        number = 0
        while (stage_folder(folder, number) / CARD).is_file():
            number += 1
        run = stage_folder(folder, number - 1)
        read = _read(run) if number else None
        if read is None or not isinstance(own := read[1].get("data"), Mapping):
            return
        data = {**asked["data"], "stage": number - 1, "files": own.get("files")}
        if own == data:
            source = stage_folder(folder, number - 2) if number > 1 else asked["continue_from"]
            self._compare(run, read[0], {"data": data, "continue_from": source})

    def _compare(self, run: Path, card: Plain, asked: Plain) -> None:
        known = [now for settings, now in self._now if settings == asked]
        if not known:
            try:
                known.append(_card_now(**asked))
            except DataError as error:
                raise DataError(f"{self.where}: {run} learned from data that have changed since: {error}") from None
            self._now.append((asked, known[0]))
        if known[0] is not None:
            check_fingerprint(self.where, str(run), str(card["fingerprint"]), dict(known[0]))


def _read(run: Path) -> tuple[Plain, Plain] | None:
    """The card and the config of a run; None of what cannot be read: its own job says so, and the report."""
    try:
        return (read_card(run), read_settings(run)) if is_begun(run) else None
    except CheckpointError:
        return None


def _card_now(data: Plain, continue_from: str | Path | None) -> Plain | None:
    """The card of the data as they are now; None where they, or the net to go on with, are not there to be compared:
    the job that needs them says so.
    """
    from autogrow.data import prepare  # torch and pandas, which a sweep that begins can do without
    from autogrow.train.fit.continue_from import read_finished

    spec = DataSpec(**data)
    if spec.path is not None and not path_of(spec.path).exists():
        return None
    try:
        source = None if continue_from is None else read_finished(continue_from)
    except CheckpointError:
        return None
    return prepare(spec, None if source is None else source.before).card
