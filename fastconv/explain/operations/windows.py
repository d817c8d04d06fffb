"""What convolutions and pools share: where a window stands, and what comes of windows that overlap or stand on padding."""

from functools import cached_property, partial

import numpy as np

from ...support.geometry import taps_inside
from ..mistakes import Form, forms
from ..names import entry
from .operation import Operation


class Windowed(Operation):
    """A layer that looks at its input through a sliding window."""

    @cached_property
    def window(self):
        """The layer's `Window`."""
        return self.layer.window(self.shape)

    @property
    def position(self):
        """``2*i + u - 1`` and the like: the row and the column of the image under a tap."""
        g = self.window
        return _position("i", g.SH, "u", g.DH, g.PT), _position("j", g.SW, "v", g.DW, g.PL)

    def tap(self, n, c, i, j, u, v):
        """The input's entry under tap (u, v) of the window at (i, j), or the padding."""
        g = self.window
        h, w = i * g.SH - g.PT + u * g.DH, j * g.SW - g.PL + v * g.DW
        return entry(self.x, n, c, h, w) if 0 <= h < g.H and 0 <= w < g.W else "padding"

    @cached_property
    def places(self):
        """As `places_of`."""
        return places_of(self.window, *taps_of(self.window))

    def seen(self, h, w):
        """Where the pixel is seen: [i, j, row, column] of each window, with the tap's place among `places`."""
        return np.argwhere(self.places == h * self.window.W + w).tolist()

    def crops(self):
        """The forms of a padding that is cut off on the wrong sides."""
        g = self.window
        if not (g.PT or g.PB or g.PL or g.PR):
            return ()
        return [form for form in _CROPS if form.wrong is not swapped or (g.PT, g.PL) != (g.PB, g.PR)]


class Pool(Windowed):
    """A pool: a window on each channel."""

    def forms(self):
        overlaps = _OVERLAPS if self.window.SH < self.window.KH or self.window.SW < self.window.KW else ()
        return [*overlaps, *self.crops()]


def _position(out, stride, tap, dilation, before):
    scaled = [letter if scale == 1 else f"{scale}*{letter}" for letter, scale in ((out, stride), (tap, dilation))]
    return " + ".join(scaled) + (f" - {before}" if before else "")


# --- padding cut off in the wrong place: where dx begins ---


def swapped(window):
    """The padding before and the padding behind, mistaken for each other."""
    return window._replace(PT=window.PB, PB=window.PT, PL=window.PR, PR=window.PL)


_CROP = "cut the padding off dx on the side where it was added: row 0 of dx is row `top padding` of the padded one"
_CROPS = forms(
    "padding_not_cropped",
    "crop",
    _CROP,
    lambda window: window._replace(PT=0, PL=0),
    lambda window: window._replace(PT=window.PT + window.PB, PL=window.PL + window.PR),
    swapped,
    lambda window: window._replace(PT=0),
    lambda window: window._replace(PL=0),
)
PADDED_IN_DW = Form("padding_not_cropped", "taps", swapped, _CROP)

# --- windows that overlap ---


def taps_of(window):
    """-> rows, columns: how far, in pixels, each tap with which some window sees the image stands from the window's corner."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    return taps_inside(H, KH, SH, DH, PT, OH) * DH, taps_inside(W, KW, SW, DW, PL, OW) * DW


def places_of(window, rows, columns):
    """Where taps so far from a window's corner fall: -> int array (OH, OW, rows, columns) of h*W + w, H*W in the padding."""
    h = (np.arange(window.OH)[:, None] * window.SH - window.PT + rows)[:, None, :, None]
    w = (np.arange(window.OW)[:, None] * window.SW - window.PL + columns)[None, :, None, :]
    inside = (h >= 0) & (h < window.H) & (w >= 0) & (w < window.W)
    return np.where(inside, h * window.W + w, window.H * window.W)


def add(given, chosen, places, shape):
    """What the taps give their pixels, added up: given (N, C, OH, OW, rows, columns) -> dx of `shape`"""
    N, C, H, W = shape
    return _images(np.bincount(_in_planes(places, shape).ravel(), given.ravel(), N * C * (H * W + 1)), shape)


def assign(given, chosen, places, shape, *, by_tap, chosen_only):
    """As `add`, but each overwrites what stood there: window by window or tap by tap, all or what is `chosen`."""
    at = _in_planes(places, shape)
    chosen = chosen if chosen_only else np.ones(at.shape, bool)
    if by_tap:
        at, given, chosen = (array.transpose(0, 1, 4, 5, 2, 3) for array in (at, given, chosen))
    N, C, H, W = shape
    dx = np.zeros(N * C * (H * W + 1))
    dx[at[chosen]] = given[chosen]  # where a pixel is named twice, the last one stays
    return _images(dx, shape)


def _in_planes(places, shape):
    """Places in one row of all planes; each plane has one more at its end, for what falls into the padding."""
    N, C, H, W = shape
    return (np.arange(N * C) * (H * W + 1)).reshape(N, C, 1, 1, 1, 1) + places


def _images(row, shape):
    N, C, H, W = shape
    return row.reshape(N * C, H * W + 1)[:, :-1].reshape(shape)


_OVERLAPS = forms(
    "overlap_assigned",
    "overlap",
    "add (+=) where a pool's windows overlap: a pixel that several windows used is owed the sum",
    *(partial(assign, by_tap=by_tap, chosen_only=chosen_only) for by_tap in (False, True) for chosen_only in (True, False)),
)
