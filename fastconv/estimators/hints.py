"""What people type out of habit from other libraries, and the line that says what to write here instead."""

import warnings
from math import isqrt

import numpy as np

from ..layers import Layer, Linear
from ..network import Sequential
from ..optim import SGD, Adam
from .pictures import FEWEST_ROWS, REAL_IMAGE, look_like_pictures

FILL_VALUE, MANY_TIMES = 1e30, 1e6
"""What stands for a missing number is often the largest that a type holds: hardly anything measured is as large, or so many
times the others."""

CHANNELS, LOWEST_IMAGE = (1, 3, 4), 5
"""How many channels pictures have, and the height and width from which an array (H, W, C) is surely not (C, H, W)."""

ENOUGH_ROWS = 200
"""Among which it shows that pixels vary together."""

MANY_CLASSES, FEW_SAMPLES = 20, 4
"""More classes than so many, with fewer samples of each, may be quantities."""

ANEW = "to train a new network call fit with warm_start=False"


def require_layers(layers):
    """Raise TypeError, saying what to write, unless `layers` is a word or a list of layers."""
    if isinstance(layers, Sequential):
        raise TypeError(
            "layers is a Sequential; write layers=list(net.layers[:-1]), without its last Linear, which the estimator adds"
        )
    if isinstance(layers, (Layer, type)):
        raise TypeError(f"layers must be a list; write layers=[{_typed(layers)}]")
    for index, layer in enumerate(layers if isinstance(layers, (list, tuple)) else ()):
        if isinstance(layer, type):
            raise TypeError(f"layers[{index}] is the class {layer.__name__}, not a layer; write {_typed(layer)}")
        if not isinstance(layer, Layer):
            units = f"; for {layer} hidden units write Flatten(), Linear({layer}), ReLU()" if isinstance(layer, int) else ""
            raise TypeError(f"layers[{index}] is {layer!r}, expected one of fastconv's layers{units}")


def _typed(layer):
    return f"{layer.__name__}({'...' if layer.__dataclass_fields__ else ''})" if isinstance(layer, type) else repr(layer)


def require_solver(solver):
    """Raise TypeError, saying what to write, where an optimizer stands for its name."""
    kind = solver if isinstance(solver, type) else type(solver)
    if issubclass(kind, (SGD, Adam)):
        name = kind.__name__.lower()
        raise TypeError(
            f'solver must be "adam" or "sgd", got {solver!r}; write solver="{name}", '
            f"and its numbers as {'beta_1, beta_2, epsilon' if name == 'adam' else 'momentum'} and learning_rate_init"
        )


def require_channels_first(shape, n=None):
    """Raise ValueError if `shape` (C, H, W) is surely (H, W, C); of the images X (n, *shape), or of image_shape."""
    if shape[2] not in CHANNELS or min(shape[:2]) < LOWEST_IMAGE:
        return
    H, W, C = shape
    if n is not None:
        found, fix = f"X has shape {(n, *shape)}", "use X.transpose(0, 3, 1, 2)"
    elif C == 1:
        found, fix = f"image_shape is {shape}", f"use image_shape=({C}, {H}, {W})"
    else:
        found, fix = f"image_shape is {shape}", f"use X.reshape(-1, {H}, {W}, {C}).transpose(0, 3, 1, 2) as X"
    raise ValueError(
        f"{found}, which looks like channels last; {fix}; for {H} channels of {W}x{C} pixels swap height and width"
    )


def at_colours(rows):
    """Warn where flat rows without an image_shape have three square planes of pixels that vary together as a picture's."""
    side = isqrt(rows.shape[1] // 3)
    if 3 * side * side != rows.shape[1] or side < REAL_IMAGE or len(rows) < FEWEST_ROWS:
        return
    some = rows[:: -(-len(rows) // ENOUGH_ROWS)]
    planes, pixels = some.reshape(-1, 3, side, side), some.reshape(-1, side, side, 3).transpose(0, 3, 1, 2)
    is_planar = _roughness(planes) <= _roughness(pixels)
    colours = np.ascontiguousarray((planes if is_planar else pixels).swapaxes(0, 1)).reshape(3, len(some), -1)
    if not all(look_like_pictures(colour, (1, side, side)) for colour in colours):
        return
    interleaved = f"X.reshape(-1, {side}, {side}, 3).transpose(0, 3, 1, 2) in place of X"
    fix = f"image_shape=(3, {side}, {side})" if is_planar else interleaved
    size = f"{side}x{side} pixels"
    warn(f"the {rows.shape[1]} columns of X look like colour pictures of {size}: pass {fix} to train convolutions")


def _roughness(images):
    """How much neighbouring pixels of (n, C, H, W) differ."""
    return sum(np.abs(np.diff(images, axis=axis)).mean(dtype=np.float64) for axis in (2, 3))


def at_one_hot(y):
    """Warn of indicators (n, K) that have a single 1 in every row."""
    if len(y) > y.shape[1] > 1 and (y.sum(axis=1) == 1).all():
        warn(
            f"each row of y {y.shape} has a single 1, as one-hot labels have; for one class a sample pass y.argmax(axis=1) "
            "(several labels a sample, each yes or no, are trained as they are)"
        )


def at_numbers(y, classes):
    """Warn of whole numbers that are rather quantities than classes: many different ones, few samples of each, with gaps."""
    count = len(classes)
    if classes.dtype.kind not in "iuf" or count <= max(MANY_CLASSES, len(y) / FEW_SAMPLES):
        return
    has_gaps = float(classes[-1]) - float(classes[0]) >= count
    if has_gaps or count > len(y) / 2:
        warn(f"y has {count} different numbers in {len(y)} samples; to predict quantities use ConvNetRegressor")


def at_last_layer(layers, n_outputs):
    """Warn of a last Linear that `layers` need not have: two in a row are no better than one."""
    if layers and isinstance(layers[-1], Linear) and layers[-1].out_features == n_outputs:
        warn(f"layers ends in {layers[-1]!r}, and a Linear({n_outputs}) is added after it; leave the last one out")


def at_fill_values(rows):
    """Warn of a cell beside which all others are nothing."""
    place = np.unravel_index(np.argmax(np.abs(rows)), rows.shape)
    largest = np.abs(rows[place])
    if largest > FILL_VALUE and largest / MANY_TIMES > np.median(np.abs(rows[rows != 0])):
        warn(
            f"X has {rows[place]:g} in row {place[0]}, column {place[1]}, beside which other cells are nothing; "
            "if it stands for a missing value, replace it"
        )


def warn(message):
    """A UserWarning."""
    warnings.warn(message, UserWarning, stacklevel=2)
