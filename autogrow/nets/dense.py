"""The dense net that autogrow trains by default. It knows nothing of growth.

B batch, M members, I inputs, W a hidden width, O outputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from autogrow.errors import ConfigError, nearest
from autogrow.nets.embed import ColumnEmbedding
from autogrow.nets.members import MemberLinear

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "hardtanh": nn.Hardtanh,
    "relu6": nn.ReLU6,
    "mish": nn.Mish,
}
NORMS = ("none", "batch", "layer", "rms")


def activation_module(name: str) -> nn.Module:
    """A fresh activation module by its name in a config."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"activation {name!r} is unknown; {nearest(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def _norm_module(name: str, width: int) -> nn.Module:
    if name == "batch":
        return nn.BatchNorm1d(width)
    return nn.LayerNorm(width) if name == "layer" else nn.RMSNorm(width)


class DenseNet(nn.Module):
    """Fully connected layers from `inputs` features to `outputs` logits.

    Hidden stage i is `hidden.{i}` = linear → norm → activation → dropout (norm and dropout only where asked for), the
    last layer is `head`. Maps (B, I) to (B, O); inputs of several dimensions (images) are flattened. With `members` = M
    > 1 it is M nets of these widths side by side, mapping (M, B, I) to (M, B, O). With `residual` every stage behind
    the first adds its input to its output, so all widths must be equal. With `embeddings` the last inputs are columns
    of codes (so many codes each) that become learned vectors.

    Raises ConfigError for sizes below 1, unknown names, and combinations that do not exist.

    >>> import torch
    >>> DenseNet(4, [8, 8], 3)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        widths: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        norm: str = "none",
        dropout: float | None = None,
        residual: bool = False,
        members: int = 1,
        embeddings: Sequence[int] = (),
    ) -> None:
        super().__init__()
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        _check_sizes(shape, widths, outputs, norm=norm, dropout=dropout, residual=residual, members=members)
        if len(shape) > 1:
            self.flatten = nn.Flatten(start_dim=1 if members == 1 else 2)
        features = 1
        for size in shape:
            features *= size
        if embeddings:
            if members > 1 or len(shape) > 1:
                raise ConfigError("embedded categories need one member and a flat table; take data.categories=onehot")
            self.embed = ColumnEmbedding(features - len(embeddings), embeddings)
            features = self.embed.out_features

        def linear(n_in: int, n_out: int) -> nn.Module:
            return nn.Linear(n_in, n_out) if members == 1 else MemberLinear(members, n_in, n_out)

        self.columns = nn.Identity()  # what the first layer reads passes here: the place for Knots
        stages = []
        for n_in, width in zip([features, *widths], widths, strict=False):
            parts: OrderedDict[str, nn.Module] = OrderedDict(linear=linear(n_in, width))
            if norm != "none":
                parts["norm"] = _norm_module(norm, width)
            parts["act"] = activation_module(activation)
            if dropout is not None:
                parts["drop"] = nn.Dropout(dropout)
            stages.append(nn.Sequential(parts))
        self.hidden = nn.ModuleList(stages)
        self.head = linear(widths[-1] if widths else features, outputs)
        self.residual, self.members, self.input_shape, self.embedded = residual, members, shape, bool(embeddings)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *input shape) → (B, O); with members (M, B, I) → (M, B, O)."""
        if len(self.input_shape) > 1:
            x = self.flatten(x)
        if self.embedded:
            x = self.embed(x)
        x = self.columns(x)
        for i, stage in enumerate(self.hidden):
            x = x + stage(x) if self.residual and i > 0 else stage(x)
        out: Tensor = self.head(x)
        return out


def check_parts(sizes: Mapping[str, Sequence[int]], *, norm: str, norms: Sequence[str], dropout: float | None) -> None:
    """What every net asks of its sizes (by key), norm and dropout; raises ConfigError."""
    for name, values in sizes.items():
        for size in values:
            if size < 1:
                raise ConfigError(f"{name} must be at least 1, got {size}")
    if norm not in norms:
        raise ConfigError(f"net.norm {norm!r} is unknown; {nearest(norm, norms)}")
    if dropout is not None and not 0 <= dropout < 1:
        raise ConfigError(f"net.dropout must be in [0, 1), got {dropout}")


def _check_sizes(
    shape: tuple[int, ...],
    widths: Sequence[int],
    outputs: int,
    *,
    norm: str,
    dropout: float | None,
    residual: bool,
    members: int,
) -> None:
    sizes = {"inputs": shape, "net.widths": widths, "outputs": (outputs,), "net.members": (members,)}
    check_parts(sizes, norm=norm, norms=NORMS, dropout=dropout)
    if residual and len(set(widths)) > 1:
        raise ConfigError(f"net.residual needs equal net.widths, got {list(widths)}")
    if members > 1 and norm == "batch":
        raise ConfigError("net.members > 1 goes with net.norm none, layer or rms: BatchNorm would mix the members")
