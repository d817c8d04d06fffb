"""What is trained on and what is held out: rows, encoded answers and weights, taken apart together."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight

LIGHTEST, HEAVIEST = 1e-30, 1e30
"""Between these lies the largest weight of a sample, or sums of weights over- or underflow."""


class Samples(NamedTuple):
    """n samples."""

    rows: np.ndarray  # (n, features)
    target: np.ndarray  # y as its target encodes it
    weights: np.ndarray | None = None

    def part(self, index):
        """The samples of these numbers."""
        return Samples(*(None if array is None else array[index] for array in self))


def checked_weights(sample_weight, rows):
    """The weight of each row as floats (n,), checked by scikit-learn."""
    return _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)


def require_weights(weights):
    """Raise ValueError for weights in which no sum can be computed."""
    if weights is not None and not LIGHTEST < weights.max() < HEAVIEST:
        raise ValueError(f"sample weights of up to {weights.max():g} over- or underflow in sums; divide them by the largest")


def held_out(samples, share, seed, is_stratified):
    """-> samples to train on, and a `share` of them that is held out, of each class alike where `is_stratified` and possible"""
    n, target = len(samples.rows), samples.target
    stratify = target if is_stratified and _can_stratify(target, share) else None
    kept, held = train_test_split(np.arange(n), test_size=share, random_state=seed, stratify=stratify)
    if len(held) < 2:
        raise ValueError(f"early stopping would hold out {len(held)} of {n} samples; increase validation_fraction")
    kept, held = samples.part(kept), samples.part(held)
    if kept.weights is not None and not kept.weights.any():
        raise ValueError("the weights of all samples that early stopping does not hold out are zero")
    return kept, held


def _can_stratify(target, share):
    """Whether each class has a member for either part, and either part has room for each class."""
    members, held = np.unique(target, return_counts=True)[1], int(np.ceil(share * len(target)))
    return members.min() > 1 and min(held, len(target) - held) >= len(members)
