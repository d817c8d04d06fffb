"""The max pool: the winner of a window takes its gradient."""

import numpy as np

from ... import layers
from ..ledger import Look
from ..mistakes import forms
from ..names import entry
from .pooling import Pooling
from .windows import add, places_of, taps_of


class MaxPooling(Pooling, layer=layers.MaxPool2d):
    """``y = max of a window``"""

    @staticmethod
    def remembered(x, cache):
        return {"argmax": cache.argmax}

    @staticmethod
    def sides(layer, shape, x):
        return _largest(x, layer.window(shape)).tobytes()

    def equations(self):
        x, y, argmax = self.x, self.y, self.own("argmax")
        row, column = self.position()
        winner = f"{self.window.W}*h + w for the first h,w in the window where {x}[n,c,h,w] is largest"
        return {
            argmax: f"{argmax}[n,c,i,j] = {winner}",
            y: f"{y}[n,c,i,j] = max over u,v of {x}[n,c,{row},{column}]",
            x.d: f"{x.d}[n,c,h,w] = sum over i,j whose winner is h,w of {y.d}[n,c,i,j]",
        }

    def out_terms(self, n, c, i, j):
        return [[entry(self.x, n, c, *self._winner(n, c, i, j))]]

    def dx_terms(self, n, c, h, w):
        for i, j in self.windows_on(h, w):
            yield [entry(self.dy, n, c, i, j), "won" if self._winner(n, c, i, j) == (h, w) else "lost"]

    def looks(self, own, index):
        if own == "out":
            return [self._look(*index)]
        n, c, h, w = index
        return [self._look(n, c, i, j) for i, j in self.windows_on(h, w)]

    def notes(self, own, index):
        return [] if own == "out" or any(self.windows_on(*index[2:])) else ["no window looked here"]

    def _winner(self, n, c, i, j):
        return divmod(int(self.trace[self.own("argmax")][n, c, i, j]), self.window.W)

    def _look(self, n, c, i, j):
        plane, winner = self.trace[self.x][n, c], self._winner(n, c, i, j)
        rows, columns = self.span(i, j)
        tied = [(h, w) for h in rows for w in columns if plane[h, w] == plane[winner] and (h, w) != winner]
        values = tuple(tuple(float(plane[h, w]) for w in columns) for h in rows)
        names = tuple(entry(self.x, n, c, *at) for at in tied)
        return Look(entry(self.y, n, c, i, j), entry(self.x, n, c, *winner), names, values)

    def forms(self):
        return [*_TIES, *self.overlaps(), *self.crops()]

    def wrong_input_gradient(self, dy, cache, tie=lambda largest: _first(largest), overlap=add, crop=lambda window: window):
        window = self.window
        largest = _largest(self.trace[self.x], window)
        shares = tie(largest.reshape(*dy.shape, -1)).reshape(largest.shape).astype(np.float64)
        places = places_of(crop(window), *taps_of(window))
        return overlap(shares * dy[..., None, None], shares > 0, places, cache.x_shape)


def _largest(x, window):
    """Where the largest numbers of each window stand: x (N, C, H, W) -> bool (N, C, OH, OW, rows, columns)"""
    N, C, H, W = x.shape
    pixels = np.full((N, C, H * W + 1), -np.inf, x.dtype)
    pixels[..., :-1] = x.reshape(N, C, H * W)
    seen = pixels[..., places_of(window, *taps_of(window))]
    return seen == seen.max(axis=(4, 5), keepdims=True)


# --- ties: largest (..., taps) -> each tap's share of its window's gradient ---


def _first(largest):
    return largest & (largest.cumsum(axis=-1) == 1)


def _last(largest):
    return _first(largest[..., ::-1])[..., ::-1]


_TO_FIRST = "give a window's gradient to the first of equal maxima "
_TIES = (
    *forms("tie_all", "tie", f"{_TO_FIRST}only, not to each of them in full", lambda largest: largest),
    *forms("tie_last", "tie", f"{_TO_FIRST}in row-major order, not to the last", _last),
    *forms(
        "tie_split", "tie", f"{_TO_FIRST}only, do not share it out", lambda largest: largest / largest.sum(-1, keepdims=True)
    ),
)
