"""Whether a budget buys an arm one pass over the training data, before anything is run."""

from __future__ import annotations

from autogrow.data import Prepared
from autogrow.errors import ConfigError
from autogrow.growth.cost import cost
from autogrow.show.words import flops
from autogrow.train.fit.net.build import build_net
from autogrow.train.fit.net.deliver import example_rows
from autogrow.train.fit.setup import starting_net
from autogrow.train.fit.spec import FitSpec, most_passes


def check_one_pass(arm: str, spec: FitSpec, prepared: Prepared) -> None:
    """Raise ConfigError if the run's budget of passes or of FLOPs ends before each training row was seen once by its
    starting net.
    """
    key, epochs = most_passes(spec.trainer)
    if epochs is not None and epochs < 1:
        raise ConfigError(f"{key}={epochs:g} does not buy arm {arm} one epoch; give at least 1")
    net = build_net(starting_net(spec, prepared))  # which also says whether net and data go together
    limit = spec.policy.budget.train_flops
    if limit is None:
        return
    rows = prepared.train_rows
    needed = rows * cost(net, example_rows(prepared.train.x, spec.net.members)).train_flops_per_sample
    if limit < needed:
        raise ConfigError(
            f"budget.train_flops={limit:g} ({flops(limit)}) does not buy arm {arm} one epoch ({flops(needed)}); raise it or leave the arm out"
        )
