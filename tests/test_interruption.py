"""Ctrl-C, SIGTERM and SIGHUP at any moment of any command: one line, the signal's exit code, a folder that goes on; and
readers that go away.
"""

import errno
import importlib
import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from command_line import call
from sklearn.datasets import load_iris

from autogrow.interruption import ASK_TO_END
from autogrow.standing_streams import standing_streams
from autogrow.train.record.folder import read_trials

pytestmark = pytest.mark.usefixtures("alone")

SMALL = ["data=iris", "net.widths=[4]", "trainer.max_epochs=30", "stop.checks=2", "stop.after_growth=2"]
FIT = ["fit", *SMALL, "trainer.checkpoint_seconds=0", "hydra.run.dir=run"]


class Moment:
    """Where in a command a signal comes: as the function at `place` (module:name) is called for the `time`-th time."""

    def __init__(self, place, time=1):
        self.place, self.time = place, time

    def send(self, patched, number=signal.SIGINT):
        module, _, path = self.place.partition(":")
        *owners, name = path.split(".")
        home = importlib.import_module(module)
        for owner in owners:
            home = getattr(home, owner)
        whole, calls = getattr(home, name), []

        def interrupted(*arguments, **named):
            calls.append(name)
            if len(calls) == self.time:
                signal.raise_signal(number)
            return whole(*arguments, **named)

        patched.setattr(home, name, interrupted)

    def __repr__(self):
        return f"{self.place}-{self.time}"


RUN, CONTROLLER = "autogrow.train.fit.run", "autogrow.train.fit.controller:LifeCycleController"
MOMENTS_OF_FIT = [
    Moment("autogrow.composition:register"),
    Moment("hydra._internal.hydra:Hydra.compose_config"),
    Moment("autogrow.commands.tasks.fit:spec_from"),
    Moment(f"{RUN}:prepare"),
    Moment(f"{RUN}:_trainer"),
    Moment(f"{RUN}:start_folder"),
    Moment("autogrow.train.record.folder:write_atomically"),
    Moment(f"{RUN}:CheckpointWriter"),
    Moment("autogrow.show.display:Display.start"),
    Moment(f"{CONTROLLER}.on_train_start"),
    Moment(f"{CONTROLLER}.on_train_batch_end"),
    Moment(f"{CONTROLLER}.close_check"),
    Moment(f"{CONTROLLER}.close_check", 2),
    Moment("autogrow.train.fit.checkpoint_writer:CheckpointWriter.write", 2),
    Moment("autogrow.train.record.ledger:Ledger.append", 3),
    Moment("autogrow.train.fit.hand_over:deliver"),
    Moment(f"{RUN}:save_atomically"),
    Moment(f"{RUN}:write_split"),
    Moment(f"{RUN}:write_metrics"),
    Moment("autogrow.commands.tasks.fit:write_report"),
    Moment("autogrow.train.fit.run:Result.write"),
    Moment("autogrow.show.display:Display.finish"),
]


def ends_in_one_line(arguments, moment, capsys, number=signal.SIGINT):
    """The line, without the program's name."""
    with pytest.MonkeyPatch.context() as patched:
        moment.send(patched, number)
        code = call(*arguments)
    said = capsys.readouterr()
    assert code == 128 + number, said.err
    assert said.err.startswith(f"autogrow: interrupted by {signal.Signals(number).name}")
    assert said.err.count("\n") == 1, said.err
    return said.err.removeprefix("autogrow: ").strip()


