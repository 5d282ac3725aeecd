"""The ledger: what is written is what is read, a torn end is left out, anything else that is wrong is named."""

import json
import math

import pytest

from autogrow.errors import CheckpointError
from autogrow.policy.event import Event, Size
from autogrow.policy.history import Row, Widen
from autogrow.train.record.ledger import Ledger, read_ledger, write_metrics


def row(check, **changes):
    values = {
        "check": check, "step": 20 * (check + 1), "passes": 0.5 * (check + 1), "phase": "grow", "lineage": 0,
        "train_loss": 1.0, "val_loss": 1.5, "train_error": 0.1, "val_error": 0.2, "score": 1.5, "gap": 0.5, "lr": 3e-3,
        "widths": {"a": 8, "b": 4}, "parameters": 10, "flops_per_sample": 20, "train_flops": 10**15, "eval_flops": 5,
    }  # fmt: skip
    return Row(**{**values, **changes})


def test_rows_survive_the_disk(tmp_path):
    grown = Event(
        Widen({"a": 12}),
        Size({"a": 8}, 10, 20),
        Size({"a": 12}, 14, 28),
        {"promise": 1e-9, "max_abs_change": 0.0},
        0,
        40,
    )
    rows = [row(0, action=Widen({"a": 12}), reason="because <1 & 2>"), row(1, val_loss=math.nan, event=grown)]
    ledger = Ledger(tmp_path)
    for r in rows:
        ledger.append(r)
    back = read_ledger(tmp_path)
    assert back[0] == rows[0]
    assert back[1].event == grown
    assert math.isnan(back[1].val_loss)
    assert [r.to_plain() for r in back] == [r.to_plain() for r in rows]


def test_a_torn_last_line_is_left_out_and_cutting_back_mends_the_file(tmp_path):
    ledger = Ledger(tmp_path)
    for check in range(3):
        ledger.append(row(check))
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text()[:-30])
    assert [r.check for r in read_ledger(tmp_path)] == [0, 1]
    ledger.cut_back([row(0)])
    assert [json.loads(line)["check"] for line in path.read_text().splitlines()] == [0]


def test_damage_inside_is_named(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"check": \n' + json.dumps(row(1).to_plain()) + "\n")
    with pytest.raises(CheckpointError, match="line 1, is not a ledger row"):
        read_ledger(tmp_path)
    with pytest.raises(CheckpointError, match="not a run folder"):
        read_ledger(tmp_path / "nowhere")


def test_metrics_are_projected_from_the_rows(tmp_path):
    write_metrics(tmp_path, [row(0), row(1, action=Widen({"a": 12}))])
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    header = lines[0].split(",")
    last = dict(zip(header, lines[2].split(","), strict=True))
    assert (last["widths"], last["action"], last["train_flops"]) == ("8-4", "widen", str(10**15))
    assert float(last["relative_gap"]) == pytest.approx(1 / 3)
