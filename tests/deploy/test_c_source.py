"""The C file answers what the net answers: compiled here without a warning, on a thousand rows of every kind of net."""

import re
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import autogrow
from autogrow.data import Pipeline
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.fit_encoder import fit_table_encoder
from autogrow.data.preprocess import Standardise, fit_table
from autogrow.deploy.export.c_source import compiled as compiling
from autogrow.deploy.export.c_source.compiled import compiler
from autogrow.deploy.export.c_source.float_code import float_code
from autogrow.deploy.export.c_source.int8_code import int8_code
from autogrow.deploy.export.c_source.program import program_of
from autogrow.deploy.export.c_source.quantise import quantised, reckoned
from autogrow.deploy.export.c_source.reckon import answered
from autogrow.deploy.export.c_source.target import CFile
from autogrow.deploy.export.c_source.text import comment_text
from autogrow.deploy.export.net import portable
from autogrow.errors import AutogrowError, UsageError
from autogrow.nets import ACTIVATIONS, ConvNet, DenseNet, MeanOfMembers
from autogrow.nets.c_bytes import CODE, flash_bytes, ram_bytes
from autogrow.train.fit.net.deliver import Delivered

needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C compiler here (cc, gcc or clang)")
ROWS = 1000
STRICT = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Compiled a third faster, and none the less strictly."""
    monkeypatch.setattr(compiling, "FLAGS", STRICT)


def table(*, missing=True, categories=True, far=False, many=0, rows=ROWS):
    """Rows with gaps, a column without any, categories, a date, a constant; and with `far` one of 1e9 ± 1e-3."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"plain": rng.normal(3, 2, rows), "wide": rng.lognormal(0, 2, rows), "flag": rng.random(rows) < 0.3}
    )
    if missing:
        frame["gaps"] = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    if categories:
        frame.insert(1, "colour", rng.choice(np.array(["red", "green", None, "*/ ??/"], dtype=object), rows))
        frame["size"] = rng.choice(["s", "m", "l", "xl", "xxl"], rows)
    for i in range(many):
        frame[f"either {i}"] = rng.choice(["a", "b"], rows)
    if far:
        frame["far"] = 1e9 + rng.normal(size=rows) * 1e-3
        frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s")
    return frame


