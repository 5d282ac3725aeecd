"""Nothing is for free: what the ledger charges is what an independent counter saw the whole run compute."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from autogrow.data import DataSpec, prepare
from autogrow.policy import LifeCycle
from autogrow.policy.amount import Factor
from autogrow.policy.growth import Growth
from autogrow.policy.history import Anneal, Undo
from autogrow.policy.trial import Trial
from autogrow.policy.when import EarlyRamp, Never
from autogrow.policy.when_score import Score
from autogrow.policy.where import Cycle, WidestGain
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec

POLICIES = {
    "never": LifeCycle(Growth(Never())),
    "ramp": LifeCycle(Growth(EarlyRamp(2, 6), Cycle("DWW"), Factor(2.0, 8, 64))),
    "scores": LifeCycle(Growth(Score(), WidestGain())),
    "undone": LifeCycle(Trial(Growth(EarlyRamp(2, 6)), checks=2, gain=0.9)),
}
NETS = {
    "plain": NetSpec(widths=[8]),
    "members": NetSpec(widths=[8], members=2),
    "norms": NetSpec(widths=[8], norm="batch"),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("policy", POLICIES)
def test_everything_a_run_computes_is_charged(policy, net, make_spec):
    """Up to the two samples on which costs are counted: less than two parts in a thousand."""
    with FlopCounterMode(display=False) as counter:
        run = fit(make_spec(max_epochs=30, policy=POLICIES[policy], net=NETS[net]))
    charged = run.summary["train_flops"] + run.summary["eval_flops"]
    assert charged <= counter.get_total_flops() < 1.002 * charged
    done = {type(row.action) for row in run.rows}
    assert Anneal in done
    assert (Undo in done) is (policy == "undone")


def test_the_val_rows_of_the_anneal_are_charged(make_spec):
    """In the anneal all of val is looked at, and once more for the net that it started from."""
    data = DataSpec(name="digits", source="sklearn", val_fraction=0.3)
    spec = make_spec(max_epochs=30, policy=POLICIES["never"], data=data)
    spec.trainer.check_rows = 10
    run = fit(spec)
    looks = [(b.eval_flops - a.eval_flops) / b.flops_per_sample for a, b in zip(run.rows, run.rows[1:], strict=False)]
    first = next(row.check for row in run.rows if row.phase == "anneal")
    everything = len(prepare(data).val)
    assert set(looks[: first - 1]) == {20}
    assert looks[first - 1] == 10 + 2 * everything
    assert set(looks[first:]) == {10 + everything}


def test_scoring_costs_what_it_costs(make_spec):
    cheap, dear = (
        fit(make_spec(max_epochs=20, policy=LifeCycle(Growth(when, WidestGain() if scored else Cycle()))))
        for when, scored in ((Never(), False), (Score(ratio=1e9), True))
    )
    assert dear.rows[-1].train_flops == cheap.rows[-1].train_flops
    assert dear.summary["eval_flops"] > 2 * cheap.summary["eval_flops"]
