"""The golden runs: small ones of every kind, each made into a folder by what people type. A program, and a table.

python tests/golden/golden_runs.py make OUT [names…]   make the runs, with the autogrow of this checkout
python tests/golden/golden_runs.py compare A B         how two folders differ that `make` wrote in two checkouts
python tests/golden/golden_runs.py keep OUT [names…]   take what `make` wrote as the fixtures that later code is held to

Only what outlives a move of modules is named here: the command line, config keys, public names.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from kept import HERE, OLD_RUNS, differences, kept, made_with, write_fixture

STEADY = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
}
"""One thread, and no instruction that only some processors have: the bits of a sum depend on both."""

EAGER = (
    "growth.amount.cap=24 net.widths=[8] stop.checks=3 stop.after_growth=3 "
    "trainer.check_every=20 trainer.check_rows=300 trainer.max_epochs=80"
)
"""Grows early and often, and stops soon: a widening and a deepening within a second."""
UNGUARDED = "growth.guards=null"
OFTEN = "data.batch_size=32 trainer.check_every=10"  # of few rows
SHORT = "data=iris trainer.max_epochs=60 trainer.check_every=10"
PRICES = f"data=csv data.path=table.csv data.target=price growth.finer=null {OFTEN}"


def autogrow(words: str) -> str:
    """Run a command in this process; what it printed. Raises RuntimeError where it did not end well."""
    from autogrow.cli import main

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            main(words.split())
    except SystemExit as ended:
        if ended.code == 0:
            return printed.getvalue()
        raise RuntimeError(f"autogrow {words} ended with {ended.code}") from None
    raise AssertionError("main always exits")


def fit(out: str, words: str, *, guards: str = UNGUARDED) -> None:
    """One eager run into the folder `out`; `words` win over the eager ones."""
    autogrow(f"fit {EAGER} {guards} hydra.run.dir={out} {words}")


def dense() -> None:
    fit("run", "data=digits")


def members() -> None:
    fit("run", "data=breast_cancer net.members=2 net.activation=gelu optimizer_state=carry seed=1")


def conv() -> None:
    """The digits as images of one channel."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.savez("digits.npz", x=digits.images[:900, None].astype(np.float32), y=digits.target[:900])
    net = "net=conv net.widths=[4,6] growth.where.max_depth=4 growth.amount.multiple=2"
    fit("run", f"data=npz data.path=digits.npz trainer.max_epochs=20 {net} {OFTEN} seed=2")


def residual() -> None:
    net = "net=residual net.widths=[8,8] net.norm=layer growth.where.max_depth=3"
    fit("run", f"data=digits {net} optimizer_state=fresh seed=3")


def regression() -> None:
    """Categories, codes, missing values in numbers and in categories; new units as copies of old ones."""
    from made_tables import prices

    prices(260, seed=0).to_csv("table.csv", index=False)
    fit("run", f"{PRICES} data.categorical=[code] neurons=split metrics=[mae,r2] seed=5")


def embedded() -> None:
    """Categories as embeddings, dropout, plain SGD, clipped gradients."""
    from made_tables import prices

    prices(260, seed=1).to_csv("table.csv", index=False)
    sgd = "optimizer=sgd optimizer.gradient_clip=1 optimizer.lr=0.01"
    fit("run", f"{PRICES} data.categories=embed net.dropout=0.1 growth.where.max_depth=3 {sgd}")


def stages() -> None:
    as_kept = "stage.patience=0.5 stage.finish=0.5 stage.shrink=1 stage.perturb=0"
    fit("run", f"data=digits data.arrival=fraction data.stages=[0.4,0.7,1.0] {as_kept} trainer.max_epochs=25 seed=6")


def continued() -> None:
    """A run on more rows, with another column, category and class than the finished run that it continues from."""
    from made_tables import classes

    first, more = classes(220, seed=2, names="abc"), classes(260, seed=3, names="abcd")
    more["extra"] = more["width"] * 0.5 + 7
    first.to_csv("first.csv", index=False)
    more.to_csv("more.csv", index=False)
    fit("first", f"data=csv data.path=first.csv data.target=label {OFTEN}")
    larger = "net.widths=auto growth.amount.cap=40 growth.where.max_depth=3 warm_start.shrink=0.9 seed=7"
    fit("run", f"data=csv data.path=more.csv data.target=label {OFTEN} continue_from=first {larger}")


def more_rows() -> None:
    """A run on all of the digits that continues from the dense net of less than half of them, kept as it was."""
    half = "data=digits data.arrival=fraction data.stages=[0.4,1.0]"
    fit("first", f"{half} data.stage=0")
    fit("run", f"{half} data.stage=1 continue_from=first net.widths=auto growth.amount.cap=40 optimizer_state=carry")


def undone() -> None:
    """Growths on trial that did not pay, and are undone."""
    trial = " ".join(f"growth.guards.trial.{key}" for key in ("checks=2", "gain=0.9", "rest=1", "give_up=3"))
    ramp = "growth.when.every=2 growth.when.until=20"
    fit(
        "run",
        f"data=digits growth=ramp growth/guards=[gap_closes,trial] {trial} {ramp} seed=8",
        guards="growth.guards.gap_closes.max_gap=0.99",
    )


def scored() -> None:
    """Where to grow by the first-order gain, within a budget, new units in pairs."""
    score = "growth=score growth.when.ratio=0.05 growth.when.cooldown=2 neurons=antisymmetric_pair"
    often = "trainer.max_epochs=60 trainer.check_every=15 trainer.temperature=false"
    fit("run", f"data=breast_cancer budget.parameters=1500 {score} {often}")


