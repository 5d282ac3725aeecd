"""Run a task through Hydra, and say in one line what is wrong with what was typed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autogrow.children.jobs import SINGLE
from autogrow.children.server import own_process
from autogrow.composed_once import composing_once
from autogrow.config import CONF_DIR
from autogrow.errors import AutogrowError, ConfigError, InterruptedRunError
from autogrow.explanation import explain
from autogrow.help import help_of
from autogrow.interruption import signal_of
from autogrow.launcher import Task, check_sweeps, print_summary
from autogrow.overrides import key_of, options_first, quoted, quoted_if_needed
from autogrow.registration import register
from autogrow.run_mode import read_from

FULL_ERROR = "HYDRA_FULL_ERROR"
PATHS = frozenset(
    [
        "data.path",
        "resume",
        "continue_from",
        "run",
        "table",
        "out",
        "checkpoint",
        "from_sklearn",
        "watch.folder",
        "hydra.run.dir",
        "hydra.sweep.dir",
    ]
)
TEXTS = frozenset(
    f"data.{key}"
    for key in ["target", "separator", "decimal", "thousands", "encoding", "name", "split_column", "arrival_column"]
)
"""Keys whose value is a text of the user's own: a path, a column, a sign. Such a text needs no quotes."""


HELP, ALL = ("-h", "--help"), "all"

WITHOUT_A_FOLDER = frozenset(["plan", "replay", "transfer", "predict", "evaluate", "export", "front"])
"""Commands that make no run folder."""

KEEPS_ITS_WORDS = frozenset(["fit", "compare", "search"])
"""Commands whose run folder says what was typed."""


def _check_used(command: str, arguments: Sequence[str]) -> None:
    """Raise ConfigError for a key that a command would take and not use."""
    for argument in arguments:
        if command in WITHOUT_A_FOLDER and key_of(argument) in ("hydra.run.dir", "hydra.sweep.dir"):
            raise ConfigError(f"{command} makes no run folder, so it takes no {key_of(argument)}")
    _check_text(command, arguments)


def _check_text(command: str, arguments: Sequence[str]) -> None:
    """Raise ConfigError for words that a run folder would have to keep, in UTF-8, and that are no such text."""
    for argument in arguments:
        if command in KEEPS_ITS_WORDS and not argument.isprintable() and "\ufffd" in _shown(argument):
            raise ConfigError(f"{_shown(argument)!r} is not UTF-8 text, which a run folder keeps: rename the file")


def _shown(argument: str) -> str:
    """An argument as text: bytes of a name that are none are seen as such."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def _own_errors(full_error: str | None) -> Iterator[None]:
    """Let the processes that a task starts say their errors as they were told to, not as Hydra is told here."""
    if full_error is None:
        del os.environ[FULL_ERROR]
    try:
        yield
    finally:
        os.environ[FULL_ERROR] = "1"


class _Left(BaseException):
    """An interruption on its way past Hydra, which would say a line of its own and go on with the other jobs."""

    def __init__(self, error: InterruptedRunError) -> None:
        super().__init__(str(error))
        self.error = error


def run_hydra(command: str, arguments: Sequence[str], task: Callable[[DictConfig], Any]) -> int:
    """Compose `conf/<command>.yaml` with the overrides in `arguments` and run `task` on it (or Hydra's own --help,
    --cfg, -m).

    Raises ConfigError, in one line with the nearest right names, for what cannot be composed, and what the task raised
    (in a sweep, once every job has had its turn).
    """
    _check_used(command, arguments)
    if asks_help(arguments):
        print(help_of(command), end="")
        return 0
    register()
    full_error = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # Hydra raises instead of printing and exiting: the one line is ours
    arguments = _for_hydra(arguments)
    program = sys.argv[0]
    before, sys.argv = sys.argv, [program, *arguments]

    def job(cfg: DictConfig) -> Any:
        # Lightning's DDP launcher runs sys.argv again for the other ranks: it must hold the command, and this job alone
        of_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        sys.argv = [program, command, *([*HydraConfig.get().overrides.task, SINGLE] if of_sweep else arguments)]
        # kept until Hydra is done: it would print a line of its own, and in a sweep the other jobs are still to run
        try:
            if of_sweep:
                check_sweeps(command)
            with _own_errors(full_error):
                if needs_own_process(cfg):
                    own_process()
                return task(cfg)
        except InterruptedRunError as error:
            raise _Left(error) from None
        except AutogrowError as error:
            whole.failures.append(error)
            return None

    whole = Task(command, job)
    try:
        with read_from(arguments), composing_once():
            hydra.main(config_path=str(CONF_DIR), config_name=command, version_base="1.3")(whole)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(command, error, arguments)) from error
    except _Left as left:
        raise left.error from None
    except KeyboardInterrupt as interrupt:
        if whole.folder is None:
            raise
        again = f"the same command with hydra.sweep.dir={quoted_if_needed(whole.folder)} goes on"
        raise InterruptedRunError(signal_of(interrupt), again=again) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from error
    finally:
        whole.warm.close()
        sys.argv = before
        if full_error is None:
            del os.environ[FULL_ERROR]
    print_summary(whole)
    whole.raise_failures()
    return 0


def _for_hydra(arguments: Sequence[str]) -> list[str]:
    """The words as Hydra's grammar reads them; `--help all` is its own --help."""
    if any(a in HELP for a in arguments):
        arguments = [a for a in arguments if a != ALL]
    return [readable(argument) for argument in options_first(arguments)]


def asks_help(arguments: Sequence[str]) -> bool:
    """Whether `--help` is among the words, and not `--help all`."""
    return any(a in HELP for a in arguments) and ALL not in arguments


def needs_own_process(cfg: DictConfig) -> bool:
    """Whether a run is to have several processes, or another device than the CPU."""
    trainer = cfg.get("trainer")
    return trainer is not None and (trainer.devices != 1 or trainer.accelerator != "cpu")


def typed_words(hydra_cfg: Any) -> list[str]:
    """The overrides as they were typed: what is to be looked up in them, ${seed}, has not been."""
    typed: Any = OmegaConf.to_container(hydra_cfg.overrides.task, resolve=False)
    return [str(word) for word in typed]


def readable(argument: str) -> str:
    """An override that Hydra's grammar cannot read, its value quoted where the key takes a text: paths, columns, signs.

    A path that begins with ~/ begins at home: the shell does not see it behind an equal sign.

    >>> readable("data.path=a=b.csv"), readable("data.path=a.csv"), readable("data.separator=;")
    ("data.path='a=b.csv'", 'data.path=a.csv', "data.separator=';'")
    """
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in PATHS | TEXTS:
        return argument
    if key.lstrip("+") in PATHS and value.startswith("~/"):
        return readable(f"{key}={Path(value).expanduser()}")
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return f"{key}={quoted(value)}"
    return argument
