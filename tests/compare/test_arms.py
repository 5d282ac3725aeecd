"""Arms: every YAML composes, a user's overrides give way where an arm's leave them no sense,
and what is matched is matched.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from autogrow.compare.arms import EXAMPLE, Arm, arm_from, facts_of, key_of
from autogrow.compare.read.runs import read_run
from autogrow.config import spec_from
from autogrow.errors import ConfigError
from autogrow.nets.knots import Knots
from autogrow.policy import Dropout, NoRegularizer
from autogrow.policy.needs import never_stops
from autogrow.policy.stop import NeverStop
from autogrow.registration import register_launcher, register_schema
from autogrow.train.fit.run import fit

CONF = Path(__file__).parents[2] / "conf"
ARMS = {path.stem: arm_from(path.stem, yaml.safe_load(path.read_text())) for path in (CONF / "compare").glob("*.yaml")}
TRAINED = sorted(name for name, arm in ARMS.items() if arm.command == "fit")
FOLLOWING = sorted(name for name in TRAINED if ARMS[name].follows)


@pytest.fixture
def spec():
    GlobalHydra.instance().clear()
    register_schema()
    register_launcher()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda *overrides: spec_from(compose("fit", list(overrides)), out=None)
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    "user", [[], ["growth=small", "growth.when.cooldown=4", "net.widths=[8]", "optimizer.lr=0.01"]]
)
@pytest.mark.parametrize("arm", TRAINED)
def test_every_arm_composes_whatever_was_typed(arm, user, spec):
    spec(*ARMS[arm].filled(["data=iris", *user, "seed=3"], {**EXAMPLE, "seed": 3}))


def test_every_arm_is_run_by_default_and_shares_the_defaults_of_fit():
    ours, fits = (yaml.safe_load((CONF / f"{name}.yaml").read_text()) for name in ("compare", "fit"))
    assert [name for name in sorted(ARMS) if name in ours["arms"] or ARMS[name].command == "fit"] == sorted(
        ours["arms"]
    )
    assert ours["arms"][0] == "grow"
    assert ours["defaults"][1:] == fits["defaults"][1:]


def test_what_follows_takes_net_and_cost_over_from_the_grown_run(make_run, spec):
    run = read_run(make_run("grow/seed_2", 2, growths=(0, 1), flops=10**12, losses=(1.0, 0.5, 0.25, 0.2)))
    facts = facts_of(run.result, run.rows)
    specs = {name: spec(*ARMS[name].filled(["data=iris", "seed=2"], facts)) for name in FOLLOWING}
    scratch = {name: s for name, s in specs.items() if name.startswith("scratch")}
    assert {tuple(s.net.widths) for s in scratch.values()} == {(24, 16)}
    assert {s.seed for s in specs.values()} == {2}
    assert specs["scratch_flops"].policy.budget.train_flops == 4 * 10**12
    assert specs["scratch_seconds"].policy.budget.seconds == 1.5
    assert specs["scratch_steps"].trainer.max_epochs == 3.5  # passes of the last check, not the rounded ones
    for name, matched in scratch.items():
        assert isinstance(matched.policy.stop, NeverStop) == (ARMS[name].matched is not None)
    random = specs["random_growth"].policy.growth.growth
    assert (random.when.at, random.where.seed) == ((0, 1), 2)


@pytest.mark.parametrize(
    ("typed", "own", "left"),
    [
        (["growth=small", "seed=1"], "growth=never", ["seed=1"]),
        (["growth.amount.factor=2", "growth/when=plateau"], "growth=never", []),
        (["growth.when.every=2", "growth.amount.cap=9"], "growth/when=fixed", ["growth.amount.cap=9"]),
        (["budget.parameters=9", "budget.train_flops=8"], "budget.train_flops=7", ["budget.parameters=9"]),
        (["+net.widths=[3]", "net.widthsome=2"], "net.widths=[4]", ["net.widthsome=2"]),
    ],
)
def test_an_arm_leaves_what_it_does_not_set(typed, own, left):
    assert Arm("a", "a", "a", (own,)).filled(typed, {}) == [*left, own]


def test_facts_are_typed_as_hydra_reads_them():
    arm = Arm("a", "a", "a", ("net.widths={widths}", "seed={seed}"))
    assert arm.filled([], {"widths": [8, 16], "seed": 3}) == ["net.widths=[8,16]", "seed=3"]
    assert arm.asks == {"widths", "seed"}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"about": "x", "label": "x", "overides": []}, "did you mean 'overrides'"),
        ({"label": "x"}, "about must say in words"),
        ({"about": "x", "label": "x", "matched": "flops"}, "did you mean 'train_flops'"),
        ({"about": "x", "label": "x", "overrides": ["net.widths={width}"]}, "did you mean 'widths'"),
    ],
)
def test_a_wrong_arm_is_named(node, message):
    with pytest.raises(ConfigError, match=message):
        arm_from("mine", node)


def test_keys_of_groups_and_values_are_of_one_kind():
    assert [key_of(o) for o in ("a/b=c", "a.b=c", "++a.b=c", "~a/b", "a/b@c=d")] == ["a.b"] * 5


@pytest.mark.parametrize("name", sorted(name for name in FOLLOWING if name.startswith("scratch")))
def test_a_net_from_scratch_has_the_dropout_that_the_grown_run_decided_on(name, make_run, spec):
    run = read_run(make_run("grow/seed_2", 2, growths=(0, 1)))
    user = ["data=iris", "regularize=dropout", "regularize.checks=3"]
    decided = spec(*ARMS[name].filled(user, facts_of({**run.result, "dropout": 0.2}, run.rows)))
    assert decided.net.dropout == 0.2
    assert isinstance(decided.policy.regularize, NoRegularizer)
    left = spec(*ARMS[name].filled(["data=iris", "net.dropout=0.3"], facts_of(run.result, run.rows)))
    assert left.net.dropout == 0.3  # where no policy decided, it is what was asked for


@pytest.mark.parametrize("name", sorted(ARMS))
def test_no_arm_is_refused_beside_a_run_that_decides_on_dropout(name, spec):
    filled = ARMS[name].filled(["data=iris", "regularize=dropout"], EXAMPLE)
    if ARMS[name].command != "fit":  # its trials draw a dropout of their own
        assert [o for o in filled if o.startswith("regularize")] == ["regularize=none"]
        return
    made = spec(*filled)
    if isinstance(made.policy.regularize, Dropout):
        assert made.net.dropout is None
        assert not never_stops(made.policy.stop)


def test_a_net_from_scratch_has_the_grown_nets_knots_where_values_repeat(spec, tmp_path):
    """Asked for 32 pieces, a column of few values gets fewer; asked for those few, it would get fewer again."""
    draws = np.random.default_rng(0)
    few = draws.choice(12, 400, p=np.arange(12, 0, -1) / 78)
    table = pd.DataFrame({"few": few, "fine": draws.normal(size=400), "y": np.where((few % 3 == 1), "a", "b")})
    table.to_csv(tmp_path / "t.csv", index=False)
    user = [
        "data=csv",
        f"data.path={tmp_path / 't.csv'}",
        "data.target=y",
        "trainer.max_epochs=200",
        "finish=none",
        "net.widths=[16]",
    ]
    grown = fit(spec(*user, "growth.finer.above=0", "growth.finer.share=1", "growth.finer.every=1"))
    assert grown.summary["knots"]["few"] < 12
    facts = facts_of(grown.summary, grown.rows)
    scratch = fit(spec(*ARMS["scratch_flops"].filled(user, facts)))
    at = [next(m for m in run.net.modules() if isinstance(m, Knots)) for run in (grown, scratch)]
    assert sorted(zip(*(at[0].get_buffer(n).tolist() for n in ("column", "low", "high")), strict=True)) == sorted(
        zip(*(at[1].get_buffer(n).tolist() for n in ("column", "low", "high")), strict=True)
    )
