"""What a run works out from its data before it starts: rows of a step, steps of a check, the first width."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from autogrow.data import DataSpec, prepare
from autogrow.policy import Cycle, Factor, Growth, LifeCycle, LossPaced
from autogrow.train.fit.setup import module_of, rows_per_step, starting_net, steps_per_check
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec


def prepared(rows: int) -> SimpleNamespace:
    return SimpleNamespace(train_rows=rows, train=SimpleNamespace(x=range(rows)))


@pytest.mark.parametrize(
    ("rows", "batch", "steps"),
    [
        (90, 128, 20),
        (5_400, 128, 21),
        (18_000, 128, 70),
        (18_200, 256, 35),
        (36_000, 256, 70),
        (50_000, 512, 48),
        (10**6, 512, 200),
    ],
)
def test_many_rows_take_larger_steps_and_a_check_stays_half_a_pass(rows, batch, steps):
    spec = FitSpec(DataSpec())
    assert rows_per_step(spec, prepared(rows)) == batch
    assert steps_per_check(spec, prepared(rows)) == steps


@pytest.mark.parametrize(("asked", "steps"), [(16, 195), (128, 195), (512, 48)])
def test_what_is_asked_for_is_taken(asked, steps):
    spec = FitSpec(DataSpec(batch_size=asked))
    assert rows_per_step(spec, prepared(50_000)) == asked
    assert steps_per_check(spec, prepared(50_000)) == steps
    assert steps_per_check(replace(spec, trainer=TrainerSpec(check_every=33)), prepared(50_000)) == 33


GROWTHS = {
    "pays": (Growth(LossPaced(), Cycle(worth=0.05), Factor(cap=168)), [32]),
    "does not": (Growth(LossPaced(), Cycle(worth=0.05), Factor(cap=40)), [40]),
    "is not asked": (Growth(LossPaced(), Cycle(), Factor(cap=40)), [32]),
}


@pytest.mark.parametrize("case", GROWTHS)
def test_the_first_width_is_the_cap_where_a_narrow_start_does_not_pay(make_spec, case):
    growth, widths = GROWTHS[case]
    spec = make_spec(policy=LifeCycle(growth), net=NetSpec(), max_epochs=1000)
    data = prepare(spec.data)
    assert starting_net(spec, data)["arguments"]["widths"] == widths
    assert list(module_of(spec, data).widths.values()) == widths
    for asked in ([24], "tiny"):
        net = starting_net(replace(spec, net=NetSpec(widths=asked)), data)
        assert net["arguments"]["widths"] == ([16] if asked == "tiny" else asked)
