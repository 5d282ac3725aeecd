"""No step of a burst makes a device wait for the host, whatever the net: on torch's `meta`, which has shapes alone, so
that this runs anywhere. Nothing can be read from it, and what is copied to it is seen.
"""

from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autogrow.data import DataSpec, TensorStream, prepare
from autogrow.train.fit.net.module import make_optimizer
from autogrow.train.fit.setup import module_of
from autogrow.train.fit.spec import NetSpec, OptimizerSpec, TrainerSpec

META = torch.device("meta")


class AlreadyThere(TorchDispatchMode):
    """Refuses to copy a tensor from the host to the device, but for the order of a pass over so many rows."""

    def __init__(self, rows=0):
        super().__init__()
        self.rows, self.orders = rows, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        read = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and t.ndim]
        made = {t.device.type for t in tree_leaves(result) if isinstance(t, Tensor)}
        devices = {t.device.type for t in read}
        assert devices != {"cpu", "meta"}, f"{function} reads from both"
        if devices == {"cpu"} and "meta" in made:
            assert [(t.dtype, t.shape) for t in read] == [(torch.int64, (self.rows,))], f"{function} copies"
            self.orders += 1
        return result


NETS = {
    "dense": {},
    "wide and deep": {"net": NetSpec(widths=[64, 64, 64])},
    "residual": {"net": NetSpec(widths=[16, 16], residual=True, norm="batch", dropout=0.1)},
    "norms": {"net": NetSpec(widths=[16], norm="layer", activation="gelu")},
    "members": {"net": NetSpec(widths=[16], members=3)},
    "knots": {"net": NetSpec(widths=[16], knots=4)},
    "clipped": {"optimizer": OptimizerSpec(gradient_clip=1.0)},
    "sgd": {"optimizer": OptimizerSpec(name="sgd")},
    "muon": {"optimizer": OptimizerSpec(name="muon"), "net": NetSpec(widths=[16, 16])},
    "muon members": {"optimizer": OptimizerSpec(name="muon"), "net": NetSpec(widths=[16, 16], members=2)},
    "smooth": {"trainer": TrainerSpec(label_smoothing=0.3)},
}
REGRESSION = DataSpec(name="diabetes", source="sklearn")
IRIS = DataSpec(name="iris", source="sklearn")


@pytest.fixture(autouse=True)
def _fused_steps_there(monkeypatch):
    """The fused step of Adam is refused on `meta`, where it has its shapes."""
    monkeypatch.setattr(import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda *_, **__: None)


def on_meta(spec):
    """The run's module, optimizer and rows as they are once they have been moved to a device."""
    prepared = prepare(spec.data)
    module = module_of(spec, prepared)
    module.net.to(META)
    module.ema.to(META)
    module.list_tensors()
    train = prepared.train
    stream = TensorStream(
        train.x, train.y, batch_size=16, steps_per_check=20, seed=0, members=spec.net.members, weight=train.weight
    )
    stream.move_to(META)
    return module, make_optimizer(spec, module.net), stream, prepared


def learn(module, optimizer, stream, check=0):
    """The bursts of a check, on batches that are drawn there."""
    stream.set_epoch(check)
    with AlreadyThere(stream.rows) as watch:
        for i, burst in enumerate(stream):
            module.learn(burst, optimizer, 16 * i)
    passes = stream.steps_per_check // (stream.rows // stream.batch_size) + 2
    assert 0 < watch.orders <= passes * stream.members


@pytest.mark.parametrize("name", NETS)
def test_steps_of_any_net(name, make_spec):
    module, optimizer, stream, _ = on_meta(make_spec(data=IRIS, **NETS[name]))
    learn(module, optimizer, stream)


def test_steps_on_images(make_spec, tmp_path):
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", x=digits.images[:300, None].astype("float32"), y=digits.target[:300])
    data = DataSpec(name="npz", source="npz", path=str(tmp_path / "digits.npz"))
    spec = make_spec(data=data, net=NetSpec(kind="conv", widths=[4, 8], norm="batch"))
    module, optimizer, stream, _ = on_meta(spec)
    learn(module, optimizer, stream)


def test_steps_of_a_regression(make_spec):
    module, optimizer, stream, _ = on_meta(make_spec(data=REGRESSION))
    learn(module, optimizer, stream)


def test_steps_on_weighted_rows_of_categories(make_spec, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "a,b,w,y\n" + "\n".join(f"{i},{'uvw'[i % 3]},{1 + i % 2},{'pq'[i * 7 % 5 > 2]}" for i in range(90))
    )
    data = DataSpec(name="csv", source="csv", path=str(table), target="y", weight="w")
    module, optimizer, stream, _ = on_meta(make_spec(data=data))
    assert len(stream.parts) == 3
    learn(module, optimizer, stream)


def test_steps_on_rows_that_came_later(make_spec):
    """The refit draws from validation rows too."""
    module, optimizer, stream, prepared = on_meta(make_spec(data=IRIS))
    stream.learn_also(prepared.val.x, prepared.val.y)
    learn(module, optimizer, stream, check=1)


def test_what_waits_is_seen():
    x = torch.zeros(4, device=META)
    for wait in (Tensor.item, bool, lambda t: t[t > 0], torch.nonzero, lambda t: t.cpu(), Tensor.tolist):
        with pytest.raises((RuntimeError, NotImplementedError)), AlreadyThere():
            wait(x.sum() if wait is bool else x)
    for copied in (lambda: torch.ones(3).to(META), lambda: x.copy_(torch.ones(4))):
        with pytest.raises(AssertionError), AlreadyThere():
            copied()
