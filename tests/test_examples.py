"""The examples, in a short form: each runs as it stands, grows, and says so in its rows; none is longer than a page."""

import gzip
import importlib.util
import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """Lightning's advice is not what these tests are about; what it writes goes away."""
    monkeypatch.chdir(tmp_path)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=f"{name}.*")


def events(rows):
    return [row.event.do for row in rows if row.event]


def test_each_is_under_eighty_lines_and_the_guide_names_it():
    guide = (FOLDER.parent / "docs" / "guests.md").read_text(encoding="utf-8")
    paths = sorted(FOLDER.glob("*.py"))
    assert len(paths) == 3
    for path in paths:
        assert len(path.read_text().splitlines()) < 80, path.name
        assert f"examples/{path.name}" in guide


def test_a_gpt_grows_in_width_heads_and_blocks_beside_its_last_size_from_scratch(monkeypatch):
    gpt = example("gpt")
    monkeypatch.setattr(gpt, "STEPS", 2)
    monkeypatch.setattr(gpt, "TEXT", gpt.TEXT[:20_000])
    grown, scratch = gpt.compare(checks=6)
    assert events(grown) == ["widen", "deepen", "widen"]
    assert all(row.event.receipt["max_abs_change"] <= row.event.receipt["promise"] for row in grown if row.event)
    assert {row.parameters for row in scratch} == {grown[-1].parameters}
    assert scratch[-1].train_flops == pytest.approx(grown[-1].train_flops, rel=0.3)


def test_images_of_any_number_are_learnt_and_the_best_net_is_tested(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 50)):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        pixels = (labels[:, None, None] * 20 + rng.integers(0, 20, (count, 28, 28))).astype(np.uint8)
        for name, header, values in (("images-idx3", 16, pixels), ("labels-idx1", 8, labels)):
            with gzip.open(tmp_path / f"{part}-{name}-ubyte.gz", "wb") as file:
                file.write(bytes(header) + values.tobytes())
    rows, error = example("images").run(tmp_path, epochs=9)
    assert events(rows)[-1] == "anneal"
    assert {"deepen", "widen"} & set(events(rows))
    assert 0 <= error <= 1


def test_a_table_with_words_and_gaps_is_learnt(tmp_path):
    rng = np.random.default_rng(0)
    x, word = rng.normal(size=400), rng.choice(["red", "green", "blue", None], size=400)
    table = pd.DataFrame(
        {"x": x, "gap": np.where(x > 1, np.nan, x), "word": word, "y": np.abs(x) + 2.0 * (word == "red")}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    net, rows = example("table").run(tmp_path / "table.csv", "y", epochs=12)
    assert "widen" in events(rows)
    assert len(net.embeddings) == 1
    assert rows[-1].val_loss < 0.7 * rows[0].val_loss
