"""What an image is, and a good network for it: where the estimators take their `layers="auto"` from."""

from math import isqrt, prod

from ..layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from ..support.geometry import integer

SMALLEST_IMAGE = 3
"""Height and width from which an array can be a picture: with a neighbour on either side."""

REAL_IMAGE = 6
"""Height and width from which a picture may be shifted, and has pixels enough for dropout."""

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
    return min(shape[1:]) >= SMALLEST_IMAGE


def is_real_picture(shape, as_picture=True):
    """Whether what has `shape` (C, H, W) is a picture, and large enough to be shifted."""
    return as_picture and min(shape[1:]) >= REAL_IMAGE


def auto_epochs(shape, as_picture, regression=False):
    """How long to train, unless it is said: what is learnt from small pictures is learnt sooner."""
    if not is_real_picture(shape, as_picture):
        return 200
    return 40 if regression or min(shape[1:]) >= LARGE_IMAGE else 24


def auto_layers(shape, as_picture=True, regression=False):
    """A good network, without its last Linear, for samples of `shape` (C, H, W).

    Pictures: a 3x3 convolution and a pool, again until less than 12x12 is left; for smaller ones two convolutions and a pool; then a
    hidden layer, and dropout. For regression two hidden layers, no dropout, and no pool of small ones. Those from 4x4 to 5x5: a convolution and a hidden layer. Anything else: a hidden layer of 100 units, as
    scikit-learn's multi-layer perceptron has.
    """
    if not is_real_picture(shape, as_picture):
        convolution = [Conv2d(32, 3, padding="same"), ReLU()] if as_picture and min(shape[1:]) > 3 else []
        return [*convolution, Flatten(), Linear(100), ReLU()]
    layers, filters, size = [], 32, shape[1:]
    while min(size) >= LARGE_IMAGE:
        layers += [Conv2d(filters, 3, padding="same"), ReLU(), MaxPool2d(2)]
        filters, size = 64, tuple(side // 2 for side in size)
    if regression:
        # Where a thing is and how it lies decides the number: a pool blurs it, and dropout's noise is noise in the answer.
        layers = layers or [Conv2d(16, 3, padding="same"), ReLU(), Conv2d(16, 3, padding="same"), ReLU()]
        return [*layers, Flatten(), Linear(128), ReLU(), Linear(64), ReLU()]
    if not layers:
        # A 2x2 kernel and a wide hidden layer: as good on the digits after 24 epochs as 3x3 and 64 units after 40, in 0.6 of the time.
        layers = [Conv2d(16, 3, padding="same"), ReLU(), Conv2d(32, 2, padding="same"), ReLU(), MaxPool2d(2)]
        return [*layers, Dropout(0.25), Flatten(), Linear(192), ReLU(), Dropout(0.4)]
    return [*layers, Dropout(0.25), Flatten(), Linear(2 * filters), ReLU(), Dropout(0.5)]
