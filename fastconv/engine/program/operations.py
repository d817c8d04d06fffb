"""The lines of each operation, forward and backward side by side."""

from math import ceil, frexp

import numpy as np

from ...layers import AvgPool2d, Conv2d, Dropout, MaxPool2d, ReLU
from . import lines
from .rectangles import tap_runs


def conv(step, products):
    """A convolution, or a linear layer: y, and the ReLU after it."""
    return products.forward(step)


def conv_back(step, products):
    """dw and db, then dx where anything below has parameters."""
    yield from products.dw(step)
    if step.dx:
        yield from products.dx(step)


def max_pool(step, products):
    """y and the argmax."""
    return _rectangles(step.what, step.x, step.y, products.T)


def max_pool_back(step, products):
    """The argmax scatter."""
    is_exclusive = _is_exclusive(step.what.window)
    if not is_exclusive:
        yield lines.Zero(step.dx.at, step.dx.size)
    for pool in _rectangles(step.what, step.dx, step.dy, products.T):
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
                rows=x.step // T,
                first_tap=0 if rows.taps * columns.taps else -1,
                taps_a_row=columns.taps,
                is_two_by_two=rows.taps == columns.taps == 2,
                q=lines.Loop(rows.count, x=K.SH * x.row, out=y.row),
                p=lines.Loop(columns.count, x=K.SW * x.step, out=y.step),
                down=lines.Sum(rows.taps, x=x.row),
                across=lines.Sum(columns.taps, x=x.step),
            )


def _is_exclusive(K):
    """Whether 2 x 2 windows share no pixel and leave none out."""
    return (K.KH, K.KW) == (K.SH, K.SW) == (2, 2) and (2 * K.OH, 2 * K.OW) == (K.H, K.W) and not K.PT + K.PL


def avg_pool(step, products):
    """y"""
    yield _averages(step.what, step.x, step.y)


def avg_pool_back(step, products):
    """dx"""
    yield lines.AvgPoolBack(_averages(step.what, step.dx, step.dy))


def _averages(K, x, y):
    return lines.AvgPool(x.at, y.at, x.step, K.H, K.W, K.KH, K.KW, K.SH, K.SW, K.PT, K.PL, K.OH, K.OW)


def relu(step, products):
    """y; only where no product applies it in passing."""
    yield lines.ReLU(step.x.at, step.y.at, step.x.size)


def relu_back(step, products):
    """dx, in the place of dy."""
    yield lines.ReLUBack(step.dy.at, step.y.at, step.y.size)


def dropout(step, products):
    """y"""
    return _dropped(step, step.x.at, step.y.at, products)


def dropout_back(step, products):
    """dx, in the place of dy."""
    return _dropped(step, step.dy.at, step.dy.at, products)


def _dropped(step, x, out, products):
    image, (p, number) = step.x, step.what
    fraction, exponent = frexp(np.float32(1 / (1 - p)))
    scale = int(fraction * 2**24), exponent - 24
    yield lines.Dropout(
        *(x, out, image.C, image.H * image.W, image.step, image.lane), products.samples, number, ceil(p * 2**24), *scale
    )


FORWARD = {Conv2d: conv, MaxPool2d: max_pool, AvgPool2d: avg_pool, ReLU: relu, Dropout: dropout}
BACKWARD = {Conv2d: conv_back, MaxPool2d: max_pool_back, AvgPool2d: avg_pool_back, ReLU: relu_back, Dropout: dropout_back}
"""The kind of a step -> its lines; a linear layer's step is a convolution's."""
