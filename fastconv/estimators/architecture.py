"""What an image is, and a good network for it: where the estimators take their `layers="auto"` from."""

from math import isqrt, prod

from ..geometry import integer
from ..layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU

REAL_IMAGE = 6
"""Height and width from which an array is taken for a picture, which may be shifted, and has pixels enough for dropout."""


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


def auto_layers(shape):
    """A good network, without its last Linear, for samples of `shape` (C, H, W).

    Pictures: a 3x3 convolution and a pool, again until less than 12x12 is left; for smaller ones two convolutions and a pool; then a
    hidden layer, and dropout. Small squares: a convolution and a hidden layer. One row: a hidden layer of 100 units, as scikit-learn's multi-layer perceptron has.
    """
    if not is_picture(shape):
        kernel = tuple(min(size, 3) for size in shape[1:])
        convolution = [Conv2d(32, kernel, padding="same"), ReLU()] if min(shape[1:]) > 3 else []
        return [*convolution, Flatten(), Linear(100), ReLU()]
    layers, filters, size = [], 32, shape[1:]
    while min(size) >= 12:
        layers += [Conv2d(filters, 3, padding="same"), ReLU(), MaxPool2d(2)]
        filters, size = 64, tuple(side // 2 for side in size)
    if not layers:
        layers = [Conv2d(16, 3, padding="same"), ReLU(), Conv2d(32, 3, padding="same"), ReLU(), MaxPool2d(2)]
    return [*layers, Dropout(0.25), Flatten(), Linear(2 * filters), ReLU(), Dropout(0.5)]
