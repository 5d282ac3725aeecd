"""What a run leaves on disk is written, named and read in one room:
nothing else in autogrow opens a file to write to it.
"""

import ast
from pathlib import Path

import pytest

import autogrow
from autogrow.train.record import folder as names

SOURCE = Path(autogrow.__file__).parent
ROOM = SOURCE / "train" / "record"
ALLOWED = {
    ("checkpoint_writer.py", "save_checkpoint"): "Lightning writes by name: to that of a draft of the room",
    ("checkpoint_writer.py", ".replace"): "last.ckpt, whole, becomes previous.ckpt",
    ("known_rows.py", "np.savez"): "into memory",
    ("torch_file.py", "torch.save"): "into memory",
    ("compressed.py", ".open"): "a member of an archive, to be read",
    ("predict.py", ".to_csv"): "into a file that the room has opened, or to stdout",
    ("own_split.py", ".open"): "a member of an archive in memory",
    ("standing_streams.py", "os.open"): "nowhere, for what nobody reads",
    ("standing_streams.py", "open"): "nowhere, too",
    (
        "study.py",
        "JournalFileBackend",
    ): "Optuna appends to its journal itself; the room has opened it once before, links refused",
}
WRITES = {
    "write_text",
    "write_bytes",
    "savefig",
    "write_html",
    "write_image",
    "save_checkpoint",
    "symlink_to",
    "hardlink_to",
    "touch",
    "fdopen",
    "to_parquet",
    "to_pickle",
    "tofile",
}
OF_MODULES = {
    "shutil": {"copy", "copy2", "copyfile", "copytree", "copyfileobj", "move"},
    "os": {"open", "rename", "replace", "link", "symlink", "truncate", "mknod", "mkfifo"},
    "torch": {"save"},
    "np": {"save", "savez", "savez_compressed", "savetxt"},
    "json": {"dump"},
    "pickle": {"dump"},
    "joblib": {"dump"},
    "yaml": {"dump", "safe_dump"},
    "OmegaConf": {"save"},
    "io": {"open", "FileIO"},
    "tempfile": {"mkstemp", "NamedTemporaryFile", "TemporaryFile", "mktemp"},
}


def writes(call: ast.Call) -> str:
    """How a call writes to a file, by a name for it; empty for one that does not."""
    func = call.func
    if isinstance(func, ast.Name):
        known = func.id == "JournalFileBackend" or (func.id == "open" and _to_write(call, at=1))
        return func.id if known else ""
    if not isinstance(func, ast.Attribute):
        return ""
    name, module = func.attr, func.value.id if isinstance(func.value, ast.Name) else ""
    if name in OF_MODULES.get(module, ()):
        return f"{module}.{name}"
    moved = name in ("replace", "rename") and len(call.args) == 1 and not call.keywords  # a path's; a text's takes two
    table = name == "to_csv" and bool(call.args or call.keywords)
    if moved or table or (name == "open" and _to_write(call, at=0)):
        return f".{name}"
    return name if name in WRITES else ""


def _to_write(call: ast.Call, at: int) -> bool:
    given = [*call.args[at : at + 1], *(k.value for k in call.keywords if k.arg == "mode")]
    return any(not isinstance(m, ast.Constant) or set(str(m.value)) & set("wax+") for m in given)


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if ROOM not in path.parents)


def test_nothing_outside_the_room_writes_a_file():
    found = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (how := writes(node)):
                found.setdefault((path.name, how), []).append(f"{path.relative_to(SOURCE)}:{node.lineno}: {how}")
    assert {key: where for key, where in found.items() if key not in ALLOWED} == {}
    assert [key for key in ALLOWED if key not in found] == []  # what is allowed is there


@pytest.mark.parametrize(
    "code",
    [
        "open(p, 'w')",
        "open(p, mode='ab')",
        "open(p, m)",
        "p.open('r+')",
        "p.open('xb')",
        "p.write_text('')",
        "(a / b).write_bytes(b'')",
        "temporary.replace(path)",
        "path.rename(other)",
        "os.replace(a, b)",
        "os.open(a, f)",
        "shutil.copyfile(a, b)",
        "tempfile.mkstemp()",
        "torch.save(x, p)",
        "OmegaConf.save(cfg, p)",
        "json.dump(x, f)",
        "frame.to_csv(p)",
        "trainer.save_checkpoint(p)",
    ],
)
def test_the_law_knows_a_write_when_it_sees_one(code):
    assert writes(ast.parse(code).body[0].value)


@pytest.mark.parametrize(
    "code",
    [
        "open(p)",
        "open(p, 'rb')",
        "p.open('rb')",
        "p.open()",
        "text.replace('a', 'b')",
        "replace(spec, out=p)",
        "frame.rename(columns=c)",
        "frame.to_csv()",
        "write_bytes(p, b'')",
        "json.dumps(x)",
    ],
)
def test_the_law_lets_reading_and_the_rooms_own_writers_be(code):
    assert not writes(ast.parse(code).body[0].value)


def test_every_file_of_a_run_folder_is_named_once():
    known = {
        value
        for key, value in vars(names).items()
        if key.isupper() and isinstance(value, str) and "." in value.strip(".")
    }
    assert {
        "result.json",
        "config.yaml",
        "ledger.jsonl",
        "best.ckpt",
        "watch.json",
        "plan.json",
        "report.html",
    } <= known
    again = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.rpartition("/")[2] in known
            ):
                again.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {node.value}")
    assert again == []
