"""A chain of stages: each an ordinary run that continues from the one before;
interrupted anywhere, it ends the same.
"""

import csv
import dataclasses
import itertools
import json

import pytest
import torch

import autogrow
from autogrow.chain.spec import StageSpec
from autogrow.chain.stages import check_stages, fit_stages, stage_spec
from autogrow.data import DataSpec, prepare
from autogrow.errors import ConfigError, DataError
from autogrow.policy import Growth, LifeCycle, Never
from autogrow.policy.finish import Finish, NoFinish
from autogrow.policy.stop import NeverStop, Patience
from autogrow.train.fit.spec import WarmStart
from autogrow.train.fit.view import Silent, View
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import CARD
from autogrow.train.record.ledger import read_ledger

HALVES = DataSpec(name="digits", source="sklearn", arrival="fraction", stages=[0.4, 0.7, 1.0])


class GoneError(BaseException):
    """The process is gone."""


class KilledView(View):
    """Kills the process at a check, counted over all stages."""

    def __init__(self, at):
        self.left = at

    def start(self, title, card):
        pass

    def check(self, row):
        self.left -= 1
        if self.left == 0:
            raise GoneError

    def finish(self, result, folder, rows=None):
        pass


def complete(result, own):
    write_json(result.folder / CARD, result.card)
    result.write()


RENEWED = StageSpec(shrink=0.4, perturb=0.1)


def chain(spec, view=None, *, stage=RENEWED, resume=False):
    return fit_stages(spec, stage, lambda own: own, complete, lambda _: view or Silent(), resume=resume)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_chain):
    out = tmp_path_factory.mktemp("chain") / "run"
    return out, chain(make_chain(out))


@pytest.fixture(scope="module")
def make_chain():
    from run_specs import eager_policy

    from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec

    def make(out, data=HALVES, **changes):
        trainer = TrainerSpec(max_epochs=40, check_every=20, check_rows=300, checkpoint_seconds=0.0)
        return FitSpec(data, eager_policy(), NetSpec(widths=[8]), trainer=trainer, out=out, config="a: 1\n", **changes)

    return make


def test_every_stage_is_a_run_of_its_own_that_begins_where_the_last_one_ended(whole):
    out, result = whole
    stages = result["stages"]
    assert [s["stage"] for s in stages] == [0, 1, 2]
    for stage in stages:
        folder = out / stage["folder"]
        assert {"config.yaml", "ledger.jsonl", "metrics.csv", "result.json", CARD} <= {p.name for p in folder.iterdir()}
        assert (folder / "checkpoints" / "best.ckpt").is_file()
    for before, after in itertools.pairwise(stages):
        assert after["start_widths"] == before["widths"]
        assert after["rows"]["train"] > before["rows"]["train"]
    assert stages[-1]["parameters"] > stages[0]["parameters"]
    assert stages[-1]["test"]["error"] < 0.12


def test_the_last_stage_alone_starts_from_shrunk_and_perturbed_weights(whole):
    _, result = whole
    first, middle, last = (s["continued"] for s in result["stages"])
    assert first is None
    assert middle["receipt"]["max_abs_change"] <= middle["receipt"]["promise"]
    assert (last["shrink"], last["perturb"], last["receipt"]["promise"]) == (0.4, 0.1, None)
    assert last["receipt"]["max_abs_change"] > 0.1


@pytest.mark.parametrize(
    ("asked", "stage", "wanted"),
    [
        (WarmStart(), StageSpec(), [(1.0, 0.0)] * 3),
        (WarmStart(), RENEWED, [(1.0, 0.0), (1.0, 0.0), (0.4, 0.1)]),
        (WarmStart(0.8, 0.2), RENEWED, [(0.8, 0.2)] * 3),
        (WarmStart(0.8, 0.2), StageSpec(), [(0.8, 0.2)] * 3),
    ],
)
def test_what_each_stage_starts_from(asked, stage, wanted, make_chain, tmp_path):
    spec = make_chain(tmp_path, warm_start=asked)
    own = [stage_spec(spec, stage, number, 3, None).warm_start for number in range(3)]
    assert [(start.shrink, start.perturb) for start in own] == wanted


