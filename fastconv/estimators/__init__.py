"""Convolutional networks as scikit-learn estimators."""

from .classifier import ConvNetClassifier
from .regressor import ConvNetRegressor

__all__ = ["ConvNetClassifier", "ConvNetRegressor"]
