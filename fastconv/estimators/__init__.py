"""Convolutional networks as scikit-learn estimators.

`inputs` is what X is, `target_classes` and `target_numbers` are what y is, `fitting` is how a network is trained from the one to
the other; `base` puts them together, and `classifier` and `regressor` are what users see.
"""

from .classifier import ConvNetClassifier
from .regressor import ConvNetRegressor

__all__ = ["ConvNetClassifier", "ConvNetRegressor"]
