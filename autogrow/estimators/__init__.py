"""scikit-learn estimators: a net that finds its own size, from arrays or a frame, without Hydra or a folder."""

from autogrow.estimators.classifier import GrowingClassifier
from autogrow.estimators.regressor import GrowingRegressor

__all__ = ["GrowingClassifier", "GrowingRegressor"]
