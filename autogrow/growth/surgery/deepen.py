"""Growing a net in place: deeper, by a layer or a whole block that changes nothing at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError, nearest
from autogrow.growth.modes import quiet
from autogrow.growth.sites.example import Example, call_arguments
from autogrow.growth.sites.find import DepthSite, Sites, growth_sites, site_behind, unwrapped
from autogrow.growth.sites.stream import BLOCK_KINDS
from autogrow.growth.surgery.insertion import calibrated_batchnorm, copies, identity_layers, residual_layers
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import EXACT, Probe, Promise, rounded
from autogrow.growth.surgery.plan import Plan
from autogrow.growth.surgery.whole_block import STACK, block_plan, stack_site
from autogrow.growth.surgery.widen import Undo, operate, seeded

KINDS = ("identity", "residual", *BLOCK_KINDS, STACK)


def deepen(
    net: nn.Module,
    after: str,
    *,
    kind: str = "auto",
    example: Example | None = None,
    generator: torch.Generator | None = None,
    calibration: Example | None = None,
) -> Surgery:
    """Insert a layer behind module `after`, in place: `after` becomes `Sequential(it, new layer, activation)`; behind a
    block of a residual stream a whole block, into the list that holds it.

    `after`: an activation, a dropout, a layer or a block (see `growth_sites`); of a container its last module is meant.
    `kind`: 'identity' (where σ(σ(x)) = σ(x)), 'residual' (x + W₂σ(W₁x) with W₂ = 0: exact for every activation), or
    'auto': what is exact there, the first that `growth_sites` names. Of a block 'block' (like its neighbour, with new
    weights) or 'copy' (with its neighbour's), each with its last projections zero: exact. 'stack', of a list of blocks:
    all of them once more, with their weights; it changes what the net answers and promises nothing (G_stack: Du et al.,
    arXiv 2405.15319). `calibration`: a batch; given, and if the stage has a batch norm, an identity layer gets one too,
    calibrated on that batch. `generator`: see `widen`.

    Raises GrowthError where nothing can be inserted, ParityError where the function changed; the net is then as it was.
    (Net2DeeperNet: Chen et al., arXiv 1511.05641, section 2.2; zero-gated residual blocks: He et al., arXiv
    1603.05027.)

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> deepen(net, "1").receipt.max_abs_change < 1e-9
    True
    >>> net[1]
    Sequential(
      (0): ReLU()
      (1): Linear(in_features=8, out_features=8, bias=True)
      (2): ReLU()
    )
    """
    return deepened(net, after, kind, example, generator, calibration)[0]


@torch.inference_mode(False)  # a callback may be under it; what is made there could never be trained
def deepened(
    net: nn.Module,
    after: str,
    kind: str,
    example: Example | None,
    generator: torch.Generator | None,
    calibration: Example | None = None,
) -> tuple[Surgery, Undo]:
    """`deepen`, and how to take it back."""
    net = unwrapped(net)
    sites = growth_sites(net, example)
    site = stack_site(net, after) if kind == STACK else _chosen(sites, after)
    kind = _kind(site, kind)
    generator = generator if generator is not None else seeded("deepen", site.name, kind, len(list(net.modules())))
    if kind in (*BLOCK_KINDS, STACK):
        plan, blocks = block_plan(net, site, kind, generator)
        promise = Promise(None) if kind == STACK else rounded(next(net.parameters()).dtype) if site.norms else EXACT
        return operate(
            net, plan, entry_of(site, kind, calibrated=False), Probe(net, example), promise, called=blocks[-1]
        )
    values = _values_behind(net, site.name, calibration) if _calibrates(net, site, kind, calibration) else None
    layers = inserted_layers(net, site, kind, generator, values)
    entry = entry_of(site, kind, calibrated=values is not None)
    probe = Probe(net, example) if values is None else Probe(net, calibration, rows=None)
    plan = inserting(site.name, layers)
    exact = EXACT if values is None else rounded(values.dtype)
    return operate(net, plan, entry, probe, exact, called=layers[0])


def _chosen(sites: Sites, after: str) -> DepthSite:
    if after in sites.depths:
        return sites.depths[after]
    module = dict(sites.trace.net.named_modules()).get(after)
    if module is None or not after:
        raise GrowthError(f"no module is called {after!r} to insert behind; {nearest(after, sites.depths)}")
    if isinstance(module, (nn.Sequential, nn.ModuleList)) and len(module):
        return _chosen(sites, f"{after}.{list(module._modules)[-1]}")
    try:
        return site_behind(sites, after)
    except GrowthError as error:
        raise GrowthError(
            f"nothing can be inserted behind {after!r}: {error}; {nearest(after, sites.depths)}"
        ) from error


def _kind(site: DepthSite, kind: str) -> str:
    if kind == "auto":
        return site.kinds[0]
    if kind not in KINDS:
        raise GrowthError(f"kind {kind!r} is not a way to insert a layer; {nearest(kind, (*KINDS, 'auto'))}")
    if kind in site.kinds:
        return kind
    if set(BLOCK_KINDS) & {kind, *site.kinds}:
        raise GrowthError(f"kind {kind!r} is not for what is behind {site.name!r}; there is {' and '.join(site.kinds)}")
    why = "it has no activation" if site.activation is None else f"{site.activation!r} applied twice is not itself"
    raise GrowthError(f"an identity layer behind {site.name!r} would not be exact: {why}; kind='residual' is")


def inserted_layers(
    net: nn.Module, site: DepthSite, kind: str, generator: torch.Generator, calibration: Tensor | None = None
) -> list[nn.Module]:
    """The modules that go behind a site."""
    like = net.get_submodule(site.like)
    act = net.get_submodule(site.activation) if site.activation is not None else None
    norm = net.get_submodule(site.norm) if site.norm is not None else None
    if kind == "identity":
        assert act is not None
        layers = identity_layers(like, act, site.size)
        if calibration is not None:
            assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
            layers.insert(1, calibrated_batchnorm(norm, calibration))
        if site.dropout is not None:
            layers.append(nn.Dropout(p=float(net.get_submodule(site.dropout).p), inplace=False))  # type: ignore[arg-type]
        return layers
    return residual_layers(like, act, norm, site.size, generator)


def inserting(name: str, layers: Sequence[nn.Module]) -> Plan:
    """The plan that puts these modules behind the named one (the first net gets them, further nets copies)."""
    template = copies(layers)
    given: list[Sequence[nn.Module]] = [layers]
    return Plan(wrap=name, inserted=lambda _: given.pop() if given else copies(template))


def entry_of(site: DepthSite, kind: str, *, calibrated: bool) -> dict[str, Any]:
    """The insertion as plain data: everything that is needed to build the same modules again."""
    return {
        "op": "deepen", "after": site.name, "kind": kind, "size": site.size, "like": site.like,
        "activation": site.activation, "norm": site.norm, "dropout": site.dropout, "calibrated": calibrated,
        **({"norms": list(site.norms)} if site.norms else {}),
    }  # fmt: skip


def _calibrates(net: nn.Module, site: DepthSite, kind: str, calibration: Example | None) -> bool:
    if calibration is None or kind != "identity" or site.norm is None:
        return False
    return isinstance(net.get_submodule(site.norm), nn.modules.batchnorm._BatchNorm)


def _values_behind(net: nn.Module, name: str, batch: Example | None) -> Tensor:
    """What module `name` answers on a batch in train mode, dropout off: what an inserted norm will see."""
    seen: list[Tensor] = []
    handle = net.get_submodule(name).register_forward_hook(lambda _module, _args, output: seen.append(output.detach()))
    args, kwargs = call_arguments(net, batch, rows=None)
    try:
        with quiet(net, train=True, dropout=False):
            net(*args, **kwargs)
    finally:
        handle.remove()
    return seen[0].clone()
