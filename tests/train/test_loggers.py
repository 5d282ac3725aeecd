"""Experiment trackers get what the ledger holds, growths included, and are told how the run ended."""

import csv
import json

import pytest
from command_line import call
from lightning_utilities.core.imports import RequirementCache
from pytorch_lightning.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from autogrow.growth import Receipt
from autogrow.policy.history import Event, Row, Widen
from autogrow.show.loggers import LoggingView, scalars
from autogrow.train.fit.view import Silent

pytestmark = pytest.mark.usefixtures("alone")

FIT = ["fit", "data=iris", "growth=plateau", "trainer.max_epochs=60", "trainer.check_every=5", "hydra.run.dir=run"]


class Recording(Logger):
    name, version = "recording", "0"

    def __init__(self):
        self.metrics, self.config, self.status = [], None, None

    def log_metrics(self, metrics, step=None):
        self.metrics.append((step, metrics))

    def log_hyperparams(self, params):
        self.config = params

    def finalize(self, status):
        self.status = status


GROWN = Event(Widen({"a": 8}), receipt=Receipt(1e-9, 1e-16).to_plain(), decided_at=0)
ROW = Row.from_plain(
    {"check": 1, "step": 40, "passes": 1.5, "phase": "grow", "lineage": 1, "train_loss": 0.5, "val_loss": 1.0, "train_error": 0.1,
     "val_error": 0.2, "score": 1.0, "gap": 0.5, "lr": 0.001, "widths": {"a": 8, "b": 24}, "parameters": 100, "flops_per_sample": 200,
     "train_flops": 3000, "eval_flops": 400, "event": GROWN.to_plain()}
)  # fmt: skip


def test_a_row_becomes_its_finite_numbers():
    expected = {
        "passes": 1.5,
        "train_loss": 0.5,
        "relative_gap": 0.5,
        "width/a": 8,
        "width/b": 24,
        "growth/max_abs_change": 1e-16,
    }
    numbers = scalars(ROW)
    assert numbers.items() >= expected.items()
    assert all(type(v) is float for v in numbers.values())
    plain = {**ROW.to_plain(), "val_loss": None, "event": None}
    assert not {"val_loss", "growth/max_abs_change"} & set(scalars(Row.from_plain(plain)))


@pytest.mark.parametrize("ends", [True, False])
def test_a_logger_hears_of_the_start_each_check_and_the_end(ends):
    logger = Recording()
    result = {split: {"loss": 0.5, "error": 0.25} for split in ("val", "test")}
    result |= {"parameters": 9, "train_flops": 10, "seconds": 1.5, "best_epoch": 2.0}
    with LoggingView(Silent(), [logger], {"seed": 3}) as view:
        view.start("a run", {})
        view.check(ROW)
        if ends:
            view.finish(result, "run", [ROW])
    assert logger.config == {"seed": 3}
    assert logger.metrics[0] == (40, scalars(ROW))
    assert logger.status == ("success" if ends else "failed")
    assert len(logger.metrics) == 1 + ends
    if ends:
        step, found = logger.metrics[1]
        assert (step, found["delivered/test_error"], found["delivered/parameters"]) == (40, 0.25, 9.0)


def test_tensorboard_and_csv_hold_what_the_ledger_holds(tmp_path):
    assert call(*FIT, "logger=[tensorboard,csv]") == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    curve = [(e.step, e.value) for e in events.Scalars("val_loss")]
    judged = [r for r in rows if r["phase"] != "refit"]  # a refit has learned from validation rows
    assert curve == [(r["step"], pytest.approx(r["val_loss"], rel=1e-6)) for r in judged]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert events.Scalars("delivered/test_error")[0].value == pytest.approx(result["test"]["error"])
    with (tmp_path / "run" / "csv" / "version_0" / "metrics.csv").open() as file:
        table = [line for line in csv.DictReader(file) if line["val_loss"]]
    assert [float(line["val_loss"]) for line in table] == [pytest.approx(r["val_loss"]) for r in judged]


@pytest.mark.parametrize(
    ("logger", "message"),
    [("tensorbord", "did you mean 'tensorboard'?"), ("wandb", "wandb"), ("mlflow", "mlflow")],
)
def test_a_logger_that_is_not_there_is_one_line_and_leaves_nothing(logger, message, tmp_path, monkeypatch, capsys):
    for name in ("wandb", "mlflow"):
        monkeypatch.setattr(
            f"pytorch_lightning.loggers.{name}._{name.upper()}_AVAILABLE", RequirementCache(f"{name}>=999")
        )
    assert call(*FIT, f"logger={logger}") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())
