"""The program of a single sample: 16 channels of a pixel lie in the lanes, for batches so small that T samples would leave lanes idle.

An image is stored [y][x][channel], channels filled up with zeros to a multiple of T. The product exchanges its sides: a row of T filters'
weights times the numbers of some pixels. What it sums, and in which order, is the same as in a tile of T samples.
"""

from math import ceil

from ..layers import Conv2d, Flatten, Linear
from . import record as r
from .lanes import T
from .plan import Image, Plan, shifted, weight_tiles
from .runs import equal_parts, positions, source_runs, tap_runs

NARROW_BATCH = 3
"""The largest batch that is trained one sample at a time: with 4, a tile of T samples is as fast on networks A and D."""


def is_narrow(net):
    """Whether `net` can be planned so: no groups, the image goes into a product, and the output is one pixel."""
    layers = [layer for layer in net.layers if not isinstance(layer, Flatten)]
    grouped = any(isinstance(layer, Conv2d) and layer.groups > 1 for layer in layers)
    return bool(layers) and not grouped and isinstance(layers[0], (Conv2d, Linear)) and isinstance(layers[-1], Linear)


class NarrowPlan(Plan):
    """Channels in the lanes."""

    samples = 1

    def _image(self, C, H, W):
        # The image itself is only ever read number by number.
        step = C if self.output is None else ceil(C / T) * T
        return Image(self._reserve(H * W * step, "image"), C, H, W, step, 1)

    def _linear_image(self, x):
        """An image seen by a linear layer: one pixel of many channels, unless zeros lie between them."""
        if x.step != x.C:
            return x
        size = x.C * x.H * x.W
        return Image(x.at, size, 1, 1, size, 1)

    def _reserve_scratch(self, convs):
        """Room for a convolution's weights with channels in the lanes, for dx."""
        sizes = [ceil(conv.C / T) * conv.window.KH * conv.window.KW * ceil(conv.F / T) * T * T
                 for conv, x, y in convs if not _is_linear(conv, x, y)]  # fmt: skip
        self._transposed = self._reserve(max([*sizes, 0]), "scratch")

    def _writes_dx_twice(self, conv):
        return False

    def _emit_conv(self, conv, x, y, relu):
        K, C = conv.window, conv.C
        base = {r.KIND: r.PRODUCT, r.ORDER: 2, r.X_IN: r.PARAMS, r.W_IN: r.WORK, r.OUT_IN: r.WORK,
                r.INIT: r.ZERO if conv.bias < 0 else r.BIAS, r.FINAL: r.RELU_AFTER if relu else r.PLAIN,
                r.N3: 1, r.X2: K.KW * C * T, r.W2: K.DH * x.row}  # fmt: skip
        for i, ni, u, nu in tap_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH):
            for j, nj, v, nv in tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW):
                line = base | {r.X: conv.tap(0, 0, u, v), r.BIAS_AT: max(conv.bias, 0), r.OUT: y.pixel(i, j), r.N2: nu,
                               r.W: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW)}  # fmt: skip
                if K.DW == 1 and x.step == C:
                    line |= {r.N1: 1, r.N0: nv * C}
                else:
                    line |= {r.N1: nv, r.X1: C * T, r.W1: K.DW * x.step, r.N0: C}
                scalars, outs = (K.SH * x.row, K.SW * x.step), (y.row, y.step)
                self._forward += _pixel_tiles(line, (ni, nj), scalars, outs, ceil(conv.F / T), conv.tap(0, 1) - conv.tap(0, 0))

    def _emit_dw(self, conv, x, dy):
        K, C, n_blocks = conv.window, conv.C, ceil(conv.F / T)
        if conv.bias >= 0:
            # One more tap, under which every pixel is 1.
            for block, R in _pairs(n_blocks):
                self._backward.append({
                    r.KIND: r.PRODUCT, r.ORDER: 0, r.M: 1, r.ROWS: R, r.X_IN: r.WORK, r.W_IN: r.WORK, r.OUT_IN: r.GRADS,
                    r.INIT: r.ADD_UNLESS_FIRST, r.X: dy.at + block * T, r.XR: T, r.W: self.ones, r.OUT: conv.bias + block * T, r.OR: T,
                    r.NQ: 1, r.NP: 1, r.N3: 1, r.N2: 1, r.N1: dy.H * dy.W, r.X1: dy.step, r.N0: 1})  # fmt: skip
        merged = K.DW == 1 and x.step == C and K.OH * K.OW > 1
        line = {r.KIND: r.PRODUCT, r.ORDER: 0, r.X_IN: r.WORK, r.W_IN: r.WORK, r.OUT_IN: r.GRADS, r.INIT: r.ADD_UNLESS_FIRST}
        if merged:
            # A product without terms clears the gradient: runs of taps overlap.
            self._backward += weight_tiles(line | {r.OUT: conv.tap(0, 0)}, K.KH * K.KW * C, n_blocks, conv, T, 1)
            line |= {r.INIT: r.ADD}
            columns = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        else:
            columns = [(*positions(K.W, v * K.DW - K.PL, K.SW, K.OW), v, 1) for v in range(K.KW)]
        for u in range(K.KH):
            i, ni = positions(K.H, u * K.DH - K.PT, K.SH, K.OH)
            for j, nj, v, nv in columns:
                if nv == 0:
                    continue
                rectangle = {r.X: dy.pixel(i, j), r.OUT: conv.tap(0, 0, u, v), r.N3: 1, r.N2: ni, r.X2: dy.row, r.N1: nj, r.X1: dy.step,
                             r.W: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW),
                             r.W2: K.SH * x.row, r.W1: K.SW * x.step, r.N0: 1}  # fmt: skip
                self._backward += weight_tiles(line | rectangle, nv * C, n_blocks, conv, T, 1)

    def _emit_dx(self, conv, dy, dx, mask):
        final = {r.FINAL: r.MASK_AFTER if mask else r.PLAIN}
        if _is_linear(conv, dx, dy):
            self._emit_linear_dx(conv, dy, dx, mask, final)
            return
        K, C, F = conv.window, conv.C, ceil(conv.F / T) * T
        taps = K.KH * K.KW
        for c in range(0, C, T):
            self._backward.append({r.KIND: r.TRANSPOSE, r.X_IN: r.PARAMS, r.OUT_IN: r.WORK, r.M: min(T, C - c), r.XR: T,
                                   r.X: conv.tap(0, 0, c=c), r.OUT: self._transposed + c * taps * F,
                                   r.NQ: taps, r.XQ: C * T, r.OQ: F * T,
                                   r.NP: F // T, r.XP: conv.tap(0, 1) - conv.tap(0, 0), r.OP: T * T})  # fmt: skip
        for y, ny, sy, i, u, nu, du, di in source_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH):
            for x, nx, sx, j, v, nv, dv, dj in source_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW):
                line = {r.KIND: r.PRODUCT, r.ORDER: 2, r.X_IN: r.WORK, r.W_IN: r.WORK, r.OUT_IN: r.WORK, r.INIT: r.ZERO,
                        r.X: self._transposed + (u * K.KW + v) * F * T, r.W: dy.pixel(i, j), r.OUT: dx.pixel(y, x),
                        r.MASK: mask.pixel(y, x) if mask else 0,
                        r.N3: nu, r.X3: du * K.KW * F * T, r.W3: -di * dy.row, r.N2: nv, r.X2: dv * F * T, r.W2: -dj * dy.step,
                        r.N1: 1, r.N0: conv.F, **final}  # fmt: skip
                scalars, outs = (dy.row, dy.step), (sy * dx.row, sx * dx.step)
                self._backward += _pixel_tiles(line, (ny, nx), scalars, outs, ceil(C / T), taps * F * T)

    def _emit_linear_dx(self, conv, dy, dx, mask, final):
        """The weights as they lie, times dy lane by lane, then the lanes' sums: to transpose them would move each for one use."""
        line = {r.KIND: r.REDUCE_LANES, r.X_IN: r.PARAMS, r.OUT_IN: r.WORK, r.XR: T, r.W: dy.at,
                r.N1: ceil(conv.F / T), r.X1: conv.tap(0, 1) - conv.tap(0, 0), r.NQ: dx.H * dx.W, r.XQ: conv.C * T, r.OQ: dx.step,
                r.MQ: dx.step, r.XP: T * T, r.OP: T, r.MP: T, **final}  # fmt: skip
        full, rest = divmod(conv.C, T)
        for c, n, M in [(0, full, T)] * (full > 0) + [(full * T, 1, rest)] * (rest > 0):
            self._backward.append(
                line | {r.M: M, r.NP: n, r.X: conv.tap(0, 0, c=c), r.OUT: dx.at + c, r.MASK: (mask or dx).at + c}
            )


