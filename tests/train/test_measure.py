"""One function measures both splits: against scikit-learn, and leaving the net as it was."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from torch import nn

from autogrow.data import DataSpec, prepare
from autogrow.train.fit.looks.measurer import Measurer
from autogrow.train.fit.net.measure import CHUNK, best_temperature_loss, measure_outputs, outputs_of


def test_classification_agrees_with_scikit_learn():
    torch.manual_seed(0)
    net, x = nn.Linear(4, 3), torch.randn(CHUNK + 7, 4)
    y = torch.randint(0, 3, (len(x),))
    got = measure_outputs(outputs_of(net, x), y, task="classification")
    p = net(x).detach().double().softmax(1).numpy()
    assert got.loss == pytest.approx(log_loss(y, p), abs=1e-6)
    assert got.error == pytest.approx(1 - accuracy_score(y, p.argmax(1)), abs=1e-7)
    assert got.rows == len(x)


def test_regression_rmse_is_in_target_units():
    torch.manual_seed(0)
    net, x, y = nn.Linear(4, 2), torch.randn(50, 4), torch.randn(50, 2)
    std = torch.tensor([10.0, 0.1])
    got = measure_outputs(outputs_of(net, x), y, task="regression", target_std=std)
    pooled = np.sqrt(np.mean(root_mean_squared_error(y * std, (net(x) * std).detach(), multioutput="raw_values") ** 2))
    assert got.error == pytest.approx(pooled, rel=1e-5)
    assert got.loss == pytest.approx((net(x) - y).square().mean().item(), rel=1e-6)


def test_measures_in_eval_mode_and_puts_each_modules_mode_back():
    data = prepare(DataSpec(name="iris", source="sklearn"))
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    net[2].eval()
    module = SimpleNamespace(ema=net, predict=net)
    look = Measurer(data, rows=50, temperature=True, device=torch.device("cpu"))
    for measured in (look.train, partial(look.val, full=True)):
        assert measured(module) == measured(module)  # dropout on would draw twice
    assert [m.training for m in net] == [True, True, False]


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_best_temperature_finds_the_least_loss(scale):
    torch.manual_seed(1)
    z = torch.randn(400, 5)
    y = torch.distributions.Categorical(logits=z).sample()
    found = best_temperature_loss(z * scale, y)
    grid = [nn.functional.cross_entropy(z * scale * b, y).item() for b in np.geomspace(0.05, 20, 400)]
    assert found <= min(grid) + 1e-5
