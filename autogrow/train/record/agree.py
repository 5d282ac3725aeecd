"""What the parts of a file say of each other, where each is of its kind: a reader goes from one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.plain import fault
from autogrow.train.record.contents import BaseOfClasses, BaseOfValues, OfClasses, OfValues

Plain = Mapping[str, Any]

_OF_A_TABLE = ("numeric", "categories", "encoded_columns")
_OF_CLASSES, _OF_VALUES = ("roc", "precision_recall", "calibration"), ("cloud",)


def fault_of_result(result: Plain, needs: Sequence[str]) -> str:
    """What is wrong between the parts of `result.json` that a reader needs; empty where nothing is."""
    values = result.get("task") == "regression"
    parts = [part for part in ("val", "test") if part in result and part in needs]
    for part in parts:
        for key in ("loss", "rmse" if values else "error"):
            if result[part].get(key, "none") == "none":
                return f"{part} has no {key!r}"
    if len({key in result for key in ("metric", "metrics", "baseline")}) > 1:
        return "it has not all of 'metric', 'metrics' and 'baseline'"
    if "metrics" not in result:
        return ""
    return next(filter(None, (_fault_of_part(result, part, values=values) for part in parts)), "")


def _fault_of_part(result: Plain, part: str, *, values: bool) -> str:
    """What is wrong with the metrics of one split, and the baseline's beside them."""
    found, base, judged = result["metrics"].get(part), result["baseline"].get(part), result["metric"]
    wrong = fault(found, OfValues if values else OfClasses, f"metrics.{part}")
    wrong = wrong or fault(base, BaseOfValues if values else BaseOfClasses, f"baseline.{part}")
    if wrong:
        return wrong
    wrong = fault({k: v for k, v in base.items() if k != "answer"}, Mapping[str, float], f"baseline.{part}")
    if not wrong and judged != "auto" and not all(isinstance(of.get(judged), float) for of in (found, base)):
        wrong = f"metric {judged!r} is not among its metrics"
    return wrong or ("" if values else _fault_of_classes(found, part))


def _fault_of_classes(found: Plain, part: str) -> str:
    classes, confusion = found["classes"], found["confusion"]
    if not classes or len(confusion) != len(classes) or any(len(row) != len(classes) for row in confusion):
        return f"metrics.{part}.confusion is not a square of its {len(classes)} classes"
    if any(one["rows"] and one["recall"] is None for one in classes):
        return f"metrics.{part}.classes has rows and no recall"
    if ("brier" in found) != (len(classes) == 2) or not (
        "brier" not in found or {"positive", "threshold"} <= found.keys()
    ):
        return f"metrics.{part} is not of {len(classes)} classes"
    if len(classes) > 2 and "confused" not in found:
        return f"metrics.{part} has no 'confused'"
    return ""


def fault_of_card(card: Plain) -> str:
    """What is wrong between the parts of `data_card.json`."""
    asked = [*_OF_A_TABLE] if isinstance(card.get("columns"), int) else []
    asked += [
        key
        for key, needed in (
            ("missing_by_column", card.get("missing")),
            ("balance", "classes" in card),
            ("read_as", card.get("written")),
        )
        if needed
    ]
    if not card.get("classes", "none"):
        return "it has no class"
    return next((f"it has no {key!r}" for key in asked if key not in card), "")


def fault_of_curves(curves: Plain, result: Plain) -> str:
    """What is wrong between the parts of `curves.json`, and between them and the result."""
    others = _OF_CLASSES if result["task"] == "regression" else _OF_VALUES
    for key in others:
        if key in curves:
            return f"{key!r} is not for a {result['task']}"
    if ("roc" in curves) != ("precision_recall" in curves):
        return "it has only one of 'roc' and 'precision_recall'"
    pairs = [(one["x"], one["y"]) for key in ("roc", "precision_recall") for one in curves.get(key, ())]
    pairs += [(one["said"], one["right"]) for one in curves.get("calibration", {}).values()]
    pairs += [(one["true"], one["predicted"]) for one in curves.get("cloud", ())]
    pairs += [(effect["x"], line["y"]) for effect in curves.get("effects", ()) for line in effect["lines"]]
    if any(len(a) != len(b) or not len(a) for a, b in pairs):
        return "a curve has more values along than up"
    if any(not effect["lines"] for effect in curves.get("effects", ())):
        return "an effect has no line"
    return ""
