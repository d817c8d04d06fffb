"""The lines of each operation, forward and backward side by side."""

from math import ceil, frexp

import numpy as np

from ...layers import AvgPool2d, Conv2d, Dropout, MaxPool2d, ReLU
from ...support.streams import BITS
from . import lines
from .rectangles import tap_runs


def conv(stage, products):
    """A convolution, or a linear layer: y, and the ReLU after it."""
    return products.forward(stage)


def conv_back(stage, products):
    """dw and db, then dx where anything below has parameters."""
    yield from products.dw(stage)
    if stage.dx:
        yield from products.dx(stage)


def max_pool(stage, products):
    """The lines of y and the argmax."""
    return _rectangles(stage.what, stage.x, stage.y, products.T)


def max_pool_back(stage, products):
    """The lines of the argmax scatter."""
    is_exclusive = _is_exclusive(stage.what.window)
    if not is_exclusive:
        yield lines.Zero(stage.dx.at, stage.dx.size)
    for pool in _rectangles(stage.what, stage.dx, stage.dy, products.T):
        yield lines.MaxPoolBack(pool, is_exclusive)


def _rectangles(pool, x, y, T):
    """A line for each rectangle of windows that see the same taps; taps inside the image are numbered from 0."""
    K = pool.window
    for rows in tap_runs(K.H, K.KH, K.SH, 1, K.PT, K.OH):
        for columns in tap_runs(K.W, K.KW, K.SW, 1, K.PL, K.OW):
            at = y.pixel(rows.first, columns.first)
            yield lines.MaxPool(
                x=x.pixel(rows.first * K.SH - K.PT + rows.tap, columns.first * K.SW - K.PL + columns.tap),
                out=at,
                argmax=pool.argmax + at - y.at,
                n_rows=x.step // T,
                first_tap=0 if rows.taps * columns.taps else -1,
                is_two_by_two=rows.taps == columns.taps == 2,
                q=lines.Loop(rows.count, x=K.SH * x.row, out=y.row),
                p=lines.Loop(columns.count, x=K.SW * x.step, out=y.step),
                down=lines.Sum(rows.taps, x=x.row),
                across=lines.Sum(columns.taps, x=x.step),
            )


def _is_exclusive(K):
    """Whether 2 x 2 windows share no pixel and leave none out."""
    return (K.KH, K.KW) == (K.SH, K.SW) == (2, 2) and (2 * K.OH, 2 * K.OW) == (K.H, K.W) and not K.PT + K.PL


def avg_pool(stage, products):
    """The line of y."""
    yield _averages(stage.what, stage.x, stage.y)


def avg_pool_back(stage, products):
    """The line of dx."""
    yield lines.AvgPoolBack(_averages(stage.what, stage.dx, stage.dy))


def _averages(K, x, y):
    window = {name: getattr(K, name) for name in ("H", "W", "KH", "KW", "SH", "SW", "PT", "PL", "OH", "OW")}
    return lines.AvgPool(image=x.at, means=y.at, size=x.step, **window)


def relu(stage, products):
    """The line of y, where no product applies it in passing."""
    yield lines.ReLU(stage.x.at, stage.y.at, stage.x.size)


def relu_back(stage, products):
    """The line of dx, in the place of dy."""
    yield lines.ReLUBack(stage.dy.at, stage.y.at, stage.y.size)


def dropout(stage, products):
    """The line of y."""
    return _dropped(stage, stage.x.at, stage.y.at, products)


def dropout_back(stage, products):
    """The line of dx, in the place of dy."""
    return _dropped(stage, stage.dy.at, stage.dy.at, products)


def _dropped(stage, x, out, products):
    image, (p, number) = stage.x, stage.what
    fraction, exponent = frexp(np.float32(1 / (1 - p)))
    yield lines.Dropout(
        x=x,
        out=out,
        C=image.C,
        pixels=image.H * image.W,
        pixel=image.step,
        channel=image.channel,
        lanes=products.samples,
        number=number,
        threshold=ceil(p * 2**BITS),
        mantissa=int(fraction * 2**BITS),
        exponent=exponent - BITS,
    )


FORWARD = {Conv2d: conv, MaxPool2d: max_pool, AvgPool2d: avg_pool, ReLU: relu, Dropout: dropout}
BACKWARD = {Conv2d: conv_back, MaxPool2d: max_pool_back, AvgPool2d: avg_pool_back, ReLU: relu_back, Dropout: dropout_back}
"""The kind of a stage -> its lines; a linear layer's is a convolution's."""
