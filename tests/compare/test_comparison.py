"""The comparison of a folder of runs: paired, never imputed, and open about what is missing."""

import csv
import json

import pytest

from autogrow.compare.read.comparison import compare_folder, write
from autogrow.compare.read.verdicts import pair, verdict
from autogrow.compare.run.device import measure_runs
from autogrow.compare.run.progress import summary_lines
from autogrow.errors import ConfigError

ERRORS = [0.11, 0.09, 0.10, 0.12, 0.08]
GAINS = [0.010, 0.012, 0.008, 0.011, 0.009]


def write_arm(make_run, arm, errors, **further):
    for seed, error in enumerate(errors):
        make_run(f"{arm}/seed_{seed}", seed, error=error, **further)


def only(plain, measure="test_error"):
    (found,) = [p for p in plain["pairs"] if p["measure"] == measure]
    return found


def test_the_same_runs_differ_by_nothing(make_run, make_plan):
    for arm in ("grow", "scratch"):
        write_arm(make_run, arm, ERRORS)
    plain = compare_folder(make_plan("grow", "scratch")).plain
    found = only(plain)
    assert (found["difference"], found["low"], found["high"], found["n"]) == (0, 0, 0, 5)
    assert found["ratio"] == {"train_flops": 1, "seconds": 1, "parameters": 1}
    assert plain["verdicts"][0]["kind"] == "tie"
    assert plain["verdicts"][0]["text"].startswith("grow − scratch: 0.00 pp [0.00, 0.00], 5 seeds: no difference shown")


def test_differences_are_paired_by_seed(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS, flops=50)
    write_arm(make_run, "scratch", [e + g for e, g in zip(ERRORS, GAINS, strict=True)], flops=200)
    plain = compare_folder(make_plan("grow", "scratch")).plain
    found = only(plain)
    assert found["differences"] == pytest.approx([-100 * g for g in GAINS])  # in percentage points
    assert found["high"] < 0  # although the arms' own intervals overlap: 0.08 … 0.12 and 0.09 … 0.13
    assert found["ratio"]["train_flops"] == pytest.approx(0.25)
    assert plain["verdicts"][0]["kind"] == "better"


def test_turned_over_the_pair_is_its_mirror(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS)
    write_arm(make_run, "scratch", sorted(ERRORS), flops=300)
    from autogrow.compare.read.runs import find_runs

    runs = find_runs(make_plan("grow", "scratch")).runs
    ours, theirs = ([run for run in runs if run.name.startswith(arm)] for arm in ("grow", "scratch"))
    for measure in ("test_error", "test_loss"):
        one, other = pair(ours, theirs, measure), pair(theirs, ours, measure)
        assert (one["difference"], one["low"], one["high"]) == pytest.approx(
            (-other["difference"], -other["high"], -other["low"])
        )
        assert one["ratio"]["train_flops"] * other["ratio"]["train_flops"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ((-0.12, -0.31, 0.05, 5), "tie", "−0.12 pp [−0.31, +0.05], 5 seeds: no difference shown"),
        ((-0.12, -0.31, -0.05, 5), "better", "5 seeds: grown is better"),
        ((0.12, 0.01, 0.3, 7), "worse", "+0.12 pp [+0.01, +0.30], 7 seeds: grown is worse"),
        ((-0.12, -0.31, -0.05, 4), "unknown", "4 seeds: too few seeds to tell"),
        ((-0.12, None, None, 1), "unknown", "−0.12 pp, 1 seed: too few"),
        ((0.28, 0.28, 0.28, 5), "unknown", "the same at every seed"),
        ((0.0, 0.0, 0.0, 5), "tie", "no difference shown"),
    ],
)
def test_verdicts_say_what_the_interval_shows(values, kind, words):
    difference, low, high, n = values
    ratio = {"train_flops": 0.5, "seconds": None, "parameters": 2.0}
    found = {
        "a": "grow",
        "b": "b",
        "measure": "test_error",
        "unit": "pp",
        "difference": difference,
        "low": low,
        "high": high,
        "n": n,
    }
    said = verdict({**found, "ratio": ratio}, {"label": "grown"}, {"label": "other", "spoken": "the other one"})
    assert said["kind"] == kind
    assert words in said["text"]
    assert said["text"].endswith("(at 0.5× its training FLOPs, 2× parameters)")
    said_of = {"tie": "No difference shown between grown and the other one", "better": "Grown has less test error than the other one",
               "worse": "Grown has more test error than the other one", "unknown": "grown"}  # fmt: skip
    assert said_of[kind].casefold() in said["sentence"].casefold()
    cost = ", at 0.5 times the training FLOPs"  # of what was shown; what was not has no price
    assert said["sentence"].endswith(cost) == (kind != "unknown")


