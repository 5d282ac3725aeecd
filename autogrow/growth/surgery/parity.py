"""The proof that a growth kept the function: the net's output on a fixed probe, before and after, in float64.

No second net is made: every operation is computed in float64 from the stored weights as it is called, so what is proved
is the net as it is, rounding of its weights included, and no more than one layer is held twice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from autogrow.errors import GrowthError, ParityError
from autogrow.growth.layers import norm_type
from autogrow.growth.modes import quiet
from autogrow.growth.sites.example import EXAMPLE_ROWS, Example, call_arguments
from autogrow.growth.surgery.moves import Receipt

_DROPOUTS = {
    F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, torch.dropout,
}  # fmt: skip

_CASTS = {Tensor.float, Tensor.half, Tensor.bfloat16}
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


class _Float64(TorchFunctionMode):
    """Every operation in float64; dropout passes its input on."""

    def __init__(self, eps_dtype: torch.dtype) -> None:
        super().__init__()
        self.eps = torch.finfo(eps_dtype).eps

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _CASTS:
            return _widened(args[0])
        if func in _DROPOUTS:
            return _widened(args[0] if args else kwargs["input"])
        if func is F.scaled_dot_product_attention:  # its dropout, and that of nn.MultiheadAttention, is an argument
            named = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
            args, kwargs = (), {**dict(zip(named, args, strict=False)), **kwargs, "dropout_p": 0.0}
        if getattr(func, "__name__", "") in _RECURRENT:  # dropout between layers: behind how many there are
            at = 6 if isinstance(args[3], (list, tuple)) else 5  # packed sentences come with the sizes of their steps
            args = (*args[:at], 0.0, *args[at + 1 :])
        if func is F.multi_head_attention_forward:
            kwargs["training"] = False
        if func is F.rms_norm and (args[4] if len(args) > 4 else kwargs.get("eps")) is None:
            args, kwargs["eps"] = args[:4], self.eps  # its default is the eps of the dtype it computes in
        return func(*(_widened(a) for a in args), **{k: _widened(v) for k, v in kwargs.items()})


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, torch.dtype):
        return torch.float64 if value.is_floating_point else value
    if type(value) in (list, tuple):
        return type(value)(_widened(v) for v in value)
    return value


@dataclass(frozen=True)
class Promise:
    """The largest change a growth allows itself, relative to the output's size; None: it promises nothing."""

    relative: float | None

    def absolute(self, outputs: Sequence[Tensor]) -> float | None:
        """The bound for outputs of this size (never below that for outputs of size 1)."""
        if self.relative is None:
            return None
        return self.relative * max([1.0, *(float(o.abs().max()) for o in outputs if o.numel())])


# float64 sums in another order; where stored values were rescaled, their rounding counts as well
EXACT = Promise(1e-9)


def rounded(dtype: torch.dtype) -> Promise:
    """The promise of a growth that stores rescaled values in this dtype."""
    return Promise(max(1e-9, 256 * torch.finfo(dtype).eps if dtype.itemsize >= 4 else 32 * torch.finfo(dtype).eps))


class Probe:
    """A fixed batch of inputs and the net's output on it before a growth.

    `example`: its first `rows` are used; a constant one (zeros, only there for its shape) is replaced by a draw of its
    shape.
    """

    def __init__(self, net: nn.Module, example: Example | None, *, rows: int | None = EXAMPLE_ROWS) -> None:
        self.net = net
        args, kwargs = call_arguments(net, example, rows=rows)
        self.args = tuple(_telling(a) for a in args)
        self.kwargs = {k: _telling(v) for k, v in kwargs.items()}
        self.has_norm = any(norm_type(m) is not None or _has_statistics(m) for m in net.modules())
        self.dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
        self.before = self._outputs(train=False)
        self.before_train = self._outputs(train=True) if self.has_norm else []

    def extend(self, argument: int, dim: int, count: int) -> None:
        """From now on give the net `count` more entries along a dimension of an argument, drawn at random."""
        values = list(self.args)
        old = values[argument]
        shape = list(old.shape)
        shape[dim] = count
        drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(old)
        values[argument] = torch.cat([old, drawn], dim)
        self.args = tuple(values)

    def receipt(self, promise: Promise, *, leading: bool = False) -> Receipt:
        """Compare with the net as it is now.

        `leading`: with the leading part of each output, of the size it had before.
        Raises ParityError where the change exceeds the promise.
        """
        after = self._outputs(train=False)
        change = _max_change(self.before, after, leading)
        change_train = None
        if self.has_norm:
            change_train = _max_change(self.before_train, self._outputs(train=True), leading)
        bound = promise.absolute(self.before + self.before_train)
        worst = max(change, change_train or 0.0)
        if bound is not None and worst > bound:
            mode = "eval" if worst == change else "train"
            raise ParityError(
                f"the growth changes the net's output by {worst:.3g} in {mode} mode where it promises at most {bound:.3g}; "
                "the net is as it was"
            )
        return Receipt(bound, change, change_train)

    def _outputs(self, *, train: bool) -> list[Tensor]:
        devices = list({p.device for p in self.net.parameters() if p.device.type == "cuda"})
        with (
            quiet(self.net, train=train, dropout=False),
            torch.autocast(next(iter(devices), torch.device("cpu")).type, enabled=False),
            _Float64(self.dtype),
        ):
            # what is random besides dropout (in eval mode too: a VAE) is the same before and after
            torch.manual_seed(0)
            random.seed(0)
            return _leaves(
                self.net(*(_copied(a) for a in self.args), **{k: _copied(v) for k, v in self.kwargs.items()})
            )


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _telling(value: Any) -> Any:
    """The value itself, or, where it is constant (an example only there for its shape), a draw of its shape."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() < 2:
        return value
    if bool((value == value.flatten()[0]).all()):
        return torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
    return value


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._NormBase)


def _leaves(output: Any) -> list[Tensor]:
    """All floating tensors in a net's answer, in order."""
    if isinstance(output, Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, Mapping):
        return [leaf for value in output.values() for leaf in _leaves(value)]
    if isinstance(output, (list, tuple)):
        return [leaf for value in output for leaf in _leaves(value)]
    return []


def _max_change(before: list[Tensor], after: list[Tensor], leading: bool) -> float:
    if len(before) != len(after) or not before:
        raise GrowthError(
            f"the net answered with {len(before)} tensors and now with {len(after)}; it needs at least one"
        )
    change = 0.0
    for old, new in zip(before, after, strict=True):
        part = new[tuple(slice(size) for size in old.shape)] if leading else new
        if part.shape != old.shape:
            raise ParityError(f"the net's output had shape {tuple(old.shape)} and now has {tuple(part.shape)}")
        difference = float((part - old).abs().max()) if old.numel() else 0.0
        change = max(change, difference if math.isfinite(difference) else math.inf)
    return change
