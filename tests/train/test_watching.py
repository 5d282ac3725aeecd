"""The watched folder: every file is taken in once, in whatever state it arrives and at whatever moment the watch is
killed.
"""

import errno
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogrow.chain import dropped
from autogrow.chain.dropped import ChangedError, Dropped, copy_name, printable
from autogrow.chain.inbox import Inbox
from autogrow.chain.spec import WatchSpec
from autogrow.chain.watch import MOST_STARTS, check_watch, watch
from autogrow.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    GrowthError,
    InterruptedRunError,
    InUseError,
    TrainingError,
)
from autogrow.train.record import files

RESULT = {
    "task": "classification",
    "widths": [16],
    "train_flops": 1e9,
    "seconds": 2.0,
    "test": {"error": 0.1, "loss": 0.3},
}


class KilledError(BaseException):
    """The process is gone: nothing of ours may catch this."""


class World:
    """A folder, a clock that only sleeping moves, a script of what happens while the watch sleeps,
    and a net that counts.
    """

    def __init__(self, folder, script=(), *, fails=(), killed_at=None):
        self.folder, self.out = folder / "drops", folder / "out"
        self.folder.mkdir(exist_ok=True)
        self.now, self.script, self.said, self.learned = 0.0, list(script), [], []
        self.fails, self.killed_at, self.learning = list(fails), killed_at, 0

    def put(self, name, text):
        path = self.folder / name
        path.write_text(text)
        at = int(1e9 * self.now) + hash_of(text)
        os.utime(path, ns=(at, at))

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < 200, self.said
        while self.script and self.script[0][0] <= self.now:
            self.put(*self.script.pop(0)[1:])

    def learn(self, file, copies, before):
        copied = {copy: (self.out / "files" / copy).read_text() for copy in copies}
        for bad, error in self.fails:
            if bad in copied[file.copy]:
                raise error
        self.learning += 1
        run = self.out / file.run
        run.mkdir(exist_ok=True)
        if self.learning == self.killed_at:
            raise KilledError
        self.learned.append((file.run, copied, before))
        (run / "result.json").write_text("{}")
        return RESULT

    def watch(self, **keys):
        spec = WatchSpec(folder=str(self.folder), **keys)
        inbox = Inbox(self.folder, self.out, "csv", spec.settle_seconds, clock=lambda: self.now)
        return watch(spec, inbox, self.learn, self.said.append, sleep=self.sleep)

    @property
    def drops(self):
        return json.loads((self.out / "watch.json").read_text())["drops"]

    @property
    def states(self):
        return {file["name"]: file["state"] for file in self.drops}

    @property
    def latest(self):
        return json.loads((self.out / "latest.json").read_text())


def hash_of(text):
    return sum(map(ord, text)) % 1000


def test_each_file_is_learned_from_once_and_continues_from_the_last(tmp_path):
    world = World(tmp_path, [(0, "a.csv", "A"), (5, "b.csv", "B"), (9, "c.csv", "C"), (9, "notes.md", "no")])
    assert world.watch(files=3) == 3
    assert [(run, before) for run, _, before in world.learned] == [
        ("run_0", None),
        ("run_1", "run_0"),
        ("run_2", "run_1"),
    ]
    assert [sorted(copied.values()) for _, copied, _ in world.learned] == [["A"], ["A", "B"], ["A", "B", "C"]]
    assert world.latest["run"] == "run_2"
    assert world.latest["checkpoint"] == "run_2/checkpoints/best.ckpt"
    assert world.latest["files"] == ["a.csv", "b.csv", "c.csv"]


def test_a_file_is_read_only_when_it_has_settled(tmp_path):
    growing = [(t, "a.csv", "x" * (t + 1)) for t in range(6)]
    world = World(tmp_path, growing)
    world.watch(files=1, settle_seconds=3.0)
    assert [copied["a.csv"] for _, copied, _ in world.learned] == ["x" * 6]
    assert world.now >= 5 + 3


def test_the_same_contents_are_learned_from_once(tmp_path):
    world = World(tmp_path, [(0, "a.csv", "A"), (4, "again.csv", "A"), (8, "b.csv", "B")])
    world.watch(files=2)
    assert len(world.learned) == 2
    assert world.states == {"a.csv": "taken", "again.csv": "skipped", "b.csv": "taken"}
    assert any("again.csv: skipped: it holds the same as a.csv" in line for line in world.said)


