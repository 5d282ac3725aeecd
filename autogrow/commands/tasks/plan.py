"""What `autogrow plan` does: it says what a run may do and what it may cost, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from autogrow.config import spec_from
from autogrow.data import Prepared, prepare
from autogrow.errors import ConfigError
from autogrow.policy import Dropout, stop_reason
from autogrow.policy.history import GROWTHS, Action, Anneal, Deepen, Refine, Refit, Regularize, Undo, Widen
from autogrow.policy.needs import never_stops
from autogrow.show import words
from autogrow.train.fit.process import quiet_lightning, threads
from autogrow.train.fit.spec import FitSpec, most_passes
from autogrow.train.rehearse.rehearsal import Course, Limited, Rehearsal, rehearse


def plan(cfg: DictConfig) -> None:
    """Print what the run that these words describe may do and cost."""
    for key, what in (("resume", "an interrupted run"), ("continue_from", "a finished net")):
        if cfg[key] is not None:
            raise ConfigError(f"plan is for a run from the start; {key}={cfg[key]} goes on with {what}")
    spec = spec_from(cfg, out=None)
    prepared = prepare(spec.data)
    with threads(spec), quiet_lightning():
        found = rehearse(spec, prepared)
    print("\n".join(report(found, spec, prepared)))


def report(found: Rehearsal, spec: FitSpec, prepared: Prepared) -> Iterator[str]:
    """What is printed, line by line."""
    yield f"autogrow plan data={spec.data.name} seed={spec.seed}"
    yield f"  {words.count(prepared.train_rows)} training rows; {_size(prepared.train.x.nbytes)} of inputs in memory"
    if spec.data.arrival != "none":
        yield f"  data.arrival={spec.data.arrival}: this is one run on all of the data; each stage is a run of its own"
    for title, course in headed(found, spec):
        yield ""
        yield from (title, *words.columns(list(_table(course)), left=3), f"  {closing(course, spec)}")
    yield ""
    yield from dropout_line(spec.policy.regularize)
    yield from (limit_line(limited) for limited in found.limited)
    if found.most is not None and not never_stops(spec.policy.stop):
        passes, flops, seconds = found.most
        yield (
            f"At most, if no rule ended it: {words.passes(passes)} ({most_passes(spec.trainer)[0]}) at the largest size, "
            f"{words.flops(flops)}, {words.duration(seconds)}"
        )
    yield "Nothing was trained and nothing was written; seconds are of steps and looks alone, timed on this machine."


def headed(found: Rehearsal, spec: FitSpec) -> list[tuple[str, Course]]:
    """The courses worth showing, each under its title."""
    if found.exact:
        ends = "" if never_stops(spec.policy.stop) else ", unless the run is stopped before"
        grows = any(isinstance(row.action, GROWTHS) for row in found.falling.rows)
        return [(f"The schedule, by the clock{ends}" if grows else "The net never grows", found.falling)]
    scored = "\n(which part grows is decided by scores of the trained net: here all candidates are alike)"
    return [
        (
            f"Growth goes by the loss. If that falls well at every check{scored if found.scored else ''}",
            found.falling,
        ),
        ("If it never falls", found.resting),
    ]


def _table(course: Course) -> Iterator[list[str]]:
    yield ["from pass", "", "widths", "parameters", "per sample", "memory", "a pass takes", "this stage takes"]
    last = course.rows[-1]
    per_pass = last.step / last.passes
    for stage in course.stages:
        cost = stage.footprint
        one = (per_pass * cost.train_flops_per_step, per_pass * cost.seconds_per_step)
        yield [
            words.passes(stage.passes).split()[0],
            _how(stage.action),
            words.widths(stage.widths),
            words.count(cost.parameters),
            words.flops(cost.flops_per_sample),
            _size(cost.memory),
            *(f"{words.flops(f)}, {words.duration(s)}" for f, s in (one, (stage.train_flops, stage.seconds))),
        ]


def _how(action: Action | None) -> str:  # noqa: PLR0911  (a table, one line a case)
    match action:
        case Widen():
            return "widened"
        case Deepen(kind=kind):
            return f"deepened ({kind})"
        case Refine(knots=knots):
            return f"finer ({words.times(len(knots), 'column')})"
        case Anneal():
            return "annealed"
        case Refit():
            return "refitted"
        case Undo():
            return "undone"
        case Regularize(dropout=share):
            return f"dropout {share:g}"
    return "start"


def closing(course: Course, spec: FitSpec) -> str:
    """The whole course in a line: what it costs, and what ends it."""
    row = course.rows[-1]
    whole = (
        f"{words.passes(row.passes)}, {words.flops(row.train_flops)} of training and {words.flops(row.eval_flops)} of looking, "
        f"about {words.duration(row.timing['seconds'])}"
    )
    if not course.ended:
        return f"after {whole} nothing has ended it yet"
    if never_stops(spec.policy.stop):
        return f"in all {whole}; ended by {words.ending(stop_reason(course.rows))}"
    return f"in all at least {whole}; more where the loss falls for longer"


def dropout_line(rule: object) -> Iterator[str]:
    """What a run that overfits tries before it ends, which no made-up course shows."""
    if isinstance(rule, Dropout):
        shares = ", then ".join(f"{share:g}" for share in rule.shares)
        yield (
            f"regularize=dropout: where it would stop with a gap above {rule.gap:g}, dropout {shares} is tried from the best "
            f"net: {words.times(rule.checks, 'check')} more, and as many as it goes on to gain by"
        )


def limit_line(found: Limited) -> str:
    """Where a limit of the budget ends growth."""
    at = f"{words.widths(found.widths)} ({words.count(found.parameters)} parameters)"
    if found.why is None:
        return f"budget.{found.name}={found.limit:g} is not reached: growth ends at {at} without it"
    return f"budget.{found.name}={found.limit:g} ends growth at {at}: {found.why}"


def _size(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
