"""The readers of a run folder: what is not as it was written is said in one line that names the file.
And how a folder begins.
"""

import io
import json

import numpy as np
import pytest

from autogrow.data.continued.known_rows import KnownRows
from autogrow.errors import CheckpointError, ConfigError
from autogrow.policy.history import Row
from autogrow.train.record.folder import (
    CARD_KEYS,
    RESULT_KEYS,
    is_begun,
    is_complete,
    is_empty,
    read_card,
    read_config,
    read_plain,
    read_result,
    read_split,
    read_trials,
    start_folder,
)
from autogrow.train.record.ledger import read_ledger

TOOK = {"train_flops": 9, "eval_flops": 3, "seconds": 0.5}
SIZE = {"widths": [8], "parameters": 99, "flops_per_sample": 180}
MEASURED = {"loss": 0.1, "error": 0.2}
RESULT = {"task": "classification", "seed": 0, "stop_reason": "it was over", "epochs": 2.5, **SIZE, **TOOK,
          "val": MEASURED, "test": MEASURED}  # fmt: skip
CARD = {"name": "iris", "origin": "here", "task": "classification", "task_because": "text", "rows": 3, "columns": [1, 8, 8],
        "targets": ["y"], "splits": {"train": 1, "val": 1, "test": 1}, "split": "random", "missing": 0, "fingerprint": "f",
        "notes": []}  # fmt: skip
TRIAL = {"number": 0, "state": "complete", "val_loss": None, "dropout": 0.0, "lr": 0.1, **SIZE, **TOOK}
ROW = Row(0, 1, 0.5, "grow", 0, 1.0, 1.0, 0.1, 0.1, 1.0, 0.0, 0.1, {"a": 1}, 1, 1, 1, 1).to_plain()
ONE_MAPPING = {
    "result.json": (read_result, RESULT, "test"),
    "data_card.json": (read_card, CARD, "splits"),
    "plan.json": (lambda folder: read_plain(folder / "plan.json", ("arms",)), {"arms": {}}, "arms"),
}
LINES = {
    "ledger.jsonl": (read_ledger, ROW, "step"),
    "trials.jsonl": (read_trials, TRIAL, "state"),
}
NOT_TEXT = b"\xff\xfe\x00"


def complaint(reader, folder) -> str:
    with pytest.raises(CheckpointError) as caught:
        reader(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert str(folder) in said
    return said


def less(content, key):
    return {k: v for k, v in content.items() if k != key}


@pytest.mark.parametrize("name", ONE_MAPPING)
def test_a_whole_file_is_read_as_it_was_written(name, tmp_path):
    reader, content, _ = ONE_MAPPING[name]
    (tmp_path / name).write_text(json.dumps({**content, "further": "ü"}))
    assert reader(tmp_path) == {**content, "further": "ü"}


@pytest.mark.parametrize("name", ONE_MAPPING)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (None, "there is no {name}"),
        (b"", "{name} is not JSON"),
        (b'{"task": ', "{name} is not JSON"),
        (b"[1, 2]", "{name} does not hold a mapping"),
        (b'"text"', "{name} does not hold a mapping"),
        (b"null", "{name} does not hold a mapping"),
        (NOT_TEXT, "{name} is not text"),
        ("less", "{name} has no {key!r}"),
        ("folder", "{name} cannot be read"),
    ],
)
def test_every_damage_of_a_file_is_named(name, damage, said, tmp_path):
    reader, content, key = ONE_MAPPING[name]
    if damage == "folder":
        (tmp_path / name).mkdir()
    elif damage is not None:
        (tmp_path / name).write_bytes(json.dumps(less(content, key)).encode() if damage == "less" else damage)
    assert said.format(name=name, key=key) in complaint(reader, tmp_path)


@pytest.mark.parametrize(
    ("name", "reader", "keys", "whole"),
    [("result.json", read_result, RESULT_KEYS, RESULT), ("data_card.json", read_card, CARD_KEYS, CARD)],
)
def test_every_key_that_is_needed_is_asked_for(name, reader, keys, whole, tmp_path):
    assert set(keys) == set(whole)
    for key in keys:
        (tmp_path / name).write_text(json.dumps(less(whole, key)))
        assert f"{name} has no {key!r}" in complaint(reader, tmp_path)


