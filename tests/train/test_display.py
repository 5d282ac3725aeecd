import io
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.spinner import Spinner

from autogrow.growth import Receipt
from autogrow.policy.event import Event, Size
from autogrow.policy.history import Anneal, Keep, Regularize, Row, Stop, Widen
from autogrow.show.display import Display
from autogrow.show.panel import panel
from autogrow.train.fit.view import Silent

CARD = {
    "name": "digits",
    "origin": "scikit-learn",
    "task": "classification",
    "task_because": "10 labels",
    "rows": 1797,
    "columns": [1, 8, 8],
    "targets": ["digit"],
    "splits": {"train": 1078, "val": 359, "test": 360},
    "split": "stratified",
    "missing": 0,
    "fingerprint": "9f2c1a7be0d3c7f1",
    "notes": [],
}
RECEIPT = Receipt(1e-9, 2.2e-16).to_plain()
SMALL, LARGE = Size({"hidden.0": 64}, 4810, 9472), Size({"hidden.0": 96}, 7210, 14208)


def row(check: int, size: Size = SMALL, **changes: Any) -> Row:
    plain: dict[str, Any] = {
        "check": check,
        "step": 30 * (check + 1),
        "passes": 0.5 * (check + 1),
        "phase": "grow",
        "lineage": 0,
        "train_loss": 1 / (check + 2),
        "val_loss": 1 / (check + 1),
        "train_error": 0.05,
        "val_error": 0.107,
        "score": 1 / (check + 1),
        "gap": 0.1,
        "lr": 3e-3,
        "train_flops": 10**9 * (check + 1),
        "eval_flops": 10**8,
    }
    return Row(**(plain | size.to_plain() | changes))


ROWS = [
    row(0),
    row(1, action=Widen({"hidden.0": 96}), reason="val loss fell 12 % [since] the start"),
    row(2, LARGE, event=Event(Widen({"hidden.0": 96}), SMALL, LARGE, receipt=RECEIPT, decided_at=1)),
    row(3, LARGE, action=Anneal(0, 60), reason="no improvement for 8 checks"),
    row(4, event=Event(Anneal(0, 60), LARGE, SMALL, decided_at=3), phase="anneal"),
    row(5, action=Stop(), reason="stopped: the anneal is over (60 of 60 steps)", phase="anneal"),
]
RESULT = {
    "task": "classification",
    "seed": 0,
    "stop_reason": "no improvement for 8 checks",
    "best_epoch": 3.0,
    "epochs": 3.0,
    **SMALL.to_plain(),
    "widths": [64],
    "depth": 1,
    "train_flops": 690 * 10**9,
    "eval_flops": 10**9,
    "seconds": 72.4,
    "growth_events": 1,
    "val": {"loss": 0.31, "error": 0.104},
    "test": {"loss": 0.33, "error": 0.1076},
    "versions": {},
}


def shown(rows: list[Row], **console: Any) -> str:
    file = io.StringIO()
    with Display(Console(file=file, width=80, **console), clock=lambda: 0.0) as display:
        display.start("digits, seed 0", CARD)
        for one in rows:
            display.check(one)
        display.finish(RESULT, "runs/[2026]/12-00")
    return file.getvalue()


def test_a_log_file_gets_lines_without_control_characters():
    text = shown(ROWS)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    lines = text.splitlines()
    assert lines[0] == "digits, seed 0"
    assert [line for line in lines if line.startswith(("▲", "↩", "■"))] == [
        "▲ 1 pass  widened 64 → 96",
        "↩ 2 passes  returned to check 0 (96 → 64) and annealed over 60 steps",
        "■ 3 passes  stop",
    ]


def test_a_growth_stays_with_its_reason_its_cost_and_its_receipt():
    lines = shown(ROWS).splitlines()
    at = lines.index("▲ 1 pass  widened 64 → 96")
    assert lines[at + 1 : at + 3] == [
        "    val loss fell 12 % [since] the start",
        "    4,810 → 7,210 parameters · answers unchanged to 2.2e-16 (promised 1e-9)",
    ]


