"""What a command imports: nothing that its words do not ask for. Seconds of a start are seconds of imports."""

import subprocess
import sys

import pytest

from autogrow.cli import COMMANDS

HEAVY = ("torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "sklearn", "scipy", "pandas", "numpy",
         "matplotlib", "jinja2", "optuna", "pyarrow", "tensorboard")  # fmt: skip
"""Packages that take a tenth of a second or more."""

SIDE = ("torch._dynamo", "optuna", "tensorboard", "torchvision", "mnist1d",
        "autogrow.compare", "autogrow.estimators", "autogrow.deploy")  # fmt: skip
"""What a run does not use."""

CHILD = """
import sys
from autogrow.cli import main
try:
    main({words!r})
finally:
    print("imported", *(name for name in {forbidden!r} if name in sys.modules), file=sys.stderr)
"""

LIGHT = [
    *((command, ["--help"], 0) for command in COMMANDS),
    ("fit", ["--cfg", "job"], 0),
    ("fit", ["dataa=iris"], 2),
    ("fit", ["data=irsi"], 2),
    ("fit", ["data=csv", "data.path=nowhere.csv", "data.target=y"], 2),
    ("fit", ["data=csv", "data.arrival=files", "data.path=nowhere", "data.target=y"], 2),
    ("fit", ["resume=nowhere"], 2),
    ("compare", ["sseeds=3"], 2),
    ("report", [], 2),
    ("keys", [], 0),
]


@pytest.mark.parametrize(("command", "words", "code"), LIGHT, ids=str)
def test_words_are_read_before_anything_heavy_is_imported(command, words, code, tmp_path):
    assert imports_none_of(HEAVY, [command, *words], tmp_path) == code


def test_a_run_imports_nothing_that_it_does_not_use(tmp_path):
    assert imports_none_of(SIDE, ["fit", "data=iris", "trainer.max_epochs=1", "hydra.run.dir=run"], tmp_path) == 0
    assert (tmp_path / "run" / "result.json").is_file()


def imports_none_of(forbidden, words, folder):
    """The exit code of a command in a process of its own, in which nobody has imported one of these modules."""
    code = CHILD.format(forbidden=forbidden, words=words)
    child = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert child.stderr.splitlines()[-1] == "imported"
    return child.returncode
