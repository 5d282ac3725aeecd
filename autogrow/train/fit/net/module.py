"""The Lightning module: optimizer steps in bursts, a weight average, and an architecture that can be replaced.

Manual optimization: one `training_step` runs a burst of optimizer steps, because Lightning's bookkeeping costs as much
as a step of a small net. It steps Lightning's wrapped optimizer, so that `global_step` counts every step.

S steps in a burst, M members, B batch, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from autogrow.errors import ConfigError
from autogrow.growth import growth_sites
from autogrow.growth.cost import cost
from autogrow.nets import MeanOfMembers
from autogrow.nets.members import MemberLinear
from autogrow.policy.event import Size
from autogrow.train.fit.net.build import build_net, rebuild
from autogrow.train.fit.net.dropout import set_dropout
from autogrow.train.fit.net.gradients import written_gradients
from autogrow.train.fit.net.measure import sample_loss
from autogrow.train.fit.net.muon import Muon, orthogonal_flops
from autogrow.train.fit.net.optimizers import SGD, Adam, AdamW
from autogrow.train.fit.net.rate import Rate
from autogrow.train.fit.spec import FitSpec
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, CHECKPOINT_VERSION
from autogrow.train.rewire.columns import Columns
from autogrow.train.rewire.event import size_of


class GrowingModule(pl.LightningModule):
    """Trains `net` and keeps `ema`, the average of its weights, beside it.

    `recipe` is the list of growths since the net that `builder` describes: with both, any checkpoint rebuilds its own
    architecture before weights are loaded (and shrinks, where the checkpoint's net is smaller).
    """

    def __init__(
        self,
        spec: FitSpec,
        builder: Mapping[str, Any],
        *,
        task: str,
        steps_per_check: int,
        example: Tensor,
        calibration: Tensor,
        recipe: Sequence[Mapping[str, Any]] = (),
        batches: Sequence[tuple[Tensor, Tensor]] = (),
        columns: Columns | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.spec, self.builder, self.task, self.example = spec, dict(builder), task, example
        self.calibration = calibration  # what an inserted BatchNorm takes its statistics from
        self.batches = batches  # what new units are computed from, where the initializer does that
        self.columns = columns or Columns()  # what can be refined
        self.average = 2.0 / steps_per_check  # the weight average forgets within about one check
        self.recipe: list[dict[str, Any]] = []
        self.rate = Rate(spec.optimizer.lr, spec.schedule.warmup)
        self.delivery: dict[str, Any] = {}
        self.dropout: float | None = None  # what a policy has decided, in the place of net.dropout
        self._compiled: list[Callable[[Tensor], Tensor]] = []  # in a list, so that it is not registered as a submodule
        net = rebuild(self.builder, recipe, example) if recipe else build_net(self.builder)
        self.install(net, None, [dict(entry) for entry in recipe])

    # -- the architecture ---------------------------------------------------------------------------------------------
    def install(self, net: nn.Module, ema: nn.Module | None, recipe: list[dict[str, Any]]) -> None:
        """Put a net and its weight average in place (a fresh average of the net where none is given)."""
        self.net = net
        self.ema = copy.deepcopy(net) if ema is None else ema
        self.recipe = list(recipe)
        self.architecture_changed()

    def architecture_changed(self) -> None:
        """Bring along what depends on the architecture: sites, cost, dropout by width, the averaged tensors,
        the compiled net.
        """
        self.ema.requires_grad_(False)  # inserted layers come with gradients on, which DDP would wait for
        self.sites = growth_sites(self.net, self.example)
        self.cost = cost(self.net, self.example)
        self.step_flops = sum(orthogonal_flops(p.shape) for p in hidden_matrices(self.spec, self.net))
        for net in (self.net, self.ema):
            set_dropout(net, self.spec.net.dropout if self.dropout is None else self.dropout, self.sites)
        self.list_tensors()
        if self.spec.trainer.compile:
            torch._dynamo.reset()  # else growth after growth uses up the recompile limit, and training falls back to eager
            self._compiled = [torch.compile(self.net)]
        self._listed = self._lying()

    def list_tensors(self) -> None:
        """What a step goes through: the tensors that are averaged, and the gradients that are written out."""
        self._live = [p.detach() for p in self.net.parameters()]
        self._averaged = [p.detach() for p in self.ema.parameters()]
        self._live_buffers = [b for b in self.net.buffers() if b.is_floating_point()]
        self._averaged_buffers = [b for b in self.ema.buffers() if b.is_floating_point()]
        self._written = written_gradients(self.net, self.task, self.spec.trainer.label_smoothing)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GrowingModule:
        """Moving to a device replaces tensors: list them anew. Lightning moves also to where the net is already."""
        super()._apply(fn, recurse)
        self._look_again()
        return self

    def _look_again(self) -> None:
        """Bring along what depends on tensors and dropout, where these are others, elsewhere, or knots were read."""
        if self._lying() != self._listed:
            self.architecture_changed()

    def _lying(self) -> tuple[Any, ...]:
        """Which dropout and tensors there are, and where; of buffers also how often they were written to."""
        kinds = ((self.parameters(), False), (self.buffers(), True))
        tensors = [
            (id(t), t.data_ptr(), t.device, t.dtype, t._version if counted else 0)
            for tensors, counted in kinds
            for t in tensors
        ]
        return self.dropout, tensors

    @property
    def widths(self) -> dict[str, int]:
        """Growable hidden widths by site name, from input to output."""
        return self.sites.sizes

    @property
    def size(self) -> Size:
        """Widths, parameters, FLOPs and knots of the net as it is."""
        return size_of(self.sites, self.cost, self.columns)

    def train_flops_per_step(self, rows: int) -> int:
        """FLOPs of an optimizer step on so many rows (of each member): of the products, and of the step itself where
        it has any.
        """
        return rows * self.cost.train_flops_per_sample + self.step_flops

    def restore(
        self,
        recipe: list[dict[str, Any]],
        net: Mapping[str, Tensor],
        ema: Mapping[str, Tensor],
        dropout: float | None = None,
    ) -> None:
        """Rebuild the architecture of `recipe` and load the given weights into net and average. dropout: what a policy
        had decided by then, None for nothing.
        """
        self.dropout = dropout
        if recipe == self.recipe:
            self.net.load_state_dict(net)
            self.ema.load_state_dict(ema)
            self._look_again()
            return
        like = next(self.net.parameters())
        new_net = rebuild(self.builder, recipe, self.example.cpu()).to(like.device, like.dtype).train(self.net.training)
        new_ema = copy.deepcopy(new_net)
        new_net.load_state_dict(net)
        new_ema.load_state_dict(ema)
        self.install(new_net, new_ema, recipe)

    def predict(self, x: Tensor) -> Tensor:
        """(N, *shape) → (N, O) by the weight average: what is measured, and what will be delivered."""
        members = self.spec.net.members
        if members == 1:
            out: Tensor = self.ema(x)
            return out
        mean: Tensor = MeanOfMembers(self.ema, members, probabilities=self.task == "classification")(x)
        return mean

    # -- training -----------------------------------------------------------------------------------------------------
    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay on matrices only; the order of parameters is the net's own, the same that a resume will build."""
        return make_optimizer(self.spec, self.net)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """One burst: `batch` holds inputs (S, [M,] B, …), targets (S, [M,] B[, O]), and weights (S, [M,] B) if any."""
        wrapped = self.optimizers()
        one_process = self.trainer.world_size == 1 and self.trainer.precision in ("32-true", "64-true")
        self.learn(
            batch,
            wrapped.optimizer,  # type: ignore[union-attr]
            self.trainer.global_step,
            take=wrapped.step,  # type: ignore[union-attr]
            backward=None if one_process else self.manual_backward,
        )

    def learn(
        self,
        batch: Sequence[Tensor],
        optimizer: torch.optim.Optimizer,
        step: int,
        *,
        take: Callable[[], Any] | None = None,
        backward: Callable[[Tensor], None] | None = None,
    ) -> None:
        """Take the optimizer steps of a burst, from number `step` on. take, backward: how a step and a backward pass
        are made, where not by the optimizer and the loss alone.
        """
        take = optimizer.step if take is None else take
        clip = self.spec.optimizer.gradient_clip
        forward = self._compiled[0] if self._compiled else self.net
        written = None if len(batch) > 2 or backward is not None or self._compiled else self._written
        for x, y, *weight in zip(*batch, strict=True):
            rate = self.rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            if written is not None:
                written(x, y)
            else:
                optimizer.zero_grad()
                loss = self.loss(forward(x), y, *weight)
                if backward is None:
                    loss.backward()
                else:
                    backward(loss)
            if clip is not None:
                nn.utils.clip_grad_norm_(self.net.parameters(), clip)
            take()
            self.update_average()
            step += 1

    def loss(self, z: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss per sample of training-mode outputs ([M,] B, O); members count as samples of their own."""
        if self.spec.net.members > 1:
            z, y = z.flatten(0, 1), y.flatten(0, 1)
            weight = None if weight is None else weight.flatten()
        return sample_loss(self.task, z, y, smoothing=self.spec.trainer.label_smoothing, weight=weight)

    def update_average(self) -> None:
        """ema ← ema + (net − ema)·2/K, running statistics included."""
        torch._foreach_lerp_(self._averaged, self._live, self.average)
        if self._averaged_buffers:
            torch._foreach_lerp_(self._averaged_buffers, self._live_buffers, self.average)

    # -- checkpoints --------------------------------------------------------------------------------------------------
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds this net: version, builder, recipe, rate, and what `autogrow.load` needs."""
        checkpoint[CHECKPOINT_KEY] = {
            "version": CHECKPOINT_VERSION,
            "builder": self.builder,
            "recipe": self.recipe,
            "rate": self.rate.to_plain(),
            "delivery": self.delivery,
            **({} if self.dropout is None else {"dropout": self.dropout}),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rebuild the checkpoint's architecture, before weights load and before the optimizer is made."""
        ours = checkpoint[CHECKPOINT_KEY]
        if ours["builder"] != self.builder:
            raise ConfigError("the checkpoint grew from another starting net than this config describes")
        self.dropout = ours.get("dropout")
        if ours["recipe"] != self.recipe or self.dropout is not None:
            like = next(self.net.parameters())
            net = rebuild(self.builder, ours["recipe"], self.example.cpu())
            self.install(net.to(like.device, like.dtype).train(self.net.training), None, ours["recipe"])
        self.rate = Rate(**ours["rate"])


def hidden_matrices(spec: FitSpec, net: nn.Module) -> list[Tensor]:
    """The matrices that `optimizer=muon` makes orthogonal steps with: those of linear layers, the head's apart."""
    if spec.optimizer.name != "muon":
        return []
    layers = [m for n, m in net.named_modules() if isinstance(m, (nn.Linear, MemberLinear)) and n != "head"]
    return [layer.weight for layer in layers if layer.weight.requires_grad]


def make_optimizer(spec: FitSpec, net: nn.Module) -> torch.optim.Optimizer:
    """The run's optimizer over `net`: weight decay on matrices and kernels, none on biases and norms."""
    opt = spec.optimizer
    members_axis = 1 if spec.net.members > 1 else 0  # a member's bias is (M, W): a vector per member
    hidden = {id(p) for p in hidden_matrices(spec, net)}
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    decayed = [p for _, p in named if p.ndim - members_axis > 1]
    plain = [p for _, p in named if p.ndim - members_axis <= 1]
    groups = [
        {"params": [p for p in decayed if id(p) not in hidden], "weight_decay": opt.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if opt.name == "muon":
        orthogonal = {"params": [p for p in decayed if id(p) in hidden], "weight_decay": opt.weight_decay}
        return Muon(
            [{**orthogonal, "orthogonal": True}, *groups],
            momentum=opt.momentum,
            lr=opt.lr,
            betas=tuple(opt.betas),
            fused=True,
        )
    if opt.name == "sgd":
        return SGD(groups, lr=opt.lr, momentum=opt.momentum)
    make = AdamW if opt.name == "adamw" else Adam
    return make(groups, lr=opt.lr, betas=tuple(opt.betas), fused=True)
