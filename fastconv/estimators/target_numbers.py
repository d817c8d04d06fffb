"""What y is for a regressor: numbers, which the network returns less their mean and over their deviation."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

from ..files import ModelFileError
from .description import expect, finite
from .scaling import ROUNDING

CHECKS = {"multi_output": True, "y_numeric": True}
"""What scikit-learn is to check of y."""


def learn(y, *_):
    """What y is in a first fit; classes are none of it. -> Numbers, y encoded"""
    y = _tidy(y)
    target = Numbers(y[0].size, y.ndim == 1)
    return target, target.encode(y)


def _tidy(y):
    """y as (n,) or (n, K) numbers."""
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


@dataclass(frozen=True, eq=False)
class Numbers:
    """K numbers a sample.

    Attributes
    ----------
    n_outputs : int
    is_flat : bool
        Whether y is (n,), and so the answers.
    mean, scale : array (K,)
    """

    n_outputs: int
    is_flat: bool
    mean: np.ndarray = None
    scale: np.ndarray = None
    loss, activation, is_stratified = "mse", "identity", False

    def encode(self, y):
        """y (n,) or (n, K) -> the same numbers as floats (n, K)"""
        y = np.asarray(_tidy(y), np.float64).reshape(len(y), -1)
        if y.shape[1] != self.n_outputs:
            raise ValueError(f"y has {y.shape[1]} outputs, expected {self.n_outputs}")
        return y

    def measured(self, target, weights):
        """The same, with mean and deviation of `target` (n, K): a sample counts as often as its weight says."""
        # Of numbers below 1, whose squares do not overflow; powers of two change no digit.
        exponent = np.frexp(np.abs(target).max(axis=0))[1]
        parts = np.ldexp(target, -exponent)
        mean = np.average(parts, axis=0, weights=weights)
        deviation = np.sqrt(np.average((parts - mean) ** 2, axis=0, weights=weights))
        scale = np.ldexp(deviation, exponent)
        # A constant's deviation is the rounding of its mean.
        varies = (deviation > ROUNDING * np.finfo(float).eps * abs(mean)) & (scale > np.finfo(float).tiny)
        return replace(self, mean=np.ldexp(mean, exponent), scale=np.where(varies, scale, 1.0))

    def for_loss(self, target, dtype):
        """What the loss compares with the network's output."""
        with np.errstate(over="ignore"):
            scaled = self._standardised(target).astype(dtype)
        if not np.isfinite(scaled).all():
            raise ValueError(f"y has {np.abs(target).max():g}, too far from the numbers that the model is scaled to")
        return scaled

    def _standardised(self, target):
        return (target / 2 - self.mean / 2) / (self.scale / 2)  # halves, for differences of the largest numbers

    def decode(self, output):
        """The network's output (n, K) in the units of y, and of its shape."""
        y = output.astype(np.float64) * self.scale + self.mean
        return y[:, 0] if self.is_flat else y

    def score(self, output, target, weights):
        """R2, which is the same in any units."""
        return r2_score(self._standardised(target), output, sample_weight=weights)

    def describe(self):
        """What a file says of y."""
        return {"y_mean": self.mean, "y_scale": self.scale, "is_flat": self.is_flat}


def restored(described):
    """What `describe` described."""
    mean, scale = (np.array([finite(value) for value in described[name]]) for name in ("y_mean", "y_scale"))
    if len(mean) != len(scale):
        raise ModelFileError(f"{len(mean)} means and {len(scale)} scales of the target")
    if not (scale > 0).all():
        raise ModelFileError(f"a scale of the target of {scale.min()}")
    return Numbers(len(mean), expect(described["is_flat"], bool), mean, scale)
