"""Flatten: images to rows."""

from functools import partial
from math import prod

import numpy as np

from ... import layers
from ..mistakes import forms
from ..names import entry
from .operation import Operation


class Flatten(Operation, layer=layers.Flatten):
    """``y = x.reshape(N, -1)``"""

    makes_axes = True

    def equations(self):
        _, H, W = self.shape
        k = f"{H * W}*c + {W}*h + w"
        return {self.y: f"{self.y}[n,{k}] = {self.x}[n,c,h,w]", self.dx: f"{self.dx}[n,c,h,w] = {self.dy}[n,{k}]"}

    def out_terms(self, n, k):
        return [[entry(self.x, n, *map(int, np.unravel_index(k, self.shape)))]]

    def dx_terms(self, n, *index):
        return [[entry(self.dy, n, int(np.ravel_multi_index(index, self.shape)))]]

    def forms(self):
        return forms("flatten_order", "order", _AS_FLATTENED, *_ORDERS)

    def column_forms(self):
        reordered = [partial(_reordered, places=order(self.shape)) for order in _ORDERS]
        return forms("flatten_order", "columns", _AS_FLATTENED, *reordered)

    def wrong_input_gradient(self, dy, cache, order):
        dx = np.empty_like(dy)
        dx[:, order(self.shape)] = dy
        return dx.reshape(len(dy), *self.shape)


def _order(shape, axes, inverse):
    """For each place of the flat axis the place that belongs there: shape (C, H, W) -> (C*H*W,)"""
    places = np.arange(prod(shape)).reshape(shape).transpose(axes).ravel()
    return places.argsort() if inverse else places


def _reordered(gradient, places):
    return gradient[:, places]


_AS_FLATTENED = "unflatten as it was flattened: channel by channel, row by row (C order)"
_LAST, _COLUMN_MAJOR, _PLANES = (1, 2, 0), (2, 1, 0), (0, 2, 1)
_ORDERS = [partial(_order, axes=axes, inverse=inverse) for axes in (_LAST, _COLUMN_MAJOR, _PLANES) for inverse in (False, True)]