def test_who_reads_says_what_it_needs_and_what_the_folder_is_called(tmp_path):
    (tmp_path / "result.json").write_text('{"task": "regression"}')
    assert read_result(tmp_path, ("task",)) == {"task": "regression"}
    with pytest.raises(CheckpointError, match=r"^seed_0: result.json has no 'val'$"):
        read_result(tmp_path, ("task", "val"), name="seed_0")


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("damage", [b'{"check": ', b"[1, 2]", b"3", b'"text"', b"null", "less"], ids=str)
def test_every_damage_of_a_line_is_named_with_its_number(name, damage, tmp_path):
    reader, content, key = LINES[name]
    whole = json.dumps(content).encode()
    bad = json.dumps(less(content, key)).encode() if damage == "less" else damage
    (tmp_path / name).write_bytes(b"\n".join([whole, bad, whole, b""]))
    message = complaint(reader, tmp_path)
    assert f"{name}, line 2," in message
    assert (f"has no {key!r}" in message) == (damage == "less")


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_not_text_are_named(name, tmp_path):
    (tmp_path / name).write_bytes(NOT_TEXT + b"\n")
    assert name in complaint(LINES[name][0], tmp_path)


def test_an_empty_file_of_lines_has_none_and_no_ledger_is_no_run(tmp_path):
    assert read_trials(tmp_path) == []
    assert "holds no ledger.jsonl: it is not a run folder" in complaint(read_ledger, tmp_path)
    (tmp_path / "trials.jsonl").write_text("")
    assert read_trials(tmp_path) == []
    (tmp_path / "ledger.jsonl").write_text("")
    assert read_ledger(tmp_path, may_be_empty=True) == []
    assert "ledger.jsonl holds no check yet" in complaint(read_ledger, tmp_path)


@pytest.mark.parametrize("change", [{"unheard": 1}, {"action": {"do": "fly"}}, {"action": 3}], ids=str)
def test_a_row_that_is_none_is_named(change, tmp_path):
    (tmp_path / "ledger.jsonl").write_text(json.dumps({**ROW, **change}) + "\n")
    assert "ledger.jsonl, line 1, is not a ledger row" in complaint(read_ledger, tmp_path)


def test_a_config_is_text(tmp_path):
    assert "there is no config.yaml" in complaint(read_config, tmp_path)
    (tmp_path / "config.yaml").write_bytes(NOT_TEXT)
    assert "config.yaml is not text" in complaint(read_config, tmp_path)
    (tmp_path / "config.yaml").write_text("name: é\n", encoding="utf-8")
    assert read_config(tmp_path) == "name: é\n"


def of_arrays(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_which_rows_are_in_which_split(tmp_path):
    known = KnownRows(np.arange(5, dtype=np.uint64), np.array([0, 0, 1, 2, 0], dtype=np.uint8))
    assert read_split(tmp_path / "best.ckpt") is None
    (tmp_path / "best.split.npz").write_bytes(known.to_bytes())
    back = read_split(tmp_path / "best.ckpt")
    assert (back.marks == known.marks).all()
    assert (back.parts == known.parts).all()
    (tmp_path / "best.split.npz").write_bytes(of_arrays(marks=known.marks, parts=known.parts))  # by an older version
    back = read_split(tmp_path / "best.ckpt")
    assert (back.way, back.marks.tolist()) == ("marks", known.marks.tolist())


@pytest.mark.parametrize(
    "damage",
    [b"", b"text", of_arrays(marks=np.arange(3), parts=np.arange(3))[:60], of_arrays(marks=np.arange(3))],
    ids=["empty", "text", "cut short", "less"],
)
def test_every_damage_of_a_split_is_named(damage, tmp_path):
    (tmp_path / "best.split.npz").write_bytes(damage)
    message = complaint(lambda folder: read_split(folder / "best.ckpt"), tmp_path)
    assert "best.split.npz does not say which rows are in which split" in message


# -- how a folder begins ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ledger.jsonl", "result.json"])
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_a_folder_with_a_run_is_not_begun_in_again(name, kind, tmp_path):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    if kind != "dangling link":
        elsewhere.write_text("precious")
    if kind == "file":
        elsewhere.rename(run / name)
    else:
        (run / name).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="already holds a run"):
        start_folder(run, "a: 1\n")
    assert [p.name for p in run.iterdir()] == [name]
    assert is_complete(run) == (name == "result.json" and kind != "dangling link")


def test_a_folder_begins_with_its_config(tmp_path):
    run = tmp_path / "some" / "run"
    start_folder(run, "a: 1\n")
    assert read_config(run) == "a: 1\n"
    assert (is_begun(run), is_complete(run), is_empty(run)) == (True, False, False)
    (run / "config.yaml").unlink()
    assert is_empty(run)
    (run / ".lock").write_text("")
    assert is_empty(run)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        start_folder(tmp_path / "file" / "run", "")
