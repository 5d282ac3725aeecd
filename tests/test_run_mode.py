"""Whether one run is meant or a sweep: where the words settle it, they say what Hydra would say of the whole config."""

import subprocess
import sys

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from autogrow.config import CONF_DIR
from autogrow.registration import register
from autogrow.run_mode import is_settled, mode_of


@pytest.mark.parametrize(
    "words",
    [
        ["data=iris"],
        ["data=iris", "hydra.mode=RUN"],
        ["hydra.mode=RUN", "hydra.mode=MULTIRUN"],
        ["seed=0,1", "hydra.mode=MULTIRUN"],
        ["hydra/sweeper=basic", "hydra.sweep.dir=there"],
        ["no=key"],
    ],
    ids=" ".join,
)
def test_words_that_settle_it_say_what_the_whole_config_says(words):
    assert is_settled(words)
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        assert mode_of(words) == GlobalHydra.instance().hydra.get_mode("fit", list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["--config-dir", "own", "experiment=mine"],
        ["--config-dir=own"],
        ["-cn", "mine"],
        ["hydra.searchpath=[file://own]"],
        ["hydra.mode=RUN,MULTIRUN"],
        ["hydra.mode=${oc.env:MODE}"],
    ],
    ids=" ".join,
)
def test_files_of_ones_own_and_words_that_are_no_mode_are_composed(words):
    assert not is_settled(words)


def test_a_file_of_ones_own_can_still_ask_for_a_sweep(tmp_path):
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nhydra:\n  mode: MULTIRUN\n")
    words = ["plan", "--config-dir", str(tmp_path / "own"), "experiment=mine", "data=iris"]
    said = subprocess.run([sys.executable, "-m", "autogrow", *words], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "plan is no sweep" in said.stderr
