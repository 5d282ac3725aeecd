"""The config of a run folder is data: it decides neither what code is run nor what is looked up."""

import os
import shutil
import sys
import types
from pathlib import Path

import pytest
import yaml
from command_line import call
from omegaconf import OmegaConf

from autogrow.errors import CheckpointError, ConfigError
from autogrow.kept_config import own_targets, read_kept_config

ARGUMENTS = ["data=iris", "trainer.max_epochs=4", "net.widths=[8]", "trainer.check_every=10"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that has not come to its end."""
    folder, before = tmp_path_factory.mktemp("begun") / "run", sys.argv
    sys.argv = ["autogrow"]
    assert call("fit", *ARGUMENTS, f"hydra.run.dir={folder}") == 0
    sys.argv = before
    (folder / "result.json").unlink()
    return folder


@pytest.fixture
def run(alone, begun):
    shutil.copytree(begun, "run")
    return Path("run")


def changed(run, change):
    """Write the run's config with a change."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


NOTHING = OmegaConf.create()
TOUCH = {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path", "_args_": ["mark"]}]}


@pytest.mark.parametrize(
    "section", ["growth", "neurons", "stop", "regularize", "finish", "budget", "logger", "data", "net", "metrics"]
)
@pytest.mark.parametrize("depth", ["itself", "in an argument", "in a list"])
def test_a_folder_does_not_say_what_code_is_run(run, section, depth):
    node = {
        "itself": TOUCH,
        "in an argument": {"_target_": "autogrow.policy.Budget", "seconds": TOUCH},
        "in a list": [TOUCH],
    }[depth]
    changed(run, lambda config: config.update({section: {"mine": node} if section == "logger" else node}))
    with pytest.raises(ConfigError, match=r"pathlib\.Path.*name it again"):
        read_kept_config(run, NOTHING)


def test_who_goes_on_with_such_a_folder_is_told_in_a_line(run, capsys):
    changed(run, lambda config: config.update(stop=TOUCH))
    assert call("fit", f"resume={run}") == 2
    said = capsys.readouterr().err
    assert "name it again: stop._target_=pathlib.Path.touch" in said
    assert said.count("\n") == 1
    assert not Path("mark").exists()


def test_nothing_of_it_is_looked_up_and_nothing_of_it_reaches_the_page(run, monkeypatch):
    """A file may be called so: its name has been text from the start."""
    monkeypatch.setenv("SECRET", "the secret itself")
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}\n" for i in range(60))
    Path("${oc.env:SECRET}.csv").write_text(f"u,v,y\n{rows}")
    words = ["data=csv", r"data.path='\${oc.env:SECRET}.csv'", "data.target=y", *ARGUMENTS[1:], "hydra.run.dir=named"]
    assert call("fit", *words) == 0
    os.remove("named/result.json")
    assert call("fit", "resume=named") == 0
    for path in Path("named").rglob("*"):
        assert not path.is_file() or b"the secret itself" not in path.read_bytes()
    assert "${oc.env:SECRET}.csv" in Path("named/report.html").read_text()


@pytest.mark.parametrize("section", ["logger", "growth", "stop"])
def test_what_a_class_is_given_is_not_looked_up_either(run, section, monkeypatch, capsys):
    monkeypatch.setenv("SECRET", "the secret itself")
    node = {
        "logger": {
            "mine": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": None, "name": "${oc.env:SECRET}"}
        },
        "growth": {"_target_": "autogrow.policy.FixedSchedule", "at": [1], "unit": "${oc.env:SECRET}"},
        "stop": {"_target_": "autogrow.policy.Patience", "${oc.env:SECRET}": "${oc.env:SECRET}"},
    }[section]
    changed(run, lambda config: config.update({section: node}))
    assert call("fit", f"resume={run}") == 2
    said = capsys.readouterr().err
    assert "'${oc.env:SECRET}' cannot be a setting of a class" in said
    assert "the secret itself" not in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "has no 'data'"),
        (lambda text: text.partition("trainer:")[0], "has no 'trainer'"),
        (lambda text: "[1, 2]", "must be a mapping"),
        (lambda text: text + "seed: &a 1\nmetrics: [*a]\n", "has aliases"),
        (lambda text: "[" * 9000, "too deep"),
        (lambda text: text.replace("seed: 0", "seed: 1e999"), "holds the number inf"),
        (lambda text: text.replace("batch_size: ", "batch_size: many"), "data.batch_size"),
        (lambda text: text + "unheard: 1\n", "unheard"),
        (lambda text: text + "\x00", "is not YAML"),
        (lambda text: text.replace("seed: 0", "seed: ???"), "missing"),
        (lambda text: text + "seed: 1\n", "duplicate key seed"),
        (lambda text: text + "unheard: !!set {a, b}\n", "set"),
    ],
)  # fmt: skip
def test_what_is_no_config_of_a_run_is_said_in_a_line(run, change, said):
    text = (run / "config.yaml").read_text()
    assert change(text) != text
    (run / "config.yaml").write_text(change(text))
    with pytest.raises(CheckpointError, match=r"config\.yaml") as caught:
        read_kept_config(run, NOTHING)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_everything_that_conf_names_may_be_kept_and_nothing_else_is_ours():
    assert {"autogrow.policy.build_growth", "pytorch_lightning.loggers.CSVLogger"} <= own_targets()
    assert {t.partition(".")[0] for t in own_targets()} == {"autogrow", "pytorch_lightning"}
    assert not {t for t in own_targets() if t.startswith("autogrow.") and t.split(".")[1] not in ("policy", "growth")}


MINE = """
from autogrow.policy.verdict import Verdict
from dataclasses import dataclass

@dataclass(frozen=True)
class Checks:
    most: int = 3
    def __call__(self, history, options):
        return Verdict(len(history) >= self.most, "enough")
"""


def test_a_class_of_ones_own_goes_on_where_it_is_named_again(alone, monkeypatch, capsys):
    module = types.ModuleType("stops_of_mine")
    exec(compile(MINE, "stops_of_mine.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "stops_of_mine", module)
    own = ["~stop", "+stop._target_=stops_of_mine.Checks"]
    assert call("fit", *ARGUMENTS, *own, "hydra.run.dir=run") == 0
    os.remove("run/result.json")
    assert call("fit", "resume=run") == 2
    assert "stop._target_='stops_of_mine.Checks'" in capsys.readouterr().err
    assert call("fit", "resume=run", "stop._target_=stops_of_mine.Checks") == 0
    os.remove("run/result.json")
    assert call("fit", *ARGUMENTS, *own, "resume=run") == 0  # all the words again


def test_what_is_said_again_must_be_the_same(run, capsys):
    assert call("fit", f"resume={run}", "seed=0", "net.widths=[9]") == 2
    assert "only trainer.max_epochs" in capsys.readouterr().err
    assert call("fit", f"resume={run}", "growth=never") == 2
    assert call("fit", f"resume={run}", "seed=0", "data=iris", "trainer.max_epochs=5") == 0
