"""A law of every reader: whatever a file of a run folder holds, it is read as it was written or refused in one line.

A real run is taken, one value or one file of it is made wrong, and everybody who reads it is asked. Nobody may end with
anything but an error of ours, in one line; nobody may need more memory than the file is large.
"""

import itertools
import json
import os
import resource
import shutil
import warnings

import pytest
import torch
from command_line import call

import autogrow
from autogrow.chain.inbox import Inbox
from autogrow.commands.tasks import report
from autogrow.commands.tasks.fit import finish_folder
from autogrow.compare.read.comparison import compare_folder
from autogrow.data import DataSpec
from autogrow.errors import AutogrowError, CheckpointError
from autogrow.policy import FixedSchedule, Growth, LifeCycle
from autogrow.policy.replay import replay
from autogrow.train.fit.continue_from import read_finished
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec
from autogrow.train.record import contents
from autogrow.train.record.checkpoint import read_checkpoint
from autogrow.train.record.ledger import read_ledger
from autogrow.train.record.progress import read_progress

WRONG = (None, "x", -1, 3, 0.5, 1e300, True, [], {}, [None], {"x": None}, 200_000, "")
"""What a value is made: some of it may be what could have been written there."""

DAMAGE = {
    "empty": b"",
    "a list": b"[]\n",
    "null": b"null\n",
    "a text": b'"x"\n',
    "an empty mapping": b"{}\n",
    "not text": b"\xff\xfe\x00{",
    "zeros": b"\x00" * 4096,
    "deep": b"[" * 100_000,
    "deep mappings": b'{"a":' * 50_000,
    "NaN": b'{"task": NaN}\n',
    "a number too long": b'{"parameters": 1' + b"0" * 400 + b"}\n",
    "half of a character": b'{"task": "\\ud800"}\n',
}


def line_of(error):
    said = str(error)
    assert said
    assert "\n" not in said
    return said


def asked(reader, *arguments):
    """What a reader says: nothing where it is content, the line where it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(*arguments)
    except AutogrowError as error:
        return line_of(error)
    return ""


def paths_in(value, at=()):
    """Every key path of plain values, but for those below what only one of a list shows."""
    yield at
    if isinstance(value, dict):
        for key, below in value.items():
            yield from paths_in(below, (*at, key))
    elif isinstance(value, list):
        for i, below in enumerate(value[:1]):
            yield from paths_in(below, (*at, i))


def changed(value, at, wrong):
    """A copy with another value at a path."""
    if not at:
        return wrong
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[at[0]] = changed(value[at[0]], at[1:], wrong)
    return copied


def without(value, at):
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1:
        del copied[at[0]]
    else:
        copied[at[0]] = without(value[at[0]], at[1:])
    return copied


def wrong_ones(value, some):
    """Copies of plain values that are wrong at one path each: for every path, so many of the wrong values, and none."""
    turn = itertools.cycle(WRONG)
    for at in paths_in(value):
        if at:
            yield f"without {at}", without(value, at)
        for wrong in itertools.islice(turn, some):
            yield f"{at} is {wrong!r}", changed(value, at, wrong)


def spec_of(folder, seed=0):
    return FitSpec(
        data=DataSpec(source="sklearn", name="iris"),
        policy=LifeCycle(growth=Growth(when=FixedSchedule((1,)))),
        net=NetSpec(widths=[4]),
        trainer=TrainerSpec(max_epochs=24, check_every=4, checkpoint_seconds=0),
        seed=seed,
        out=folder,
        config="seed: 0\n",
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of two runs that have grown; each test puts back what it changes."""
    home = tmp_path_factory.mktemp("whole") / "runs"
    for seed in (0, 1):
        result = autogrow.fit(spec_of(home / f"run_{seed}", seed))
        finish_folder(result, "seed: 0\n", [f"seed={seed}"])
    return home


def page(folder):
    report.report(folder)


def decisions(folder):
    replay(read_ledger(folder), LifeCycle())


def comparison(folder):
    compare_folder(folder.parent)


def net(folder):
    autogrow.load(folder / "checkpoints" / "best.ckpt")


