"""What `autogrow fit` does: one run, or a chain of stages; and how an interrupted run goes on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autogrow.chain.spec import StageSpec
from autogrow.chain.stages import fit_stages
from autogrow.commands.at_work import check_resumable
from autogrow.config import described, loggers_from, spec_from, typed
from autogrow.data import DataSpec, files_of
from autogrow.errors import ConfigError
from autogrow.kept_config import read_kept_config
from autogrow.overrides import as_text, key_of
from autogrow.ranks import is_first_rank
from autogrow.report import write_report
from autogrow.report.stages.page import write_stages_report
from autogrow.show import words
from autogrow.show.display import Display
from autogrow.show.loggers import LoggingView
from autogrow.train.fit.run import Result, fit
from autogrow.train.fit.spec import FitSpec
from autogrow.train.fit.view import Silent, View
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import CARD, CURVES, REPORT, RESULT

MAY_CHANGE_ON_RESUME = (
    "trainer.max_epochs",
    "trainer.passes",
    "trainer.devices",
    "trainer.strategy",
    "trainer.threads",
    "resume",
)


def fit_net(cfg: DictConfig, out: Path, overrides: Sequence[str], *, resume: bool) -> float:
    """One run: train, write the page, and `result.json` last. Returns the validation loss, for sweepers."""
    if resume:
        check_resumable(out)  # it may have come to its end since
        cfg = _config_to_resume(out, overrides, cfg)
    spec = spec_from(cfg, out=out)
    if in_stages(spec):
        return fit_in_stages(cfg, out, overrides, resume=resume)
    with _view(cfg, out) if is_first_rank() else Silent() as display:
        result = fit(spec, display=display, resume=resume)
        if result.folder is not None:
            finish_folder(result, spec.config, overrides)
            display.finish(result.summary, str(out), result.rows)
    return float(result.summary["val"]["loss"])


def in_stages(spec: FitSpec) -> bool:
    """Whether the data arrive in stages and all of them are meant."""
    return spec.data.arrival != "none" and spec.data.stage is None


def fit_in_stages(cfg: DictConfig, out: Path, overrides: Sequence[str], *, resume: bool) -> float:
    """A run for each stage, each continuing from the one before; then the page and `result.json` of the whole, last."""
    if cfg.data.arrival == "files":
        cfg.data.files = [
            as_text(name) for name in files_of(typed(cfg.data, DataSpec))
        ]  # files that appear later are not of this run
    spec, stage = spec_from(cfg, out=out), typed(cfg.stage, StageSpec)
    command = _command(overrides)

    def configure(own: FitSpec) -> FitSpec:
        return replace(own, config=OmegaConf.to_yaml(stage_config(cfg, own), resolve=True))

    def complete(result: Result, own: FitSpec) -> None:
        finish_folder(result, own.config, [*overrides, f"data.stage={own.data.stage}"])

    def view(own: FitSpec) -> View:
        assert own.out is not None
        return _view(cfg, own.out)

    result = fit_stages(spec, stage, configure, complete, view, resume=resume)
    result["command"] = command
    write_stages_report(out, result=result, config=spec.config, command=command)
    write_json(out / RESULT, result)
    print("\n" + "\n".join(stage_lines(result)))
    print(f"  report      {out}/{REPORT}")
    return float(result["val"]["loss"])


def stage_lines(result: Mapping[str, Any]) -> list[str]:
    """The stages of a chain as a small table, a line each."""
    metric = words.measure_name(result["task"])
    cells = [["stage", "rows", "widths", f"test {metric}", "training", "so far"]]
    for r in result["stages"]:
        costs = [words.flops(r[key]) for key in ("train_flops", "cumulated_train_flops")]
        found = [words.widths(r["widths"]), words.measure(metric, r["test"][metric])]
        cells.append([f"{r['stage']}: {r['name']}", words.count(r["rows"]["train"]), *found, *costs])
    return words.columns(cells)


def stage_config(cfg: DictConfig, own: FitSpec) -> DictConfig:
    """The config of a stage's own run: the whole's, but for what the stage has of its own."""
    kept = cfg.copy()
    kept.resume = None
    kept.data.stage = own.data.stage
    kept.continue_from = None if own.continue_from is None else as_text(str(own.continue_from))
    kept.warm_start.shrink, kept.warm_start.perturb = own.warm_start.shrink, own.warm_start.perturb
    kept.stop, kept.finish = described(own.policy.stop, cfg.stop), described(own.policy.finish, cfg.finish)
    if cfg.regularize is not None:
        kept.regularize = described(own.policy.regularize, cfg.regularize)
    return kept


def _command(overrides: Sequence[str], command: str = "fit") -> str:
    return " ".join(["autogrow", command, *(shlex.quote(o) for o in overrides)])


def _view(cfg: DictConfig, out: Path) -> View:
    """What shows the run: the display, and the loggers that `logger=` names."""
    loggers = loggers_from(cfg, out)
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return LoggingView(Display(), loggers, plain) if loggers else Display()


def finish_folder(result: Result, config: str, overrides: Sequence[str], *, command: str = "fit") -> None:
    """Write data card, page and result of a finished run."""
    assert result.folder is not None
    line = _command(overrides, command)
    result.summary["command"] = line
    write_json(result.folder / CARD, result.card)
    write_json(result.folder / CURVES, result.curves)
    write_report(
        result.folder,
        rows=result.rows,
        result=result.summary,
        card=result.card,
        config=config,
        command=line,
        curves=result.curves,
    )
    result.write()


def _config_to_resume(folder: Path, overrides: Sequence[str], composed: DictConfig) -> DictConfig:
    """The run's own config, with what may change. What else was typed (a class of one's own must be) says it again."""
    kept = read_kept_config(folder, composed)
    whole = _same(kept, composed, [str(key) for key in kept if key not in MAY_CHANGE_ON_RESUME])
    for override in overrides:
        key = key_of(override)
        if key not in MAY_CHANGE_ON_RESUME and not whole and not _same(kept, composed, [key]):
            raise ConfigError(
                f"resume takes its config from the run; only {', '.join(MAY_CHANGE_ON_RESUME)} may change, not {key}"
            )
    for key in MAY_CHANGE_ON_RESUME:
        if key != "resume" and any(key_of(override) == key for override in overrides):
            OmegaConf.update(kept, key, OmegaConf.select(composed, key))
    return kept


def _same(kept: DictConfig, composed: DictConfig, keys: Iterable[str]) -> bool:
    """Whether both say the same at these keys, but for what may change."""
    both: list[Any] = [OmegaConf.to_container(cfg, resolve=True) for cfg in (kept, composed)]
    for plain in both:
        for key in MAY_CHANGE_ON_RESUME:
            node, _, leaf = key.rpartition(".")
            (plain[node] if node else plain).pop(leaf)
    return all(_at(both[0], key) == _at(both[1], key) is not _NOWHERE for key in keys)


_NOWHERE = object()


def _at(plain: Any, key: str) -> Any:
    for part in key.split("."):
        plain = plain.get(part, _NOWHERE) if isinstance(plain, Mapping) else _NOWHERE
    return plain
