"""The front of a finished run: its largest net is the delivered one, every net is what is said of it, and the smallest
within the noise of the best is marked.
"""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from command_line import call

import autogrow
from autogrow.data import DataSpec, prepare
from autogrow.deploy.front.again import take_up
from autogrow.deploy.front.interval import root_of, share_of
from autogrow.deploy.front.point import mark
from autogrow.deploy.front.run import APART, FrontSpec, find_front
from autogrow.errors import ConfigError, DataError
from autogrow.growth import growth_sites
from autogrow.policy import Cycle, Factor, Finish, Growth, LifeCycle, LossPaced, Patience
from autogrow.policy.history import GROWTHS, Anneal
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec
from autogrow.train.record.ledger import read_ledger
from autogrow.train.record.passed import read_passed

EAGER = LifeCycle(Growth(LossPaced(), Cycle(), Factor(cap=24)), Patience(2, 2), Finish(refit=True))
DIGITS = DataSpec(name="digits", source="sklearn")
PREPARED = prepare(DIGITS)


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """(run folder, front folder, its points, the run's result)."""
    folder = tmp_path_factory.mktemp("front")
    trainer = TrainerSpec(max_epochs=60, check_every=20, check_rows=300)
    spec = FitSpec(DIGITS, EAGER, NetSpec(widths=[8]), trainer=trainer, out=folder / "run")
    result = fit(spec)
    result.write()
    how = FrontSpec(narrowed=2, finish=0.5)
    points = find_front(take_up(folder / "run", spec), how, folder / "front", lambda *_: {}, lambda _: None)
    return folder / "run", folder / "front", points, result


def of(points, kind):
    return [point for point in points if point["kind"] == kind]


def test_the_delivered_net_is_on_it_as_it_is(front):
    run, out, points, result = front
    (delivered,) = of(points, "delivered")
    assert delivered["widths"] == result.summary["widths"]
    for split in ("val", "test"):  # of validation the net before the refit, of test the one after
        assert delivered[split]["error"] == pytest.approx(result.summary[split]["error"])
        assert delivered[split]["loss"] == pytest.approx(result.summary[split]["loss"], rel=1e-5)
    x = PREPARED.test.x
    theirs = autogrow.load(out / delivered["checkpoint"])
    assert torch.equal(theirs.net(x), autogrow.load(run).net(x))


def test_every_net_loads_and_is_what_is_said_of_it(front):
    _, out, points, _ = front
    assert len(of(points, "passed")) >= 2
    assert len(of(points, "narrowed")) == 2
    assert [p["parameters"] for p in points] == sorted(p["parameters"] for p in points)
    for point in points:
        net = autogrow.load(out / point["checkpoint"])
        assert list(growth_sites(net.net, PREPARED.test.x[:2]).sizes.values()) == point["widths"]
        assert sum(p.numel() for p in net.parameters()) == point["parameters"]
        wrong = net.net(PREPARED.test.x).argmax(1) != PREPARED.test.y
        assert float(wrong.double().mean()) == pytest.approx(point["test"]["error"])
        assert point["val"]["low"] <= point["val"]["error"] <= point["val"]["high"]


def test_passed_nets_are_those_before_each_growth_and_train_on(front):
    run, _, points, result = front
    rows = read_ledger(run)
    grown = [row.check for row in rows if isinstance(row.action, GROWTHS)]
    kept = {check: content["snapshot"] for check, _, content in read_passed(run)}
    assert sorted(kept) == grown
    sizes = [*(point["parameters"] for point in of(points, "passed")), result.summary["parameters"]]
    assert all(APART * smaller <= larger for smaller, larger in pairwise(sizes))
    steps = next(row.action.steps for row in rows if isinstance(row.action, Anneal))
    for point in of(points, "passed"):
        assert point["widths"] == list(rows[point["check"]].widths.values())
        assert point["cost"]["steps"] == 2 * max(20, 20 * round(steps / 2 / 20))  # half of the run's: anneal, and refit


def test_narrowed_nets_say_what_taking_units_away_changed_and_cost_what_they_cost(front):
    _, _, points, result = front
    first, second = sorted(of(points, "narrowed"), key=lambda p: -p["parameters"])
    assert first["widths"] == [round(width / 1.5) for width in result.summary["widths"]]
    assert second["widths"] == [round(width / 1.5) for width in first["widths"]]
    for point in (first, second):
        assert math.isfinite(point["function_change"])
        assert point["function_change"] > 1e-6
        assert point["cost"]["train_flops"] > 0


