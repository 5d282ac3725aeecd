"""A look at the units that growths have added: one batch forward and backward at a check, charged to the run.

That is the arithmetic of one optimizer step where a check has 20 to 200; a net that has not grown is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autogrow.growth.modes import quiet
from autogrow.growth.newborns import standing, units_of
from autogrow.policy.event import Size
from autogrow.policy.newborns import Newborns
from autogrow.train.fit.net.module import GrowingModule


def look_at_newborns(
    module: GrowingModule, batch: tuple[Tensor, Tensor], births: Mapping[int, tuple[Size, Size]]
) -> tuple[Newborns, ...]:
    """How the units of each birth stand in the net that is trained: a forward and a backward pass on the batch.

    What has been trained since is seen from the weight average, which forgets within about a check: the way from it to
    the weights is what they have gone lately.
    """
    names, parameters = zip(*module.net.named_parameters(), strict=True)
    with quiet(module.net), torch.enable_grad():
        loss = module.loss(module.net(batch[0]), batch[1])
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    with torch.no_grad():
        average = module.ema.parameters()
        moved = {name: p - q for name, p, q in zip(names, parameters, average, strict=True)}
        weights = {name: p.detach() for name, p in zip(names, parameters, strict=True)}
        units = units_of(module.sites, weights, dict(zip(names, gradients, strict=True)), moved)
    found = ((at, standing(units, before.widths, after.widths)) for at, (before, after) in births.items())
    return tuple(Newborns(at, **vars(how)) for at, how in found if how is not None)