def go_on(folder, tmp_path):
    """A resume from last.ckpt alone."""
    here = tmp_path / "here"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(folder, here, ignore=shutil.ignore_patterns("result.json", "previous.ckpt", "best.*"))
    autogrow.fit(spec_of(here), resume=True)


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("result.json", (page, comparison)),
        ("data_card.json", (page, comparison)),
        ("curves.json", (page,)),
        ("ledger.jsonl", (page, decisions, read_progress)),
    ],
)
def test_a_value_that_was_not_written_is_read_or_refused_in_a_line(name, readers, runs):
    folder = runs / "run_0"
    path = folder / name
    text = path.read_text()
    lines = text.splitlines(keepends=True) if name == "ledger.jsonl" else []
    refused = read = 0
    try:
        for what, wrong in wrong_ones(json.loads(lines[2] if lines else text), 1):
            path.write_text("".join([*lines[:2], json.dumps(wrong) + "\n", *lines[3:]]) if lines else json.dumps(wrong))
            for reader in readers:
                said = asked(reader, folder)
                refused, read = refused + bool(said), read + (not said)
                assert not said or name in said or "run_0" in said, what
    finally:
        path.write_text(text)
    assert refused > 20  # it is looked at
    assert read > 5  # and not everything is refused


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_in_a_line(damage, runs, tmp_path):
    """Half a file and an empty one are in the tests of each reader."""
    folder = runs / "run_0"
    asks = {
        "result.json": (page, comparison),
        "data_card.json": (page, comparison),
        "curves.json": (page,),
        "ledger.jsonl": (page, decisions),
        "checkpoints/best.ckpt": (net,),
        "checkpoints/best.split.npz": (read_finished,),
        "checkpoints/last.ckpt": (lambda there: go_on(there, tmp_path),),
    }
    for name, readers in asks.items():
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(DAMAGE[damage])
        try:
            for reader in readers:
                # of the runs of a folder the others are compared; a mapping without keys is one of curves
                said = asked(reader, folder)
                assert said or reader is comparison or (name, damage) == ("curves.json", "an empty mapping"), name
        finally:
            path.write_bytes(content)


def test_one_bad_run_does_not_end_the_comparison_of_the_others(runs):
    path = runs / "run_0" / "result.json"
    text = path.read_text()
    path.write_text(text.replace('"seconds":', '"seconds": NaN, "x":'))
    try:
        plain = compare_folder(runs).plain
    finally:
        path.write_text(text)
    assert [arm["runs"] for arm in plain["arms"].values()] == [1]
    assert any("run_0: result.json holds NaN: left out" in warning for warning in plain["warnings"])


@pytest.mark.parametrize(("name", "every"), [("best", 1), ("last", 12)])
def test_a_checkpoint_that_was_not_written_so_is_read_or_refused_in_a_line(name, every, runs, tmp_path):
    """Of the last one, by which a run goes on, only some: each takes a run to its end."""
    path = runs / "run_0" / "checkpoints" / f"{name}.ckpt"
    content = path.read_bytes()
    refused = read = 0
    try:
        for what, wrong in itertools.islice(wrong_ones(read_checkpoint(path), 1), 0, None, every):
            torch.save(wrong, path)
            said = asked(net, runs / "run_0") if name == "best" else asked(go_on, runs / "run_0", tmp_path)
            refused, read = refused + bool(said), read + (not said)
            assert not said or f"{name}.ckpt" in said, what
    finally:
        path.write_bytes(content)
    assert refused > 20
    assert read > 5


def claims(ours):
    """What a checkpoint may say of sizes that its weights do not have."""
    builder, (entry, *rest) = ours["builder"], ours["recipe"]
    wide = {**builder, "arguments": {**builder["arguments"], "widths": [200_000, 200_000]}}
    yield "a starting net", {**ours, "builder": wide}
    many = {**builder, "arguments": {**builder["arguments"], "members": 10**12}}
    yield "members", {**ours, "builder": many}
    shapes = {name: [10**6 * size for size in shape] for name, shape in entry["shapes"].items()}
    yield "a growth", {**ours, "recipe": [{**entry, "shapes": shapes}, *rest]}
    deep = {"op": "deepen", "after": "hidden.0.act", "kind": "residual", "size": 200_000, "like": "hidden.0.linear",
            "activation": "hidden.0.act", "norm": None, "dropout": None, "calibrated": False}  # fmt: skip
    yield "a layer", {**ours, "recipe": [*ours["recipe"], deep]}