def guest() -> None:
    import guest as a_guest

    a_guest.fit(Path("run"))


def sweep() -> None:
    """Two jobs of a sweep, each in a process of its own, by a policy class of a user's own."""
    shutil.copytree(HERE / "own", "own", ignore=shutil.ignore_patterns("__pycache__"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path("own").resolve()), os.environ.get("PYTHONPATH", "")])
    own = "--config-dir own growth=restless growth.every=2,3"
    jobs = "hydra.launcher.jobs=2 hydra.sweep.dir=sweep"
    autogrow(f"fit -m {own} {SHORT} net.widths=[8] stop=never seed=4 {jobs}")


def watch() -> None:
    """Two files in a watched folder: a run for each, the second continuing from the first."""
    from made_tables import classes

    Path("drops").mkdir()
    for name, seed in (("1-mon", 5), ("2-tue", 6)):
        classes(200, seed=seed, names="abc").to_csv(f"drops/{name}.csv", index=False)
    once = "watch.once=true watch.settle_seconds=0 hydra.run.dir=watched"
    autogrow(f"watch drops data.target=label {EAGER} {OFTEN} {once}")


def plan() -> None:
    """What is printed before anything is trained."""
    by_loss = autogrow(f"plan data=digits {EAGER} {UNGUARDED}")
    by_clock = autogrow(f"plan data=digits {EAGER} growth=fixed growth.when.at=[2,5]")
    Path("printed.txt").write_text(untimed(by_loss + by_clock))


def replay() -> None:
    """What the same policy and another would have decided on a recorded run."""
    as_once = "growth.finer=null growth.where.worth=0 finish.refit=false finish.share=0.3"  # as the run was that an earlier autogrow left interrupted
    fit("run", f"{SHORT} {as_once}")
    same = f"growth.amount.cap=24 {UNGUARDED} stop.checks=3 stop.after_growth=3 {as_once}"
    printed = autogrow(f"replay run {same}") + autogrow("replay run growth=gap stop.checks=2")
    Path("printed.txt").write_text(untimed(printed))


def resumed() -> None:
    """Runs that an earlier autogrow left unfinished: interrupted, between two stages, a guest's."""
    import guest as a_guest

    shutil.copytree(OLD_RUNS, ".", dirs_exist_ok=True, ignore=shutil.ignore_patterns("complete"))
    for path in ("stages/stage_1", "stages/checkpoints"):
        shutil.rmtree(path)
    for path in ("stages/result.json", "stages/stages.json", "stages/stages.csv"):
        Path(path).unlink()
    autogrow("fit resume=interrupted")
    autogrow("fit resume=stages")
    a_guest.fit(Path("guest"), resume=Path("guest") / a_guest.CHECKPOINT)


def from_old() -> None:
    """A run on more rows that continues from one that an earlier autogrow finished."""
    import pandas as pd
    from made_tables import prices

    shutil.copytree(OLD_RUNS / "complete", "complete")
    pd.concat([prices(260, seed=0), prices(140, seed=7)]).to_csv("table.csv", index=False)
    fit("run", f"{PRICES} data.categorical=[code] net.widths=auto continue_from=complete growth.amount.cap=40")


ALL = (dense, members, conv, residual, regression, embedded, stages, continued, more_rows, undone, scored, guest)
RUNS: dict[str, Callable[[], None]] = {
    run.__name__: run for run in (*ALL, sweep, watch, plan, replay, resumed, from_old)
}
"""Each makes its run in the working directory."""


def untimed(text: str) -> str:
    """Printed text without its durations, and without the columns' padding, which follows them."""
    text = re.sub(r"\b(\d[\d.,]* (ms|s|min|h)\b ?)+", "TIME", text)
    return "".join(re.sub(r" +", " ", line).rstrip() + "\n" for line in text.splitlines())


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """The working directory is `folder`, which is new."""
    folder.mkdir(parents=True)
    with contextlib.chdir(folder):
        yield


def make(out: Path, names: list[str]) -> None:
    """Make the runs, each in a folder of its name, saying how long each took."""
    import autogrow as made_by

    print(f"autogrow of {Path(made_by.__file__).parent}; {made_with()}", flush=True)
    for name in names:
        started = time.perf_counter()
        with within(out / name):
            RUNS[name]()
        print(f"{name}: {time.perf_counter() - started:.1f} s", flush=True)


def steady() -> None:
    """Start this program again in an environment in which its bits are steady, unless it is in one."""
    if all(os.environ.get(key) == value for key, value in STEADY.items()):
        return
    path = os.pathsep.join(p for p in (str(HERE.parents[1]), os.environ.get("PYTHONPATH")) if p)
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **STEADY, "PYTHONPATH": path})


def compare(one: Path, two: Path) -> int:
    """Say every difference between two folders of runs; how many there are."""
    names = sorted({p.name for p in (*one.iterdir(), *two.iterdir()) if p.is_dir()})
    found = [f"{name}: {line}" for name in names for line in differences(kept(one / name), kept(two / name))]
    print("\n".join(found) or f"the same, bit for bit: {', '.join(names)}")
    return len(found)


def main(arguments: list[str]) -> int:
    """The program; its exit code."""
    match arguments:
        case ["make", out, *names]:
            steady()
            make(Path(out).resolve(), names or list(RUNS))
            return 0
        case ["compare", one, two]:
            return min(compare(Path(one), Path(two)), 1)
        case ["keep", out, *names]:
            for name in names or list(RUNS):
                write_fixture(name, kept(Path(out) / name))
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
