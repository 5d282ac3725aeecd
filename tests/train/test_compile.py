"""A compiled net stays compiled through any number of growths, and trains to what the eager one trains to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch._dynamo.utils import counters

from autogrow.policy.history import Decision, Widen
from autogrow.train.guest import reconnect
from autogrow.train.guest.loading import load_grown

sys.path.insert(0, str(Path(__file__).parent))
from lit import STEPS, Lit, controller, loaders, trainer

GROWTHS = 10  # more than the recompile limit, after which torch runs a frame eagerly and says nothing


def every_time(history, options):
    return Decision(Widen({"body.0.lin": options.widths["body.0.lin"] + 2}), "grown at every check")


class Backend:
    """Counts how often a graph is compiled, and the epochs in which compiled code ran."""

    def __init__(self) -> None:
        self.graphs = self.calls = 0

    def __call__(self, graph, inputs):
        self.graphs += 1

        def run(*args):
            self.calls += 1
            return graph.forward(*args)

        return run


class CallsPerEpoch(pl.Callback):
    def __init__(self, backend: Backend) -> None:
        self.backend, self.calls = backend, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.before = self.backend.calls

    def on_validation_start(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.calls.append(self.backend.calls - self.before)


def fit(folder, how):
    torch._dynamo.reset()
    counters.clear()
    pl.seed_everything(3, verbose=False)
    module, backend = Lit(schedule="onecycle", steps=STEPS * (GROWTHS + 1), p=0.0), Backend()
    if how == "wrapped":
        module.model = torch.compile(module.model, backend=backend, dynamic=False)
    elif how == "in place":
        module.model.compile(backend=backend, dynamic=False)
    per_epoch = CallsPerEpoch(backend)
    run = trainer(folder, [controller(every_time), per_epoch], epochs=GROWTHS + 1)
    run.fit(module, *loaders())
    return run, backend, per_epoch.calls


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wrapped", "in place"])
def test_every_step_after_every_growth_runs_compiled_code(tmp_path, how):
    eager, _, _ = fit(tmp_path, "eager")
    run, backend, calls = fit(tmp_path, how)
    assert calls == [STEPS] * (GROWTHS + 1)
    assert backend.graphs >= GROWTHS + 1
    assert counters["frames"]["total"] == counters["frames"]["ok"]
    weights = {name.replace("_orig_mod.", ""): p for name, p in run.lightning_module.named_parameters()}
    for name, p in eager.lightning_module.named_parameters():
        torch.testing.assert_close(weights[name], p, rtol=1e-4, atol=1e-6)
    assert weights["model.body.0.lin.weight"].shape[0] == 8 + 2 * GROWTHS


@pytest.mark.slow
def test_without_forgetting_it_would_fall_back_to_eager_in_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(reconnect, "forget_compiled", lambda module: None)
    _, _, calls = fit(tmp_path, "in place")
    assert calls[0] == STEPS
    assert calls[-1] == 0


@pytest.mark.slow
def test_a_checkpoint_of_a_compiled_net_loads_into_one(tmp_path):
    run, _, _ = fit(tmp_path, "wrapped")
    run.save_checkpoint(tmp_path / "a.ckpt")
    module = Lit(p=0.0)
    module.model = torch.compile(module.model, backend="eager")
    load_grown(module, tmp_path / "a.ckpt")
    torch.testing.assert_close(module.state_dict(), run.lightning_module.state_dict(), rtol=0, atol=0)
    x = torch.zeros(2, 6)
    torch.testing.assert_close(module.eval().model(x), run.lightning_module.eval().model(x))
