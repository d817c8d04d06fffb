"""The convolution: each weight meets the pixels under its tap, each pixel the windows that hold it."""

from functools import cached_property, partial

import numpy as np

from ... import functional, layers
from ..mistakes import Form, forms
from ..names import entry
from .linear import TRANSPOSED, Affine
from .windows import PADDED_IN_DW, Windowed, assign, places_of


class Convolution(Affine, Windowed, layer=layers.Conv2d):
    """``y = w . im2col(x) + b``; c, f and the like are channels and filters."""

    @staticmethod
    def remembered(x, cache):
        return {} if cache.cols is None else {"cols": cache.cols.reshape(len(cache.cols), -1)}  # (C*KH*KW, N*OH*OW)

    def settings(self):
        return {"groups": self.layer.groups}

    @property
    def group(self):
        """-> channels that a filter sees, filters that see a channel"""
        F, C, _, _ = self.trace[self.w].shape
        return C, F // self.layer.groups

    def equations(self):
        x, y, w, b, cols = self.x, self.y, self.w, self.b, self.own("cols")
        (row, column), (channels, filters) = self.position, self.group
        c, seen, summed = "c", "c", "f,i,j,u,v"
        if self.layer.groups > 1:  # channel c of the filter is another one of the image
            seen, c, summed = f"{channels}*floor(f/{filters}) + c", f"c mod {channels}", "f (of the group of c),i,j,u,v"
        pixel = f"{x}[n,{seen},{row},{column}]"
        bias = f" + {b}[f]" if self.layer.bias else ""
        dx = f"sum over {summed} of {w}[f,{c},u,v] * {y.d}[n,f,i,j] where {row} = h and {column} = w"
        return {
            w: f"{w}[f,c,u,v] is a parameter",
            b: f"{b}[f] is a parameter",
            cols: f"{cols}[(c,u,v),(n,i,j)] = {x}[n,c,{row},{column}]",
            y: f"{y}[n,f,i,j] = sum over c,u,v of {w}[f,c,u,v] * {pixel}{bias}",
            w.d: f"{w.d}[f,c,u,v] = sum over n,i,j of {pixel} * {y.d}[n,f,i,j]",
            b.d: f"{b.d}[f] = sum over n,i,j of {y.d}[n,f,i,j]",
            x.d: f"{x.d}[n,c,h,w] = {dx}",
        }

    # --- terms ---

    @cached_property
    def places(self):
        return _places(self.window)

    def rules(self):
        w, dy, (N, _, OH, OW) = self.w, self.dy, self.trace[self.y].shape
        return {
            self.y: self._products,
            w.d: lambda f, *at: [[self._under(f, n, i, j, *at), entry(dy, n, f, i, j)] for n, i, j in np.ndindex(N, OH, OW)],
            self.b.d: lambda f: [[entry(dy, n, f, i, j)] for n, i, j in np.ndindex(N, OH, OW)],
            self.dx: {"scatter": self._scattered, "correlation": self._correlated},
        }

    def notes(self, name, index):
        agree = "both readings agree: the correlation's other terms meet only padding, or zeros put between strides"
        return [agree] if name == self.dx else []

    def _under(self, f, n, i, j, c, u, v):
        """What weight (f, c, u, v) meets: its channel is one of those of its group."""
        channels, filters = self.group
        return self.tap(n, f // filters * channels + c, i, j, u, v)

    def _products(self, n, f, i, j):
        for at in np.ndindex(self.trace[self.w].shape[1:]):
            yield [entry(self.w, f, *at), self._under(f, n, i, j, *at)]
        yield from self.bias_term(f)

    def _filters_on(self, c):
        """The filters that see channel `c`, and which of their channels it is."""
        channels, filters = self.group
        first = c // channels * filters
        return range(first, first + filters), c % channels

    def _scattered(self, n, c, h, w):
        """Window by window: what each patch that holds the pixel gives back to it."""
        filters, c = self._filters_on(c)
        for f in filters:
            for i, j, u, v in self.seen(h, w):
                yield [entry(self.w, f, c, u, v), entry(self.dy, n, f, i, j)]

    def _correlated(self, n, c, h, w):
        """Tap by tap of the kernel rotated by 180 degrees, over dy with zeros put between strides and around it."""
        g, (filters, c) = self.window, self._filters_on(c)
        for f in filters:
            for k in reversed(range(g.KH * g.KW)):
                u, v = divmod(k, g.KW)
                i, row_gap = divmod(h + g.PT - u * g.DH, g.SH)
                j, column_gap = divmod(w + g.PL - v * g.DW, g.SW)
                met = "between strides" if row_gap or column_gap else entry(self.dy, n, f, i, j)
                yield [entry(self.w, f, c, u, v), met if 0 <= i < g.OH and 0 <= j < g.OW else "padding"]

    # --- mistakes ---

    def forms(self):
        g, (F, C, KH, KW), (_, filters) = self.window, self.trace[self.w].shape, self.group
        room = [
            (_COL2IM, True),
            (_COL2IM_LAST, filters > 1),
            (_REVERSED, KH * KW > 1),
            (_REVERSED_ONE_AXIS, KH > 1 < KW),
            (_REVERSED_FILTERS, F * C > 1),
            ([TRANSPOSED], KH == KW > 1),
            (_CHANNELS_SWAPPED, F == C > 1 and self.layer.groups == 1),
            (_STRIDES, max(g.SH, g.SW) > 1),
            (self.crops(), True),
        ]
        return [form for found, has_room in room if has_room for form in found]

    def parameter_forms(self, own):
        return [*_ROTATED, _STRIDE_IN_DW, PADDED_IN_DW] if own == "weight" else super().parameter_forms(own)

    def wrong_input_gradient(self, dy, cache, col2im=None, kernel=None, axes=None, stride=None, crop=None):
        w, window = cache.w, cache.window
        for turn in filter(None, (axes, kernel)):
            w = turn(w)
        for move in filter(None, (stride, crop)):
            window = move(window)
        # A stride forgotten by repeating dy has more windows.
        dy = dy.repeat(window.OH // dy.shape[2], axis=2).repeat(window.OW // dy.shape[3], axis=3)
        return (col2im or _added)(dy, cache._replace(w=w, window=window, cols=None))

    def wrong_weight_gradient(self, dy, cache, kernel=None, taps=None):
        def dw(dy):
            wrong = cache._replace(window=taps(cache.window), cols=None) if taps else cache
            return functional.conv2d_backward(dy, wrong, need_dx=False)[1]

        return kernel(dw, dy) if kernel else dw(dy)


# --- col2im ---


def _added(dy, cache):
    return functional.conv2d_backward(dy, cache)[0]


def _assigned(dy, cache, by_tap):
    groups, (N, F, OH, OW) = cache.groups, dy.shape
    w = cache.w.reshape(groups, F // groups, *cache.w.shape[1:])
    patches = np.einsum("gfcuv,ngfij->ngcijuv", w, dy.reshape(N, groups, F // groups, OH, OW))
    patches = patches.reshape(N, -1, OH, OW, *w.shape[3:])
    return assign(patches, None, _places(cache.window), cache.x.shape, by_tap=by_tap, chosen_only=False)


def _places(window):
    """As `places_of`, for every tap of the kernel."""
    return places_of(window, np.arange(window.KH) * window.DH, np.arange(window.KW) * window.DW)


def _of_last_filter(dy, cache, col2im):
    """The filters overwrite each other: of each group only the last one counts."""
    w = cache.w.reshape(cache.groups, -1, *cache.w.shape[1:]).copy()
    w[:, :-1] = 0
    return col2im(dy, cache._replace(w=w.reshape(cache.w.shape)))


_ADD = "add (+=) in col2im: a pixel that several patches hold is owed the sum of their gradients"
_ASSIGNED = partial(_assigned, by_tap=False), partial(_assigned, by_tap=True)
_COL2IM = forms("col2im_assigned", "col2im", _ADD, *_ASSIGNED)
_LAST_FILTERS = [partial(_of_last_filter, col2im=col2im) for col2im in (*_ASSIGNED, _added)]
_COL2IM_LAST = forms("col2im_assigned", "col2im", _ADD, *_LAST_FILTERS)

# --- the kernel in dx: w -> w ---

_LAST_AXES = "rotate the kernel for dx in its last two axes, both of them, and in no other: w[:, :, ::-1, ::-1]"
_REVERSED = forms(
    "kernel_not_rotated",
    "kernel",
    "rotate the kernel by 180 degrees in the full correlation for dx (or scatter it unrotated)",
    lambda w: w[..., ::-1, ::-1],
)
_REVERSED_ONE_AXIS = forms("kernel_not_rotated", "kernel", _LAST_AXES, lambda w: w[..., ::-1, :], lambda w: w[..., ::-1])
_REVERSED_FILTERS = forms("kernel_not_rotated", "kernel", _LAST_AXES, lambda w: w[::-1, ::-1], np.flip)
_CHANNELS_SWAPPED = forms("transposed", "axes", TRANSPOSED.correction, lambda w: w.swapaxes(0, 1))

# --- the stride: window -> window ---


def _of_one(window):
    return window._replace(SH=1, SW=1)


_DILATE = "put stride - 1 zeros between the entries of dy (or step by the stride when scattering)"
_STRIDES = forms(
    "stride_not_dilated",
    "stride",
    _DILATE,
    _of_one,
    lambda g: g._replace(SH=1, SW=1, OH=g.OH * g.SH, OW=g.OW * g.SW),  # copies of dy in the place of the zeros behind it
    lambda g: g._replace(SH=g.SH + 1, SW=g.SW + 1),
)
_STRIDE_IN_DW = Form("stride_not_dilated", "taps", _of_one, _DILATE)

# --- the kernel's gradient: dw(dy), dy -> dw ---

_ROTATED = forms(
    "kernel_rotated",
    "kernel",
    "do not rotate dw: it is a correlation of the input with dy, tap (u, v) stays at (u, v)",
    lambda dw, dy: dw(dy)[..., ::-1, ::-1],
    lambda dw, dy: dw(dy[..., ::-1, ::-1]),
    lambda dw, dy: dw(dy)[..., ::-1, :],
    lambda dw, dy: dw(dy)[..., ::-1],
    lambda dw, dy: np.flip(dw(dy)),
    lambda dw, dy: dw(dy)[::-1, ::-1],
)
