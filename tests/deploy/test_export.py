"""`autogrow export`: what runs elsewhere answers what the net answers. The artefacts are run, not looked at."""

import json
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nets_to_export import KINDS, mixed_table, trained

import autogrow
from autogrow.cli import main
from autogrow.commands.tasks.export import data_of, lines
from autogrow.data import DataSpec
from autogrow.deploy.export import ReceiptError, export, portable, target_of, write
from autogrow.deploy.export.c_source.compiled import compiler
from autogrow.deploy.export.int8 import _answers, _inputs_of_layers, _products, _quantised, quantise
from autogrow.deploy.export.layers import Activation, Affine, Convolve, Skip
from autogrow.deploy.export.mlp_layers import mlp_layers
from autogrow.deploy.export.onnx_file import OnnxFile
from autogrow.deploy.export.rows import own_rows, probe_rows
from autogrow.deploy.export.torch_file import TorchFile
from autogrow.errors import UsageError

needs_onnx = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed: autogrow[onnx]")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C compiler here (cc, gcc or clang)")
NEEDS = {"onnx": needs_onnx, "c": needs_compiler}
NOT_FOR_SKLEARN = {
    "members, layer norm": "members",
    "deepened by a block, rms norm": "no normalise",
    "images, conv": "no convolve",
}
PAIRS = [
    *((kind, to) for kind in KINDS for to in ("torch", "onnx", "sklearn") if (kind, to) != ("digits", "sklearn")),
    *((kind, "c") for kind in KINDS if kind != "images, conv"),
    *((kind, "pt2") for kind in ("embedded", "images, conv")),  # torch.export takes seconds
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of a kind, its data and its net taken apart; each is trained once."""
    made = {}

    def of(kind):
        if kind not in made:
            folder, data = trained(kind, tmp_path_factory.mktemp("runs") / "made")
            made[kind] = folder, data, portable(autogrow.load(folder))
        return made[kind]

    return of


@pytest.fixture(autouse=True)
def _no_time_is_taken(monkeypatch):
    monkeypatch.setattr(write, "WARM", 1)
    monkeypatch.setattr(write, "FEWEST", 2)
    monkeypatch.setattr(write, "SECONDS", 0.0)


def exported(run, kind, to, out, **how):
    folder, data, net = run(kind)
    return export(net, target_of(to), out, data=data, checkpoint=folder / "checkpoints" / "best.ckpt", **how)


@pytest.mark.parametrize(("kind", "to"), [pytest.param(*pair, marks=NEEDS.get(pair[1], ())) for pair in PAIRS])
def test_an_artefact_answers_what_the_net_answers(run, kind, to, tmp_path):
    if to == "sklearn" and kind in NOT_FOR_SKLEARN:
        with pytest.raises(UsageError, match=f"^to=sklearn: its .* {NOT_FOR_SKLEARN[kind]}.*; to=onnx has$"):
            exported(run, kind, to, tmp_path)
        assert list(tmp_path.iterdir()) == []
        return
    done = exported(run, kind, to, tmp_path)
    facts = json.loads((tmp_path / "export.json").read_text())
    receipt = facts["receipt"]
    assert receipt["max_abs_change"] < 1e-5
    assert receipt["validation_rows"] == {"digits": 359}.get(kind, 48)
    assert receipt["why"] == ""
    assert facts["bytes"] == (tmp_path / facts["file"]).stat().st_size
    assert {path.name for path in tmp_path.iterdir()} == set(done.files)
    if facts["validation"] is not None:
        assert abs(facts["validation"]["lost"]) < 1e-6


@needs_onnx
@pytest.mark.parametrize("kind", KINDS)
def test_int8_loses_little(run, kind, tmp_path):
    done = exported(run, kind, "onnx", tmp_path, int8=True)
    facts, receipt = done.facts, done.facts["receipt"]
    beside = f"(on {receipt['probe_rows']} drawn far out by {receipt['probe']:.2g})"
    assert f"by at most {receipt['validation']:.2g} " in lines(done)[0]
    assert lines(done)[0].endswith(f"{receipt['validation_rows']} validation rows {beside}")
    assert abs(facts["validation"]["lost"]) < 0.03  # 48 rows: one of them
    assert facts["receipt"]["max_abs_change"] == facts["receipt"]["validation"] < 0.5
    float_bytes = len(OnnxFile().write(run(kind)[2], int8=False, calibration=np.zeros(0)).files["net.onnx"])
    assert kind != "digits" or facts["bytes"] < 0.7 * float_bytes


def test_int8_weights_are_whole_and_no_input_makes_another_coarse(run):
    folder, data, net = run("regression, knots")
    own = own_rows(net, data, folder / "checkpoints" / "best.ckpt")
    stack = quantise(net, own.train).stacks[0]
    layers = [step for step in stack if hasattr(step, "factor")]
    assert len(layers) == sum(isinstance(step, Affine) for step in net.stacks[0])
    for layer in layers:
        assert np.abs(layer.weight.astype(int)).max(1).tolist() == [127] * len(layer.weight)
    assert len(set(layers[0].factor.round(6).tolist())) > 5  # columns and ramps reach differently far
    assert all(layer.scaled_before for layer in layers[1:])  # behind a ReLU it is in the layer before


@pytest.mark.parametrize("kind", ["regression, knots", "images, conv"])
def test_an_int8_layer_is_right_on_average_where_it_was_calibrated(run, kind):
    folder, data, net = run(kind)
    rows = own_rows(net, data, folder / "checkpoints" / "best.ckpt").train
    given = _inputs_of_layers(net, rows)
    for i, step in enumerate(net.stacks[0]):
        if isinstance(step, (Affine, Convolve)):
            x = given[f"members.0.steps.{i}"]
            made = _quantised(step, x)
            off = _products(step.weight, x, step) - _answers(made, x, step)
            right = off.movedim(1, -1).reshape(-1, off.shape[1]).mean(0).numpy()
            assert off.abs().max() > 1e-6
            np.testing.assert_allclose(made.bias - step.bias, right, rtol=1e-9, atol=1e-12)


@needs_onnx
def test_a_column_that_32_bits_would_merge_is_told_apart(run):
    _, _, net = run("regression, knots")
    assert net.exact_inputs
    far = [one.name for one in net.inputs].index("far")
    rows = np.repeat(net.rows_of(mixed_table().head(1)[list(net.delivered.pipeline.columns)]), 2, axis=0)
    rows[:, far] = 1e9 - 2e-3, 1e9 + 2e-3
    one, other = _asked(net, TorchFile(), rows)
    assert abs(one - other) > 0.1 * net.target_std[0]
    assert np.abs(np.array([one, other]) - _asked(net, OnnxFile(), rows)).max() < 1e-4 * net.target_std[0]


def _asked(net, target, rows):
    """The first output of an artefact."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in target.write(net, int8=False, calibration=rows[:0]).files.items():
            (Path(name) / file).write_bytes(content)
        with target.run(net, Path(name), int8=False) as running:
            return running.answers(rows)[:, 0]


ALONE = """
import importlib, json, os, sys
sys.modules["autogrow"] = None  # importing it fails
import numpy, torch
said = {}
for to in ("pt2", "torch"):
    os.chdir(os.path.join(sys.argv[1], to))
    sys.path.insert(0, os.getcwd())
    rows = torch.from_numpy(numpy.load("rows.npy"))
    net = torch.export.load("net.pt2").module() if to == "pt2" else importlib.import_module("net").load("net.pt")
    encode = importlib.import_module("encode").Encoder("encoder.json")
    given = [[str(value) for value in encode(record)] for record in json.load(open("records.json"))]
    said[to] = {"answers": net(rows).tolist(), "given": given}
print(json.dumps(said))
"""


def test_the_files_are_enough_in_a_process_without_autogrow(run, tmp_path):
    of = {"pt2": "regression, knots", "torch": "members, layer norm"}
    for to, kind in of.items():
        net = run(kind)[2]
        exported(run, kind, to, tmp_path / to)
        table = mixed_table().head(5)[list(net.delivered.pipeline.columns)]
        table.to_json(tmp_path / to / "records.json", orient="records", date_format="iso", double_precision=15)
        np.save(tmp_path / to / "rows.npy", net.as_given(net.rows_of(table)))
    done = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=True)
    for to, said in json.loads(done.stdout).items():
        net = run(of[to])[2]
        table = mixed_table().head(5)[list(net.delivered.pipeline.columns)]
        rows = net.rows_of(table)
        assert np.isnan(rows).any()
        np.testing.assert_allclose(np.array(said["given"], dtype=np.float64), rows, rtol=1e-12, atol=1e-6)
        assert np.abs(np.array(said["answers"]) - net.answers_of(table)).max() < 1e-4 * net.target_std.max()