def losses(run):
    return [
        (row["val_loss"], row["widths"]) for row in map(json.loads, (run / "ledger.jsonl").read_text().splitlines())
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert call(*FIT[:-1], f"hydra.run.dir={folder}") == 0
    return folder


@pytest.mark.parametrize("moment", MOMENTS_OF_FIT, ids=str)
def test_a_run_interrupted_at_any_moment_goes_on_to_the_same_end(moment, whole, tmp_path, capsys):
    line = ends_in_one_line(FIT, moment, capsys)
    run = tmp_path / "run"
    if (run / "result.json").exists():
        assert line.endswith("run is complete")
    elif (run / "config.yaml").exists():
        assert line.endswith(f"go on with: autogrow fit resume={run}")
        assert call("fit", "resume=run") == 0
    else:
        assert not run.exists()
        assert "go on" not in line
        assert call(*FIT) == 0
    assert losses(run) == losses(whole)
    assert (run / "report.html").is_file()
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("number", ASK_TO_END)
@pytest.mark.parametrize(
    "moment",
    [Moment(f"{RUN}:prepare"), Moment(f"{CONTROLLER}.on_train_batch_end", 3), Moment(f"{RUN}:save_atomically")],
)
def test_each_signal_ends_a_run_alike(number, moment, tmp_path, capsys):
    ends_in_one_line(FIT, moment, capsys, number)
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() == ("prepare" not in moment.place)


STAGED = [*FIT, "data.arrival=fraction", "data.stages=[0.5,1]"]
SEARCH = ["search", *SMALL, "search.trials=3", "hydra.run.dir=run"]
SWEEP = ["fit", "-m", *SMALL, "hydra/launcher=basic", "seed=0,1", "hydra.sweep.dir=sweep"]
COMPARE = ["compare", *SMALL, "seeds=1", "arms=[grow]", "hydra.run.dir=run"]
WATCH = ["watch", "drops", "data.target=target", *SMALL[1:], "watch.settle_seconds=0", "watch.poll_seconds=0.01",
         "watch.once=true", "hydra.run.dir=run"]  # fmt: skip
TRANSFER = ["transfer", "checkpoint=whole", "widths=[16]", "out=larger.ckpt"]

MOMENTS_OF_OTHERS = [
    (STAGED, Moment("autogrow.chain.stages:prepare")),
    (STAGED, Moment("autogrow.chain.stages:fit", 2)),
    (STAGED, Moment("autogrow.chain.stages:write_stages", 2)),
    (STAGED, Moment("autogrow.commands.tasks.fit:write_stages_report")),
    (SEARCH, Moment("autogrow.compare.search:prepare")),
    (SEARCH, Moment("autogrow.compare.search:_append", 2)),
    (SEARCH, Moment("autogrow.compare.search:_keep_only_the_best", 2)),
    (SEARCH, Moment("autogrow.compare.search:fit", 3)),
    (SEARCH, Moment("autogrow.compare.search:relabel")),
    (SEARCH, Moment("autogrow.commands.tasks.search:finish_folder")),
    (SEARCH, Moment("autogrow.train.fit.run:Result.write")),
    (SWEEP, Moment("hydra._internal.hydra:Hydra.compose_config")),
    (SWEEP, Moment("autogrow.commands.tasks.fit:write_report", 2)),
    (COMPARE, Moment("autogrow.commands.tasks.compare:checked_plan")),
    (COMPARE, Moment("autogrow.commands.tasks.compare:run_jobs")),
    (WATCH, Moment("autogrow.chain.inbox:found_files")),
    (WATCH, Moment("autogrow.chain.inbox:Dropped.copy", 2)),
    (WATCH, Moment(f"{RUN}:prepare", 2)),
    (WATCH, Moment(f"{CONTROLLER}.on_train_batch_end", 3)),
    (WATCH, Moment("autogrow.commands.tasks.watch:finish_folder")),
    (WATCH, Moment("autogrow.chain.watch:write_latest", 2)),
    (WATCH, Moment("autogrow.chain.watch:_Watch.ending")),
    (TRANSFER, Moment("autogrow.commands.tasks.transfer:transfer")),
    (["plan", *SMALL], Moment("autogrow.commands.tasks.plan:rehearse")),
    (["predict", "whole", "table.csv", "out=answers.csv"], Moment("autogrow.commands.tasks.asked:load")),
    (["predict", "whole", "table.csv", "out=answers.csv"], Moment("autogrow.commands.tasks.predict:_write_csv")),
    (["predict", "whole", "table.csv"], Moment("autogrow.commands.tasks.predict:answers")),
    (["evaluate", "whole", "table.csv", "out=found.json"], Moment("autogrow.commands.tasks.evaluate:evaluation")),
    (["evaluate", "whole", "table.csv", "out=found.json"], Moment("autogrow.commands.tasks.evaluate:write_json")),
    (["replay", "whole", "growth=gap"], Moment("autogrow.commands.replay:replay")),
    (["report", "whole"], Moment("autogrow.commands.tasks.report:write_report")),
]


@pytest.mark.parametrize(
    ("arguments", "moment"),
    MOMENTS_OF_OTHERS,
    ids=[f"{arguments[0]}-{moment}" for arguments, moment in MOMENTS_OF_OTHERS],
)
def test_every_command_ends_in_one_line_and_the_same_command_goes_on(arguments, moment, whole, tmp_path, capsys):
    (tmp_path / "whole").symlink_to(whole)
    table = load_iris(as_frame=True).frame
    table.to_csv(tmp_path / "table.csv", index=False)
    if arguments is WATCH:
        (tmp_path / "drops").mkdir()
        for part in range(2):
            table.iloc[part::2].to_csv(tmp_path / "drops" / f"{part}.csv", index=False)
    ends_in_one_line(arguments, moment, capsys)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".ckpt", ".json", ".autogrow")]
    assert not (tmp_path / "answers.csv").exists()
    if arguments is STAGED and (tmp_path / "run" / "config.yaml").exists():
        arguments = ["fit", "resume=run"]
    if arguments not in (COMPARE, SWEEP):  # whose runs are processes of their own, and which is Hydra's own way
        assert call(*arguments) == 0, capsys.readouterr().err
    if arguments is WATCH:
        drops = json.loads((tmp_path / "run" / "watch.json").read_text())["drops"]
        assert [(drop["state"], drop["run"]) for drop in drops] == [("taken", "run_0"), ("taken", "run_1")]
    if arguments is SEARCH:
        assert len(read_trials(tmp_path / "run")) == 3


