"""The example of a device runs as it stands: grown under a budget, exported, compiled, asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autogrow.deploy.export.c_source.compiled import compiler

EXAMPLES = Path(__file__).parents[1] / "examples"
FLASH, RAM = 32768, 2048  # bytes, as the script says


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="there is no C compiler here (cc, gcc or clang)")
def test_digits_on_a_device(tmp_path):
    script = str(EXAMPLES / "digits_on_a_device.sh")
    quick = ["trainer.max_epochs=15", "finish.refit=false"]
    where = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHON": sys.executable, "INT8": "true", "PYTHONPATH": where}
    done = subprocess.run(
        [script, str(tmp_path), *quick], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "it is a 0" in done.stdout
    text, data, bss = (int(n) for n in done.stdout.splitlines()[-1].split()[:3])  # as `size` counts them
    assert text + data <= json.loads((tmp_path / "int8" / "export.json").read_text())["flash_bytes"] <= FLASH
    assert bss <= RAM