def test_encode_reads_text_as_the_run_did(run, tmp_path):
    _, _, net = run("two classes")
    exported(run, "two classes", "torch", tmp_path)
    sys.path.insert(0, str(tmp_path))
    try:
        from encode import Encoder
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("encode")
    encode = Encoder(tmp_path / "encoder.json")
    row = {"a": "NA", "hue": "purple", "b": "1.5", "far": 1e9, "day": "2024-03-01T06:00:00", "zip": "x2"}
    table = pd.DataFrame([{**row, "a": np.nan, "b": 1.5, "day": pd.Timestamp(row["day"])}])
    np.testing.assert_allclose(encode(row), net.rows_of(table)[0], rtol=1e-12, atol=1e-6)
    with pytest.raises(KeyError, match="far"):
        encode({name: value for name, value in row.items() if name != "far"})


class Lying(TorchFile):
    """A target whose artefact answers otherwise than the net."""

    def write(self, net, *, int8, calibration):
        written = super().write(net, int8=int8, calibration=calibration)
        with torch.no_grad():
            net.delivered.net.head.bias[0] += 0.1
        return written


def test_a_broken_receipt_leaves_nothing_under_its_name(run, tmp_path):
    folder, data, _ = run("two classes")
    net = portable(autogrow.load(folder))
    (tmp_path / "net.pt").write_text("of before")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ReceiptError, match="would answer otherwise than the net") as said:
        export(net, Lying(), tmp_path, data=data, checkpoint=folder / "checkpoints" / "best.ckpt")
    assert said.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_its_data_the_receipt_is_of_the_probe_alone(run, tmp_path):
    folder, data, net = run("two classes")
    checkpoint = folder / "checkpoints" / "best.ckpt"
    gone = export(net, TorchFile(), tmp_path, data=DataSpec(path="gone.csv", target="yes"), checkpoint=checkpoint).facts
    assert (gone["receipt"]["validation_rows"], gone["validation"]) == (0, None)
    assert "gone.csv" in gone["receipt"]["why"]
    changed = pd.read_csv(data.path)
    changed.loc[:100, "b"] += 1
    changed.to_csv(tmp_path / "changed.csv", index=False)
    spec = DataSpec(path=str(tmp_path / "changed.csv"), target="yes")
    less = export(net, TorchFile(), tmp_path, data=spec, checkpoint=checkpoint).facts["receipt"]
    assert 0 < less["validation_rows"] < 48
    assert f"{48 - less['validation_rows']} of its validation rows" in less["why"]


