"""The random search: repeatable, charged for every trial, blind to the test set,
and gone on with after an interruption.
"""

import json
import math
import signal

import numpy as np
import pytest

from autogrow.cli import main
from autogrow.compare import search as searching
from autogrow.compare.read.pareto import on_front, pareto
from autogrow.compare.read.surrogate import surrogate
from autogrow.compare.search import read_trials
from autogrow.errors import InterruptedRunError
from autogrow.train.fit import hand_over
from autogrow.train.fit import run as training

FAST = ["data=iris", "trainer.max_epochs=20", "trainer.check_every=10", "search.space.width=[4,32]"]


def search(folder, *more):
    with pytest.raises(SystemExit) as ended:
        main(["search", *FAST, f"hydra.run.dir={folder}", *more])
    return ended.value.code


def timeless(trials):
    return [{k: v for k, v in t.items() if k != "seconds"} for t in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "whole"
    assert search(folder, "search.trials=4") == 0
    return folder


def test_every_trial_is_charged_and_test_is_read_once(whole):
    result, trials = json.loads((whole / "result.json").read_text()), read_trials(whole)
    assert len(trials) == 4
    assert result["search_cost"]["train_flops"] == sum(t["train_flops"] for t in trials)
    looked = result["flops_per_sample"] * json.loads((whole / "data_card.json").read_text())["splits"]["test"]
    assert result["search_cost"]["eval_flops"] == sum(t["eval_flops"] for t in trials) + looked
    best = min(trials, key=lambda t: (t["val_error"], t["val_loss"]))
    assert (result["search"]["chosen"], result["widths"]) == (best["number"], best["widths"])
    assert all("test" not in json.dumps(t) for t in trials)
    assert [set(result[key]) for key in ("metrics", "baseline")] == [{"val", "test"}] * 2
    assert json.loads((whole / "curves.json").read_text())["split"] == "test"
    assert not (whole / "trials").exists()


def test_trials_hold_no_test_rows(tmp_path, monkeypatch):
    seen = []
    look = hand_over.take_final_look

    def spy(net, split, prepared, *further, **named):
        seen.append(len(prepared.test))
        return look(net, split, prepared, *further, **named)

    monkeypatch.setattr(hand_over, "take_final_look", spy)
    assert search(tmp_path / "s", "search.trials=2") == 0
    assert seen == [0, 0]  # the chosen net's one look at test is not made by a trial


def test_the_same_seed_draws_the_same_trials_and_an_interrupted_search_goes_on(whole, tmp_path, monkeypatch):
    again, calls = tmp_path / "again", []

    def asked_to_leave(*arguments, **named):
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedRunError(signal.SIGINT)
        return training.fit(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(searching, "fit", asked_to_leave)
        assert search(again, "search.trials=4") == 130
    assert timeless(read_trials(again)) == timeless(read_trials(whole))[:2]
    assert not (again / "result.json").exists()
    assert search(again, "search.trials=4") == 0
    assert timeless(read_trials(again)) == timeless(read_trials(whole))
    other = tmp_path / "other"
    assert search(other, "search.trials=1", "seed=1") == 0
    assert read_trials(other)[0]["lr"] != read_trials(whole)[0]["lr"]


def test_halving_ends_bad_trials_early_and_costs_less_and_judges_alike_when_it_goes_on(tmp_path, monkeypatch):
    plain, halved, again = (tmp_path / name for name in ("plain", "halved", "again"))
    assert search(plain, "search.trials=6") == 0
    assert search(halved, "search.trials=6", "search.halving=true") == 0
    states = [t["state"] for t in read_trials(halved)]
    assert "pruned" in states
    cost = [json.loads((f / "result.json").read_text())["search_cost"]["train_flops"] for f in (plain, halved)]
    assert cost[1] < cost[0]
    checks, last = [], states.index("pruned", 1)

    class Leaving(searching._Reporter):  # at the check that gives a trial up, of which Optuna knows by then
        def check(self, row):
            try:
                super().check(row)
            finally:
                checks.append(row)
                if self.asked.number == last and self._is_last(row):
                    signal.raise_signal(signal.SIGINT)

        def _is_last(self, row):
            return int(row.passes) == read_trials(halved)[last]["reported"][-1][0]

    with monkeypatch.context() as patched:
        patched.setattr(searching, "_Reporter", Leaving)
        assert search(again, "search.trials=6", "search.halving=true") == 130
    assert search(again, "search.trials=6", "search.halving=true") == 0
    assert timeless(read_trials(again)) == timeless(read_trials(halved))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search.trials=0"], "search.trials must be a whole number of at least 1, got 0"),
        (["search.trails=3"], "did you mean 'trials'"),
        (["search.space.width=[64,16]"], "search.space.width must be [least, greatest]"),
        (["search.space.width=[]"], "search.space.width must be [least, greatest]"),
        (["search.space.dropout=[0,1]"], "below 1"),
        (["+search.space.widht=[1,2]"], "did you mean 'width'"),
        (["growth=default"], "growth must be never"),
        (["-m"], "-m does not go with it"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    assert search(tmp_path / "s", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (tmp_path / "s").exists()


def drawn(n, loss, seed=0):
    rng = np.random.default_rng(seed)
    out = []
    for number in range(n):
        depth, width = int(rng.integers(1, 4)), int(np.exp(rng.uniform(math.log(16), math.log(512))))
        t = {
            "number": number,
            "depth": depth,
            "width": width,
            "dropout": rng.uniform(0, 0.5),
            "lr": float(np.exp(rng.uniform(-9, -4.6))),
        }
        out.append({**t, "widths": [width] * depth, "state": "complete", "val_loss": loss(t, rng)})
    return out


def test_the_surrogate_finds_what_matters_and_where_it_is_least():
    found = surrogate(
        drawn(60, lambda t, rng: 0.1 + (math.log10(t["lr"]) + 3) ** 2),
        {"widths": [32, 64], "dropout": 0.1, "lr": 1e-3, "val_loss": 0.2},
    )
    assert found["importance"][0]["name"] == "lr"
    assert found["r2"] > 0.7
    assert 10**-3.4 < found["optimum"]["lr"] < 10**-2.6
    assert "explains" in found["quality"]
    assert found["grown"]["predicted"] < 0.3
    curve = next(part for part in found["dependence"] if part["name"] == "lr")
    assert 10**-3.5 < curve["x"][int(np.argmin(curve["y"]))] < 10**-2.5


def test_the_surrogate_says_when_there_is_nothing_to_see():
    found = surrogate(drawn(20, lambda t, rng: float(np.exp(rng.normal()))))
    assert found["r2"] < 0.1
    assert "do not determine the function" in found["quality"]
    assert surrogate(drawn(7, lambda t, rng: 0.1)) is None


def test_no_spot_beats_one_of_the_front():
    rng = np.random.default_rng(0)
    points = [
        {"label": str(i), "kind": "trial", "val_error": rng.random(), "parameters": rng.random()} for i in range(50)
    ]
    spots = pareto(points, "val_error")["against"]["parameters"]["points"]
    front = [s for s in spots if s["front"]]
    assert front
    for spot in spots:
        beaten = [o for o in spots if o is not spot and o["x"] <= spot["x"] and o["y"] <= spot["y"]]
        assert spot["front"] == (not beaten) == on_front(spot, spots)