def _is_linear(conv, x, y):
    """Whether every pixel has its own weights, so that dx is the weights times dy: a linear layer, or a kernel that lies on the whole image."""
    K = conv.window
    lies_on_it = (K.KH, K.KW) == (x.H, x.W) and not K.PT + K.PL and (K.DH == 1 or K.KH == 1) and (K.DW == 1 or K.KW == 1)
    return y.H * y.W == 1 and lies_on_it


def _pairs(n):
    """(first, 2) for each pair of n things, and the odd one (last, 1)."""
    return [(k, min(2, n - k)) for k in range(0, n, 2)]


def _pixel_tiles(line, counts, scalars, outs, n_blocks, block):
    """A product over a rectangle of pixels in pieces that fill the registers: some pixels of a row, or of a column, times pairs of blocks."""
    (nq, np), (wq, wp), (oq, op) = counts, scalars, outs
    if np == 1:
        (nq, np), (wq, wp), (oq, op) = (np, nq), (wp, wq), (op, oq)
    tiles = []
    for k, R in _pairs(n_blocks):
        for p, n, M in equal_parts(np, T // 2):
            shift = {r.X: k * block, r.BIAS_AT: k * T, r.W: p * wp, r.OUT: p * op + k * T, r.MASK: p * op + k * T}
            tiles.append(line | shifted(line, shift) | {
                r.M: M, r.ROWS: R, r.XR: block, r.OR: T, r.MR: T, r.ACROSS: wp, r.OM: op,
                r.NQ: nq, r.WQ: wq, r.OQ: oq, r.MQ: oq, r.NP: n, r.WP: M * wp, r.OP: M * op, r.MP: M * op})  # fmt: skip
    return tiles