def pipeline_of(frame, *, coding="onehot", outputs=3, targets=0, exact=False):
    """As of a run that learned from the first half, in which some values of the second do not occur."""
    train = frame.iloc[: len(frame) // 2]
    train = train[train["size"] != "xxl"] if "size" in frame else train
    encoder = fit_table_encoder(train, categorical=(), coding=coding, most=50, ignored=())
    encoded = encoder.encode(train)
    scale = None
    if targets:
        kind = torch.float64 if exact else torch.float32
        scale = (
            torch.linspace(-50, 1e9 if exact else 900, targets, dtype=kind),
            torch.linspace(0.5, 20, targets, dtype=kind),
        )
    names = [f"t{i}" for i in range(targets)] or ["y"]
    labels = [] if targets else [f"class {i}" for i in range(outputs)]
    task = "regression" if targets else "classification"
    preprocess = fit_table(encoded, encoder.quantities)
    return Pipeline(task, (encoder.width,), targets or outputs, labels, names, encoder, preprocess, scale)


def drawn(net, seed=0):
    """The net with weights, norms and running statistics as if it had learned, residual gates open."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            fan_in = parameter.shape[-1] if parameter.ndim > 1 else 4
            parameter.normal_(generator=generator).mul_(1.3 / fan_in**0.5)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
        for name, buffer in net.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.2, 3, generator=generator)
            elif name.endswith("running_mean"):
                buffer.normal_(generator=generator)
    return net.eval()


def delivered(pipeline, widths, *, deepened=None, knots=(), mean="probabilities", seed=0, **arguments):
    members, features = arguments.get("members", 1), pipeline.input_shape[0]
    torch.manual_seed(seed)
    net = DenseNet(features, widths, pipeline.outputs, embeddings=pipeline.embeddings, **arguments).eval()
    rows = torch.zeros(4, features)
    example = rows if members == 1 else rows.expand(members, 4, features)
    for column in knots:
        autogrow.refine(net, f"inputs[{column}]", [-1.5, -0.3, -0.29999, 0.2, 1.0], example=example)
    if deepened:
        autogrow.deepen(net, deepened, kind="residual", example=example)
    drawn(net, seed)
    of_probabilities = mean == "probabilities" and pipeline.task == "classification"
    whole = net if members == 1 else MeanOfMembers(net, members, probabilities=of_probabilities, sharpness=1.7)
    return Delivered(whole, pipeline).eval()


def written(net, folder, *, int8=False, calibration=None):
    target = CFile()
    target.check(net, int8=int8)
    made = target.write(net, int8=int8, calibration=np.zeros(0) if calibration is None else calibration)
    (folder / "net.h").write_bytes(made.files["net.h"])
    return made


def answers_of_c(net, frame, folder, **how):
    written(net, folder, **how)
    with CFile().run(net, folder, int8=how.get("int8", False)) as running:
        return running.answers(net.rows_of(frame))


def assert_answers(net, got, want, bound=1e-5):
    unit = net.target_std if net.answer == "values" else 1.0
    apart = np.abs(got - want) / np.maximum(unit, np.abs(want))
    assert got.shape == want.shape
    assert apart.max() <= bound


KINDS = {
    "plain": {},
    "no hidden layer": {"widths": []},
    "residual": {"residual": True},
    "a block": {"deepened": "hidden.1.act"},
    "a block in a residual stage": {"residual": True, "deepened": "hidden.1.act", "norm": "layer"},
    "batch norm": {"norm": "batch", "residual": True, "deepened": "hidden.0.act"},
    "rms norm": {"norm": "rms", "activation": "silu"},
    "members": {"members": 3},
    "members, mean of logits": {"members": 2, "mean": "logits", "norm": "layer"},
    "knots": {"knots": (0, 1)},
    "knots and members": {"knots": (0, 2), "members": 2, "residual": True},
    "embeddings": {"coding": "embed"},
    "embeddings and knots": {"coding": "embed", "knots": (1,)},
    "far columns": {"far": True},
    "far columns with knots": {"far": True, "knots": (0, 3)},
    "three targets": {"targets": 3},
    "exact targets of members": {"targets": 2, "exact": True, "members": 2, "far": True},
    "one target, exact": {"targets": 1, "exact": True},
    "two classes": {"outputs": 2, "missing": False, "categories": False},
}
OF_TABLE, OF_PIPELINE = ("missing", "categories", "far", "many"), ("coding", "outputs", "targets", "exact")


def net_of(kind, **more):
    """The portable net of a kind, and rows for it."""
    how = {"widths": [10, 10], **kind, **more}
    frame = table(**{k: how.pop(k) for k in OF_TABLE if k in how})
    pipeline = pipeline_of(frame, **{k: how.pop(k) for k in OF_PIPELINE if k in how})
    return portable(delivered(pipeline, how.pop("widths"), **how)), frame


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_c_answers_as_the_net_does(kind, tmp_path):
    net, frame = net_of(KINDS[kind])
    assert_answers(net, answers_of_c(net, frame, tmp_path), net.answers_of(frame))
    assert selftest(tmp_path).returncode == 0


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, tmp_path):
    net, frame = net_of({"activation": activation, "categories": False})
    assert_answers(net, answers_of_c(net, frame, tmp_path), net.answers_of(frame))


@needs_compiler
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_c_answers_as_any_small_net_does(tmp_path_factory, data):
    members = data.draw(st.integers(1, 3), "members")
    how = {
        "activation": data.draw(st.sampled_from(list(ACTIVATIONS)), "activation"),
        "norm": data.draw(st.sampled_from(["none", "layer", "rms"] + ["batch"] * (members == 1)), "norm"),
        "residual": data.draw(st.booleans(), "residual"),
        "widths": [data.draw(st.integers(1, 20), "width")] * data.draw(st.integers(1, 3), "depth"),
        "targets": data.draw(st.integers(0, 3), "targets"),
        "outputs": data.draw(st.integers(2, 5), "outputs"),
        "knots": tuple(data.draw(st.sets(st.integers(0, 2), max_size=2), "knots")),
        "deepened": data.draw(st.sampled_from([None, "hidden.0.act"]), "deepened"),
        "mean": data.draw(st.sampled_from(["probabilities", "logits"]), "mean"),
        "missing": data.draw(st.booleans(), "missing"),
        "far": data.draw(st.booleans(), "far"),
        "seed": data.draw(st.integers(0, 99), "seed"),
    }
    net, frame = net_of({**how, "members": members})
    assert_answers(net, answers_of_c(net, frame, tmp_path_factory.mktemp("c")), net.answers_of(frame))


@needs_compiler
def test_logits_are_answered_where_asked_for(tmp_path):
    kind, frame = net_of({"members": 2})
    net = portable(kind.delivered, logits=True)
    assert_answers(net, answers_of_c(net, frame, tmp_path), net.answers_of(frame))


@needs_compiler
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_as_they_are(channels, tmp_path):
    shape, images = (
        (channels, 5, 4),
        np.random.default_rng(0).integers(0, 256, (ROWS, channels, 5, 4)).astype(np.float32),
    )
    level = torch.arange(1.0, channels + 1).view(-1, 1, 1)
    preprocess = Standardise(level * 0, level * 90, 1 / (level * 60), level * 0 + torch.inf)
    pipeline = Pipeline("classification", shape, 4, list("abcd"), ["y"], ImageEncoder(shape), preprocess, None)
    net = portable(Delivered(drawn(DenseNet(shape, [12], 4)), pipeline).eval())
    assert_answers(net, answers_of_c(net, images, tmp_path), net.answers_of(images))


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_int8_computes_what_its_arithmetic_says_and_is_near_the_net(kind, tmp_path):
    net, frame = net_of(KINDS[kind])
    rows = net.rows_of(frame)
    got = answers_of_c(net, frame, tmp_path, int8=True, calibration=rows)
    small = quantised(program_of(net), net.as_given(rows))
    unit = net.target_std if net.answer == "values" else 1.0
    apart = np.abs(got - answered(net, reckoned(small, net.as_given(rows)))) / unit
    assert np.quantile(apart, 0.99) <= 1e-4  # here and there 32 bits round to the other one of two neighbours
    assert apart.max() <= 0.1
    lost = np.sqrt(np.square((got - net.answers_of(frame)) / unit).mean())
    assert lost <= 0.05
    assert selftest(tmp_path).returncode == 0


def selftest(folder):
    """The file's own main, compiled and run."""
    program = str(folder / "selftest")
    subprocess.run(
        [compiler(), *STRICT, "-DNET_SELFTEST", "-x", "c", str(folder / "net.h"), "-lm", "-o", program], check=True
    )
    return subprocess.run([program], capture_output=True, text=True, check=False)


@needs_compiler
def test_the_self_test_sees_a_wrong_weight(tmp_path):
    net, _ = net_of({})
    written(net, tmp_path)
    text = (tmp_path / "net.h").read_text()
    spoiled = re.sub(r"(net_b1\[10\] = \{\n)-?[\d.]+f", r"\g<1>7.0f", text)
    assert spoiled != text
    (tmp_path / "net.h").write_text(spoiled)
    done = selftest(tmp_path)
    assert done.returncode == 1
    assert "should be" in done.stdout


@needs_compiler
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(
    "kind",
    [{}, {"members": 2}, {"widths": [40, 8, 24]}, {"knots": (0, 1)}, {"norm": "layer", "members": 2}, {"many": 40}],
)
def test_flash_and_ram_are_what_the_widths_say(kind, int8, tmp_path):
    net, frame = net_of({"widths": [32, 16], **kind})
    made = written(net, tmp_path, int8=int8, calibration=net.rows_of(frame))
    text, data, bss = sections(tmp_path)
    program = program_of(net)
    says = {"int8": int8, "members": program.members, "normed": kind.get("norm") == "layer"}
    flash = flash_bytes(program.sizes, **says)
    assert text + data <= made.facts["flash_bytes"] <= flash <= text + data + CODE + 16 * program.sizes[0]
    ram = ram_bytes(program.sizes, **says)
    assert ram == made.facts["ram_bytes"]
    assert ram <= bss <= ram + 3 * 32  # a compiler begins each buffer at a multiple of up to 32 bytes


def sections(folder):
    """Bytes of code and constants, of written data, and of buffers, in a file compiled for size."""
    made = str(folder / "net.o")
    subprocess.run(
        [compiler(), "-std=c99", "-Os", "-DNET_API=", "-x", "c", "-c", str(folder / "net.h"), "-o", made], check=True
    )
    table = subprocess.run(["size", made], capture_output=True, text=True, check=True).stdout
    return [int(n) for n in table.splitlines()[1].split()[:3]]


@needs_compiler
def test_a_warning_is_an_error_with_the_compilers_first_one(tmp_path):
    net, _ = net_of({})
    written(net, tmp_path)
    (tmp_path / "net.h").write_text((tmp_path / "net.h").read_text().replace("net_softmax(out, 3);", "int nobody;"))
    with (
        pytest.raises(AutogrowError, match=r"ended with code 1: .*error: .*nobody"),
        CFile().run(net, tmp_path, int8=False),
    ):
        pass


def test_conv_nets_are_refused_in_one_line():
    shape = (1, 8, 8)
    flat = torch.zeros(1, 1, 1)
    preprocess = Standardise(flat, flat + 1, flat + 2, flat + torch.inf)
    pipeline = Pipeline("classification", shape, 3, list("abc"), ["y"], ImageEncoder(shape), preprocess, None)
    net = portable(Delivered(ConvNet(shape, [4], 3).eval(), pipeline).eval())
    with pytest.raises(
        UsageError, match=r"^to=c writes dense nets, and this one has convolutions; to=onnx and to=pt2 take it$"
    ):
        CFile().check(net, int8=False)


def test_without_a_compiler_nothing_is_written(monkeypatch):
    net, _ = net_of({})
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UsageError, match="there is no no-such-compiler here"):
        CFile().check(net, int8=False)


@pytest.mark.parametrize("int8", [False, True])
def test_the_file_uses_no_heap_and_of_libm_what_is_called(int8):
    net, frame = net_of({"categories": False})
    program = program_of(net)
    made = int8_code(quantised(program, net.as_given(net.rows_of(frame)))) if int8 else float_code(program)
    text = "\n".join([*made.constants.lines, *made.buffers, *made.member, *made.answer[0], *made.answer[1]])
    assert not re.search(r"malloc|alloca|FILE", text)


def test_names_cannot_leave_their_comment():
    for name in ("*/ int x;", "/* a", "a\nb", "??/", "é\u2028", "tail\\"):
        said = comment_text(name)
        assert said.isascii()
        assert not re.search(r"\*/|/\*|\?\?|\n|\\$", said)
