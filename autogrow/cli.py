"""`autogrow <command> [Hydra overrides]`: thin. It finds the command, hands the rest to Hydra,
and turns errors into one line.

Exit codes: 0 done; 1 the run failed; 2 what was given cannot be right; 129, 130 and 143 interrupted (by SIGHUP,
SIGINT, SIGTERM; and resumable).
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from autogrow.errors import AutogrowError, InterruptedRunError, UsageError, nearest
from autogrow.interruption import heard_signals, raise_interrupted, signal_of, wait_for_the_first_rank
from autogrow.ranks import is_first_rank
from autogrow.standing_streams import standing_streams

COMMANDS = (
    "fit",
    "compare",
    "evaluate",
    "export",
    "front",
    "keys",
    "plan",
    "predict",
    "replay",
    "report",
    "search",
    "transfer",
    "watch",
)

HELP = """autogrow: a neural net that finds its own size while it trains.

  autogrow fit [key=value …]     train one net: it starts tiny, grows, and stops before it overfits
  autogrow fit -m key=a,b …      a sweep
  autogrow fit --help            what can be chosen, and the keys that matter
  autogrow keys [pattern]        every key, with its default, what may stand there and a sentence
  autogrow compare [key=value …] was growing worth it? The grown net beside honest baselines, over seeds
  autogrow plan [key=value …]    what a run may do and cost, before anything is trained
  autogrow search [key=value …]  the expensive way: random hyper-parameter search, every trial charged
  autogrow transfer …            a trained net into a larger one with the same outputs
  autogrow watch DIR             learn from each file that appears in a folder; every run continues from the one before
  autogrow replay DIR growth=…   what another policy would have decided on a recorded run
  autogrow predict RUN TABLE     labels and probabilities, or values, for every row of a table: out=FILE.csv or .parquet
  autogrow evaluate RUN TABLE    every metric on rows whose target is known, and where the table differs from training
  autogrow export RUN to=…       the net as a file for a device or another program: proved to answer the same
  autogrow front RUN             smaller nets out of a finished run, each finished: error against size
  autogrow report DIR            build a run's or a sweep's page again; of a folder of runs, their comparison

  eval "$(autogrow -sc install=bash)"   commands, groups, options and keys by the tab key; -sc install=fish | source

Try: autogrow fit data=digits
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `autogrow` command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with standing_streams():
        try:
            with heard_signals(raise_interrupted):
                code = _code(arguments)
        except KeyboardInterrupt as interrupt:
            with heard_signals(lambda _: None):  # a second time: it is ending already
                code = _told(InterruptedRunError(signal_of(interrupt)))
    sys.exit(code)


def _code(arguments: Sequence[str]) -> int:
    """Run one command, and say in one line why it did not come to its end; the exit code."""
    wait_for_the_first_rank()
    debug = "--debug" in arguments or os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        code = run([a for a in arguments if a != "--debug"])
        sys.stdout.flush()
        return code
    except (AutogrowError, MemoryError, OSError) as error:
        if debug:
            raise
        return _told(error)
    finally:
        atexit.unregister(_hear_no_more)
        atexit.register(_hear_no_more)  # the last to register is the first to be called


def _told(error: AutogrowError | MemoryError | OSError) -> int:
    exit_code = error.exit_code if isinstance(error, AutogrowError) else 1
    if is_first_rank() or not isinstance(error, InterruptedRunError):  # once for all processes of a run
        print(f"autogrow: {_line(error)}", file=sys.stderr)
    return exit_code


def _line(error: AutogrowError | MemoryError | OSError) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    return str(error)


def _hear_no_more() -> None:
    """While Python takes itself down there is nothing left to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        import autogrow

        print(autogrow.__version__)
        return 0
    command, rest = arguments[0], arguments[1:]
    if command in ("-sc", "--shell-completion"):
        from autogrow.commands import completion

        return completion.run(rest, COMMANDS)
    if command not in COMMANDS:
        raise UsageError(f"unknown command {command!r}; {nearest(command, COMMANDS)}")
    # torch and Hydra take seconds to import: `--help` need not wait for them
    return int(import_module(f"autogrow.commands.{command}").run(rest))


if __name__ == "__main__":
    main()
