"""How well a net does, in numbers: every metric of a task, the baseline beside it, what a run may be judged by, curves.

NumPy in, plain values out; scikit-learn does the arithmetic. Knows neither nets nor runs. N rows, K classes, t targets.
"""

from autogrow.evaluation.baseline import baseline, prior_of
from autogrow.evaluation.evaluate import evaluate, scalars

__all__ = ["baseline", "evaluate", "prior_of", "scalars"]
