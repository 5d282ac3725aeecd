"""What a checkpoint of somebody else's module must hold so that its net can be rebuilt,
and the hooks that write and read it.

The architecture lives with the module, not with a callback: Lightning restores callbacks after the weights, and a
checkpoint of weights only leaves them out. So the module's own `on_save_checkpoint` and `on_load_checkpoint` are
extended, on the instance: in `fit(ckpt_path=…)` and `test(ckpt_path="best")` they run before weights are loaded, before
DDP wraps the module and before optimizers are made. `LightningModule.load_from_checkpoint` builds the instance itself:
there the class has to know, by `class Lit(Growable, LightningModule)`; or build it yourself and call
`load_grown(module, path)`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from autogrow.errors import AutogrowError, CheckpointError, ConfigError, nearest
from autogrow.growth import replay
from autogrow.train.guest.averages import averages_of
from autogrow.train.guest.compiled import eagerly, forget_compiled, plain
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, CHECKPOINT_VERSION

_RECORD = "_growth_record"


class GrowthRecord:
    """The net at `path` of a module ('': the module itself) as it started, and the recipe of its growths since.

    `example`: the net's positional inputs. `averages`: names of further copies of the net in the module. `within`:
    names of submodules of the net; only what they hold grows (none: all of it).
    """

    def __init__(
        self,
        module: pl.LightningModule,
        path: str,
        example: Sequence[Tensor],
        averages: Sequence[str] = (),
        within: Sequence[str] = (),
    ) -> None:
        self.path, self.within = path, tuple(within)
        self.example = tuple(t.detach().cpu() for t in example)
        self.averages = tuple(averages)
        self.recipe: list[dict[str, Any]] = []
        self.start = copy.deepcopy(self.net(module))

    def net(self, module: pl.LightningModule) -> nn.Module:
        """The module's net as it is; of a compiled one the net inside."""
        return plain(module.get_submodule(self.path))

    def inputs(self, net: nn.Module) -> Tensor | tuple[Tensor, ...]:
        """The example on the net's device and in its precision, as the operators take it."""
        like = next(p for p in net.parameters() if p.is_floating_point())
        moved = tuple(t.to(like.device, like.dtype if t.is_floating_point() else t.dtype) for t in self.example)
        return moved[0] if len(moved) == 1 else moved

    def write(self, checkpoint: dict[str, Any], module: pl.LightningModule) -> None:
        """Add to a checkpoint what rebuilds the net. Plain containers only,
        so that it loads with `weights_only=True`.
        """
        kept = {
            "version": CHECKPOINT_VERSION,
            "builder": {"net": type(self.net(module)).__name__, "arguments": {}},
            "path": self.path,
            "averages": list(self.averages),
            "example": [{"shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")} for t in self.example],
            "recipe": copy.deepcopy(self.recipe),
        }
        checkpoint[CHECKPOINT_KEY] = checkpoint.get(CHECKPOINT_KEY, {}) | kept

    def read(self, checkpoint: Mapping[str, Any], module: pl.LightningModule) -> None:
        """Make the module's net, and its averages, what the checkpoint's weights fit: larger or smaller than it is.

        A checkpoint without our entry is one from before any growth. Raises CheckpointError, in one line, where the
        recipe does not fit this net.
        """
        recipe = _checked(checkpoint).get("recipe", [])
        if recipe == self.recipe:
            return
        try:
            self.rebuild(module, recipe)
        except (AutogrowError, KeyError, AttributeError) as error:
            raise CheckpointError(f"the checkpoint's growths do not fit the net {self.path!r}: {error}") from error

    def rebuild(self, module: pl.LightningModule, recipe: Sequence[dict[str, Any]]) -> None:
        """Give net and averages the architecture of `recipe`; their weights are to be loaded.
        Draws nothing globally.
        """
        nets = [self.net(module), *averages_of(module, self.path, self.averages)]
        known = len(self.recipe)
        with eagerly():
            for net in nets:
                if list(recipe[:known]) == self.recipe:
                    replay(net, list(recipe[known:]), self.inputs(net))
                else:
                    _, grown_before = self._made(self.recipe)
                    made, grown_then = self._made(recipe)
                    adopt(net, made, grown_before | grown_then)
        forget_compiled(module)
        self.recipe = [dict(copy.deepcopy(entry)) for entry in recipe]

    def _made(self, recipe: Sequence[dict[str, Any]]) -> tuple[nn.Module, set[str]]:
        """The net of a recipe, and which attributes of its own the recipe sets: numbers, settings that hold some."""
        made = copy.deepcopy(self.start)
        before = dict(made.__dict__)
        replay(made, list(recipe), self.inputs(made))
        return made, {name for name, value in made.__dict__.items() if before.get(name) is not value}


