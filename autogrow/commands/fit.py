"""`autogrow fit`: one run, or with -m a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from autogrow.commands.at_work import at_work, check_resumable
from autogrow.composition import run_hydra, typed_words
from autogrow.config import typed
from autogrow.data.found import check_there
from autogrow.data.spec import DataSpec
from autogrow.imports import importing
from autogrow.overrides import quoted, quoted_if_needed, unquoted


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    resumed = [a.partition("=")[2] for a in rest if a.startswith("resume=") and a != "resume=null"]
    if resumed:
        folder = Path(unquoted(resumed[-1])).expanduser()
        check_resumable(folder)
        rest = [*rest, f"hydra.run.dir={quoted(folder)}"]
    return run_hydra("fit", rest, _fit_job)


def _fit_job(cfg: DictConfig) -> float:
    """One run, alone in its folder. Returns the validation loss, for sweepers."""
    hydra_cfg = HydraConfig.get()
    out = Path(hydra_cfg.runtime.output_dir)
    overrides = typed_words(hydra_cfg)
    resume = cfg.resume is not None
    with at_work(out, "fit", f"go on with: autogrow fit resume={quoted_if_needed(out)}"):
        if not resume:  # else the folder says what the data are
            check_there(typed(cfg.data, DataSpec))
        with importing():
            from autogrow.commands.tasks.fit import fit_net
        return fit_net(cfg, out, overrides, resume=resume)
