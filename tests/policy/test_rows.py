"""What a history keeps is what is read anew from its rows, and a check reads as many rows late in a run as early."""

import random
from dataclasses import replace

import pytest

from autogrow.policy import (
    Envelope,
    FittingRisk,
    GapCloses,
    GapPaced,
    GapStop,
    Growth,
    Hysteresis,
    LifeCycle,
    Never,
    NeverStop,
    NoFinish,
    Patience,
    Plateau,
    Score,
    Trial,
    deliverable,
    recipe,
    return_target,
    signals,
    validated,
)  # fmt: skip
from autogrow.policy.history import GROWTHS, Anneal, Deepen, Keep, Refine, Refit, Row, Stop, Undo, Widen
from autogrow.policy.rows import Rows

READ = {
    "branch": signals.branch,
    "growths": signals.growths,
    "last growth": lambda rows: signals.last_growth(signals.branch(rows)),
    "last widening": lambda rows: signals.last_growth(rows, (Widen,)),
    "decided": signals.last_decided,
    "best": signals.best,
    "best of the branch": lambda rows: signals.best(signals.branch(rows)),
    "best before": lambda rows: signals.best(rows[: len(rows) // 2]),
    "best behind": lambda rows: signals.best(rows[3:]),
    "best lately": lambda rows: signals.best(rows[-3:]),
    "stale": lambda rows: signals.checks_since_improvement(signals.branch(rows), relative=0.1),
    "gap": lambda rows: signals.smoothed_gap(signals.branch(rows)),
    "anneal": signals.annealing,
    "refit": signals.refitting,
    "return": return_target,
    "validated": validated,
    "deliverable": deliverable,
    "closed": GapCloses(Growth(), max_gap=0.3).ended,
    "undone": Trial(Growth()).ended,
}


@pytest.mark.parametrize("seed", range(12))
def test_what_is_kept_is_what_is_read_anew(run, seed):
    drawn, played, kept = random.Random(seed), run(), Rows()
    for check in range(40):
        score = drawn.choice([drawn.random(), drawn.random() / (1 + check), float("nan")])
        row = played.measure(score, train_loss=drawn.random(), judged=drawn.random() if seed % 2 else None)
        for rows in (kept.plus(row), kept[: check // 2], kept):
            for name, look in READ.items():
                if len(rows):
                    assert repr(look(rows)) == repr(look(list(rows))), (name, check)  # a NaN is not itself
        back = drawn.randrange(check + 1)
        action = drawn.choice([Keep()] * 6 + [Widen({"h0": 16 + check}), Deepen("h0", "identity"), Refine({"a": 4}),
                                              Undo(back), Anneal(back, 20), Refit(back, 20), Stop()])  # fmt: skip
        played.rows[-1] = replace(row, action=action)
        kept.append(played.rows[-1])


POLICIES = {
    "recipe": replace(recipe(), stop=NeverStop()),
    "patience": LifeCycle(stop=Patience(checks=10**6)),
    "plateau": LifeCycle(Growth(when=Plateau(min_delta_loss=0)), stop=NeverStop()),
    "gap": LifeCycle(Hysteresis(Growth(when=GapPaced(max_gap=0.99))), stop=GapStop(max_gap=0.99)),
    "risk": LifeCycle(Growth(when=FittingRisk(risk="loss")), stop=NeverStop()),
    "score": LifeCycle(Growth(when=Score()), stop=NeverStop()),
    "envelope": LifeCycle(Growth(when=Envelope(first=4e6)), stop=NeverStop()),
    "trial": LifeCycle(Trial(Growth(), checks=2), stop=NeverStop()),
    "never": LifeCycle(Growth(when=Never()), stop=NeverStop(), finish=NoFinish()),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_late_check_reads_as_many_rows_as_an_early_one(policy, run, monkeypatch):
    """Rows are asked whether they are finite, and for what they are made of; seconds are not asked for."""
    asked, finite = [0], Row.finite
    monkeypatch.setattr(Row, "finite", lambda row: asked.__setitem__(0, asked[0] + 1) or finite(row))
    played, kept, early, late = run(), Rows(), [], []
    for check in range(600):
        row = played.measure(1 / (1 + check) + 0.001 * (check % 7))
        asked[0] = 0
        decision = policy(kept.plus(row), played.options())
        phase = policy.phase(kept.plus(row))
        for look in (return_target, validated, deliverable):
            look(kept.plus(row))
        (early if 50 <= check < 100 else late if check >= 550 else []).append(asked[0])
        played.rows[-1] = replace(
            row, action=Keep() if isinstance(decision.action, Stop) else decision.action, phase=phase
        )
        kept.append(played.rows[-1])
    assert max(late) <= max(early) + 10
    assert any(isinstance(row.action, GROWTHS) for row in kept) or policy in (POLICIES["never"], POLICIES["score"])