def test_a_half_written_file_is_tried_again_and_then_set_aside_until_it_changes(tmp_path):
    bad = ("half", DataError("2.csv cannot be read"))
    world = World(tmp_path, [(0, "1.csv", "A"), (0, "2.csv", "half"), (10, "3.csv", "C")], fails=[bad])
    world.watch(files=2, attempts=3)
    assert world.states == {"1.csv": "taken", "2.csv": "set aside", "3.csv": "taken"}
    about = [line for line in world.said if line.startswith("2.csv")]
    assert [("looking again" in line, "set aside" in line) for line in about] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert (world.folder / "2.csv").read_text() == "half"
    world.script = [(world.now + 1, "2.csv", "whole")]
    world.watch(files=3)
    assert world.states["2.csv"] == "taken"
    assert sorted(world.learned[-1][1].values()) == ["A", "C", "whole"]


def test_a_net_that_cannot_be_trained_sets_the_file_aside_and_keeps_the_net_before(tmp_path):
    world = World(tmp_path, [(0, "1.csv", "A"), (3, "2.csv", "bad")], fails=[("bad", TrainingError("not finite"))])
    world.watch(idle_seconds=8)
    assert world.states == {"1.csv": "taken", "2.csv": "set aside"}
    assert world.latest["run"] == "run_0"


def test_a_file_that_changes_is_taken_in_as_another(tmp_path):
    world = World(tmp_path, [(0, "a.csv", "A"), (5, "a.csv", "AB")])
    world.watch(files=2)
    assert world.learned[-1][1] == {"a.csv": "A", "a~2.csv": "AB"}


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_killed_at_any_run_and_started_again_it_ends_the_same(tmp_path, killed_at):
    script = [(0, "a.csv", "A"), (0, "b.csv", "B"), (0, "c.csv", "C")]
    world = World(tmp_path, script, killed_at=killed_at)
    with pytest.raises(KilledError):
        world.watch(files=3)
    assert "pending" in world.states.values()
    world.watch(files=3)
    assert [run for run, _, _ in world.learned] == ["run_0", "run_1", "run_2"]
    assert [before for _, _, before in world.learned] == [None, "run_0", "run_1"]
    assert set(world.states.values()) == {"taken"}


STEPS = [(files.Draft, "put"), (Dropped, "copy"), (Inbox, "_remove_copy")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 24))
def test_killed_between_any_two_steps_it_ends_the_same(tmp_path, step, after, monkeypatch):
    """One file that is learned from at once, one at the second look, one with known contents, one that is set aside."""
    steps = []

    def dies(whole):
        def dying(*arguments):
            steps.append(whole)
            here = len(steps) == step
            if here and not after:
                raise KilledError
            made = whole(*arguments)
            if here:
                raise KilledError
            return made

        return dying

    world = World(tmp_path, fails=[("bad", TrainingError("not finite"))])
    looks, learn = [], world.learn

    def not_yet(file, copies, before):
        if (world.out / "files" / file.copy).read_text() == "B" and len(looks) < 1:
            looks.append(file)
            raise DataError("cut short")
        return learn(file, copies, before)

    world.learn = not_yet
    for name, text in (("a.csv", "A"), ("b.csv", "B"), ("c.csv", "A"), ("d.csv", "bad")):
        world.put(name, text)
    with suppress(KilledError), monkeypatch.context() as patched:
        for home, name in STEPS:
            patched.setattr(home, name, dies(getattr(home, name)))
        world.watch(once=True)
    assert len(steps) == step or step > 22
    world.watch(once=True)
    assert world.states == {"a.csv": "taken", "b.csv": "taken", "c.csv": "skipped", "d.csv": "set aside"}
    assert world.latest["files"] == ["a.csv", "b.csv"]
    assert sorted(world.learned[-1][1].values()) == ["A", "B"]
    kept = {p.name for p in (world.out / "files").iterdir() if not p.name.startswith(".")}
    assert {"a.csv", "b.csv"} <= kept


WHATEVER = [
    ValueError("Mixed timezones detected"),
    OverflowError("Python int too large to convert to C long"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] can't allocate memory"),
    RecursionError("maximum recursion depth exceeded"),
    KeyError("column"),
    UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    AssertionError(),
    OSError(errno.EIO, "Input/output error"),
    PermissionError(errno.EACCES, "Permission denied"),
    ConfigError("metrics: 'r2' is not for a classification task"),
    CheckpointError("best.ckpt is not a whole checkpoint"),
    GrowthError("no room"),
    TrainingError("not finite"),
]


