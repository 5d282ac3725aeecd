"""The life cycle: a running anneal comes before the stop rule, the stop rule before growth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autogrow.policy.budget import Budget, WithinBudget, steps_left
from autogrow.policy.finer import Finer
from autogrow.policy.finish import Finish, FinishRule
from autogrow.policy.growth import Growth, GrowthPolicy
from autogrow.policy.guards import GapCloses, growth_ended
from autogrow.policy.history import Anneal, Decision, History, Options, Regularize, Stop
from autogrow.policy.needs import may_wait, never_stops, refitted, room, shortened
from autogrow.policy.regularize import NoRegularizer, Regularizer
from autogrow.policy.signals import annealing, best, branch, refitting, regularized_at
from autogrow.policy.stop import Patience, StopRule
from autogrow.policy.verdict import Verdict
from autogrow.policy.where import Cycle


def recipe_growth() -> GrowthPolicy:
    """The default growth: loss-paced, the cycle of D and W (of D alone where a narrow start does not pay), ×1.5 up to
    the cap, and by turns finer columns, until the gap opens.
    """
    return GapCloses(Finer(Growth(where=Cycle(worth=0.05)), turn=True))


def recipe(*, refit: bool = True) -> LifeCycle:
    """The default life cycle, as `autogrow fit` composes it. refit: learn from validation rows too, at the very end."""
    return LifeCycle(finish=Finish(0.2, refit=refit))


@dataclass(frozen=True)
class LifeCycle:
    """One policy for a whole run: grow, hold, anneal, done.

    Precedence: a running anneal, then losses that are not finite, then the stop rule, unless `regularize` has something
    to try before (or on trial), then the budget (the anneal starts in time to fit into `options.max_steps` and into the
    run's share of `budget`), then what is to be tried, then growth. With `NeverStop` nothing but the budget ends the
    run, so its anneal is not broken off either, nor is that of a net with dropout, whose scores scatter around its
    best: the refit, which is worth more, comes only after a whole anneal. `LifeCycle()` is the recipe without its
    refit, and for that with a longer anneal.
    """

    growth: GrowthPolicy = field(default_factory=recipe_growth)
    stop: StopRule = field(default_factory=lambda: Patience(passes=2.0))
    finish: FinishRule = field(default_factory=Finish)
    budget: Budget = field(default_factory=Budget)
    regularize: Regularizer = field(default_factory=NoRegularizer)

    def __call__(self, history: History, options: Options) -> Decision:
        """The decision after the history's last row."""
        if annealing(history) is not None:
            left, _ = steps_left(self.budget, history, options)
            noisy = never_stops(self.stop) or regularized_at(branch(history)) is not None
            return self.finish.proceed(history, options, left=left, may_break=not noisy)
        now, target = history[-1], best(history)
        left, limit = steps_left(self.budget, history, options, at=target)
        over = self._over(history, options)
        regular = self.regularize(history, over) if now.finite() and may_wait(self.stop) else None
        if regular is not None:
            over = Verdict(isinstance(regular.action, Stop), regular.reason)
        if over.fires:
            return self.finish.start(history, options, left=left, why=over.reason)
        check, anneal = options.steps_per_check, self.finish.steps(history, options)
        # one more check of the net as it is, and the anneal of the best one, whose steps may be cheaper
        if steps_left(self.budget, history, options, at=target, after=check)[0] < anneal:
            why = f"the budget of {limit} leaves {max(0, int(left))} steps (a check takes {check}, the anneal {anneal})"
            return self.finish.start(history, options, left=left, why=why)
        if regular is not None and isinstance(regular.action, Regularize):
            return regular
        reserve = max(anneal, room(self.growth, now.step))
        return WithinBudget(self.growth, self.budget, reserve=reserve)(history, options)

    def _over(self, history: History, options: Options) -> Verdict:
        """Whether training is over after the last row, by the losses or the stop rule."""
        now = history[-1]
        if now.finite():
            return self.stop(history, options)
        losses = f"train {now.train_loss:g}, val {now.val_loss:g}, score {now.score:g}"
        return Verdict(True, f"the losses at check {now.check} are not finite ({losses})")

    def shortened(self, *, patience: float, finish: float, refit: bool = False) -> LifeCycle:
        """That of a stage that is not the last: its stop, finish and regularizing rules as they shorten themselves.
        `refit`: with the refit that the finish rule has.
        """
        short = shortened(self.finish, finish)
        return replace(
            self,
            stop=shortened(self.stop, patience),
            finish=refitted(short, self.finish) if refit else short,
            regularize=shortened(self.regularize, patience),
        )

    def phase(self, history: History) -> str:
        """'grow', 'hold' (growth is over for good, as far as the last row shows), 'anneal', 'refit' or 'done'.

        Of a row that has just been measured and has not decided anything yet it says 'anneal' if it was trained in the
        anneal.
        """
        if history and isinstance(history[-1].action, Stop):
            return "done"
        if refitting(history) is not None:
            return "refit"
        if annealing(history) is not None:
            return "anneal"
        return "hold" if history and growth_ended(self.growth, history).fires else "grow"


def stop_reason(history: History) -> str:
    """Why the run ended, in the words of the rule that ended it: that of the anneal's start, else that of the stop."""
    first = annealing(history)
    if first is not None:
        return history[first - 1].reason
    last = history[-1]
    return last.reason if isinstance(last.action, (Anneal, Stop)) else f"interrupted at check {last.check}"
