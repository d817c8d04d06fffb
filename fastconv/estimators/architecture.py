"""What an image is, and a good network for it: where the estimators take their `layers="auto"` from."""

from math import isqrt, prod

import numpy as np

from ..geometry import integer
from ..layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU

REAL_IMAGE = 6
"""Height and width from which an array is taken for a picture, which may be shifted, and has pixels enough for dropout."""

LARGE_IMAGE = 12
"""Height and width from which a picture is pooled before anything else."""


def sample_shape(n_features, image_shape=None):
    """The (C, H, W) of flat rows: `image_shape` if given; else a perfect square is a square image, any other number one row.

    Raises
    ------
    ValueError
        If `image_shape` is not (H, W) or (C, H, W), or has not `n_features` pixels.
    """
    if image_shape is None:
        side = isqrt(n_features)
        return (1, side, side) if side * side == n_features else (1, 1, n_features)
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape must be (H, W) or (C, H, W), got {image_shape!r}")
    shape = tuple(integer(size, "image_shape", 1) for size in image_shape)
    shape = (1,) * (3 - len(shape)) + shape
    if prod(shape) != n_features:
        raise ValueError(f"image_shape {shape} has {prod(shape)} pixels, X has {n_features} features")
    return shape


def is_picture(shape):
    """Whether (C, H, W) is large enough both ways to be a picture and not a table's row."""
    return min(shape[1:]) >= REAL_IMAGE


def look_like_pictures(rows, shape):
    """Whether neighbouring pixels of `rows` (n, H*W) vary together, more than any two do: tables may have a square number of columns, too.

    The mean correlation of neighbours exceeds that of all pairs by 0.40 in the digits, by 0.66 in MNIST, and by less than 0.02 in
    tables of `make_classification`. Of fewer than 20 rows nothing can be said, and they are taken for pictures.
    """
    if len(rows) < 20:
        return True
    centred = rows[:1000] - rows[:1000].mean(axis=0, dtype=np.float64)  # more would tell no more
    deviation = np.sqrt(np.square(centred).mean(axis=0))
    varies = (deviation > 0).reshape(shape[1:])
    z = np.divide(centred, deviation, out=np.zeros(centred.shape), where=deviation > 0).reshape(-1, *shape[1:])
    beside, below = (z[:, :, 1:] * z[:, :, :-1]).mean(axis=0), (z[:, 1:] * z[:, :-1]).mean(axis=0)
    neighbours = np.r_[beside[varies[:, 1:] & varies[:, :-1]], below[varies[1:] & varies[:-1]]]
    count = varies.sum()
    everything = (np.square(z.sum(axis=(1, 2))).mean() - count) / max(count * (count - 1), 1)
    return len(neighbours) > 0 and neighbours.mean() > everything + 0.1


def auto_epochs(shape, as_picture):
    """How long to train, unless it is said: what is learnt from small pictures is learnt sooner."""
    return 200 if not as_picture else 40 if min(shape[1:]) >= LARGE_IMAGE else 24


def auto_layers(shape, as_picture=True):
    """A good network, without its last Linear, for samples of `shape` (C, H, W).

    Pictures: a 3x3 convolution and a pool, again until less than 12x12 is left; for smaller ones two convolutions and a pool; then a
    hidden layer, and dropout. Small squares: a convolution and a hidden layer. One row, and what has the size of a picture but is none: a
    hidden layer of 100 units, as scikit-learn's multi-layer perceptron has.
    """
    if not (as_picture and is_picture(shape)):
        convolution = [Conv2d(32, 3, padding="same"), ReLU()] if 3 < min(shape[1:]) < REAL_IMAGE else []
        return [*convolution, Flatten(), Linear(100), ReLU()]
    layers, filters, size = [], 32, shape[1:]
    while min(size) >= LARGE_IMAGE:
        layers += [Conv2d(filters, 3, padding="same"), ReLU(), MaxPool2d(2)]
        filters, size = 64, tuple(side // 2 for side in size)
    if not layers:
        # A 2x2 kernel and a wide hidden layer: as good on the digits after 24 epochs as 3x3 and 64 units after 40, in 0.6 of the time.
        layers = [Conv2d(16, 3, padding="same"), ReLU(), Conv2d(32, 2, padding="same"), ReLU(), MaxPool2d(2)]
        return [*layers, Dropout(0.25), Flatten(), Linear(192), ReLU(), Dropout(0.4)]
    return [*layers, Dropout(0.25), Flatten(), Linear(2 * filters), ReLU(), Dropout(0.5)]