def test_a_target_that_is_not_reached_stays_unreached(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS[:2], losses=(1.0, 0.5, 0.255))
    make_run("fixed_128/seed_0", 0, losses=(0.9, 0.24))
    make_run("fixed_128/seed_1", 1, losses=(0.9, 0.26))
    write_arm(make_run, "small_fixed", ERRORS[:2], losses=(0.9, 0.8))
    folder = make_plan("grow", "fixed_128", "small_fixed", seeds=2)
    plain = compare_folder(folder).plain
    assert plain["target"]["val_loss"] == 0.26
    assert "fixed_128" in plain["target"]["rule"]
    assert plain["arms"]["grow"]["flops_to_target"] == [300, 300]
    assert plain["arms"]["grow"]["seconds_to_target"] == [1.5, 1.5]
    assert plain["arms"]["fixed_128"]["flops_to_target"] == [200, 200]
    assert plain["arms"]["small_fixed"]["flops_to_target"] == [None, None]
    given = compare_folder(folder, target=0.95).plain
    assert given["arms"]["fixed_128"]["flops_to_target"] == [100, 100]
    assert given["target"] == {"val_loss": 0.95, "rule": "as given"}


def test_a_search_is_charged_with_all_its_trials(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS[:1])
    folder = make_run("random_search/seed_0", search_cost={"train_flops": 9000, "seconds": 90.0, "eval_flops": 5})
    drawn = {
        "widths": [8],
        "depth": 1,
        "width": 8,
        "dropout": 0.1,
        "lr": 1e-3,
        "parameters": 99,
        "flops_per_sample": 180,
    }
    trials = [
        {
            **drawn,
            "number": i,
            "state": "failed" if x is None else "complete",
            "val_loss": x,
            "val_error": 0.1,
            "train_flops": 3000,
            "eval_flops": 1000,
            "seconds": 30.0,
        }
        for i, x in enumerate((0.9, None, 0.2))
    ]
    (folder / "trials.jsonl").write_text("".join(json.dumps(t) + "\n" for t in trials))
    make_run("random_search/seed_0/trials/0", error=0.5)  # the search's own, not a run of the comparison
    comparison = compare_folder(make_plan("grow", "random_search", seeds=1), target=0.25)
    assert list(comparison.plain["arms"]) == ["grow", "random_search"]
    arm = comparison.plain["arms"]["random_search"]
    assert arm["runs"] == 1
    assert arm["mean"]["train_flops"]["value"] == 9000
    assert (arm["flops_to_target"], arm["seconds_to_target"]) == ([9000], [90.0])
    assert comparison.plain["curves"]["random_search"][0]["val_loss"] == [0.9, 0.9, 0.2]
    assert comparison.rows[1]["train_flops"] == 9000


def test_regression_is_compared_in_units_of_the_target(make_run, make_plan):
    write_arm(make_run, "grow", [30.0, 31.0], task="regression", data="diabetes")
    write_arm(make_run, "scratch", [30.5, 31.75], task="regression", data="diabetes")
    plain = compare_folder(make_plan("grow", "scratch", seeds=2)).plain
    assert plain["metric"] == "rmse"
    assert only(plain, "test_rmse")["difference"] == pytest.approx(-0.625)
    assert "−0.625 rmse" in plain["verdicts"][0]["text"]
    assert "pp" not in plain["verdicts"][0]["text"]


