"""`autogrow transfer`: a trained net into a larger one with the same outputs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from autogrow.config import instantiate
from autogrow.deploy import read_sklearn, transfer, transfer_torch
from autogrow.deploy.sklearn_nets import warn_of_pickle
from autogrow.deploy.sklearn_proof import PROBED
from autogrow.errors import ConfigError
from autogrow.growth import Receipt
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, save_atomically
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import checkpoint_of

NAME = "larger.ckpt"


def write_larger(cfg: DictConfig) -> None:
    """Write the larger net and say what it answers otherwise."""
    if (cfg.checkpoint is None) == (cfg.from_sklearn is None):
        raise ConfigError("transfer takes checkpoint=<run folder or file>, or from_sklearn=<file>: one of them")
    widths: Any = OmegaConf.to_object(cfg.widths) if OmegaConf.is_config(cfg.widths) else cfg.widths
    if widths is not None and not isinstance(widths, list):
        raise ConfigError(f"widths must be a list such as [128,128], got {widths!r}")
    source = Path(cfg.checkpoint or cfg.from_sklearn)
    path = source if cfg.from_sklearn else checkpoint_of(source)
    out = Path(cfg.out) if cfg.out else path.parent / NAME
    if out.exists() and not cfg.overwrite:
        raise ConfigError(f"{out} is there already; give out=<another file>, or overwrite=true")
    if not out.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {out.parent}")
    if cfg.allow_pickle:
        warn_of_pickle(path)
    if cfg.from_sklearn:
        _from_sklearn(cfg, path, widths, out)
        return
    if widths is None:
        raise ConfigError("transfer needs the larger net's hidden widths: widths=[512,512,256]")
    neurons, generator = instantiate(cfg.neurons), torch.Generator().manual_seed(cfg.seed)
    if is_ours(path):
        done = transfer(path, widths, neurons=neurons, generator=generator, out=out)
        say(done.before, done.after, done.receipt)
    else:
        shape: Any = OmegaConf.to_object(cfg.input_shape) if cfg.input_shape is not None else None
        net, content, grown = transfer_torch(
            path,
            widths,
            activation=cfg.activation,
            layers=None if cfg.layers is None else [str(name) for name in cfg.layers],
            allow_pickle=cfg.allow_pickle,
            input_shape=shape,
            neurons=neurons,
            generator=generator,
        )
        save_atomically(content, out)
        receipt = {
            "source": str(path),
            "before": grown.before,
            "after": grown.after,
            "receipt": grown.receipt.to_plain(),
        }
        write_json(out.with_suffix(".json"), {**receipt, "layers": str(net).splitlines()})
        say(grown.before, grown.after, grown.receipt)
        print(f"the layers and the receipt: {out.with_suffix('.json')}")
    print(out)


def _from_sklearn(cfg: DictConfig, path: Path, widths: Any, out: Path) -> None:
    content = read_sklearn(path, allow_pickle=cfg.allow_pickle)
    receipt = content["receipt"]
    print(
        f"its answers on {PROBED} probe rows differ from the estimator's own by at most {receipt['max_abs_change']:.2g}"
    )
    try:
        save_atomically(content, out)
        if widths is not None:
            generator = torch.Generator().manual_seed(cfg.seed)
            done = transfer(out, widths, neurons=instantiate(cfg.neurons), generator=generator, out=out)
            say(done.before, done.after, done.receipt)
    except BaseException:
        out.unlink(missing_ok=True)  # nothing half-written
        raise
    print(out)


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of autogrow; what it cannot tell (another file,
    a damaged one) is for the readers to say.
    """
    if path.suffix == ".ckpt" or not path.is_file() or not zipfile.is_zipfile(path):
        return path.suffix == ".ckpt"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  (whatever torch makes of a file that is not ours, it is not ours)
        return False
    return isinstance(content, dict) and CHECKPOINT_KEY in content


def say(before: Sequence[int], after: Sequence[int], receipt: Receipt) -> None:
    """The transfer and its proof in one line."""
    old, new = ("-".join(map(str, widths)) or "no hidden layer" for widths in (before, after))
    promised = "nothing promised" if receipt.promise is None else f"promised {receipt.promise:.2g}"
    print(f"{old} → {new}: outputs change by at most {receipt.max_abs_change:.2g} in float64 ({promised})")
