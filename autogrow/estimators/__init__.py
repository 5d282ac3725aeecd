"""scikit-learn estimators: a net that finds its own size, from arrays or a frame, without Hydra and without a folder."""

from autogrow.estimators.classifier import GrowingClassifier
from autogrow.estimators.regressor import GrowingRegressor

__all__ = ["GrowingClassifier", "GrowingRegressor"]