def test_what_failed_and_what_is_missing_is_said(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS[:2])
    write_arm(make_run, "scratch", ERRORS[:1])
    folder = make_plan("grow", "scratch", seeds=2)
    (folder / "scratch/seed_1").mkdir()
    (folder / "scratch/seed_1/log.txt").write_text("a command\nautogrow: why it failed\n")
    plain = compare_folder(folder).plain
    log = "scratch/seed_1/log.txt"
    assert plain["failures"] == [{"arm": "scratch", "seed": 1, "message": "autogrow: why it failed", "log": log}]
    assert (plain["arms"]["scratch"]["failed"], plain["arms"]["scratch"]["runs"]) == (1, 1)
    assert only(plain)["n"] == 1
    assert any("compared on the 1 seed" in words for words in plain["warnings"])
    assert any("too few to tell" in words for words in plain["warnings"])


@pytest.mark.parametrize(
    ("log", "message"), [(None, "was not run"), ("a command\n", "was ended before it said anything")]
)
def test_runs_that_said_nothing_are_missing_too(log, message, make_run, make_plan):
    write_arm(make_run, "grow", ERRORS[:1])
    folder = make_plan("grow", "scratch", seeds=1)
    (folder / "scratch/seed_0").mkdir(parents=True)
    if log is not None:
        (folder / "scratch/seed_0/log.txt").write_text(log)
    assert compare_folder(folder).plain["failures"][0]["message"] == message


def test_what_was_to_be_matched_and_is_not_is_said(make_run, make_plan):
    losses = [1 / (i + 1) for i in range(10)]
    write_arm(make_run, "grow", ERRORS[:2], flops=100, losses=losses)
    make_run("scratch_flops/seed_0", 0, flops=80, losses=losses)
    make_run("scratch_flops/seed_1", 1, flops=100, losses=losses[:-1])  # one check less: as close as can be
    arm = {"about": "", "label": "", "overrides": ["net.widths={widths}"], "matched": "train_flops"}
    folder = make_plan("grow", "scratch_flops", seeds=2)
    plan = json.loads((folder / "plan.json").read_text())
    plan["arms"]["scratch_flops"] = arm
    (folder / "plan.json").write_text(json.dumps(plan))
    plain = compare_folder(folder).plain
    assert "scratch_flops was to spend as many train_flops as grow and spent 0.80× at seed 0" in plain["warnings"]


def test_runs_of_any_folder_are_named_by_what_was_typed(make_run, tmp_path):
    for job, (growth, seed) in enumerate([("default", 0), ("default", 1), ("gap", 0), ("gap", 1)]):
        make_run(f"{job}", seed, typed=("data=digits", f"growth={growth}"), growths=(1,) * (growth == "default"))
    plain = compare_folder(tmp_path).plain
    assert list(plain["arms"]) == ["growth=default", "growth=gap"]
    assert plain["arms"]["growth=gap"]["folders"] == ["2", "3"]
    assert (only(plain)["a"], only(plain)["n"]) == ("growth=default", 2)


def test_what_grew_is_held_against_what_did_not(make_run, tmp_path):
    make_run("0", typed=("growth=never",))
    make_run("1", typed=("growth=gap",), growths=(1,))
    plain = compare_folder(tmp_path).plain
    assert list(plain["arms"]) == ["growth=gap", "growth=never"]
    assert (only(plain)["a"], only(plain)["b"]) == ("growth=gap", "growth=never")


def test_a_split_of_its_own_for_each_seed_is_paired_too(make_run, tmp_path):
    for seed in (0, 1):
        for growth in ("default", "gap"):
            make_run(f"{growth}_{seed}", seed, typed=(f"growth={growth}",), split_seed=seed)
    plain = compare_folder(tmp_path).plain
    assert only(plain)["n"] == 2
    assert not any("share one split" in words for words in plain["warnings"])


def test_runs_on_other_splits_are_not_paired(make_run, tmp_path):
    make_run("a", 0, typed=("growth=default",), split_seed=0)
    make_run("b", 0, typed=("growth=gap",), split_seed=1)
    plain = compare_folder(tmp_path).plain
    assert (plain["pairs"], plain["verdicts"]) == ([], [])
    assert any("no seed on the same split in common" in words for words in plain["warnings"])