def test_sizes_are_compared_with_the_weights_before_anything_is_made(runs):
    path = runs / "run_0" / "checkpoints" / "best.ckpt"
    content, whole = path.read_bytes(), read_checkpoint(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for what, ours in claims(whole["autogrow"]):
            torch.save({**whole, "autogrow": ours}, path)
            with pytest.raises(CheckpointError, match=r"best\.ckpt is not as it was written: .*numbers, and"):
                autogrow.load(path)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000, what  # kB
        torch.save({**whole, "state_dict": {"head.weight": torch.zeros(1).expand(10**6, 10**6)}}, path)
        with pytest.raises(CheckpointError, match="is not all there"):
            autogrow.load(path)
    finally:
        path.write_bytes(content)


# -- links and pipes ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["config.yaml", "data_card.json", "curves.json", "ledger.jsonl", "result.json"])
def test_a_link_is_not_read_into_a_page(name, runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs / "run_0", folder)
    secret = tmp_path / "secret"
    (folder / name).rename(secret)
    (folder / name).symlink_to(secret)
    assert f"{name} is a link" in asked(page, folder)


@pytest.mark.parametrize("name", ["config.yaml", "data_card.json", "ledger.jsonl"])
def test_nobody_waits_for_a_pipe(name, runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs / "run_0", folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert name in asked(page, folder)


# -- a watched folder --------------------------------------------------------------------------------------------------
def test_the_state_of_a_watch_is_read_or_refused_in_a_line_and_leads_nowhere(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.csv").write_text("x,y\n1,2\n")
    inbox = Inbox(folder, out, settle_seconds=0)
    assert inbox.settled() == ["a.csv"]
    inbox.take("a.csv", "run_0")
    state = json.loads((out / "watch.json").read_text())
    said = {}
    for what, wrong in wrong_ones(state, 3):
        (out / "watch.json").write_text(json.dumps(wrong))
        said[what] = asked(Inbox, folder, out)
        assert not said[what] or "watch" in said[what]
    assert sum(map(bool, said.values())) > 20
    for key in ("copy", "run", "name"):
        away = {**state, "drops": [{**state["drops"][0], key: "../../precious"}]}
        (out / "watch.json").write_text(json.dumps(away))
        assert f"{key} must be a name without a way in it" in asked(Inbox, folder, out)


# -- an estimator ------------------------------------------------------------------------------------------------------
def test_an_estimator_that_was_not_written_so_is_read_or_refused_in_a_line(tmp_path):
    made = autogrow.GrowingClassifier(max_epochs=4, random_state=0)
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).numpy()
    path = made.fit(x, x[:, 0] > 0).save(tmp_path / "net.ckpt")
    content = read_checkpoint(path)
    assert asked(autogrow.GrowingClassifier.load, path) == ""
    said = {}
    for what, wrong in wrong_ones(content["estimator"], 1):
        torch.save({**content, "estimator": wrong}, path)
        said[what] = asked(autogrow.GrowingClassifier.load, path)
        assert not said[what] or "net.ckpt" in said[what]
    assert sum(map(bool, said.values())) > 20


def test_every_key_that_a_run_on_a_table_writes_is_known_to_its_reader(alone):
    """What is not known is not checked, and ends who reads it in a traceback."""
    rows = "".join(f"{i % 7},,2024-01-{1 + i % 28:02d},k{i},{(i * i) % 3}\n" for i in range(90))
    (alone / "t.csv").write_text(f"x,empty,day,id,y\n{rows}")
    given = ["data.path=t.csv", "data.target=y", "data.class_weight=balanced", "net.knots=3", "trainer.max_epochs=2"]
    assert call("fit", "data=csv", *given, "hydra.run.dir=run") == 0
    for name, kind in (
        ("result.json", contents.Result),
        ("data_card.json", contents.Card),
        ("curves.json", contents.Curves),
    ):
        written = json.loads((alone / "run" / name).read_text())
        assert set(written) <= set(kind.__annotations__)
    path = alone / "run" / "curves.json"
    drawn = json.loads(path.read_text())
    assert drawn["effects"]
    said = set()
    for _, wrong in wrong_ones(drawn["effects"], len(WRONG)):
        path.write_text(json.dumps({**drawn, "effects": wrong}))
        said.add(asked(page, alone / "run"))
    path.write_text(json.dumps(drawn))
    assert any("has no line" in line for line in said)
    assert any("more values along than up" in line for line in said)
    assert all("curves.json" in line for line in said - {""})
    for key in ("left_out", "read_as", "written"):
        card = json.loads((alone / "run" / "data_card.json").read_text())
        assert card[key]
        (alone / "run" / "data_card.json").write_text(json.dumps({**card, key: True}))
        assert call("report", "run") == 2
        (alone / "run" / "data_card.json").write_text(json.dumps(card))