def test_a_front_is_the_same_each_time_it_is_made(front, tmp_path):
    run, _, points, _ = front
    spec = FitSpec(
        DIGITS, EAGER, NetSpec(widths=[8]), trainer=TrainerSpec(max_epochs=40, check_every=20, check_rows=300)
    )
    how = FrontSpec(passed=False, narrowed=1, finish=0.5)
    again = find_front(take_up(run, spec), how, tmp_path, lambda *_: {}, lambda _: None)
    (one,), other = of(again, "narrowed"), max(of(points, "narrowed"), key=lambda p: p["parameters"])
    assert (one["val"], one["test"], one["function_change"]) == (other["val"], other["test"], other["function_change"])


def test_the_smallest_within_one_standard_error_of_the_best_is_chosen():
    errors = {100: 0.10, 50: 0.12, 30: 0.131, 20: 0.129, 10: 0.3}
    points = [{"parameters": n, "val": {"error": e, "standard_error": 0.03}} for n, e in errors.items()]
    marked = mark(points, "error")
    assert [p["parameters"] for p in marked if p["chosen"]] == [20]
    assert [p["parameters"] for p in marked if p["on_front"]] == [10, 20, 50, 100]


def test_intervals_cover_what_they_should():
    """Of a thousand samples about 95 % of the intervals hold the truth, and about 68 % lie within a standard error."""
    rng = np.random.default_rng(0)
    shares = [share_of((rng.random(200) < 0.08).astype(float)) for _ in range(1000)]
    roots = [root_of(np.square(rng.normal(size=200))) for _ in range(1000)]
    for found, truth in ((shares, 0.08), (roots, 1.0)):
        assert 0.93 < np.mean([one.low <= truth <= one.high for one in found]) < 0.975
        assert 0.6 < np.mean([abs(one.value - truth) <= one.standard_error for one in found]) < 0.78
    weighted = share_of(np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0]))
    assert weighted.value == share_of(np.array([1.0, 0.0])).value == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [({"narrowed": -1}, "narrowed"), ({"factor": 1.0}, "factor"), ({"least": 0}, "least"), ({"finish": 0}, "finish")],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        FrontSpec(**change)


def test_the_command_writes_a_list_and_a_page_and_says_what_it_found(alone, capsys):
    short = ["trainer.max_epochs=20", "trainer.check_every=20", "net.widths=[12]", "growth=never", "stop.checks=2"]
    assert call("fit", "data=digits", *short, "hydra.run.dir=run") == 0
    assert call("front", "run", "narrowed=1", "out=there") == 0
    said = capsys.readouterr().out
    assert "The smallest net within one standard error" in said or "No smaller net is within" in said
    points = json.loads((alone / "there" / "front.json").read_text())
    assert [point["widths"] for point in points] == [[8], [12]]
    keys = {"widths", "parameters", "flops_per_sample", "bytes", "flash_bytes", "ram_bytes", "val", "test", "chosen"}
    assert all(keys <= point.keys() for point in points)
    assert sum(point["chosen"] for point in points) == 1
    page = (alone / "there" / "front.html").read_text()
    assert page.count('<svg class="drawn"') == 5
    assert "narrowed-8" in page
    assert (
        autogrow.load(alone / "there" / points[0]["checkpoint"]).predict_proba(PREPARED.test.x.numpy()).shape[1] == 10
    )
    for given, message in (
        (["nowhere"], "result.json"),
        (["run", "factor=1"], "factor"),
        (["run", "runtime=tflite"], "runtime"),
        (["run", "int8=true"], "int8"),
        ([], "run folder"),
    ):
        assert call("front", *given) == 2
        error = capsys.readouterr().err.strip()
        assert message in error.replace("finished run", "run folder")
        assert "\n" not in error


def test_data_that_have_changed_are_no_run_any_more(front):
    run, *_ = front
    with pytest.raises(DataError, match="changed"):
        take_up(run, FitSpec(replace(DIGITS, max_rows=1000), EAGER, NetSpec(widths=[8])))