def test_the_folder_above_sums_up(whole):
    out, result = whole
    stages = json.loads((out / "stages.json").read_text())
    assert stages == result["stages"]
    for key in ("train_flops", "eval_flops", "seconds"):
        sums = list(itertools.accumulate(s[key] for s in stages))
        assert [s[f"cumulated_{key}"] for s in stages] == pytest.approx(sums)
        assert result["total"][key] == pytest.approx(sums[-1])
    last = json.loads((out / "stage_2" / "result.json").read_text())
    assert {key: result[key] for key in last} == last
    lines = list(csv.DictReader((out / "stages.csv").read_text().splitlines()))
    assert [int(line["train_rows"]) for line in lines] == [s["rows"]["train"] for s in stages]
    one, two = (torch.load(p / "checkpoints" / "best.ckpt", weights_only=True) for p in (out, out / "stage_2"))
    assert all(torch.equal(one["state_dict"][k], two["state_dict"][k]) for k in two["state_dict"])
    rows = [read_ledger(out / s["folder"]) for s in stages]
    for stage, ledger in zip(stages, rows, strict=True):
        applied = [r.event.do for r in ledger if r.event and r.event.grew]
        assert [g["do"] for g in stage["growths"] if g["do"] in ("widen", "deepen")] == applied
        assert all(g["receipt"]["max_abs_change"] <= g["receipt"]["promise"] for g in stage["growths"])


@pytest.mark.parametrize("at", [2, 16, 30])
def test_killed_at_any_stage_it_ends_like_one_that_never_was(at, whole, make_chain, tmp_path):
    out, result = whole
    again = tmp_path / "run"
    with pytest.raises(GoneError):
        chain(make_chain(again), KilledView(at))
    got = chain(make_chain(again), resume=True)
    plain = {"seconds", "continued", "folder"}
    for one, two in zip(got["stages"], result["stages"], strict=True):
        assert {k: v for k, v in one.items() if k not in plain and "seconds" not in k} == {
            k: v for k, v in two.items() if k not in plain and "seconds" not in k
        }
    ours, theirs = (torch.load(p / "checkpoints" / "best.ckpt", weights_only=True) for p in (again, out))
    assert all(torch.equal(ours["state_dict"][k], theirs["state_dict"][k]) for k in theirs["state_dict"])


def test_finished_stages_are_not_trained_again(whole, make_chain):
    out, result = whole
    assert chain(make_chain(out), KilledView(1), resume=True) == result
    with pytest.raises(ConfigError, match="already holds a run"):
        chain(make_chain(out))


def test_new_classes_extend_the_net_and_old_answers_stay(make_chain, tmp_path):
    data = DataSpec(name="digits", source="sklearn", arrival="class", stages=[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])
    result = chain(make_chain(tmp_path / "run", data), stage=StageSpec())
    assert [s["classes"] for s in result["stages"]] == [5, 10]
    assert result["stages"][0]["widths"] == result["stages"][1]["start_widths"]
    nets = [autogrow.load(tmp_path / "run" / f"stage_{k}" / "checkpoints" / "best.ckpt") for k in range(2)]
    assert [net.pipeline.labels for net in nets] == [[0, 1, 2, 3, 4], list(range(10))]
    assert result["test"]["error"] < 0.2
    receipt = result["stages"][1]["continued"]["receipt"]
    assert receipt["max_abs_change"] <= receipt["promise"]


