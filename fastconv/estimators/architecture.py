"""A good network for what X is, how long to train it, and by how much to shift its pictures: what "auto" stands for."""

from ..layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, infer_shapes
from .pictures import SMALLEST_IMAGE, is_real_picture

LARGE_IMAGE = 12
"""Height and width from which a picture is pooled before anything else."""

TWO_PIXELS = 16
"""Height and width from which pictures are shifted by up to two pixels."""

EPOCHS, PICTURE_EPOCHS, SMALL_PICTURE_EPOCHS = 200, 40, 24
"""What is learnt from small pictures is learnt sooner."""


def auto_epochs(shape, as_picture, regression=False):
    """How long to train, unless it is said."""
    if not is_real_picture(shape, as_picture):
        return EPOCHS
    return PICTURE_EPOCHS if regression or min(shape[1:]) >= LARGE_IMAGE else SMALL_PICTURE_EPOCHS


def auto_shift(shape, as_picture, regression=False):
    """Pixels of the shifts; for regression none, as where a thing is may be what is asked."""
    if regression or not is_real_picture(shape, as_picture):
        return 0
    return 2 if min(shape[1:]) >= TWO_PIXELS else 1


def auto_layers(shape, as_picture=True, regression=False):
    """A good network, without its last Linear, for samples of `shape` (C, H, W).

    Pictures: a 3x3 convolution and a pool, again until less than 12x12 is left; for smaller ones two convolutions and a pool;
    then a hidden layer, and dropout. For regression two hidden layers, no dropout, and no pool of small ones. Those from 4x4 to
    5x5: a convolution and a hidden layer. Anything else: a hidden layer of 100 units, as MLPClassifier has.
    """
    if not is_real_picture(shape, as_picture):
        convolution = [Conv2d(32, 3, padding="same"), ReLU()] if as_picture and min(shape[1:]) > SMALLEST_IMAGE else []
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
        # A 2x2 kernel and a wide hidden layer: as good on the digits after 24 epochs as 3x3 and 64 units after 40, in 0.6 of
        # the time.
        layers = [Conv2d(16, 3, padding="same"), ReLU(), Conv2d(32, 2, padding="same"), ReLU(), MaxPool2d(2)]
        return [*layers, Dropout(0.25), Flatten(), Linear(192), ReLU(), Dropout(0.4)]
    return [*layers, Dropout(0.25), Flatten(), Linear(2 * filters), ReLU(), Dropout(0.5)]


def with_outputs(layers, shape, n_outputs):
    """`layers`, a Flatten where their output for a sample of `shape` is not flat, and the last Linear."""
    output_shape = infer_shapes(layers, shape)[-1] if layers else shape
    flat = [] if len(output_shape) == 1 else [Flatten()]
    return *layers, *flat, Linear(n_outputs)
