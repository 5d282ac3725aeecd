"""Paired differences, and what they say in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.compare.read.runs import Run
from autogrow.compare.read.statistics import ENOUGH, geometric_ratio, mean

RATIOS = ("train_flops", "seconds", "parameters")

ALIKE = 0.95
"""Costs within one part of twenty are not worth a word in a headline."""


def pairs_of(arms: Mapping[str, Sequence[Run]], reference: str) -> list[dict[str, Any]]:
    """The reference arm against each other one, seed by seed, in test error (or rmse) and test loss."""
    metric = arms[reference][0].metric
    return [
        pair(arms[reference], runs, measure, names=(reference, other))
        for other, runs in arms.items()
        if other != reference and _common(arms[reference], runs)
        for measure in (f"test_{metric}", "test_loss")
    ]


def pair(a: Sequence[Run], b: Sequence[Run], measure: str, *, names: tuple[str, str] = ("a", "b")) -> dict[str, Any]:
    """a − b over the seeds and splits that both have. Errors in percentage points, the rest as it is."""
    both = _common(a, b)
    unit, scale = _unit(measure)
    differences = [scale * (one.measures[measure] - two.measures[measure]) for one, two in both]
    found = mean(differences)
    ratios = {
        key: geometric_ratio([one.measures[key] for one, _ in both], [two.measures[key] for _, two in both])
        for key in RATIOS
    }
    return {
        "a": names[0],
        "b": names[1],
        "measure": measure,
        "unit": unit,
        "n": len(both),
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "differences": differences,
        "seeds": [one.seed for one, _ in both],
        "ratio": ratios,
    }


def verdict(pair: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What a pair says whose measure is better when lower.

    `one` and `other` are its arms, with their `label` and, where a sentence names them otherwise, `spoken`.

    `sentence` is for a headline, `text` has the numbers.
    """
    a, b = one["label"], other["label"]
    kind, words = _judged(pair, a)
    seeds = f"{pair['n']} seed{'s' * (pair['n'] != 1)}"
    costs = ", ".join(
        f"{times(pair['ratio'][key])} {what}"
        for key, what in (("train_flops", "its training FLOPs"), ("seconds", "seconds"), ("parameters", "parameters"))
        if pair["ratio"][key] is not None
    )
    text = f"{a} − {b}: {difference(pair)}, {seeds}: {words}" + (f" (at {costs})" if costs else "")
    return {
        "text": text,
        "sentence": sentence(pair, _spoken(one), _spoken(other)),
        "kind": kind,
        "a": pair["a"],
        "b": pair["b"],
    }


def sentence(pair: Mapping[str, Any], a: str, b: str) -> str:
    """A verdict as it would be said: what was shown, and what it took where that differs.

    >>> found = {"measure": "test_error", "n": 5, "low": -0.3, "high": 0.1, "ratio": {"train_flops": 0.271}}
    >>> sentence(found, "growing", "a fixed net of 256-256")
    'No difference shown between growing and a fixed net of 256-256, at 0.27 times the training FLOPs'
    >>> sentence({**found, "n": 2}, "growing", "training its size from scratch")
    'Too few seeds to tell growing from training its size from scratch'
    """
    measure = f"test {pair['measure'].partition('_')[2]}"
    alike = pair["low"] == pair["high"]
    said = {
        "better": f"{a} has less {measure} than {b}",
        "worse": f"{a} has more {measure} than {b}",
        "tie": f"No difference shown between {a} and {b}",
        "unknown": f"{a} and {b} differ by the same at every seed: an interval over seeds cannot judge it"
        if pair["n"] >= ENOUGH and alike
        else f"Too few seeds to tell {a} from {b}",
    }
    kind = _judged(pair, a)[0]
    flops = pair["ratio"].get("train_flops")
    alike_in_cost = flops is None or ALIKE < flops < 1 / ALIKE
    cost = "" if kind == "unknown" or alike_in_cost else f", at {times(flops)[:-1]} times the training FLOPs"
    return said[kind][0].upper() + said[kind][1:] + cost


def _spoken(arm: Mapping[str, Any]) -> str:
    return str(arm.get("spoken") or arm["label"])


def difference(pair: Mapping[str, Any]) -> str:
    """A difference with its interval: −0.12 pp [−0.31, +0.05]."""
    unit = f" {pair['unit']}" if pair["unit"] else ""
    if pair["low"] is None:
        return f"{signed(pair['difference'], pair['unit'])}{unit}"
    low, high = (signed(pair[end], pair["unit"]) for end in ("low", "high"))
    return f"{signed(pair['difference'], pair['unit'])}{unit} [{low}, {high}]"


def signed(value: float, unit: str) -> str:
    """A number with its sign: two decimals of percentage points, three digits of anything else.

    >>> signed(-0.123, "pp"), signed(0.0123456, ""), signed(-0.001, "pp")
    ('−0.12', '+0.0123', '0.00')
    """
    text = f"{value:+.2f}" if unit == "pp" else f"{value:+.3g}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def times(ratio: float) -> str:
    """A ratio of costs.

    >>> times(0.1234), times(2.5), times(42.4)
    ('0.12×', '2.5×', '42×')
    """
    return f"{ratio:.2g}×" if ratio < 9.95 else f"{ratio:.0f}×"


def _judged(pair: Mapping[str, Any], a: str) -> tuple[str, str]:
    if pair["n"] < ENOUGH:
        return "unknown", "too few seeds to tell"
    if pair["low"] == pair["high"] != 0:
        return "unknown", "the same at every seed, which an interval over seeds cannot judge"
    if pair["high"] < 0:
        return "better", f"{a} is better"
    if pair["low"] > 0:
        return "worse", f"{a} is worse"
    return "tie", "no difference shown"


def _common(a: Sequence[Run], b: Sequence[Run]) -> list[tuple[Run, Run]]:
    others = {run.pair: run for run in b}
    return [(run, others[run.pair]) for run in a if run.pair in others]


def _unit(measure: str) -> tuple[str, float]:
    match measure.partition("_")[2]:
        case "error":
            return "pp", 100.0
        case "rmse":
            return "rmse", 1.0
        case _:
            return "", 1.0