def adopt(net: nn.Module, other: nn.Module, named: Collection[str] = ()) -> None:
    """Make `net` what `other` is, keeping the object: whoever holds the net (a compiled wrapper,
    an alias) goes on with it. `named`: attributes of the net's own that growths set.
    """
    like = next(net.parameters())
    dtypes = {p.dtype for p in net.parameters()}
    other.to(like.device).train(net.training)
    if len(dtypes) == 1:
        other.to(like.dtype)
    if hasattr(net, "_trainer"):  # a LightningModule goes on being part of its run
        taken = {"_parameters", "_buffers", "_modules", *named}
        net.__dict__.update({name: value for name, value in other.__dict__.items() if name in taken})
        return
    compiled = net._compiled_call_impl
    net.__dict__.update(other.__dict__)
    net._compiled_call_impl = compiled


def keep_record(
    module: pl.LightningModule, net: str | Sequence[str], example: Sequence[Tensor], averages: Sequence[str] = ()
) -> GrowthRecord:
    """The module's record, made on first use; from then on its checkpoints hold it. `net`: as of `GrowthController`.

    Raises ConfigError where `net` names no submodule, or another net of the module is growing already.
    """
    path, within = (net, ()) if isinstance(net, str) else ("", tuple(net))
    names = [name for name, _ in module.named_modules() if name]
    for name in within or (path,) if within or path else ():
        if name not in names:
            wrong = f"net={net!r}: {name!r}" if within else f"net={net!r}"
            raise ConfigError(f"{wrong} is not a submodule of {type(module).__name__}; {nearest(name, _short(names))}")
    if path == "" and type(module).forward is pl.LightningModule.forward:
        raise ConfigError(
            f"net={net!r} is looked at through the module's forward, and {type(module).__name__} has none"
        )
    record = record_of(module)
    if record is None:
        record = GrowthRecord(module, path, example, averages, within)
        setattr(module, _RECORD, record)
    elif (record.path, record.within) != (path, within):
        raise ConfigError(
            f"net={net!r}, but {list(record.within) or record.path!r} of this module is growing already: one net per module"
        )
    hooks = _Hooks(module)
    # instance attributes come before the class's methods; bound methods, so that the module can be copied and pickled
    module.__dict__["on_save_checkpoint"] = hooks.on_save_checkpoint
    module.__dict__["on_load_checkpoint"] = hooks.on_load_checkpoint
    return record


def record_of(module: pl.LightningModule) -> GrowthRecord | None:
    """The module's record, if it has one."""
    record: GrowthRecord | None = getattr(module, _RECORD, None)
    return record


class _Hooks:
    """The module's checkpoint hooks, extended by its record."""

    def __init__(self, module: pl.LightningModule) -> None:
        self.module = module

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        type(self.module).on_save_checkpoint(self.module, checkpoint)
        record = record_of(self.module)
        assert record is not None
        record.write(checkpoint, self.module)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        record = record_of(self.module)
        assert record is not None
        record.read(checkpoint, self.module)
        type(self.module).on_load_checkpoint(self.module, checkpoint)


def read_into(module: pl.LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Rebuild the net of a module that may not have a record yet: the checkpoint says which net, and what goes in."""
    record = record_of(module)
    if record is None:
        ours = _checked(checkpoint)
        if not ours.get("recipe"):
            return
        example = [torch.zeros(e["shape"], dtype=getattr(torch, e["dtype"])) for e in ours["example"]]
        record = GrowthRecord(module, ours["path"], example, ours["averages"])
        setattr(module, _RECORD, record)
    record.read(checkpoint, module)


def _checked(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    ours: Mapping[str, Any] = checkpoint.get(CHECKPOINT_KEY, {})
    version = ours.get("version", CHECKPOINT_VERSION)
    if version != CHECKPOINT_VERSION:
        raise CheckpointError(
            f"the checkpoint is of version {version!r}; this autogrow reads version {CHECKPOINT_VERSION}"
        )
    return ours


def _short(names: Sequence[str]) -> list[str]:
    """The top of a module's names: the nets that could have been meant."""
    return [name for name in names if name.count(".") < 2][:20]
