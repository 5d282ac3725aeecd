"""Words and units for people: how the live display and the report say a number, a net, a decision, a growth.

Both speak through this module, so that a growth reads the same on the screen while it happens and on the page
afterwards. Percentages, units and thousands are written with plain spaces and commas; nothing here escapes or styles
text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.policy import history
from autogrow.policy.event import Continued, Event
from autogrow.policy.history import Action

Widths = Mapping[str, int] | Sequence[int]


def number(value: float | None, digits: int = 4) -> str:
    """A loss or an rmse: so many decimals below one, so many digits above, at least two digits however small.

    >>> number(0.123456), number(1234.5), number(0.000412), number(0.0000123), number(float("nan"))
    ('0.1235', '1,234', '0.000412', '1.23e-05', 'not finite')
    """
    if value is None or not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude >= 9:
        return f"{value:.2e}"
    decimals = max(0, digits - 1 - magnitude) if magnitude >= 0 else max(digits, digits - 2 - magnitude)
    return f"{value:,.{decimals}f}"


def percent(fraction: float | None, decimals: int = 2) -> str:
    """A fraction as a percentage.

    >>> percent(0.10764), percent(-0.001, 0)
    ('10.76 %', '0 %')
    """
    if fraction is None or not math.isfinite(fraction):
        return "not finite"
    return f"{round(100 * fraction, decimals) + 0.0:.{decimals}f} %"  # no minus before a zero


def measure(name: str, value: float | None) -> str:
    """What a task is judged by: an error rate as a percentage, anything else (an rmse) as a number.

    >>> measure("error", 0.109), measure("rmse", 53.123)
    ('10.90 %', '53.12')
    """
    return percent(value) if name == "error" else number(value)


def measure_name(task: object) -> str:
    """'rmse' for a regression, else 'error'."""
    return "rmse" if "regression" in str(task) else "error"


def count(n: float) -> str:
    """A number of parameters, rows or steps: exact below ten million.

    >>> count(62410), count(12_345_678)
    ('62,410', '12.3 M')
    """
    return f"{n:,.0f}" if abs(n) < 1e7 else _scaled(n, ("", " k", " M", " G", " T", " P"))


def flops(n: float) -> str:
    """Floating point operations, with the unit that leaves one to three digits.

    >>> flops(6.9e11), flops(1.234e12), flops(820)
    ('690 GFLOP', '1.23 TFLOP', '820 FLOP')
    """
    return _scaled(n, (" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP", " EFLOP"))


def _scaled(n: float, units: Sequence[str]) -> str:
    power = 0
    while abs(n) >= 999.5 and power < len(units) - 1:
        n, power = n / 1000, power + 1
    if power == 0:
        return f"{n:.0f}{units[0]}"
    return f"{n:.{2 if abs(n) < 9.995 else 1 if abs(n) < 99.95 else 0}f}{units[power]}"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.016), duration(0.84), duration(42.3), duration(192), duration(7500)
    ('16 ms', '0.8 s', '42 s', '3 min 12 s', '2 h 05 min')
    """
    if 0 < seconds < 0.0995:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def passes(value: float) -> str:
    """Passes over the training data: '12.5 passes'.

    >>> passes(12.46), passes(1.0), passes(0.04), passes(0.5)
    ('12.5 passes', '1 pass', '0.04 passes', '0.5 passes')
    """
    text = (f"{value:.1f}" if value >= 0.95 else f"{value:.2g}").removesuffix(".0")
    return f"{text} pass" if text == "1" else f"{text} passes"


def span(start: float, end: float) -> str:
    """A stretch of passes.

    >>> span(3.56, 14.24)
    '3.6 to 14.2 passes'
    """
    return f"{passes(start).split()[0]} to {passes(end).split()[0]} passes"


