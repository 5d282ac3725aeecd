"""The last look at a split: everything that is said of the delivered net, from one pass over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from autogrow.data import Prepared, Split
from autogrow.evaluation import baseline, evaluate, prior_of
from autogrow.evaluation.curves import curves
from autogrow.evaluation.judge import BY_ANSWERS, best_threshold
from autogrow.evaluation.ranking import rankings
from autogrow.growth.modes import eval_mode
from autogrow.train.fit.looks.measurer import answers_of, in_words_of_the_task
from autogrow.train.fit.looks.metrics import final_metrics
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.measure import measure_outputs, outputs_of

Plain = dict[str, Any]


@dataclass(frozen=True)
class FinalLook:
    """What one split says of the delivered net.

    measured: loss, error or rmse, and the metrics that `metrics=` names. metrics, baseline: see `autogrow.evaluation`.
    curves: what the page draws. outputs (N, O): of each row, as the net answers.
    """

    measured: dict[str, float]
    metrics: Plain
    baseline: Plain
    curves: Plain = field(repr=False)
    outputs: Tensor = field(repr=False)


def take_final_look(
    net: Delivered, split: Split, prepared: Prepared, names: Sequence[str] = (), *, temperature: float = 1.0
) -> FinalLook:
    """Measure a delivered net on a split of net inputs. `temperature`: what its logits were divided by."""
    z, task, pipeline = _outputs(net, split.x), prepared.task, prepared.pipeline
    scale = prepared.target_scale
    found = measure_outputs(
        z, split.y, task=task, target_std=None if scale is None else scale[1].float(), weight=split.weight
    )
    weights = _weights(split)
    answers, y = in_words_of_the_task(pipeline, z, split.y)
    before = None if temperature == 1 else answers_of(pipeline, z * temperature)
    labels, targets = pipeline.labels, pipeline.targets
    ranked = rankings(answers, y, weights) if task == "classification" else None  # sorted once for both
    metrics = evaluate(task, labels, answers, y, weights=weights, threshold=net.threshold, names=targets, ranked=ranked)
    error = found.error if net.threshold is None else metrics["error"]
    assert net.prior is not None
    return FinalLook(
        measured={
            "loss": found.loss,
            "error" if task == "classification" else "rmse": error,
            **final_metrics(z, split.y, prepared, names),
        },
        metrics=metrics,
        baseline=baseline(task, labels, net.prior, y, weights=weights, names=targets),
        curves=curves(task, labels, answers, y, before=before, weights=weights, names=targets, ranked=ranked),
        outputs=z,
    )


def choose_threshold(net: Delivered, prepared: Prepared, metric: str) -> float | None:
    """The threshold on the second class's probability that suits `metric` best on validation;
    None where there is nothing to choose: more classes, values, a metric that is not read off answers.
    """
    if metric not in BY_ANSWERS or len(prepared.labels) != 2:
        return None
    p, y = in_words_of_the_task(prepared.pipeline, _outputs(net, prepared.val.x), prepared.val.y)
    return best_threshold(metric, p[:, 1], y, _weights(prepared.val))[0]


def training_prior(prepared: Prepared) -> list[float]:
    """Shares of the classes among the training rows, or the mean of each target, in its units."""
    if prepared.target_scale is not None:
        means: list[float] = prepared.target_scale[0].tolist()
        return means
    return prior_of(prepared.task, prepared.outputs, prepared.train.y.numpy(), _weights(prepared.train))


def _weights(split: Split) -> np.ndarray | None:
    return None if split.weight is None else split.weight.numpy()


def _outputs(net: Delivered, x: Tensor) -> Tensor:
    with eval_mode(net):
        return outputs_of(net.net, x).float()