def test_a_signal_while_a_comparison_runs_is_for_its_children(tmp_path, capsys):
    line = ends_in_one_line(COMPARE, Moment("autogrow.children.jobs:_start"), capsys)
    assert "go on with: autogrow compare data=iris" in line


def test_ctrl_c_a_second_time_does_not_wait_for_the_step(capsys):
    from autogrow.train.fit.net.module import GrowingModule

    steps = []

    def endless(module, *_):
        steps.append(module)
        while True:  # a step that takes longer than anybody waits
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(GrowingModule, "training_step", endless)
        assert call(*FIT) == 130
    assert len(steps) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), "go on with: autogrow fit resume=" in said) == (1, True)


@pytest.mark.parametrize("number", ASK_TO_END)
def test_a_signal_that_was_ignored_from_the_start_stays_so(number, capsys):
    """Under nohup, and in the background of a script."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.MonkeyPatch.context() as patched:
            Moment(f"{RUN}:prepare").send(patched, number)
            assert call("plan", *SMALL) == 0
        with pytest.MonkeyPatch.context() as patched:
            Moment(f"{CONTROLLER}.on_train_batch_end").send(patched, number)
            assert call(*FIT) == 0
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_handlers_are_as_before_and_a_library_call_raises(monkeypatch):
    from autogrow.train.fit import run

    before = [signal.getsignal(number) for number in ASK_TO_END]
    monkeypatch.setattr(run, "prepare", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert call(*FIT) == 130
    assert [signal.getsignal(number) for number in ASK_TO_END] == before


IMPORTS = """
import signal, sys
asked = sys.argv[1]  # a command has arguments of its own
class Finder:
    def find_spec(self, name, *_):
        if name == asked:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from autogrow.cli import main
