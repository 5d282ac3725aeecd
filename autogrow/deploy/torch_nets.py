"""A user's own torch file into a larger net of the same outputs:
a state dict of dense layers, or a whole pickled module.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.deploy.larger import Grown, grown_net
from autogrow.errors import CheckpointError, ConfigError
from autogrow.growth import Neurons
from autogrow.nets.dense import activation_module


def transfer_torch(
    path: str | Path,
    widths: Sequence[int],
    *,
    activation: str | None = None,
    allow_pickle: bool = False,
    input_shape: Sequence[int] | None = None,
    neurons: Neurons | None = None,
    generator: torch.Generator | None = None,
) -> tuple[nn.Module, Any, Grown]:
    """(the larger net, what to save in place of what was read, the proof) of a file that `torch.save` wrote.

    A state dict is taken for a stack of dense layers (with BatchNorm or LayerNorm where it has them) in the order of
    its keys, with `activation` between them; what is saved is the state dict of the `nn.Sequential` of the same layers.
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
    net = sequential_of(content, activation, Path(path))
    grown = grown_net(net, widths, example, neurons=neurons, generator=generator)
    flat = nn.Sequential(
        *(m for m in net.modules() if not any(m.children()))
    )  # inserted layers stand in a block of their own
    return flat, flat.state_dict(), grown


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


def sequential_of(state: Mapping[str, Tensor], activation: str | None, path: Path) -> nn.Sequential:
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
    if len(dense) > 1 and activation is None:
        raise ConfigError(
            f"{path} is a state dict, which does not say what stands between its layers: give activation=relu"
        )
    layers: list[nn.Module] = []
    for name, group in groups.items():
        weight = group["weight"]
        layer = _layer(name, group, path)
        if layers and weight.ndim == 2:
            last = next(m for m in reversed(layers) if isinstance(m, nn.Linear))
            if last.out_features != weight.shape[1]:
                raise CheckpointError(
                    f"{path}: {name!r} reads {weight.shape[1]} features and the layer before writes {last.out_features}: not a stack of layers"
                )
            layers.append(activation_module(str(activation)))
        layer.load_state_dict(group)
        layers.append(layer)
    return nn.Sequential(*layers).eval()


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