@pytest.mark.parametrize("factor", [0.0, 0.25, 0.5, 1.0])
def test_stages_before_the_last_are_shortened_by_the_factor(factor):
    policy = LifeCycle(stop=Patience(checks=8, after_growth=12), finish=Finish(share=0.3))
    short = policy.shortened(patience=factor or 1.0, finish=factor)
    assert short.stop == dataclasses.replace(
        policy.stop, checks=round(8 * (factor or 1)), after_growth=round(12 * (factor or 1))
    )
    if factor == 0:
        assert short.finish == NoFinish()
    else:
        length = [f.share / (1 - f.share) for f in (policy.finish, short.finish)]
        assert length[1] == pytest.approx(factor * length[0])
    assert short.growth == policy.growth


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("refit", [False, True])
def test_stages_before_the_last_learn_validation_rows_where_the_finish_does_and_it_is_asked_for(refit, factor):
    for whole in (Finish(share=0.2, refit=refit), NoFinish()):
        policy = LifeCycle(finish=whole)
        plain = policy.shortened(patience=0.5, finish=factor)
        asked = policy.shortened(patience=0.5, finish=factor, refit=True)
        assert not getattr(plain.finish, "refit", False)
        assert getattr(asked.finish, "refit", False) == (refit and isinstance(plain.finish, Finish))
        assert asked.stop == plain.stop
        if isinstance(plain.finish, Finish):
            assert dataclasses.replace(asked.finish, refit=False) == plain.finish


def test_a_refit_in_between_changes_what_is_handed_back_there_and_no_later_net(make_chain, tmp_path):
    finish = Finish(share=0.2, least_checks=1, refit=True)
    results = []
    for refit in (False, True):
        spec = make_chain(tmp_path / str(refit), dataclasses.replace(HALVES, stages=[0.5, 1.0]))
        spec.policy = LifeCycle(Growth(Never()), Patience(1, after_growth=0, improvement=0.2), finish)
        spec.trainer.max_epochs = 1000  # no limit that a refit would take its steps from
        results.append(chain(spec, stage=dataclasses.replace(RENEWED, refit=refit))["stages"])
    for number, (plain, refitted) in enumerate(zip(*results, strict=True)):
        assert plain["val"] == refitted["val"]  # of the net before the refit
        assert (plain["test"] == refitted["test"]) == (number == 1)
        assert (plain["train_flops"] < refitted["train_flops"]) == (number == 0)


def test_other_rules_stay_as_they_are():
    policy = LifeCycle(stop=NeverStop(), finish=NoFinish())
    assert policy.shortened(patience=0.5, finish=0.5) == policy
    assert LifeCycle(stop=Patience(1, after_growth=0)).shortened(patience=0.1, finish=0.5).stop.checks == 1


@pytest.mark.parametrize(
    ("stage", "changes", "message"),
    [
        ({"patience": 0.0}, {}, "stage.patience must be above 0 to 1, got 0.0"),
        ({"finish": 1.5}, {}, "stage.finish must be 0 to 1, got 1.5"),
        ({"shrink": 1.5}, {}, "stage.shrink must be 0 to 1, got 1.5"),
        ({"perturb": -0.1}, {}, "stage.perturb must be 0 to 1, got -0.1"),
        ({"shrink": 0.0}, {}, "stage.shrink and stage.perturb must not both be 0: no weight would be left"),
        ({}, {"out": None}, "data.arrival needs a run folder"),
        ({}, {"devices": 2}, "data.arrival goes with trainer.devices=1, got 2"),
    ],
)
def test_settings_that_stages_cannot_have(stage, changes, message, make_chain, tmp_path):
    spec = make_chain(changes.get("out", tmp_path))
    spec.trainer.devices = changes.get("devices", 1)
    with pytest.raises(ConfigError, match=message):
        check_stages(spec, StageSpec(**stage))


def test_a_stage_that_cannot_be_split_is_said_before_anything_is_trained(make_chain, tmp_path):
    data = dataclasses.replace(HALVES, stages=[0.01, 1.0])
    with pytest.raises(DataError, match=r"stage 0 of 2 \(1 % of the rows\)"):
        chain(make_chain(tmp_path / "run", data))
    assert not (tmp_path / "run").exists()
    assert prepare(dataclasses.replace(data, stage=1)).card["rows"] == 1797
