"""The example that the README shows runs as it stands."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl

sys.path.insert(0, str(Path(__file__).parent))
from lit import quiet


@pytest.mark.slow
def test_the_example_grows_somebodys_own_module(tmp_path, monkeypatch, capsys):
    quiet()
    monkeypatch.chdir(tmp_path)
    pl.seed_everything(0, verbose=False)
    names = runpy.run_path(str(Path(__file__).with_name("growth_controller_example.py")))
    rows = names["growth"].rows
    assert len(rows) == 15
    assert sum(row.event is not None for row in rows) >= 2
    assert rows[-1].parameters > 2 * rows[0].parameters
    assert rows[-1].val_loss < 0.3
    assert "widened" in capsys.readouterr().out
