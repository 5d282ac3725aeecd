"""A law of every reader: whatever a file of a run folder holds, it is read as it was written or refused in one line.

A real run is taken, one value or one file of it is made wrong, and everybody who reads it is asked. Nobody may end with
anything but an error of ours, in one line; nobody may need more memory than the file is large.
"""

import itertools
import shutil
import warnings

import pytest

import autogrow
from autogrow.errors import AutogrowError
from autogrow.policy import LifeCycle

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
FILES = ("result.json", "data_card.json", "curves.json", "ledger.jsonl", "config.yaml", "checkpoints/best.ckpt",
         "checkpoints/last.ckpt", "checkpoints/best.split.npz")  # fmt: skip


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that has grown, and a second one beside it."""
    home = tmp_path_factory.mktemp("whole")
    for seed in (0, 1):
        run(home / "runs" / f"run_{seed}", seed)
    return home


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole / "runs", tmp_path / "runs")
    return tmp_path / "runs" / "run_0"


def spec_of(folder, seed=0):
    from autogrow.data import DataSpec
    from autogrow.policy import FixedSchedule, Growth
    from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec

    return FitSpec(
        data=DataSpec(source="sklearn", name="iris"),
        policy=LifeCycle(growth=Growth(when=FixedSchedule((1,)))),
        net=NetSpec(widths=[4]),
        trainer=TrainerSpec(max_epochs=24, check_every=4, checkpoint_seconds=0),
        seed=seed,
        out=folder,
        config="seed: 0\n",
    )


def run(folder, seed=0):
    from autogrow.commands.fit import finish_folder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = autogrow.fit(spec_of(folder, seed))
    finish_folder(result, "seed: 0\n", [f"seed={seed}"])


def go_on(folder):
    (folder / "result.json").unlink(missing_ok=True)
    autogrow.fit(spec_of(folder), resume=True)