main(["fit", "data=iris", "hydra.run.dir=run"])
"""


@pytest.mark.parametrize(("name", "what"), [("hydra", ""), ("torch", "; nothing was written")])
def test_a_signal_while_modules_are_imported(name, what, tmp_path):
    ended = subprocess.run([sys.executable, "-c", IMPORTS, name], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, f"autogrow: interrupted by SIGINT{what}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_end_training(tmp_path):
    """As in `autogrow fit … | head -1`."""
    command = [sys.executable, "-m", "autogrow", *FIT, "trainer.check_every=1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert b"autogrow fit data=iris" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert (tmp_path / "run" / "result.json").is_file()


def test_answers_that_nobody_reads_are_not_worked_out(whole, tmp_path, monkeypatch):
    from autogrow.commands.tasks import asked

    load_iris(as_frame=True).frame.to_csv(tmp_path / "table.csv", index=False)
    parts, chunks = [], asked.Asked.chunks
    monkeypatch.setattr(asked.Asked, "chunks", lambda *given: (parts.append(part) or part for part in chunks(*given)))
    with os.fdopen(unread_pipe(), "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert call("predict", str(whole), "table.csv", "chunk_rows=10") == 0
    assert len(parts) == 2  # of 15: the second was on its way when the first was written


def unread_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def closed_terminal():
    terminal, writer = pty.openpty()
    os.close(terminal)
    return writer


@pytest.mark.parametrize("broken", [unread_pipe, closed_terminal])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("buffering", [-1, 1])
def test_what_nobody_reads_is_dropped(broken, name, buffering, monkeypatch):
    with os.fdopen(broken(), "w", buffering) as stream:
        monkeypatch.setattr(sys, name, stream)
        with standing_streams():
            for _ in range(3):
                print("x" * 100_000, file=getattr(sys, name), flush=True)
            os.write(stream.fileno(), b"of a library")
        assert getattr(sys, name) is stream


def test_a_full_disk_under_the_output_is_not_passed_over(monkeypatch, capsys):
    """What is lost there, nobody went away from."""
    with open("/dev/full", "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert call("--version") == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == "autogrow: No space left on device\n"


def test_streams_that_are_none_and_names_that_no_terminal_has(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stderr", None)
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with standing_streams():
            print("ünï")
            print("lost", file=sys.stderr)
    assert (tmp_path / "out").read_text() == "\\xfcn\\xef\n"


def test_every_file_is_on_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    flushed, put = set(), []
    fsync, replace = os.fsync, os.replace

    def flush(handle):
        fsync(handle)
        flushed.add(os.fstat(handle).st_ino)

    def place(source, target):
        put.append((os.path.basename(target), os.stat(source).st_ino in flushed))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", place)
    assert call(*FIT) == 0
    assert {name for name, _ in put} >= {"config.yaml", "last.ckpt", "previous.ckpt", "best.ckpt", "result.json"}
    assert all(on_disk for _, on_disk in put)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("place", "time"),
    [
        *(("autogrow.train.record.files:Draft.put", time) for time in range(1, 12)),
        ("autogrow.train.record.ledger:open_to_append", 1),
        ("autogrow.train.record.ledger:open_to_append", 3),
    ],
)
def test_a_disk_that_is_full_at_any_write_leaves_a_folder_that_goes_on(place, time, whole, tmp_path, capsys):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signal, "raise_signal", lambda _: throw(FULL))
        Moment(place, time).send(patched)
        code = call(*FIT)
    said, run = capsys.readouterr().err, tmp_path / "run"
    assert (code in (1, 2), said.count("\n"), "No space left on device" in said) == (True, 1, True), said
    if (run / "config.yaml").exists():
        assert f"go on with: autogrow fit resume={run}" in said
        assert call("fit", "resume=run") == 0
    else:
        assert not run.exists()
        assert call(*FIT) == 0
    assert losses(run) == losses(whole)
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]


def throw(error):
    raise error
