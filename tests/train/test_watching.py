"""The watched folder: every file is taken in once, in whatever state it arrives and at whatever moment the watch is
killed.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from autogrow.chain.inbox import Inbox
from autogrow.chain.watch import WatchSpec, check_watch, watch
from autogrow.errors import CheckpointError, ConfigError, DataError, TrainingError

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
    def states(self):
        drops = json.loads((self.out / "watch.json").read_text())["drops"]
        return {file["name"]: file["state"] for file in drops}

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


@pytest.mark.parametrize("step", range(1, 10))
def test_killed_at_any_write_of_the_state_it_ends_the_same(tmp_path, step, monkeypatch):
    from autogrow.chain import inbox
    from autogrow.chain import watch as watching

    whole, writes = inbox.write_json, []

    def dying(path, value):
        writes.append(path.name)
        if len(writes) == step:
            raise KilledError
        whole(path, value)

    monkeypatch.setattr(inbox, "write_json", dying)
    monkeypatch.setattr(watching, "write_json", dying)
    world = World(tmp_path)
    for name, text in (("a.csv", "A"), ("b.csv", "B"), ("c.csv", "A")):
        world.put(name, text)
    with suppress(KilledError):
        world.watch(once=True)
    world.watch(once=True)
    assert world.states == {"a.csv": "taken", "b.csv": "taken", "c.csv": "skipped"}
    assert world.latest["files"] == ["a.csv", "b.csv"]
    assert sorted(p.name for p in (world.out / "files").iterdir() if not p.name.startswith(".")) == ["a.csv", "b.csv"]
    assert sorted(world.learned[-1][1].values()) == ["A", "B"]


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
