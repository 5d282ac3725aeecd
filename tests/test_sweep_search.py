"""The search: what it draws from, that it can be repeated and interrupted, and that the test set is not part of it."""

import json
import re
import signal
from pathlib import Path

import pytest
from command_line import call
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int

from autogrow.children.jobs import DONE, FAILED, SKIPPED, Outcome
from autogrow.errors import ConfigError, InterruptedRunError
from autogrow.launcher import plugin
from autogrow.launcher.space import distribution

pytestmark = pytest.mark.usefixtures("alone")

SPACE = ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "net.widths=[8],[32]"]
SEARCH = ["fit", "-m", "hydra/sweeper=optuna", "data=iris", *SPACE, "hydra.sweeper.n_trials=4", "hydra.launcher.jobs=2"]


class Runs:
    """In place of training: a run's error and cost are functions of what it was given."""

    def __init__(self):
        self.done, self.interrupt_at, self.backwards = [], None, False

    def __call__(self, jobs, at_a_time, on_change, start):
        for job in reversed(jobs) if self.backwards else jobs:
            if job.is_done():
                on_change(Outcome(job, SKIPPED, 0))
                continue
            if len(self.done) == self.interrupt_at:
                self.interrupt_at = None
                raise InterruptedRunError(signal.SIGINT)
            self.done.append(job.name)
            on_change(self._run(job))

    def _run(self, job):
        cfg = OmegaConf.create(job.config)
        lr, width = cfg.optimizer.lr, cfg.net.widths[0]
        job.folder.mkdir(parents=True)
        (job.folder / "config.yaml").write_text(job.config)
        if lr > 0.05:
            return Outcome(job, FAILED, 1, message="it diverged")
        flops, measure = 1000.0 * width, "rmse" if cfg.data.name == "diabetes" else "error"
        result = {
            "task": "regression" if measure == "rmse" else "classification", "widths": [width], "seconds": 1.0, "train_flops": flops,
            "eval_flops": 1.0, "flops_per_sample": 1, "parameters": 9, "epochs": 1.0, "depth": 1,
            "val": {"loss": abs(lr - 0.01), measure: abs(lr - 0.01) + 1 / width}, "test": {"loss": 0.0, measure: 0.77},
        }  # fmt: skip
        (job.folder / "result.json").write_text(json.dumps(result))
        return Outcome(job, DONE, 0, 1.0)


@pytest.fixture
def runs(monkeypatch):
    fake = Runs()
    monkeypatch.setattr(plugin, "run_jobs", fake)
    return fake


def found(folder):
    return OmegaConf.to_container(OmegaConf.load(f"{folder}/optimization_results.yaml"))


# -- the space -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=interval(0.1,2)", Float(0.1, 2)),
        ("a=tag(log,interval(1e-4,1e-2))", Float(1e-4, 1e-2, log=True)),
        ("a=int(interval(1,9))", Int(1, 9)),
        ("a=tag(log,int(interval(1,9)))", Int(1, 9, log=True)),
        ("a=range(5)", Int(0, 4)),
        ("a=range(1,10,3)", Int(1, 7, step=3)),
        ("a=range(10,1,-3)", Int(4, 10, step=3)),
        ("a=range(0.5,1.5,0.25)", Float(0.5, 1.25, step=0.25)),
        ("a=x,y", Choice(["x", "y"])),
        ("a=choice([8],[8,8])", Choice(["[8]", "[8,8]"])),
        ("a=range(3,4)", Choice(["3"])),
    ],
)
def test_the_space_is_what_the_override_says(override, expected):
    assert distribution(OverridesParser.create().parse_override(override)) == expected


@pytest.mark.parametrize(
    "override",
    ["a=interval(2,1)", "a=range(3,3)", "a=tag(log,interval(0,1))", "a=tag(fast,interval(0,1))", "a=tag(log,range(0.1,1,0.1))",
     "a=tag(log,range(1,9,2))"],
)  # fmt: skip
def test_a_space_that_holds_nothing_names_its_key(override):
    with pytest.raises(ConfigError, match=r"^a: "):
        distribution(OverridesParser.create().parse_override(override))


# -- the search ------------------------------------------------------------------------------------------------------
def test_the_front_is_what_no_trial_beats(runs, capsys):
    assert call(*SEARCH, "hydra.sweep.dir=s", "hydra.sweeper.seed=3") in (0, 1)
    results = {p.parent.name: json.loads(p.read_text()) for p in Path("s").glob("*/result.json")}
    points = {name: (r["val"]["error"], r["train_flops"]) for name, r in results.items()}

    def beaten(a):
        return any(all(x <= y for x, y in zip(b, a, strict=True)) and b != a for b in points.values())

    front = {name: p for name, p in points.items() if not beaten(p)}
    assert {s["folder"]: tuple(s["values"]) for s in found("s")["solutions"]} == front
    assert found("s")["failed"] == 4 - len(points)
    assert "none of 4 trials beats these in val_error and train_flops" in capsys.readouterr().out


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_seed_repeats_the_search_whatever_order_the_jobs_end_in(sampler, runs):
    call(*SEARCH, f"hydra.sweeper.sampler={sampler}", "hydra.sweep.dir=one")
    runs.backwards = True
    call(*SEARCH, f"hydra.sweeper.sampler={sampler}", "hydra.sweep.dir=two")
    assert sorted(runs.done[:4]) == sorted(runs.done[4:])
    assert found("one") == found("two")
    call(*SEARCH, f"hydra.sweeper.sampler={sampler}", "hydra.sweep.dir=three", "hydra.sweeper.seed=1")
    assert not set(runs.done[:4]) & set(runs.done[8:])