def test_logits_are_what_stands_before_the_softmax(run):
    folder, _, _ = run("embedded")
    net = portable(autogrow.load(folder), logits=True)
    probe = probe_rows(net)
    z = _asked(net, TorchFile(), probe.x)
    assert np.abs(z - probe.answers[:, 0]).max() < 1e-4
    assert probe.answers.min() < 0


BAD = [
    (["to=onxx"], "to=onxx: there is no such target; did you mean 'onnx'?"),
    (["to=torch", "int8=true"], "to=torch has no int8: to=onnx and to=c have"),
    (["to=sklearn", "logits=true"], "to=sklearn has no logits: to=onnx has"),
    (["to=torch", "out=FILE"], "must be a folder, and is a file"),
    ([], "export takes a run and a target"),
    (["to=torch", "int9=true"], "unknown key 'int9'"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[said for _, said in BAD])
def test_what_cannot_be_exported_is_said_in_one_line(run, words, said, tmp_path, capsys):
    file = tmp_path / "there.txt"
    file.write_text("")
    folder = run("two classes")[0]
    with pytest.raises(SystemExit) as end:
        main(["export", str(folder), *(word.replace("FILE", str(file)) for word in words)])
    line = capsys.readouterr().err
    assert (end.value.code, line.count("\n")) == (2, 1)
    assert said in line


def test_a_runtime_that_is_missing_is_named_with_what_to_install(run, monkeypatch):
    monkeypatch.setattr("autogrow.deploy.export.onnx_file.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^to=onnx needs onnx and onnxruntime: pip install 'autogrow\[onnx\]'$"):
        OnnxFile().check(run("two classes")[2], int8=False)


def test_a_run_that_is_not_complete_is_refused(run, tmp_path, capsys):
    folder = shutil.copytree(run("two classes")[0], tmp_path / "run")
    (folder / "result.json").unlink()
    with pytest.raises(SystemExit) as end:
        main(["export", str(folder), "to=torch"])
    assert end.value.code == 2
    assert "not the folder of a complete run" in capsys.readouterr().err
    assert not (folder / "export").exists()


def test_the_command_finds_the_run_s_data_by_its_config(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["fit", "data=iris", "trainer.max_epochs=4", f"hydra.run.dir={tmp_path / 'run'}"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "run"), "to=torch"])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert "on 31 validation rows and 256 drawn ones" in said
    assert (tmp_path / "run" / "export" / "torch" / "net.pt").is_file()
    assert data_of(tmp_path / "run").source == "sklearn"


def made_of(steps, x):
    """What steps make of rows, by themselves."""
    for step in steps:
        if isinstance(step, Affine):
            x = x @ step.weight.T + step.bias
        else:
            x = x + made_of(step.steps, x) if isinstance(step, Skip) else np.maximum(x, 0)
    return x


def test_skip_connections_are_layers_of_a_wider_net():
    rng = np.random.default_rng(0)

    def affine(inputs, outputs):
        return Affine(rng.normal(size=(outputs, inputs)), rng.normal(size=outputs))

    relu = Activation("relu")
    block = Skip((affine(4, 7), relu, Skip((affine(7, 7), relu)), affine(7, 4)))
    steps = [affine(4, 4), block, relu, affine(4, 2)]  # what the block hands through is of either sign
    found = mlp_layers(steps, 4)
    x = rng.normal(size=(20, 4))
    layered = [step for layer in found.layers for step in (layer, relu)][:-1]
    assert len(found.layers) == 4
    np.testing.assert_allclose(made_of(layered, x), made_of(steps, x), rtol=1e-12, atol=1e-12)