def test_of_two_runs_of_one_arm_and_seed_the_later_counts(make_run, tmp_path):
    make_run("a", 0, typed=("growth=gap",))
    make_run("b", 0, typed=("growth=gap",), error=0.2)
    plain = compare_folder(tmp_path).plain
    (arm,) = plain["arms"].values()
    assert arm["folders"] == ["b"]
    assert "a is left out: b is a later run of the same arm and seed" in plain["warnings"]


def test_unfinished_and_broken_runs_are_left_out_by_name(make_run, tmp_path):
    make_run("whole")
    (make_run("unfinished") / "result.json").unlink()
    (make_run("broken") / "result.json").write_text("{")
    plain = compare_folder(tmp_path).plain
    assert sum(arm["runs"] for arm in plain["arms"].values()) == 1
    assert any(words.startswith("unfinished is not finished and left out; go on with") for words in plain["warnings"])
    assert any(words.startswith("broken: result.json is not JSON") for words in plain["warnings"])


@pytest.mark.parametrize("content", ["nothing", "unfinished", "mixed"])
def test_folders_that_cannot_be_compared(content, make_run, tmp_path):
    message = {"nothing": "holds no finished run", "unfinished": "go on with: autogrow fit resume="}.get(content, "")
    if content == "unfinished":
        (make_run("unfinished") / "result.json").unlink()
    if content == "mixed":
        make_run("a", data="iris")
        make_run("b", data="digits")
        message = "runs of different data sets, which cannot be compared (iris iris row: 1 such as a; digits"
    with pytest.raises(ConfigError) as caught:
        compare_folder(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "compare.json").exists()


def test_long_curves_are_thinned_and_keep_their_ends(make_run, tmp_path):
    make_run("a", losses=[1 / (i + 1) for i in range(1000)])
    (curve,) = next(iter(compare_folder(tmp_path).plain["curves"].values()))
    assert {len(values) for key, values in curve.items() if key != "seed"} == {200}
    assert (curve["train_flops"][0], curve["train_flops"][-1]) == (100, 100_000)


def test_the_files_hold_what_was_computed(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS)
    folder = make_plan("grow")
    comparison = compare_folder(folder)
    write(folder, comparison)
    assert json.loads((folder / "compare.json").read_text()) == comparison.plain
    rows = list(csv.DictReader((folder / "rows.csv").read_text().splitlines()))
    assert [float(row["test_error"]) for row in rows] == ERRORS
    assert rows[0]["widths"] == "24-16"
    assert rows[0]["folder"] == "grow/seed_0"


def test_what_nets_take_on_a_device_is_kept_and_stands_beside_each_arm_as_medians(make_run, make_plan):
    takes = {"grow": [7000, 9000, 8000], "scratch": [50_000, 60_000]}
    for arm, found in takes.items():
        write_arm(make_run, arm, ERRORS[: len(found)])
    folder = make_plan("grow", "scratch", "fixed", seeds=3)

    def measure(run):
        size = takes[run.parent.name][int(run.name[-1])]
        return {"bytes": size, "p50_us": size / 1000, "p95_us": size / 500}

    measure_runs(folder, {"to": "c", "int8": True}, measure)
    write_arm(make_run, "fixed", ERRORS[:1])  # ended later
    comparison = compare_folder(folder)
    arms = comparison.plain["arms"]
    assert arms["grow"]["device"] == {"bytes": 8000, "p50_us": 8, "p95_us": 16}
    assert arms["scratch"]["device"]["bytes"] == 55_000
    assert arms["fixed"]["device"] is None
    assert [row.get("device_bytes") for row in comparison.rows] == [7000, 9000, 8000, 50_000, 60_000, None]
    titles, grow, scratch, fixed, words = summary_lines(comparison.plain)
    assert "µs on device    kB" in titles
    assert [line.split()[-3:-1] for line in (grow, scratch, fixed)] == [["8", "8.0"], ["55", "55.0"], ["–", "–"]]
    assert "the C file in 8 bits of each net" in words


def test_a_comparison_that_asked_for_no_device_has_no_such_columns(make_run, make_plan):
    write_arm(make_run, "grow", ERRORS)
    plain = compare_folder(make_plan("grow")).plain
    assert plain["device"] is None
    assert not any("device" in line for line in summary_lines(plain))