def test_interrupted_and_gone_on_with_is_the_search_that_never_was(runs, capsys):
    call(*SEARCH, "hydra.sweep.dir=whole")
    whole, runs.done = runs.done, []
    runs.interrupt_at = 1  # in the middle of the first batch
    assert call(*SEARCH, "hydra.sweep.dir=s") == 130
    assert "hydra.sweep.subdir" not in capsys.readouterr().err
    assert not Path("s/optimization_results.yaml").exists()
    call(*SEARCH, "hydra.sweep.dir=s")
    assert runs.done == whole
    assert found("s") == found("whole")
    call(*SEARCH, "hydra.sweep.dir=s")
    assert runs.done == whole  # nothing is done twice
    call(*SEARCH, "hydra.sweep.dir=s", "hydra.sweeper.n_trials=5")
    assert len(runs.done) == 5  # but it can be made longer


def test_one_objective_and_its_direction(runs):
    call(*SEARCH, "hydra.sweep.dir=s", "hydra.sweeper.objectives=[flops_per_sample,val_loss]",
         "hydra.sweeper.directions=[minimize,maximize]")  # fmt: skip
    losses = [json.loads(p.read_text())["val"]["loss"] for p in Path("s").glob("*/result.json")]
    assert [s["values"] for s in found("s")["solutions"]] == [[1.0, max(losses)]]


def test_test_figures_are_not_shown_where_a_choice_is_made(runs, capsys):
    call(*SEARCH, "hydra.sweep.dir=s")
    assert not re.search(r"test|77\.00", capsys.readouterr().out)


# -- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.sweeper.objectives=[test_error,train_flops]"], "'test_error' is of the test set"),
        (["hydra.sweeper.objectives=[test_loss]"], "use 'val_loss'"),
        (["hydra.sweeper.objectives=[test]"], "'test' is of the test set"),
        (["hydra.sweeper.objectives=[train_flop]"], "did you mean 'train_flops' or"),
        (["hydra.sweeper.objectives=[]"], "hydra.sweeper.objectives is empty"),
        (["hydra.sweeper.objectives=[val_loss,val_loss]"], "names one twice"),
        (["hydra.sweeper.directions=[minimize]"], "one for each objective (2), got 1"),
        (["hydra.sweeper.directions=[minimize,minimise]"], "did you mean 'minimize'"),
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials must be at least 1, got 0"),
        (["hydra.sweeper.sampler=tpee"], "did you mean 'tpe'?"),
        (["hydra.sweeper.n_trial=3"], "did you mean 'n_trials'"),
        (["growth=gap,nver"], "growth has no option 'nver'; did you mean 'never' or 'finer'"),
        (["optimizer.lrr=interval(0,1)"], "unknown key 'optimizer.lrr'; did you mean 'lr'?"),
        (["optimizer.lr=interval(2,1)"], "optimizer.lr: "),
        (["optimizer.lr=0.1", "net.widths=[8]"], "there is nothing to search"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, runs, capsys):
    assert call(*SEARCH, *arguments, "hydra.sweep.dir=s") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert not runs.done
    assert not Path("s").exists()


def test_a_folder_keeps_its_search(runs, capsys):
    call(*SEARCH, "hydra.sweep.dir=s")
    before = {p: p.read_bytes() for p in Path("s").rglob("*") if p.is_file()}
    runs.done = []
    others = {
        "hydra.sweeper.seed=1": "other sampler (tpe, seed 0, now tpe, seed 1)",
        "hydra.sweeper.objectives=[val_loss]": "other objectives",
        "optimizer.lr=interval(0.1,0.2)": "other space",
        "data=wine": "other overrides",
    }
    for other, message in others.items():
        capsys.readouterr()
        assert call(*SEARCH, other, "hydra.sweep.dir=s") == 2
        assert message in capsys.readouterr().err
        assert not runs.done
        assert {p: p.read_bytes() for p in Path("s").rglob("*") if p.is_file()} == before


def test_an_objective_of_another_task_is_named(runs, capsys):
    assert call(*SEARCH, "data=diabetes", "hydra.sweep.dir=s") == 2
    assert "'val_error' is not measured in a regression run; did you mean 'val_rmse'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_search(capfd):
    search = [
        "fit",
        "-m",
        "hydra/sweeper=optuna",
        "data=iris",
        "trainer.max_epochs=20",
        *SPACE,
        "hydra.sweeper.n_trials=2",
    ]
    assert call(*search, "hydra.sweep.dir=s", "hydra.launcher.jobs=2") == 0
    assert found("s")["trials"] == 2
    assert {s["folder"] for s in found("s")["solutions"]} <= {"trial_0", "trial_1"}
    assert call(*search, "hydra.sweep.dir=s", "hydra/launcher=basic") == 0  # nothing is left to do
