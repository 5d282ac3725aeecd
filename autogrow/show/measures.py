"""What was measured of a delivered net, in words: the verdict against the baseline, the few lines that a screen shows,
and the classes. Reads `result.json`'s `metrics` and `baseline`; a result of before they were written says less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.evaluation.evaluate import HALF
from autogrow.evaluation.judge import AUTO, BY_ANSWERS, distance_of
from autogrow.show import words

Plain = Mapping[str, Any]

NAMES = {
    "log_loss": "log loss",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier",
    "f1": "F1",
    "mae": "MAE",
    "r2": "R²",
}
"""How a metric is called where its key is not its name."""

SHARES = ("error", "balanced_accuracy")
OF_TWO = ("balanced_accuracy", "auroc", "average_precision", "f1", "brier")
OF_MORE = ("balanced_accuracy", "auroc")
OF_VALUES = ("mae", "r2")
MOST = 4  # lines about single classes or targets


def name_of(metric: str) -> str:
    """What people call a metric.

    >>> name_of("auroc"), name_of("rmse")
    ('ROC AUC', 'rmse')
    """
    return NAMES.get(metric, metric)


def say(metric: str, value: float | None) -> str:
    """A metric's value: shares of rows as percentages, the rest as numbers, '-' where the rows do not define it.

    >>> say("error", 0.1234), say("auroc", 0.91234), say("r2", None)
    ('12.34 %', '0.9123', '-')
    """
    if value is None:
        return "-"
    return words.percent(value) if metric in SHARES else words.number(value)


def split_of(result: Plain) -> str:
    """The split that says what a net is worth: 'test', or 'val' where no row was kept for a test."""
    return "test" if "test" in result else "val"


def judged_by(result: Plain) -> str:
    """The metric that the verdict is about: what the run was judged by, else 'error' or 'rmse'."""
    metric = result.get("metric", AUTO)
    return words.measure_name(result["task"]) if metric == AUTO else str(metric)


def verdict(result: Plain) -> str:
    """What the net is worth, against what needs no net: 'test error 5.23 % (always answering 'good': 5.20 %)'.

    >>> verdict({"task": "classification", "val": {"error": 0.1}})
    'val error 10.00 %'
    """
    split, metric = split_of(result), judged_by(result)
    if "baseline" not in result:
        return f"{split} {metric} {say(metric, result[split][metric])}"
    ours, base = result["metrics"][split], result["baseline"][split]
    said = f"{split} {name_of(metric)} {say(metric, ours[metric])}"
    without, what = say(metric, base[metric]), answer_of(base, metric)
    if beats(metric, ours, base) is False:
        return f"{said}, no better than {what} ({without})"
    return f"{said} ({what}: {without})"


def answer_of(base: Plain, metric: str = "error") -> str:
    """What the baseline does, as far as a metric sees it.

    >>> answer_of({"answer": "good"}), answer_of({"answer": "good"}, "auroc"), answer_of({"answer": {"price": 2.0}})
    ("always answering 'good'", 'always giving the shares of the classes', 'always answering the mean')
    """
    answer = base["answer"]
    if isinstance(answer, Mapping):
        return "always answering the mean"
    return f"always answering {answer!r}" if metric in BY_ANSWERS else "always giving the shares of the classes"


def beats(metric: str, ours: Plain, base: Plain) -> bool | None:
    """Whether a net is better by a metric than the baseline; None where the rows do not define it."""
    if ours[metric] is None or base[metric] is None:
        return None
    return distance_of(metric, ours) < distance_of(metric, base)


def consolation(result: Plain) -> str:
    """What is to be said where the answers are worth nothing and the probabilities something; else nothing."""
    if "baseline" not in result or result["metric"] != AUTO or result["task"] != "classification":
        return ""
    ours, base = (result[key][split_of(result)] for key in ("metrics", "baseline"))
    if beats("error", ours, base) or not beats("log_loss", ours, base):
        return ""
    losses = f"log loss {say('log_loss', ours['log_loss'])} against {say('log_loss', base['log_loss'])}"
    how = ": metric=balanced_accuracy sets a threshold on them" if "threshold" in ours else ""
    return f"its probabilities are better than the shares of the classes ({losses}){how}"


def table(result: Plain) -> list[tuple[str, str, str, str]]:
    """Rows of (metric, val, test, baseline) for a screen, the heads first; the baseline is that of the last split."""
    splits = [s for s in ("val", "test") if s in result]
    metric, found = words.measure_name(result["task"]), result.get("metrics", {})
    base: Plain = result.get("baseline", {}).get(split_of(result), {})
    rows = [("", "val", "test", "baseline" if base else "")]
    for name, key in ((metric, metric), ("loss", "log_loss")):
        shown = [say(metric, result[s][name]) if name == metric else words.number(result[s][name]) for s in splits]
        rows.append((name, *_two(shown), say(key, base[key]) if key in base else ""))
    for name in _further(found.get(splits[0], {})):
        rows.append((name_of(name), *_two([say(name, found[s][name]) for s in splits]), say(name, base.get(name))))
    return rows


def _two(shown: Sequence[str]) -> tuple[str, str]:
    return (shown[0], shown[1] if len(shown) > 1 else "")


def _further(found: Plain) -> tuple[str, ...]:
    if not found:
        return ()
    return OF_VALUES if "rmse" in found else OF_TWO if "brier" in found else OF_MORE


def details(result: Plain) -> list[tuple[str, str]]:
    """Lines about single classes or targets, of the split that counts: (what, how it was answered)."""
    if "metrics" not in result:
        return []
    found: Plain = result["metrics"][split_of(result)]
    if "targets" in found:
        return _targets(found["targets"]) if len(found["targets"]) > 1 else []
    return _of_two(found) if "brier" in found else _of_more(found)


def _targets(targets: Sequence[Plain]) -> list[tuple[str, str]]:
    shown = [
        (str(t["name"]), f"rmse {say('rmse', t['rmse'])}, MAE {say('mae', t['mae'])}, R² {say('r2', t['r2'])}")
        for t in targets[:MOST]
    ]
    return shown + ([("", f"and {len(targets) - MOST} more targets")] if len(targets) > MOST else [])


def _of_two(found: Plain) -> list[tuple[str, str]]:
    labels = [c["label"] for c in found["classes"]]
    lines = []
    for of_class, row in zip(found["classes"], found["confusion"], strict=True):
        answered = " and ".join(f"{words.count(n)} as {label!r}" for label, n in zip(labels, row, strict=True))
        lines.append(f"{words.count(sum(row))} of {of_class['label']!r}: {answered} answered")
    at = [f"{found['positive']!r} from a probability of {found['threshold']:.3g} on"]
    return list(zip(("answers", "", ""), lines + at * (found["threshold"] != HALF), strict=False))


def _of_more(found: Plain) -> list[tuple[str, str]]:
    there = [c for c in found["classes"] if c["rows"]]
    worst = sorted(there, key=lambda c: c["recall"])[:MOST]
    said = [
        f"{c['label']!r} recall {say('error', c['recall'])}, precision {say('error', c['precision'])}" for c in worst
    ]
    lines = [("least found", "; ".join(said))]
    if found["confused"]:
        pairs = [f"{p['truth']!r} as {p['answer']!r} {words.count(p['rows'])}×" for p in found["confused"][:MOST]]
        lines.append(("confused", ", ".join(pairs)))
    return lines
