"""The max pool: the winner of a window takes its gradient."""

import numpy as np

from ... import layers
from ..ledger import Look
from ..mistakes import Form
from ..names import entry
from .windows import Pool, add, places_of, taps_of


class MaxPool(Pool, layer=layers.MaxPool2d):
    """``y = max of a window``"""

    @staticmethod
    def remembered(x, cache):
        return {"argmax": cache.argmax}

    @staticmethod
    def sides(layer, shape, x):
        window = layer.window(shape)
        return _largest(x, places_of(window, *taps_of(window))).tobytes()

    def equations(self):
        x, y, argmax, (row, column) = self.x, self.y, self.own("argmax"), self.position
        winner = f"{self.window.W}*h + w for the first h,w in the window where {x}[n,c,h,w] is largest"
        return {
            argmax: f"{argmax}[n,c,i,j] = {winner}",
            y: f"{y}[n,c,i,j] = max over u,v of {x}[n,c,{row},{column}]",
            x.d: f"{x.d}[n,c,h,w] = sum over i,j whose winner is h,w of {y.d}[n,c,i,j]",
        }

    def rules(self):
        return {self.y: lambda *index: [[self._entry(*index[:2], self._winner(*index))]], self.dx: self._returned}

    def _returned(self, n, c, h, w):
        for i, j, _, _ in self.seen(h, w):
            won = self._winner(n, c, i, j) == h * self.window.W + w
            yield [entry(self.dy, n, c, i, j), "won" if won else "lost"]

    def looks(self, name, index):
        n, c, *at = index
        return [self._look(n, c, i, j) for i, j, *_ in ([at] if name == self.y else self.seen(*at))]

    def notes(self, name, index):
        return [] if name == self.y or self.seen(*index[2:]) else ["no window looked here"]

    def _winner(self, n, c, i, j):
        return int(self.trace[self.own("argmax")][n, c, i, j])

    def _entry(self, n, c, place):
        return entry(self.x, n, c, *divmod(int(place), self.window.W))

    def _look(self, n, c, i, j):
        plane, winner = self.trace[self.x][n, c].ravel(), self._winner(n, c, i, j)
        inside = self.places[i, j] < plane.size
        places = self.places[i, j][np.ix_(inside.any(axis=1), inside.any(axis=0))]
        tied = places[(plane[places] == plane[winner]) & (places != winner)]
        values = tuple(map(tuple, plane[places].astype(float).tolist()))
        return Look(
            entry(self.y, n, c, i, j), self._entry(n, c, winner), tuple(self._entry(n, c, place) for place in tied), values
        )

    def forms(self):
        return [*_TIES, *super().forms()]

    def wrong_input_gradient(self, dy, cache, tie=None, overlap=add, crop=None):
        largest = _largest(self.trace[self.x], self.places)
        shares = (tie or _first)(largest.reshape(*dy.shape, -1)).reshape(largest.shape)
        places = places_of(crop(self.window), *taps_of(self.window)) if crop else self.places
        return overlap(shares * dy[..., None, None], shares > 0, places, cache.x_shape)


def _largest(x, places):
    """Where the largest numbers of each window stand: x (N, C, H, W) -> bool (N, C, OH, OW, rows, columns)"""
    pixels = x.reshape(*x.shape[:2], -1)
    pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], -np.inf)], axis=-1)  # the last one for the padding
    seen = pixels[..., places]
    return seen == seen.max(axis=(4, 5), keepdims=True)


# --- ties: largest (..., taps) -> each tap's share of its window's gradient ---


def _first(largest):
    return largest & (largest.cumsum(axis=-1) == 1)


def _last(largest):
    return _first(largest[..., ::-1])[..., ::-1]


def _split(largest):
    return largest / largest.sum(axis=-1, keepdims=True)


_TO_FIRST = "give a window's gradient to the first of equal maxima "
_TIES = (
    Form("tie_all", "tie", lambda largest: largest, f"{_TO_FIRST}only, not to each of them in full"),
    Form("tie_last", "tie", _last, f"{_TO_FIRST}in row-major order, not to the last"),
    Form("tie_split", "tie", _split, f"{_TO_FIRST}only, do not share it out"),
)