@pytest.mark.parametrize("error", WHATEVER, ids=repr)
def test_whatever_a_file_brings_about_it_is_set_aside_and_the_next_is_taken(error, tmp_path):
    world = World(tmp_path, fails=[("bad", error)])
    world.put("1.csv", "A")
    world.put("2.csv", "bad")
    world.put("3.csv", "C")
    for _ in range(2):  # and started again
        assert world.watch(once=True) == 2
        assert world.states == {"1.csv": "taken", "2.csv": "set aside", "3.csv": "taken"}
    (why,) = [file["why"] for file in world.drops if file["name"] == "2.csv"]
    assert why
    assert str(error).strip("'") in why
    assert any(line.startswith(f"2.csv: set aside: {why}") for line in world.said)
    assert world.learning == 2


@pytest.mark.parametrize(
    "error", [InterruptedRunError(15), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr
)
@pytest.mark.parametrize("behind", [False, True])
def test_a_signal_and_a_full_disk_end_it_and_nothing_is_lost(error, behind, tmp_path):
    if behind and isinstance(error, OSError):  # as torch says it
        error, full = RuntimeError("PytorchStreamWriter failed writing file"), error
        error.__context__ = full
    world = World(tmp_path, fails=[("B", error)])
    world.put("1.csv", "A")
    world.put("2.csv", "B")
    with pytest.raises(full.__class__ if isinstance(error, RuntimeError) else type(error)):
        world.watch(once=True)
    assert world.states == {"1.csv": "taken", "2.csv": "pending"}
    world.fails = []
    assert world.watch(once=True) == 2


def test_a_file_that_ends_the_process_each_time_is_set_aside_in_the_end(tmp_path):
    """As one for which the kernel kills us, because it takes all memory."""
    world = World(tmp_path, fails=[("B", KilledError())])
    for name in ("A", "B", "C"):
        world.put(f"{name}.csv", name)
    for _ in range(MOST_STARTS):
        with pytest.raises(KilledError):
            world.watch(once=True)
    assert world.watch(once=True) == 2
    assert world.states == {"A.csv": "taken", "B.csv": "set aside", "C.csv": "taken"}
    assert any("the watch has ended 10 times at work on it" in line for line in world.said)


def test_a_run_that_comes_further_between_two_kills_is_never_given_up(tmp_path):
    world = World(tmp_path, fails=[("A", KilledError())])
    world.put("A.csv", "A")
    run = world.out / "run_0"
    for rows in range(3 * MOST_STARTS):
        with pytest.raises(KilledError):
            world.watch(once=True)
        run.mkdir(exist_ok=True)
        (run / "ledger.jsonl").write_text("row\n" * rows)
    world.fails = []
    assert world.watch(once=True) == 1


def test_a_run_that_another_process_is_at_work_on_is_waited_for(tmp_path):
    world = World(tmp_path, fails=[("A", InUseError("run_0 is in use by another autogrow fit"))])
    world.put("1.csv", "A")
    world.put("2.csv", "B")
    assert world.watch(once=True) == 0
    assert world.states == {"1.csv": "pending"}
    assert sum("1.csv: waits: run_0 is in use" in line for line in world.said) == 1
    world.fails = []
    assert world.watch(once=True) == 2


def test_a_file_that_cannot_be_read_is_set_aside(tmp_path):
    world = World(tmp_path)
    world.put("2.csv", "B")
    (world.folder / "1.csv").symlink_to("/proc/self/mem")  # there, and an error to whoever reads it
    (world.folder / "3.csv").symlink_to("3.csv")  # a link to itself: no file at all
    (world.folder / "4.csv").mkdir()
    os.mkfifo(world.folder / "5.csv")
    assert world.watch(once=True) == 1
    assert world.states == {"1.csv": "set aside", "2.csv": "taken"}
    assert any("1.csv: set aside: it cannot be read: Input/output error" in line for line in world.said)


def test_a_file_for_which_there_is_no_room_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(dropped.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    world = World(tmp_path)
    world.put("1.csv", "too large")
    world.put("2.csv", "small")
    assert world.watch(once=True) == 1
    assert world.states == {"1.csv": "set aside", "2.csv": "taken"}
    assert any("1.csv: set aside: it has 9 bytes, and there is room for 5 in" in line for line in world.said)


def test_a_file_that_grows_as_fast_as_it_is_read_is_let_go(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("x" * 10)

    class Growing:
        path = tmp_path / "copy"

        def write(self, block):
            with file.open("a") as there:
                there.write("x" * 10 * len(block))
            return len(block)

    growing = Growing()
    growing.file = growing
    with pytest.raises(ChangedError):
        Dropped(file).copy(growing, Dropped(file).stamp())


def test_a_file_that_goes_before_it_is_read_is_no_longer_waited_for(tmp_path):
    world = World(tmp_path, fails=[("bad", DataError("cut short"))])
    world.put("1.csv", "bad")
    inbox, taken = Inbox(world.folder, world.out, clock=lambda: world.now), []
    inbox.settled()
    world.now += 5
    assert inbox.settled() == ["1.csv"]
    (world.folder / "1.csv").unlink()
    taken.append(inbox.take("1.csv", "run_0"))
    assert (taken, inbox.settled(), inbox.settling(), list((world.out / "files").iterdir())) == ([None], [], 0, [])
    world.put("1.csv", "bad")  # and one that goes while it is looked at again
    world.script = [(world.now + 4, "2.csv", "B")]
    sleep = world.sleep

    def gone(seconds):
        sleep(seconds)
        if any("looking again" in line for line in world.said):
            (world.folder / "1.csv").unlink(missing_ok=True)

    world.sleep = gone
    assert world.watch(idle_seconds=20) == 1


def test_a_folder_that_goes_and_comes_back_is_looked_into_again(tmp_path):
    world = World(tmp_path)
    away, sleep = tmp_path / "away", world.sleep

    def moves(seconds):
        sleep(seconds)
        if 3 <= world.now < 8 and world.folder.exists():
            world.folder.rename(away)
        if world.now >= 8 and away.exists():
            away.rename(world.folder)
            world.put("1.csv", "A")

    world.sleep = moves
    assert world.watch(files=1) == 1
    assert sum("cannot be looked into (No such file or directory); looking again" in line for line in world.said) == 1


def test_two_watches_of_one_folder_into_two_both_learn(tmp_path):
    one, two = World(tmp_path), World(tmp_path)
    two.out = tmp_path / "other"
    one.put("1.csv", "A")
    assert (one.watch(once=True), two.watch(once=True)) == (1, 1)


@given(st.binary(min_size=1, max_size=250).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_a_copy_has_a_name_that_stands_for_itself_and_its_file_one_that_can_be_said(raw):
    name = os.fsdecode(raw) + ".csv.gz"
    used = []
    for _ in range(3):
        copy = copy_name(printable(name), used)
        assert re.fullmatch(r"[\w+~][\w.+~-]*\.csv\.gz", copy)
        assert len(copy.encode()) <= 255
        assert copy not in used
        used.append(copy)
    assert printable(name).isprintable()
    assert printable(printable(name)) == printable(name)
    printable(name).encode("utf-8")


def test_once_looks_as_often_as_it_was_told_to_before_it_ends(tmp_path):
    world = World(tmp_path, fails=[("half", DataError("no"))])
    world.put("a.csv", "half")
    assert world.watch(once=True, attempts=3) == 0
    assert [("looking again" in line, "set aside" in line) for line in world.said[:-1]] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def test_it_ends_when_it_was_told_to(tmp_path):
    world = World(tmp_path, [(0, "a.csv", "A")])
    world.put("a.csv", "A")
    assert world.watch(once=True) == 1
    begun = world.now
    assert world.watch(idle_seconds=20) == 1
    assert 20 <= world.now - begun <= 22
    assert world.watch(files=1) == 1
    assert len(world.learned) == 1


def test_once_does_not_wait_for_a_file_without_an_end(tmp_path):
    world = World(tmp_path, [(t, "a.csv", "x" * t) for t in range(150)])
    world.put("b.csv", "B")
    assert world.watch(once=True) == 1
    assert "1 file still being written to" in world.said[-1]


def test_a_folder_of_runs_belongs_to_one_watched_folder(tmp_path):
    world = World(tmp_path)
    world.put("a.csv", "A")
    world.watch(once=True)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match=r"watches .*drops, not .*other; give another hydra.run.dir"):
        Inbox(other, world.out)
    (world.out / "watch.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"watch.json is not the state of a watched folder"):
        Inbox(world.folder, world.out)
    with pytest.raises(ConfigError, match="does not exist"):
        Inbox(tmp_path / "nowhere", world.out)
    with pytest.raises(ConfigError, match="is a file"):
        Inbox(Path(__file__), world.out)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folder": None}, "autogrow watch DIR"),
        ({"files": 0}, "watch.files must be at least 1, got 0"),
        ({"idle_seconds": -1}, "watch.idle_seconds must be at least 0, got -1"),
        ({"settle_seconds": -1}, "watch.settle_seconds"),
        ({"poll_seconds": 0}, "watch.poll_seconds must be above 0"),
        ({"attempts": 0}, "watch.attempts must be at least 1"),
    ],
)
def test_settings_that_cannot_be_right(keys, message):
    with pytest.raises(ConfigError, match=message):
        check_watch(WatchSpec(**{"folder": "x", **keys}))
