"""The search space that Hydra's sweep overrides describe, as Optuna's distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from autogrow.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(override: Override) -> BaseDistribution:
    """What a sweep override draws from: `interval(a,b)`, `int(interval(a,b))`, `range(…)`, a list of choices;
    `tag(log, …)`.

    Raises ConfigError, with the key, for one that holds nothing.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    key = override.get_key_element()
    sweep = override.value()
    try:
        if isinstance(sweep, IntervalSweep):
            assert sweep.start is not None
            assert sweep.end is not None
            log = _log(key, sweep.tags)
            if isinstance(sweep.start, int) and isinstance(sweep.end, int):
                return IntDistribution(sweep.start, sweep.end, log=log)
            return FloatDistribution(float(sweep.start), float(sweep.end), log=log)
        values = list(override.sweep_iterator())
        if not values:
            raise ConfigError(f"{key}: {override.input_line!r} holds no value")
        if isinstance(sweep, RangeSweep) and len(values) > 1:
            step, log = abs(sweep.step), _log(key, sweep.tags)
            numbers = [float(v) for v in values]  # type: ignore[arg-type]
            if all(isinstance(v, int) for v in (sweep.start, sweep.stop, sweep.step)):
                return IntDistribution(int(min(numbers)), int(max(numbers)), log=log, step=int(step))
            if log:
                raise ConfigError(f"{key}: a range of fractions has steps, which tag(log, …) has not; use interval(…)")
            return FloatDistribution(min(numbers), max(numbers), step=step)
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:  # Optuna's own: low above high, a logarithm of zero
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from None


def _log(key: str, tags: set[str]) -> bool:
    unknown = tags - {"log"}
    if unknown:
        raise ConfigError(f"{key}: the only tag is log, got {', '.join(sorted(unknown))}")
    return "log" in tags
