"""A user's own torch file into a larger net of the same outputs:
a state dict of dense layers, or a whole pickled module.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.deploy.larger import Grown, grown_net
from autogrow.deploy.layer_order import order_of_use, steps_between
from autogrow.errors import CheckpointError, ConfigError, GrowthError
from autogrow.growth import Neurons
from autogrow.nets.dense import activation_module


def transfer_torch(
    path: str | Path,
    widths: Sequence[int],
    *,
    activation: str | None = None,
    layers: Sequence[str] | None = None,
    allow_pickle: bool = False,
    input_shape: Sequence[int] | None = None,
    neurons: Neurons | None = None,
    generator: torch.Generator | None = None,
) -> tuple[nn.Module, Any, Grown]:
    """(the larger net, what to save in place of what was read, the proof) of a file that `torch.save` wrote.

    A state dict is taken for a stack of dense layers (with BatchNorm or LayerNorm where it has them) with `activation`
    between them. It holds layers as they were registered: where shapes and names leave open in which order they are
    used, `layers` must say it. What is saved is the state dict of the `nn.Sequential` of the same layers.
    A pickled module is grown whatever it is; `allow_pickle` says that its file is trusted to run code. `input_shape`:
    one sample's, for nets whose first layer does not tell it (convolutions).
    """
    content = _read(Path(path), allow_pickle=allow_pickle)
    example = None if input_shape is None else torch.zeros(2, *input_shape)
    if isinstance(content, nn.Module):
        grown = grown_net(content, widths, example, neurons=neurons, generator=generator)
        return content, content, grown
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, neither a module nor a state dict of tensors; save net.state_dict()"
        )
    net = sequential_of(content, activation, Path(path), layers=layers)
    grown = grown_net(net, widths, example, neurons=neurons, generator=generator)
    flat = _flat(net, grown, Path(path))
    return flat, flat.state_dict(), grown


def _flat(net: nn.Sequential, grown: Grown, path: Path) -> nn.Sequential:
    """The layers of the grown net one behind another, without the blocks that inserted ones stand in.

    Raises GrowthError where that is another net: an inserted layer that has an input of its own to add.
    """
    flat = nn.Sequential(*(m for m in net.modules() if not any(m.children())))
    first = next(m for m in flat if isinstance(m, nn.Linear))
    probe = torch.randn(64, first.in_features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, other = (copy.deepcopy(n).double().eval() for n in (net, flat))
    with torch.no_grad():
        same = torch.equal(one(probe), other(probe))
    if not same:
        raise GrowthError(
            f"{path}: a layer inserted behind this activation is a residual block, which a state dict of layers one "
            f"behind another cannot hold: give {len(grown.before)} widths, or save the whole module with "
            "allow_pickle=true"
        )
    return flat


def _read(path: Path, *, allow_pickle: bool) -> Any:
    if not path.is_file():
        raise CheckpointError(f"there is no file at {path}")
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} holds more than tensors, and unpickling it runs its code; if you trust it: allow_pickle=true, else save net.state_dict()"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, ModuleNotFoundError) as error:
        raise CheckpointError(f"{path} cannot be read as a file of torch.save: {str(error).splitlines()[0]}") from None


def sequential_of(
    state: Mapping[str, Tensor], activation: str | None, path: Path, *, layers: Sequence[str] | None = None
) -> nn.Sequential:
    """The stack of dense layers that a state dict describes, with its weights.
    Raises CheckpointError for any other net.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        prefix, _, name = key.rpartition(".")
        groups.setdefault(prefix, {})[name] = tensor
    dense = [name for name, group in groups.items() if "weight" in group and group["weight"].ndim == 2]
    other = [name for name, group in groups.items() if "weight" not in group or group["weight"].ndim > 2]
    if other or not dense:
        what = f"{other[0]!r} is not a dense layer" if other else "it has no dense layer"
        raise CheckpointError(
            f"{path}: {what}; a state dict does not say how such layers are connected: save the whole module, and give allow_pickle=true"
        )
    order = order_of_use(groups, layers, path)
    steps = None if layers is not None else steps_between(order)
    if activation is None and (len(dense) > 1 or steps is not None):
        raise ConfigError(
            f"{path} is a state dict, which does not say what stands between its layers: give activation=relu"
        )
    stack: list[nn.Module] = []
    for i, name in enumerate(order):
        layer = _layer(name, groups[name], path)
        if isinstance(layer, nn.Linear):
            last = next((m for m in reversed(stack) if isinstance(m, nn.Linear)), None)
            if last is not None and last.out_features != layer.in_features:
                raise CheckpointError(
                    f"{path}: {name!r} reads {layer.in_features} features and the layer before writes {last.out_features}: not a stack of layers"
                )
            if last is not None and steps is None:
                stack.append(activation_module(str(activation)))
        layer.load_state_dict(groups[name])
        stack.append(layer)
        if steps is not None and steps[i]:
            stack.append(activation_module(str(activation)))
    if steps is not None:
        _check_steps(stack, path)
    return nn.Sequential(*stack).eval()


def _check_steps(stack: Sequence[nn.Module], path: Path) -> None:
    """Raises CheckpointError unless one thing stands between any two dense layers: the activation, it must be."""
    kinds = ["dense" if isinstance(m, nn.Linear) else "norm" if hasattr(m, "eps") else "step" for m in stack]
    for between in " ".join(kinds).split("dense")[1:-1]:
        places = between.split().count("step")
        if places != 1:
            what = "in more than one place between two of them" if places else "nowhere between two of them"
            raise CheckpointError(
                f"{path}: by the numbers of its layers something without weights stands {what}, so that it does not "
                "say where the activation is: save the whole module, and give allow_pickle=true"
            )


def _layer(name: str, group: Mapping[str, Tensor], path: Path) -> nn.Module:
    weight = group["weight"]
    unknown = set(group) - {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    if unknown:
        raise CheckpointError(f"{path}: {name!r} holds {sorted(unknown)[0]!r}, which no dense layer or norm has")
    if weight.ndim == 2:
        return nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in group, dtype=weight.dtype)
    if "running_mean" in group:
        return nn.BatchNorm1d(len(weight), dtype=weight.dtype)
    return nn.LayerNorm(len(weight), bias="bias" in group, dtype=weight.dtype)
