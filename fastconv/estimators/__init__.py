"""Convolutional networks as scikit-learn estimators.

`inputs` says what X is, `target_classes` and `target_numbers` what y is, `fitting` how a network is trained from one to the
other; `base` puts them together, and `classifier` and `regressor` are what users see.
"""

from .classifier import ConvNetClassifier
from .regressor import ConvNetRegressor

__all__ = ["ConvNetClassifier", "ConvNetRegressor"]
