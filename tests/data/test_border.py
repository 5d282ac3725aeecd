"""The border: settings are checked once, and however a column or a setting is written,
behind it there are names in text.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from autogrow.data import DataSpec, prepare, prepare_raw, rules, validate
from autogrow.data.raw import Raw
from autogrow.errors import DataError


def table(names, n=120):
    draw = np.random.default_rng(0)
    columns = [draw.normal(size=n), draw.integers(0, 4, n), draw.choice(["u", "v"], n), draw.integers(0, 5, n)]
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def told(prepared):
    """All that a run sees of the data."""
    parts = [prepared.train, prepared.val, prepared.test]
    return [t for part in parts for t in (part.x, part.y, part.rows)], prepared.card, prepared.encoder.state()


def assert_same(one, two):
    (tensors, *plain), (others, *plain_too) = told(one), told(two)
    assert all(torch.equal(a, b) for a, b in zip(tensors, others, strict=True))
    assert plain == plain_too


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"drop": 0},
        {"categorical": [1], "max_rows": 100},
        {"split": "group", "split_column": 3},
        {"arrival": "column", "arrival_column": 3, "stages": [2], "stage": 0},
    ],
    ids=str,
)
def test_a_column_called_by_a_number_is_called_by_its_text(settings):
    y = np.arange(120) % 2
    as_text = {k: [str(c) for c in v] if k == "categorical" else v for k, v in settings.items()}
    as_text |= {k: str(v) for k, v in settings.items() if k in ("drop", "split_column", "arrival_column")}
    numbered = Raw(table([0, 1, 2, 3]), pd.DataFrame({7: y}), "here")
    named = Raw(table(["0", "1", "2", "3"]), pd.DataFrame({"7": y}), "here")
    assert_same(prepare_raw(numbered, DataSpec(**settings)), prepare_raw(named, DataSpec(**as_text)))


def test_names_that_are_text_cost_no_copy():
    x = table(["a", "b", "c", "d"])
    assert Raw(x, x[["d"]], "here").x is x


def test_one_name_is_a_list_of_one(tmp_path):
    table(["a", "b", "c", "d"]).to_csv(tmp_path / "t.csv", index=False)
    one = DataSpec(path=str(tmp_path / "t.csv"), target="b", drop="a", categorical="d")
    kept = replace(one)
    prepared = prepare(one)
    assert one == kept  # the user's own spec stays as it was written
    assert prepared.encoder.columns == ("c", "d")
    for kind in (list, tuple):
        assert_same(prepared, prepare(replace(one, target=kind(["b"]), drop=kind(["a"]), categorical=kind(["d"]))))


@pytest.mark.parametrize("settings", [{}, {"arrival": "fraction", "stage": 1}], ids=str)
def test_settings_are_checked_once_on_the_way(monkeypatch, tmp_path, settings):
    checked = []
    for name in ("validate", "count_stages"):
        kept = getattr(rules, name)
        monkeypatch.setattr(rules, name, lambda spec, kept=kept, name=name: (checked.append(name), kept(spec))[1])
    frame = table(["a", "b", "c", "d"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    prepare(DataSpec(path=str(tmp_path / "t.csv"), target="b", **settings))
    assert checked == ["validate", "count_stages"]
    prepare_raw(Raw(frame.drop(columns="b"), frame[["b"]], "here"), DataSpec(**settings))
    assert checked == ["validate", "count_stages"] * 2


def test_files_are_listed_once_to_check_and_once_to_read(monkeypatch, tmp_path):
    from autogrow.data.arrival import files

    listed = []
    kept = files.found_files
    monkeypatch.setattr(files, "found_files", lambda *given: (listed.append(given), kept(*given))[1])
    for name in ("1.csv", "2.csv"):
        table(["a", "b", "c", "d"]).to_csv(tmp_path / name, index=False)
    prepare(DataSpec(path=str(tmp_path), target="b", arrival="files", stage=0))
    assert len(listed) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arrival": "fractoin"}, "did you mean 'fraction'"),
        ({"stage": 1}, "data.stage=1 needs data.arrival=fraction or column or class or files, got data.arrival=none"),
        ({"arrival": "class", "files": "a.csv"}, "data.files=a.csv needs data.arrival=files, got data.arrival=class"),
        ({"arrival": "fraction", "stage": 5}, "data.stage must be a whole number from 0 to 4, got 5"),
    ],
)
def test_the_rules_of_arrival_are_rules_of_the_spec(settings, message):
    with pytest.raises(DataError, match=message):
        validate(DataSpec(**settings))