@pytest.mark.parametrize(("seconds", "told"), [(0.0, [0]), (2.4, [0, 3, 6, 9]), (10.0, [*range(10)])])
def test_checks_are_told_every_few_seconds(seconds, told):
    """The first check at once, then one as soon as five seconds have passed since the last."""
    file, now = io.StringIO(), [0.0]
    display = Display(Console(file=file, width=80), every=5.0, clock=lambda: now[0])
    display.start("digits", {})
    for check in range(10):
        now[0] += seconds
        display.check(row(check))
    lines = [line.split()[0] for line in file.getvalue().splitlines() if "train" in line]
    assert lines == [f"{0.5 * (check + 1):g}" for check in told]


def test_the_end_is_a_table_of_what_was_found():
    text = shown(ROWS)
    found = dict(re.findall(r"^  (\S[a-z ]*?)  +(\S.*)$", text[text.index("Stayed at") :], flags=re.M))
    assert found["error"].split() == ["10.40", "%", "10.76", "%"]
    assert found["loss"].split() == ["0.3100", "0.3300"]
    assert found["widths"] == "64"
    assert found["parameters"] == "4,810"
    assert found["training"] == "690 GFLOP in 3 passes, 1 min 12 s"
    assert found["ended"] == "no improvement for 8 checks"
    assert found["report"] == "runs/[2026]/12-00/report.html"
    assert "Stayed at 64: 1 growth was taken back" in text


def test_a_resumed_run_ends_with_its_whole_story():
    file = io.StringIO()
    display = Display(Console(file=file, width=80))
    display.start("digits", CARD)
    display.finish(RESULT | {"widths": [96], "best_epoch": 2.0}, "runs/1", rows=ROWS)
    assert "Grew from 64 to 96 in 1 growth; test error 10.76 %\n" in file.getvalue()


def test_dropout_that_a_run_goes_on_with_is_told_with_its_receipt_and_at_the_end():
    file = io.StringIO()
    display, exact = Display(Console(file=file, width=80)), Receipt(0.0, 0.0).to_plain()
    display.start("digits", CARD)
    for one in (
        row(0),
        row(1, action=Regularize(0, 0.2), reason="regularized: the gap is 0.7"),
        row(2, event=Event(Regularize(0, 0.2), SMALL, SMALL, receipt=exact, decided_at=1)),
    ):
        display.check(one)
    display.finish(RESULT | {"dropout": 0.2}, "runs/1")
    lines = file.getvalue().splitlines()
    at = lines.index("↩ 1 pass  went back to check 0 and trained on with dropout 0.2")
    assert lines[at + 1 : at + 3] == [
        "    regularized: the gap is 0.7",
        "    answers unchanged, exactly (promised 0)",
    ]
    assert re.search(r"^  dropout +0\.2$", file.getvalue(), flags=re.M)


def test_a_loss_that_is_not_finite_is_said():
    lost = row(
        1, train_loss=math.nan, val_loss=math.nan, score=math.nan, val_error=math.nan, action=Keep(), reason="went back"
    )
    text = shown([row(0), lost])
    assert "! 1 pass  the loss is not finite\n    went back\n" in text


def test_a_terminal_keeps_growths_and_gets_its_cursor_back():
    text = shown(ROWS, force_terminal=True)
    assert "widened 64 → 96" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_whatever_happens_the_cursor_comes_back():
    file = io.StringIO()

    def fail() -> None:
        with Display(Console(file=file, force_terminal=True)) as display:
            display.start("digits", CARD)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.getvalue().count("\x1b[?25l") == file.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    "rows", [[], ROWS[:1], [replace(r, widths={"a": 256, "b": 256, "c": 256}, parameters=3_456_789) for r in ROWS]]
)
def test_the_lines_that_stay_in_place_fit_80_columns(rows):
    console = Console(width=200, file=io.StringIO())
    with console.capture() as capture:
        console.print(panel(rows, "error", 3725.0, Spinner("dots")))
    lines = capture.get().splitlines()
    assert all(cell_len(line.rstrip()) <= 80 for line in lines)
    assert len(lines) == (3 if rows else 1)


def test_an_old_encoding_is_spoken_to_in_its_letters():
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding="ascii", errors="strict")
    display = Display(Console(file=file, width=80))
    display.start("digits", CARD)
    for one in ROWS:
        display.check(one)
    display.finish(RESULT, "runs/1")
    file.flush()
    assert b"+ 1 pass  widened 64 -> 96" in buffer.getvalue()


def test_silence_is_a_display(capsys):
    with Silent() as display:
        display.start("digits", CARD)
        display.check(ROWS[0])
        display.finish(RESULT, "runs/1")
    assert capsys.readouterr() == ("", "")
