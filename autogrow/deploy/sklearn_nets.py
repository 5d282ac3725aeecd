"""scikit-learn's MLPs as checkpoints of ours: the same answers, ready to grow.

n rows, d columns, O outputs.
"""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from autogrow.data import Pipeline
from autogrow.data.centre import Centring, scaled_values_round_well
from autogrow.data.encode import TableEncoder
from autogrow.data.preprocess import Standardise
from autogrow.deploy.sklearn_proof import compared
from autogrow.errors import CheckpointError, UsageError
from autogrow.nets import DenseNet
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, CHECKPOINT_VERSION

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid", "identity": "identity"}


def read_sklearn(path: str | Path, *, allow_pickle: bool = False) -> dict[str, Any]:
    """A file that holds an `MLPClassifier` or `MLPRegressor`, alone or behind a `StandardScaler`,
    as a checkpoint's content.

    `.skops` files are read without running code; joblib and pickle files only with `allow_pickle`, by which you say
    that you trust the file. `autogrow.load` gives a net whose `predict` is the estimator's, and whose softmax is its
    `predict_proba`: its answers on probe rows are compared with the estimator's own, `receipt` says how far they
    differ. Raises CheckpointError for anything that cannot be taken over exactly.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file at {path}")
    return content_of(_read(path, allow_pickle=allow_pickle), str(path))


def _read(path: Path, *, allow_pickle: bool) -> Any:
    if path.suffix == ".skops":
        return _read_skops(path)
    if not allow_pickle:
        raise CheckpointError(
            f"{path} is a pickle, and reading one runs its code; if you trust it: allow_pickle=true, else write it with skops.io.dump"
        )
    import joblib

    try:
        return joblib.load(path)
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError, ImportError, IndexError) as error:
        raise CheckpointError(f"{path} cannot be unpickled: {error}") from None


def _read_skops(path: Path) -> Any:
    try:
        import skops.io as sio
    except ImportError:
        raise UsageError(f"{path} needs skops to be read: pip install skops") from None
    import zipfile

    try:
        unknown = sio.get_untrusted_types(file=path)
        # scikit-learn's own optimizer state, which is not used here
        trusted = [t for t in unknown if t.startswith("sklearn.neural_network._stochastic_optimizers.")]
        if len(trusted) < len(unknown):
            names = ", ".join(sorted(set(unknown) - set(trusted)))
            raise CheckpointError(f"{path} holds types that are not trusted: {names}; refused")
        return sio.load(path, trusted=trusted)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole file of skops: {error}") from None


def content_of(estimator: Any, origin: str = "the estimator") -> dict[str, Any]:
    """What a checkpoint of an estimator's net holds: weights, builder, preprocessing, labels."""
    scaler, mlp = _parts(estimator, origin)
    _check(mlp, origin)
    weights, biases = _layers(mlp)
    offset = np.zeros_like(biases[-1])
    if isinstance(mlp, MLPRegressor):  # added in 64 bits, where targets far from 0 need it
        offset, biases[-1] = biases[-1], offset
    inputs = weights[0].shape[0]
    arguments: dict[str, Any] = {
        "inputs": [inputs],
        "widths": [w.shape[1] for w in weights[:-1]],
        "outputs": weights[-1].shape[1],
        "activation": "relu" if len(weights) == 1 else ACTIVATIONS[mlp.activation],
        "norm": "none",
        "dropout": None,
        "residual": False,
        "members": 1,
        "embeddings": [],
    }
    net = DenseNet(**arguments)
    linear = [m for m in net.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for module, weight, bias in zip(linear, weights, biases, strict=True):
            module.weight.copy_(torch.from_numpy(weight.T.copy()))
            module.bias.copy_(torch.from_numpy(bias))
    pipeline = _pipeline(scaler, mlp, estimator, offset)
    receipt = compared(Delivered(net, pipeline), estimator, scaler, origin)
    delivery = {"pipeline": pipeline.state(), "members": 1, "example": torch.zeros(2, inputs)}
    return {
        "state_dict": net.state_dict(),
        CHECKPOINT_KEY: {
            "version": CHECKPOINT_VERSION,
            "builder": {"net": "DenseNet", "arguments": arguments},
            "recipe": [],
            "rate": {},
            "delivery": delivery,
        },
        "result": {"task": pipeline.task, "widths": arguments["widths"], "from": type(mlp).__name__},
        "receipt": receipt.to_plain(),
    }


def _parts(estimator: Any, origin: str) -> tuple[StandardScaler | None, Any]:
    steps = [step for _, step in estimator.steps] if isinstance(estimator, SklearnPipeline) else [estimator]
    scaler = steps[0] if len(steps) == 2 and isinstance(steps[0], StandardScaler) else None
    if len(steps) > (2 if scaler is not None else 1) or not isinstance(steps[-1], (MLPClassifier, MLPRegressor)):
        names = " → ".join(type(step).__name__ for step in steps)
        raise CheckpointError(
            f"{origin} holds {names}; what can be taken over is an MLPClassifier or MLPRegressor, alone or behind a StandardScaler"
        )
    return scaler, steps[-1]


def _check(mlp: Any, origin: str) -> None:
    if not hasattr(mlp, "coefs_"):
        raise CheckpointError(f"{origin} holds an {type(mlp).__name__} that has not been fitted")
    if isinstance(mlp, MLPClassifier) and getattr(mlp._label_binarizer, "y_type_", "").startswith("multilabel"):
        raise CheckpointError(f"{origin} has several labels per row, which a softmax cannot give")
    known = ("softmax", "logistic") if isinstance(mlp, MLPClassifier) else ("identity",)
    if mlp.out_activation_ not in known:
        raise CheckpointError(
            f"{origin} answers with {mlp.out_activation_} of its last layer (out_activation_), and a net of autogrow "
            f"with {' or '.join(known)}; train it with another loss, or on the target's logarithm"
        )


def _layers(mlp: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights (inputs, outputs) and biases. A binary classifier's one logit z becomes the two logits (0, z):
    the same probabilities.

    Layers with nothing between them (identity) are one: their product.
    """
    weights = [np.asarray(w, dtype=np.float64) for w in mlp.coefs_]
    biases = [np.asarray(b, dtype=np.float64) for b in mlp.intercepts_]
    if mlp.activation == "identity":
        whole, shift = weights[0], biases[0]
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            whole, shift = whole @ weight, shift @ weight + bias
        weights, biases = [whole], [shift]
    if isinstance(mlp, MLPClassifier) and weights[-1].shape[1] == 1:
        weights[-1] = np.concatenate([np.zeros_like(weights[-1]), weights[-1]], axis=1)
        biases[-1] = np.concatenate([[0.0], biases[-1]])
    return weights, biases


def _pipeline(scaler: StandardScaler | None, mlp: Any, estimator: Any, offset: np.ndarray) -> Pipeline:
    """The scaler as a preprocessing of ours; a column that it moves far is moved in 64 bits, as it does."""
    inputs = mlp.coefs_[0].shape[0]
    columns = tuple(str(name) for name in getattr(estimator, "feature_names_in_", _names(inputs)))
    mean, scale = np.zeros(inputs), np.ones(inputs)
    if scaler is not None and scaler.with_mean:  # without, it knows a mean that it does not use
        mean = np.asarray(scaler.mean_, np.float64)
    if scaler is not None and scaler.with_std:
        scale = 1 / np.asarray(scaler.scale_, np.float64)
    far = [not scaled_values_round_well(m, 1 / s) for m, s in zip(mean, scale, strict=True)]
    centred = {
        name: Centring(m, 1 / s)
        for name, m, s, is_far in zip(columns, mean.tolist(), scale.tolist(), far, strict=True)
        if is_far
    }
    mean, scale = np.where(far, 0.0, mean), np.where(far, 1.0, scale)

    def row(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)

    preprocess = Standardise(row(mean), row(mean), row(scale), torch.full((inputs,), math.inf))
    classifier = isinstance(mlp, MLPClassifier)
    outputs = len(mlp.classes_) if classifier else mlp.n_outputs_
    return Pipeline(
        task="classification" if classifier else "regression",
        input_shape=(inputs,),
        outputs=outputs,
        labels=mlp.classes_.tolist() if classifier else [],
        targets=[] if classifier else [f"y{i}" for i in range(outputs)] if outputs > 1 else ["y"],
        encoder=TableEncoder(columns, columns, (), {}, centred=centred),
        preprocess=preprocess,
        target_scale=None if classifier else (torch.from_numpy(offset), torch.ones(outputs, dtype=torch.float64)),
    )


def _names(inputs: int) -> list[str]:
    return [f"x{i}" for i in range(inputs)]


def warn_of_pickle(path: Path) -> None:
    """Say what `allow_pickle` means."""
    warnings.warn(f"{path} is unpickled, which runs whatever code it holds", stacklevel=2)