def columns(cells: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A small table, a line each: the first `left` columns to the left, the others to the right.

    >>> columns([["set", "error"], ["digits", "0.8 %"]])
    ['  set     error', '  digits  0.8 %']
    """
    wide = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return [
        "  " + "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, wide, strict=True)))
        for row in cells
    ]


def widths(sizes: Widths) -> str:
    """Hidden widths from input to output; a net without hidden layers is linear.

    >>> widths({"hidden.0": 216, "hidden.1": 216}), widths([64]), widths({})
    ('216-216', '64', 'linear')
    """
    return "-".join(str(size) for size in width_list(sizes)) or "linear"


def on_device(taken: Mapping[str, float] | None) -> list[str]:
    """The microseconds of a row and the kB of a net on a device, as two cells of a table.

    >>> on_device({"p50_us": 1.0514, "bytes": 87592}), on_device(None)
    (['1.05', '87.6'], ['–', '–'])
    """
    return ["–", "–"] if taken is None else [f"{taken['p50_us']:.3g}", f"{taken['bytes'] / 1000:.1f}"]


def width_list(sizes: Widths) -> list[int]:
    """Hidden widths as a list, from input to output."""
    return list(sizes.values() if isinstance(sizes, Mapping) else sizes)


def times(n: int, thing: str) -> str:
    """A count and its noun.

    >>> times(1, "growth"), times(7, "growth"), times(0, "check")
    ('1 growth', '7 growths', 'no checks')
    """
    return f"{n or 'no'} {thing}{'' if n == 1 else 's'}"


def intent(action: Action) -> str:  # noqa: PLR0911  (a table, one line a case)
    """What a decision is about to do: 'widen hidden.0 to 96'."""
    match action:
        case history.Keep():
            return "keep"
        case history.Widen(widths=wanted):
            return "widen " + ", ".join(f"{name} to {size}" for name, size in wanted.items())
        case history.Deepen(after=after, kind=kind):
            return f"deepen with {_article(kind)} {kind} layer behind {after}"
        case history.Refine(knots=wanted):
            return "refine " + _few([f"{name} to {_pieces(knots)}" for name, knots in wanted.items()])
        case history.ExtendInputs(count=more):
            return f"accept {times(more, 'more input')}"
        case history.ExtendOutputs(count=more):
            return f"answer with {times(more, 'more output')}"
        case history.Undo(to_check=check):
            return f"go back to check {check}"
        case history.Regularize(back_to=check, dropout=share):
            return f"go back to check {check} and train on with dropout {share:g}"
        case history.Anneal(back_to=check, steps=steps):
            return f"anneal from check {check} over {times(steps, 'step')}"
        case history.Refit(back_to=check, steps=steps):
            return f"anneal from check {check} once more over {times(steps, 'step')}, on training and validation rows"
        case history.Stop():
            return "stop"


def deed(event: Event) -> str:  # noqa: PLR0911  (a table, one line a case)
    """What was applied, in the past tense, with the widths before and after where they changed.

    >>> from autogrow.policy.event import Event, Size
    >>> deed(Event(history.Widen({"h": 96}), before=Size({"h": 64}, 900, 1600), after=Size({"h": 96}, 1300, 2400)))
    'widened 64 → 96'
    """
    old, new = (widths(size.widths) if size else "" for size in (event.before, event.after))
    change, inside = (f" {old} → {new}", f" ({old} → {new})") if old != new else ("", "")
    match event.done:
        case history.Widen():
            return f"widened{change}"
        case history.Deepen(kind=kind):
            return f"deepened{change}" + (f" with {_article(kind)} {kind} layer" if kind else "")
        case history.Refine(knots=wanted):
            return _finer(list(wanted), event)
        case history.ExtendInputs(count=more):
            return f"accepted {times(more, 'more input')}"
        case history.ExtendOutputs(count=more):
            return f"extended to {times(more, 'more output')}"
        case Continued() as start:
            return _continued(start)
        case history.Undo(to_check=check):
            return f"went back to check {check}{inside}"
        case history.Regularize(back_to=check, dropout=share):
            return f"went back to check {check}{inside} and trained on with dropout {share:g}"
        case history.Anneal(back_to=check, steps=steps):
            return f"returned to check {check}{inside} and annealed over {times(steps, 'step')}"
        case history.Refit(back_to=check, steps=steps):
            return f"returned to check {check}{inside} and annealed over {times(steps, 'step')} on all rows but test"
    return f"{event.do}{change}"


def _finer(names: Sequence[str], event: Event) -> str:
    """Which columns became finer.

    >>> from autogrow.policy.event import Event, Size
    >>> size = Size({"h": 8}, 50, 80)
    >>> _finer(["age"], Event(history.Refine({"age": 16}), size, Size({"h": 8}, 178, 336, {"age": 16})))
    'finer: age 1 → 16'
    """
    old, new = ({} if size is None else size.knots for size in (event.before, event.after))
    return "finer: " + _few([f"{name} {old.get(name, 1)} → {new.get(name, 1)}" for name in names])


def _pieces(knots: int | Sequence[float]) -> str:
    return f"{knots if isinstance(knots, int) else len(knots) - 1} pieces"


def _few(things: Sequence[str], most: int = 4) -> str:
    """The first few of a list, and how many more there are."""
    rest = len(things) - most
    return ", ".join(things) if rest < 2 else ", ".join(things[:most]) + f" and {rest} more"


def _continued(start: Continued) -> str:
    found = ((start.new_inputs, "more input"), (start.new_outputs, "more class"))
    new = [times(more, word) for more, word in found if more]
    shrunk = "" if start.shrink is None else ", shrunk and perturbed"
    return f"went on with {start.rows['train']:,} training rows" + (f", {' and '.join(new)}" if new else "") + shrunk


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def proof(receipt: Mapping[str, Any] | None) -> str:
    """A growth's receipt in a sentence: how much the net's answers changed, and how much was allowed.

    >>> proof({"promise": 1e-9, "max_abs_change": 2.2e-16})
    'answers unchanged to 2.2e-16 (promised 1e-9)'
    >>> proof({"promise": None, "max_abs_change": 0.12})
    'answers changed by up to 0.12 (no promise)'
    """
    if not receipt:
        return "no receipt"
    change, promise = receipt["max_abs_change"], receipt["promise"]
    if promise is None:
        return f"answers changed by up to {_tiny(change)} (no promise)"
    said = "answers unchanged, exactly" if change == 0 else f"answers unchanged to {_tiny(change)}"
    return f"{said} (promised {_tiny(promise)})"


def _tiny(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.2g}".replace("e-0", "e-")


def cost_change(event: Event) -> str:
    """What an event did to the net's cost, empty where it does not say.

    >>> from autogrow.policy.event import Event, Size
    >>> cost_change(Event(history.Undo(3), before=Size({}, 7210, 14208), after=Size({}, 4810, 9472)))
    '7,210 → 4,810 parameters'
    """
    if event.before is None or event.after is None:
        return ""
    old, new = event.before.parameters, event.after.parameters
    return f"{count(old)} → {count(new)} parameters" if old != new else ""


def ending(stop_reason: str) -> str:
    """Why training ended, to stand behind a label that says that it did:
    the rule's words without what was done about it.

    >>> ending("stopped: the budget is spent")
    'the budget is spent'
    >>> ending("annealing over 260 steps from check 30 (score 0.1): no improvement for 8 checks")
    'no improvement for 8 checks'
    """
    return re.sub(r"^(stopped:? |annealing over [^:]*: )", "", stop_reason)


def facts(result: Mapping[str, Any]) -> dict[str, str]:
    """What the delivered net is, what it took, and why training ended, from the contents of `result.json`."""
    return {
        "widths": widths(result["widths"]),
        **({"dropout": f"{result['dropout']:g}"} if "dropout" in result else {}),
        "parameters": count(result["parameters"]),
        "training": f"{flops(result['train_flops'])} in {passes(result['epochs'])}, {duration(result['seconds'])}",
        "best at": passes(result["best_epoch"]),
        "ended": ending(result["stop_reason"]),
    }
