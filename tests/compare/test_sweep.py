"""What is read of a sweep: which keys vary, which jobs finished and why the others did not, and what is best."""

import json

import pytest

from autogrow.compare.read.sweep import can_be_compared, is_sweep, read_sweep
from autogrow.errors import ConfigError

TYPED = ("data=digits", "trainer.max_epochs=3")


@pytest.fixture
def make_job(make_run, tmp_path):
    """A job's folder as a sweep leaves it: a run and the log of its command; without errors, one that failed."""

    def make(name, *typed, seed=0, says="autogrow: it broke", **run):
        line = f"python -m autogrow fit {' '.join([*TYPED, *typed, f'seed={seed}'])} hydra.run.dir=x hydra.mode=RUN"
        folder = make_run(f"sweep/{name}", seed, typed=typed, **run) if run else tmp_path / "sweep" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.txt").write_text(f"{line}\nautogrow fit data=digits\n{says}\n")
        return tmp_path / "sweep"

    return make


def settings(sweep):
    return [cell["settings"] for cell in sweep["sets"][0]["cells"]]


def test_only_what_varies_is_a_key_and_the_seed_repeats(make_job):
    for growth, error in (("gap", 0.2), ("never", 0.1)):
        for seed in (0, 1):
            sweep = make_job(f"growth-{growth}_seed-{seed}", f"growth={growth}", seed=seed, error=error)
    found = read_sweep(sweep)
    assert found["keys"] == ["growth"]
    assert found["repeated"] == ["seed"]
    assert settings(found) == [{"growth": "never"}, {"growth": "gap"}]
    assert [[run["seed"] for run in cell["runs"]] for cell in found["sets"][0]["cells"]] == [[0, 1], [0, 1]]
    assert (found["jobs"], found["done"], found["failures"]) == (4, 4, [])
    assert can_be_compared(found)


@pytest.mark.parametrize(
    ("errors", "losses", "best"),
    [((0.2, 0.1), (0.1, 0.9), "b"), ((0.1, 0.1), (0.5, 0.4), "b"), ((0.1, 0.1), (0.4, 0.4), "a")],
)
def test_validation_ranks_and_between_equals_its_loss(make_job, errors, losses, best):
    for name, error, loss in zip("ab", errors, losses, strict=True):
        sweep = make_job(name, f"growth={name}", error=error, loss=loss)
    found = read_sweep(sweep)
    assert settings(found)[0] == {"growth": best}
    assert [cell["best"] for cell in found["sets"][0]["cells"]] == [True, False]
    assert not can_be_compared(found)  # one seed of each


def test_a_test_figure_ranks_nothing(make_job):
    for name, error in (("a", 0.1), ("b", 0.2)):
        sweep = make_job(name, f"growth={name}", error=error)
        path = sweep / name / "result.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "test": {"loss": 1 - error, "error": 1 - error}}))
    assert settings(read_sweep(sweep))[0] == {"growth": "a"}


def test_a_setting_with_a_job_missing_is_not_the_best_while_others_are_whole(make_job):
    make_job("a0", "growth=a", seed=0, error=0.0)
    make_job("a1", "growth=a", seed=1)
    make_job("b0", "growth=b", seed=0, error=0.5)
    sweep = make_job("b1", "growth=b", seed=1, error=0.5)
    found = read_sweep(sweep)
    assert settings(found) == [{"growth": "b"}, {"growth": "a"}]
    assert [cell["missing"] for cell in found["sets"][0]["cells"]] == [0, 1]


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("autogrow: seed must be a whole number", "seed must be a whole number"),
        ("check 3: val loss 0.5", "has not finished; its log ends with: check 3: val loss 0.5"),
    ],
)
def test_what_did_not_finish_is_told_with_its_reason(make_job, says, why):
    make_job("good", "growth=gap", error=0.1)
    sweep = make_job("bad", "growth=never", says=says)
    assert read_sweep(sweep)["failures"] == [{"name": "bad", "message": why, "log": "bad/log.txt"}]
    known = read_sweep(sweep, {"good": "holds a run of another config", "bad": "it broke"})
    assert [f["message"] for f in known["failures"]] == ["it broke", "holds a run of another config"]
    assert known["sets"] == []


def test_errors_on_other_data_are_not_ranked_together(make_job):
    make_job("digits", "growth=gap", error=0.1)
    sweep = make_job("iris", "growth=gap", error=0.2, data="iris")
    found = read_sweep(sweep)
    assert [one["data"] for one in found["sets"]] == ["digits", "iris"]
    assert not can_be_compared(found)


def test_a_folder_without_jobs_is_said_to_be_one(tmp_path):
    with pytest.raises(ConfigError, match="holds no job of a sweep"):
        read_sweep(tmp_path)
    assert not is_sweep(tmp_path)
    (tmp_path / "multirun.yaml").write_text("hydra: {}\n")
    assert is_sweep(tmp_path)


def test_a_job_that_left_no_folder_is_told_and_varies_nothing(make_job):
    for name in ("a", "b"):
        sweep = make_job(name, f"growth={name}", error=0.1)
    found = read_sweep(sweep, {"gone": "no machine took it"})
    assert found["keys"] == ["growth"]
    assert (found["jobs"], found["done"]) == (3, 2)
    assert [f["message"] for f in found["failures"]] == ["no machine took it"]


def test_its_command_names_the_folder_of_configs_that_was_typed(make_job):
    sweep = make_job("a", "growth=still", error=0.1)
    sources = [{"path": "/conf", "provider": "main"}, {"path": "/my conf", "provider": "command-line"}]
    typed = {"task": ["growth=still"], "hydra": ["hydra.sweep.dir=x", "hydra.mode=MULTIRUN", "hydra.launcher.jobs=2"]}
    written = {"hydra": {"overrides": typed, "runtime": {"config_sources": sources}}}
    (sweep / "multirun.yaml").write_text(json.dumps(written))
    expected = f"autogrow fit -m --config-dir '/my conf' growth=still hydra.launcher.jobs=2 hydra.sweep.dir={sweep}"
    assert read_sweep(sweep)["command"] == expected
