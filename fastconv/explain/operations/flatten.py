"""Flatten: ``y = x.reshape(N, -1)``"""

from functools import partial
from math import prod

import numpy as np

from ... import layers
from ..mistakes import forms
from ..names import entry
from .operation import Operation


class Flatten(Operation, layer=layers.Flatten):
    """Images to rows."""

    makes_axes = True

    def equations(self):
        _, H, W = self.shape
        k = f"{H * W}*c + {W}*h + w"
        return {self.y: f"{self.y}[n,{k}] = {self.x}[n,c,h,w]", self.dx: f"{self.dx}[n,c,h,w] = {self.dy}[n,{k}]"}

    def rules(self):
        return {
            self.y: lambda n, k: [[entry(self.x, n, *np.unravel_index(k, self.shape))]],
            self.dx: lambda n, *at: [[entry(self.dy, n, np.ravel_multi_index(at, self.shape))]],
        }

    def forms(self):
        return forms("flatten_order", "order", _AS_FLATTENED, *_ORDERS)

    def column_forms(self):
        return forms("flatten_order", "columns", _AS_FLATTENED, *(partial(_reordered, order(self.shape)) for order in _ORDERS))

    def wrong_input_gradient(self, dy, cache, order):
        dx = np.empty_like(dy)
        dx[:, order(self.shape)] = dy
        return dx.reshape(len(dy), *self.shape)


def _reordered(places, gradient):
    return gradient[:, places]


def _order(shape, axes, is_inverse):
    """For each place of the flat axis the place that belongs there: shape (C, H, W) -> (C*H*W,)"""
    places = np.arange(prod(shape)).reshape(shape).transpose(axes).ravel()
    return places.argsort() if is_inverse else places


_AS_FLATTENED = "unflatten as it was flattened: channel by channel, row by row (C order)"
_CHANNELS_LAST, _COLUMN_MAJOR, _PLANES_TURNED = (1, 2, 0), (2, 1, 0), (0, 2, 1)
_ORDERS = [
    partial(_order, axes=axes, is_inverse=is_inverse)
    for axes in (_CHANNELS_LAST, _COLUMN_MAJOR, _PLANES_TURNED)
    for is_inverse in (False, True)
]
