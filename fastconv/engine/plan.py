"""A network becomes a program: a table of operations on a tile of T samples, with every offset worked out here, in Python.

A *row* is one (y, x, channel) position of T samples side by side; an image is stored [y][x][channel][lane]. im2col's gather is
then nothing but strides: the patch under an output is a few runs of rows that lie side by side. Taps that fall into padding are left
out of the sums, so positions are grouped into rectangles that see the same taps: nine for a padded 3x3 convolution.
"""

from math import ceil, frexp, gcd
from typing import NamedTuple

import numpy as np

from ..geometry import Window, conv_window
from ..layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from . import record as r
from .lanekernel import FILTERS, TAPS
from .lanes import T
from .poolkernel import BACK, EXCLUSIVE_BACK, FORWARD

FEW_CHANNELS = 6
"""Below, dw sums lanes; from here on channels fill enough accumulators (6 of D's second layer: 160 GFLOP/s of 249)."""


CHUNK = 24
"""Positions whose rows stay in the first-level cache while dw's taps pass over them."""


BAND = 2**16
"""Floats of the rows that a product reads before the next block of filters reads them again."""


class Image(NamedTuple):
    """Where an activation, or its gradient, lies in the workspace."""

    at: int
    C: int
    H: int
    W: int

    @property
    def size(self):
        return self.C * self.H * self.W * T

    def pixel(self, y, x, c=0):
        """The offset of a row."""
        return self.at + ((y * self.W + x) * self.C + c) * T


class Conv(NamedTuple):
    """A convolution over its packed weights ``[group][block of T filters][u][v][c][filter]``; a linear layer has one pixel."""

    window: Window
    groups: int
    C: int
    F: int
    weight: int
    bias: int  # -1 without

    @property
    def blocks(self):
        """(group, block, filters in it) for each block of up to T filters."""
        size = self.F // self.groups
        return [(g, k, min(T, size - k * T)) for g in range(self.groups) for k in range(ceil(size / T))]

    def tap(self, g, block, u=0, v=0, c=0):
        """The offset of a tap's weights for a block of filters."""
        K = self.window
        blocks = ceil(self.F // self.groups / T)
        return self.weight + ((((g * blocks + block) * K.KH + u) * K.KW + v) * (self.C // self.groups) + c) * T


class Plan:
    """The program of a network, and the layout of its memory.

    Attributes
    ----------
    forward, backward : int64 arrays (operations, COLUMNS)
    packed : int64 array (parameters,)
        Where each number of the network's flat buffer lies among the packed parameters.
    n_packed, n_work : int
        Floats of the packed parameters, and of one thread's workspace.
    input, output : Image
    """

    def __init__(self, net):
        self.n_work = 0
        self.n_packed = 0
        self._forward, self._backward, self._packed = [], [], []
        self.output = self.input = self._image(*net.input_shape)
        self._steps = list(self._parse(net))
        trainable = [i for i, (kind, *_) in enumerate(self._steps) if kind is Conv2d]
        self.first = trainable[0] if trainable else len(self._steps)
        # Scratch for all layers' dw, one after the other.
        convs = [(conv, y) for kind, conv, _, y, _ in self._steps if kind is Conv2d]
        self._transposed = self._reserve(max([_dw_scratch(conv, y) for conv, y in convs] + [0]))
        self._bias_lanes = self._reserve(max([conv.F * T for conv, _ in convs] + [0]))
        self.ones = self._reserve(T)
        self.gradient = self.output._replace(at=self._reserve(self.output.size))
        gradient = self.gradient
        for index in range(len(self._steps) - 1, self.first - 1, -1):
            is_mask = self._steps[index - 1][0] is ReLU
            gradient = self._emit_backward(*self._steps[index], gradient, index > self.first, is_mask)
        self.forward, self.backward = _table(self._forward), _table(self._backward)
        self.packed = np.concatenate([*self._packed, np.zeros(0, np.int64)]).astype(np.int64)
        self.n_packed = _aligned(self.n_packed)
        self.multiply_adds = sum(layer.multiply_adds(shape) for layer, shape in zip(net.layers, net.shapes))

    def _reserve(self, size):
        at = self.n_work
        self.n_work = _aligned(at + size)
        return at

    def _image(self, C, H, W):
        return Image(self._reserve(C * H * W * T), C, H, W)

    # --- forward ---

    def _parse(self, net):
        """Emit the forward program; yields (kind, what, x, y, masked) for the backward one."""
        dropouts, masked = 0, False
        layers = [(layer, shape) for layer, shape in zip(net.layers, net.shapes) if not isinstance(layer, Flatten)]
        at = 0
        while at < len(layers):
            layer, shape = layers[at]
            x = self.output
            at += 1
            if isinstance(layer, (Conv2d, Linear)):
                # A ReLU is folded in where a product comes next, or next after max pools: its dx applies the mask in passing.
                later = [type(layer) for layer, _ in layers[at + 1 :] if type(layer) is not MaxPool2d]
                fused = at < len(layers) and type(layers[at][0]) is ReLU and bool(later) and later[0] in (Conv2d, Linear)
                at += fused
                conv, x = self._conv(layer, shape, x)
                y = self.output = self._image(conv.F, conv.window.OH, conv.window.OW)
                self._emit_conv(conv, x, y, fused)
                yield Conv2d, conv, x, y, masked
                masked = fused
                continue
            if isinstance(layer, MaxPool2d):
                window = layer.window(shape)
                y = self.output = self._image(x.C, window.OH, window.OW)
                argmax = self._reserve(y.size)
                what = window, argmax
                self._forward += _max_pool(window, x, y, argmax, {r.KIND: r.MAX_POOL, r.ORDER: FORWARD})
            elif isinstance(layer, AvgPool2d):
                window = layer.window(shape)
                y = self.output = self._image(x.C, window.OH, window.OW)
                what = _pool_columns(window, x)
                self._forward.append({r.KIND: r.AVG_POOL, r.X: x.at, r.OUT: y.at, r.NQ: y.H, r.NP: y.W, **what})
            else:
                y = self.output = self._image(x.C, x.H, x.W)
                what, kind = {r.CHANNELS: x.C, r.NQ: x.H, r.NP: x.W}, r.RELU
                if isinstance(layer, Dropout):
                    dropouts += 1
                    fraction, exponent = frexp(np.float32(1 / (1 - layer.p)))
                    what |= {r.LAYER: dropouts, r.THRESHOLD: ceil(layer.p * 2**24),
                             r.MANTISSA: int(fraction * 2**24), r.EXPONENT: exponent - 24}  # fmt: skip
                    kind = r.DROPOUT
                self._forward.append({r.KIND: kind, r.X: x.at, r.OUT: y.at, **what})
            yield type(layer), what, x, y, masked
            masked &= isinstance(layer, MaxPool2d)

    def _conv(self, layer, shape, x):
        """The Conv of a layer, its parameters laid out and packed; x as it sees it."""
        if isinstance(layer, Conv2d):
            window, groups, F = layer.window(shape), layer.groups, layer.out_channels
        else:
            window, groups, F = conv_window(1, 1, 1, 1, 0, 1), 1, layer.out_features
        order = _weight_order(layer, x, window, groups, F)
        if isinstance(layer, Linear):
            x = Image(x.at, x.C * x.H * x.W, 1, 1)
        self._packed.append(self.n_packed + order)
        weight = self.n_packed
        self.n_packed += groups * ceil(F // groups / T) * window.KH * window.KW * (x.C // groups) * T
        bias = -1
        if layer.bias:
            bias = self.n_packed
            self._packed.append(bias + np.arange(F))
            self.n_packed = _aligned(bias + F)
        return Conv(window, groups, x.C, F, weight, bias), x

    def _emit_conv(self, conv, x, y, relu):
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        rows = _tap_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH)
        columns = _tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        base = {r.KIND: r.PRODUCT, r.ORDER: 0, r.X_IN: r.WORK, r.W_IN: r.PARAMS, r.OUT_IN: r.WORK,
                r.INIT: r.ZERO if conv.bias < 0 else r.BIAS, r.FINAL: r.RELU_AFTER if relu else r.PLAIN,
                r.XQ: K.SH * x.W * x.C * T, r.XP: K.SW * x.C * T, r.OQ: y.W * y.C * T, r.OP: y.C * T,
                r.N3: 1, r.X2: K.DH * x.W * x.C * T, r.W2: K.KW * Cg * T}  # fmt: skip
        for i, ni, u, nu in _banded(rows, x.W * x.C):
            for g, block, M in conv.blocks:
                for j, nj, v, nv in columns:
                    line = base | {r.M: M, r.NQ: ni, r.NP: nj, r.N2: nu, r.W: conv.tap(g, block, u, v),
                                   r.BIAS_AT: max(conv.bias, 0) + g * Fg + block * T,
                                   r.X: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, g * Cg),
                                   r.OUT: y.pixel(i, j, g * Fg + block * T)}  # fmt: skip
                    if K.DW == 1 and conv.groups == 1:
                        line |= {r.N1: 1, r.N0: nv * Cg}  # a kernel's row is one run
                    else:
                        line |= {r.N1: nv, r.X1: K.DW * x.C * T, r.W1: Cg * T, r.N0: Cg}
                    self._forward += _register_tiles(line)

    # --- backward ---

    def _emit_backward(self, kind, what, x, y, masked, dy, need_dx, is_mask):
        """Emit one layer's backward pass from `dy`; -> where its dx lies: in the place of x, if nobody needs that any more."""
        if kind is Conv2d:
            dy = dy._replace(C=y.C, H=y.H, W=y.W)
            self._emit_dw(what, x, dy)
        if kind in (ReLU, Dropout):
            line = {r.KIND: r.DROPOUT if kind is Dropout else r.RELU_BACK, r.X: dy.at, r.OUT: dy.at, r.MASK: y.at, **what}
            self._backward.append(line)
            return x._replace(at=dy.at)
        in_two = kind is Conv2d and what.F // what.groups > T and what.F // what.groups % T
        dx = x._replace(at=self._reserve(x.size)) if need_dx and (is_mask or in_two) else x
        if not need_dx:
            return dx
        if kind is Conv2d:
            self._emit_dx(what, dy, dx, x if masked else None)
        elif kind is MaxPool2d:
            window, argmax = what
            exclusive = _is_exclusive(window)
            if not exclusive:
                self._backward.append({r.KIND: r.LANE_ZERO, r.OUT: dx.at, r.NP: dx.size // T})
            line = {r.KIND: r.MAX_POOL_BACK, r.ORDER: EXCLUSIVE_BACK if exclusive else BACK}
            self._backward += _max_pool(window, dx, dy._replace(C=y.C, H=y.H, W=y.W), argmax, line)
        else:
            line = {r.KIND: r.AVG_POOL_BACK, r.X: dy.at, r.OUT: dx.at, r.NQ: y.H, r.NP: y.W, **what}
            self._backward.append(line)
        return dx

    def _emit_dw(self, conv, x, dy):
        """dw and db; few channels leave most accumulators of the product idle, so that their lanes are summed last."""
        if dy.H * dy.W == 1 and conv.bias >= 0:
            self._emit_reduction(conv.F, dy.at, T, conv.bias)
        elif conv.bias >= 0:
            self._backward.append({r.KIND: r.LANE_ZERO, r.OUT: self._bias_lanes, r.NP: conv.F})
        if conv.C // conv.groups < FEW_CHANNELS:
            self._emit_bias_lanes(conv, dy, 0, dy.H, 0, dy.W)
            self._emit_lane_dw(conv, x, dy)
        else:
            for g in range(conv.groups):
                self._emit_transposed_dw(conv, x, dy, g)
        if dy.H * dy.W > 1 and conv.bias >= 0:
            self._emit_reduction(conv.F, self._bias_lanes, T, conv.bias)

    def _emit_bias_lanes(self, conv, dy, i, ni, j, nj):
        """db as one more tap of dw, under which every pixel is 1."""
        if dy.H * dy.W == 1 or conv.bias < 0:
            return
        for f, M in _even_parts(conv.F, FILTERS):
            self._backward.append({r.KIND: r.LANE_PRODUCT, r.M: M, r.N0: 1, r.X: self.ones, r.W: dy.pixel(i, j, f),
                                   r.NQ: ni, r.WQ: dy.W * dy.C * T, r.NP: nj, r.WP: dy.C * T,
                                   r.OQ: T, r.OUT: self._bias_lanes + f * T})  # fmt: skip

    def _emit_reduction(self, F, at, step, out, taps=1):
        """Add up the lanes of F * taps rows at `at`, a filter's `step` apart, into gradients [block of T filters][tap][filter]."""
        for f in range(0, F, T):
            self._backward.append({r.KIND: r.REDUCE_LANES, r.M: min(T, F - f), r.X: at + f * step, r.XR: step, r.OUT_IN: r.GRADS,
                                   r.OUT: out + f * taps, r.NQ: 1, r.NP: taps, r.XP: T, r.OP: T})  # fmt: skip

    def _emit_transposed_dw(self, conv, x, dy, g):
        """dw of one group, a few positions at a time, so that what is read again and again stays in the first-level cache."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        at, one_pixel = self._transposed, dy.H == dy.W == K.KH == K.KW == 1
        merged = K.DW == 1 and conv.groups == 1 and Cg < T
        runs = _tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW) if merged else [
            (*_positions(K.W, v * K.DW - K.PL, K.SW, K.OW), v, 1) for v in range(K.KW)]  # fmt: skip
        if not one_pixel:
            # A product without terms: it clears a shard's first gradient.
            line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.OUT_IN: r.GRADS, r.INIT: r.ADD_UNLESS_FIRST, r.OUT: conv.tap(g, 0)}
            self._backward += _weight_tiles(line, K.KH * K.KW * Cg, ceil(Fg / T), conv, 0)
        for i0, ni0, j0, nj0 in _chunks(dy.H, dy.W):
            area = ni0 * nj0 * T * T
            if g == 0:
                self._emit_bias_lanes(conv, dy, i0, ni0, j0, nj0)
            for block in range(ceil(Fg / T)):
                self._backward.append({r.KIND: r.TRANSPOSE, r.OUT_IN: r.WORK, r.XR: T, r.M: min(T, Fg - block * T), r.X: dy.pixel(i0, j0, g * Fg + block * T),
                                       r.NQ: ni0, r.XQ: dy.W * dy.C * T, r.OQ: nj0 * T * T, r.NP: nj0, r.XP: dy.C * T, r.OP: T * T,
                                       r.OUT: at + block * area})  # fmt: skip
            for u in range(K.KH):
                i, ni = _common(_positions(K.H, u * K.DH - K.PT, K.SH, K.OH), (i0, ni0))
                for j, nj, v, nv in runs:
                    j, nj = _common((j, nj), (j0, nj0))
                    if not ni * nj * nv:
                        continue
                    line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.X_IN: r.WORK, r.W_IN: r.WORK, r.OUT_IN: r.GRADS,
                            r.INIT: r.ADD_UNLESS_FIRST if one_pixel else r.ADD, r.OUT: conv.tap(g, 0, u, v),
                            r.X: at + ((i - i0) * nj0 + j - j0) * T * T, r.N3: 1, r.N2: ni, r.X2: nj0 * T * T, r.N1: nj, r.X1: T * T,
                            r.W: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, g * Cg),
                            r.W2: K.SH * x.W * x.C * T, r.W1: K.SW * x.C * T, r.N0: T}  # fmt: skip
                    self._backward += _weight_tiles(line, nv * Cg, ceil(Fg / T), conv, area)

    def _emit_lane_dw(self, conv, x, dy):
        """dw where there are few channels: filters times taps of sums, whose lanes are added at the end."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        k_size, at, merged = K.KH * K.KW * Cg, self._transposed, K.DW == 1 and conv.groups == 1
        self._backward.append({r.KIND: r.LANE_ZERO, r.OUT: at, r.NP: conv.F * k_size})
        columns = _tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        if not merged:
            columns = [(j, nj, v + more, 1) for j, nj, v, nv in columns for more in range(nv)]
        for f, M in [(g * Fg + f, M) for g in range(conv.groups) for f, M in _even_parts(Fg, FILTERS)]:
            for u in range(K.KH):
                i, ni = _positions(K.H, u * K.DH - K.PT, K.SH, K.OH)
                for j, nj, v, nv in columns:
                    pixel = x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, f // Fg * Cg)
                    for tap, N in _even_parts(nv * Cg, TAPS):
                        self._backward.append({
                            r.KIND: r.LANE_PRODUCT, r.M: M, r.N0: N, r.X: pixel + tap * T, r.W: dy.pixel(i, j, f), r.NQ: ni, r.NP: nj,
                            r.XQ: K.SH * x.W * x.C * T, r.XP: K.SW * x.C * T, r.WQ: dy.W * dy.C * T, r.WP: dy.C * T,
                            r.OQ: k_size * T, r.OUT: at + (f * k_size + (u * K.KW + v) * Cg + tap) * T})  # fmt: skip
        for g in range(conv.groups):
            self._emit_reduction(Fg, at + g * Fg * k_size * T, k_size * T, conv.tap(g, 0), k_size)

    def _emit_dx(self, conv, dy, dx, mask):
        """dx as the forward product with the roles of channels and filters exchanged: col2im as a gather."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        rows = _source_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH)
        columns = _source_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        one_pixel = K.H == K.W == K.OH == K.OW == 1
        # A linear layer's blocks of channels are one line: its only pixel leaves a loop free.
        blocks = [
            (g, g * Cg + c + k * T, count, M)
            for g in range(conv.groups)
            for c, n, M in _blocks(Cg)
            for k, count in ([(0, n)] if one_pixel else [(k, 1) for k in range(n)])
        ]
        for y, ny, sy, i, u, nu, du, di in _banded(rows, dy.W * dy.C):
            for g, channel, count, M in blocks:
                for x, nx, sx, j, v, nv, dv, dj in columns:
                    line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.X_IN: r.WORK, r.W_IN: r.PARAMS, r.OUT_IN: r.WORK, r.M: M,
                            r.OUT: dx.pixel(y, x, channel), r.MASK: mask.pixel(y, x, channel) if mask else 0,
                            r.NQ: ny, r.XQ: dy.W * dy.C * T, r.OQ: sy * dx.W * dx.C * T, r.MQ: sy * dx.W * dx.C * T,
                            r.NP: nx, r.XP: dy.C * T, r.OP: sx * dx.C * T, r.MP: sx * dx.C * T,
                            r.N3: nu, r.X3: -di * dy.W * dy.C * T, r.W3: du * K.KW * Cg * T,
                            r.N2: nv, r.X2: -dj * dy.C * T, r.W2: dv * Cg * T}  # fmt: skip
                    if one_pixel:
                        line |= {r.NP: count, r.XP: 0, r.WP: T * T, r.OP: T * T, r.MP: T * T}
                    self._emit_filters(conv, line, Fg, dy.pixel(i, j, g * Fg), (g, u, v, channel - g * Cg), mask is not None)

    def _emit_filters(self, conv, line, Fg, x, tap, masked):
        """The sum over filters: full blocks of T, then the rest, added."""
        g, u, v, c = tap
        full, rest = divmod(Fg, T)
        final = r.MASK_AFTER if masked else r.PLAIN
        if full:
            line |= {r.X: x, r.W: conv.tap(g, 0, u, v, c), r.INIT: r.ZERO, r.FINAL: r.PLAIN if rest else final,
                     r.N1: full, r.X1: T * T, r.W1: conv.tap(0, 1) - conv.tap(0, 0), r.N0: T}  # fmt: skip
            self._backward += _register_tiles(line)
        if rest:
            line |= {r.X: x + full * T * T, r.W: conv.tap(g, full, u, v, c), r.INIT: r.ADD if full else r.ZERO,
                     r.FINAL: final, r.N1: 1, r.N0: rest}  # fmt: skip
            self._backward += _register_tiles(line)


def _register_tiles(line):
    """A product over positions in pieces that fill the registers: pairs of positions times half as many scalars, then the odd one."""
    if line[r.NP] == 1:
        line = line | {p: line.get(q, 0) for p, q in (*_BOTH, *(pair[::-1] for pair in _BOTH))}
    M, NP = line[r.M], line[r.NP]
    if NP < 2 or line.get(r.WP, 0):
        return [line | {r.ROWS: 1}]
    pairs = {r.ROWS: 2, r.NP: NP // 2} | {pair: line.get(step, 0) for pair, step in ((r.XR, r.XP), (r.OR, r.OP), (r.MR, r.MP))}
    pairs |= {step: 2 * line.get(step, 0) for step in (r.XP, r.OP, r.MP)}
    across = T if line[r.ORDER] else 1
    tiles = [line | pairs | _shifted(line, {r.W: m * across, r.OUT: m * T, r.MASK: m * T, r.BIAS_AT: m}) | {r.M: n}
             for m, n in _even_parts(M, T // 2)]  # fmt: skip
    if NP % 2:
        last = {at: (NP - 1) * line.get(step, 0) for at, step in ((r.X, r.XP), (r.OUT, r.OP), (r.MASK, r.MP))}
        tiles.append(line | _shifted(line, last) | {r.NP: 1, r.ROWS: 1})
    return tiles


_BOTH = (r.NP, r.NQ), (r.XP, r.XQ), (r.WP, r.WQ), (r.OP, r.OQ), (r.MP, r.MQ)


def _weight_tiles(line, S, blocks, conv, area):
    """A product for dw in pieces that fill the registers: S scalars times pairs of blocks of filters, `area` apart; then the odd one."""
    step, tiles = conv.tap(0, 1) - conv.tap(0, 0), []
    pairs = {r.ROWS: 2, r.NQ: blocks // 2, r.XQ: 2 * area, r.OQ: 2 * step, r.XR: area, r.OR: step}
    odd = _shifted(line, {r.X: (blocks - 1) * area, r.OUT: (blocks - 1) * step}) | {r.ROWS: 1, r.NQ: 1}
    for shape, most in [(pairs, T // 2)] * (blocks > 1) + [(odd, T)] * (blocks % 2):
        for s, n, M in _equal_parts(S, most):
            tiles.append(
                line | shape | _shifted(line | shape, {r.W: s * T, r.OUT: s * T}) | {r.M: M, r.NP: n, r.WP: M * T, r.OP: M * T}
            )
    return tiles


def _shifted(line, by):
    return {column: line.get(column, 0) + shift for column, shift in by.items()}


def _weight_order(layer, x, window, groups, F):
    """Where each weight, in PyTorch's order, lies in its packed block."""
    if isinstance(layer, Linear):
        # Rows are stored [y][x][c], a flattened image is numbered [c][y][x].
        c, y, x_ = np.ogrid[: x.C, : x.H, : x.W]
        k = (((y * x.W + x_) * x.C) + c).reshape(-1)
        f, K = np.arange(F)[:, None], len(k)
        return ((f // T * K + k) * T + f % T).reshape(-1)
    Cg, Fg = x.C // groups, F // groups
    f, c, u, v = np.ogrid[:F, :Cg, : window.KH, : window.KW]
    g, f = f // Fg, f % Fg
    block = g * ceil(Fg / T) + f // T
    return ((((block * window.KH + u) * window.KW + v) * Cg + c) * T + f % T).reshape(-1)


def _max_pool(K, x, y, argmax, line):
    """The lines of a max pool from `x` to `y`, a rectangle of windows each."""
    lines = []
    for i, ni, u, nu in _tap_runs(K.H, K.KH, K.SH, 1, K.PT, K.OH):
        for j, nj, v, nv in _tap_runs(K.W, K.KW, K.SW, 1, K.PL, K.OW):
            at = y.pixel(i, j) - y.at
            lines.append(line | {
                r.X: x.pixel(i * K.SH - K.PT + u, j * K.SW - K.PL + v), r.OUT: y.at + at, r.MASK: argmax + at,
                r.NQ: ni, r.XQ: K.SH * x.W * x.C * T, r.OQ: y.W * y.C * T, r.NP: nj, r.XP: K.SW * x.C * T, r.OP: y.C * T,
                r.N2: nu, r.X2: x.W * x.C * T, r.N1: nv, r.X1: x.C * T, r.N0: x.C,
                r.ORDER: line[r.ORDER] + (nu == nv == 2), r.M: u * K.KW + v if nu * nv else -1, r.N3: K.KW})  # fmt: skip
    return lines


def _is_exclusive(K):
    """Whether 2 x 2 windows share no pixel and leave none out."""
    return (K.KH, K.KW) == (K.SH, K.SW) == (2, 2) and (2 * K.OH, 2 * K.OW) == (K.H, K.W) and not K.PT + K.PL


def _pool_columns(K, x):
    """An average pool's columns."""
    return {r.CHANNELS: x.C, r.HEIGHT: x.H, r.WIDTH: x.W, r.KH: K.KH, r.KW: K.KW, r.SH: K.SH, r.SW: K.SW, r.PT: K.PT, r.PL: K.PL,
            r.PB: K.PB, r.PR: K.PR}  # fmt: skip


def _positions(size, shift, stride, count):
    """(first, number) of the outputs i for which ``i * stride + shift`` lies in the image."""
    first = max(0, -(shift // stride))
    return first, max(0, min(count, (size - 1 - shift) // stride + 1) - first)


def _tap_runs(size, K, S, D, P, count):
    """Runs of outputs that see the same taps: (first output, outputs, first tap, taps)."""
    runs = []
    for i in range(count):
        taps = [u for u in range(K) if 0 <= i * S - P + u * D < size]
        taps = (taps[0], len(taps)) if taps else (0, 0)
        if runs and runs[-1][2:] == taps:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, *taps)
        else:
            runs.append((i, 1, *taps))
    return runs


def _source_runs(size, K, S, D, P, count):
    """Runs of pixels y, y + S, ... that the same taps reach from outputs i, i + 1, ...

    -> (first pixel, pixels, pixel step, output under the first tap, first tap, taps, tap step, output step back)
    """
    runs = {}
    step = S // gcd(S, D)
    for y in range(size):
        taps = tuple(u for u in range(K) if (y + P - u * D) % S == 0 and 0 <= (y + P - u * D) // S < count)
        key = y % S, taps
        first, n = runs.get(key, (y, 0))
        if n and y != first + n * S:  # the same taps again further on: dilation leaves gaps
            key = y % S, taps, y
            first, n = y, 0
        runs[key] = first, n + 1
    return [(y, n, S, (y + P - taps[0] * D) // S if taps else 0, taps[0] if taps else 0, len(taps), step, step * D // S)
            for (_, taps, *_), (y, n) in runs.items()]  # fmt: skip


def _blocks(C):
    """(first channel, number of blocks, channels in each): blocks of T, then the rest."""
    full, rest = divmod(C, T)
    return [(0, full, T)] * bool(full) + [(full * T, 1, rest)] * bool(rest)


def _banded(runs, row_size):
    """Runs (first row, rows, ...) of an image cut into bands that stay in the second-level cache, not to fetch them for each filter."""
    bands = []
    for first, n, *rest in runs:
        step = rest[0] if len(rest) > 2 else 1
        for k, part in _even_parts(n, max(1, BAND // (row_size * T))):
            # dx's runs (pixel, pixels, step, output, ...) move on in both images.
            moved = [rest[0], rest[1] + k, *rest[2:]] if len(rest) > 2 else rest
            bands.append((first + k * step, part, *moved))
    return bands


def _chunks(H, W):
    """(first row, rows, first column, columns) of rectangles of up to CHUNK positions."""
    rows = max(1, CHUNK // W)
    return [(i, min(rows, H - i), j, nj) for i in range(0, H, rows) for j, nj in _even_parts(W, CHUNK)]


def _common(a, b):
    """(first, number) of what two ranges (first, number) have in common."""
    first = max(a[0], b[0])
    return first, max(0, min(a[0] + a[1], b[0] + b[1]) - first)


def _equal_parts(n, most):
    """(first, parts, size) of n things: one run of equal parts where that is possible, else full ones and the rest."""
    parts = -(-n // most)
    if n % parts == 0:
        return [(0, parts, n // parts)]
    return [(0, n // most, most)] * (n >= most) + [(n - n % most, 1, n % most)]


def _even_parts(n, most):
    """(start, size) of as few and as equal parts as can be, none above `most`."""
    parts = -(-n // most)
    edges = [k * n // parts for k in range(parts + 1)]
    return [(start, stop - start) for start, stop in zip(edges, edges[1:])]


def _dw_scratch(conv, y):
    """Floats that a layer's dw needs: dy transposed, a chunk at a time, or lanes of sums."""
    if conv.C // conv.groups < FEW_CHANNELS:
        return conv.F * conv.window.KH * conv.window.KW * (conv.C // conv.groups) * T
    return ceil(conv.F // conv.groups / T) * min(CHUNK, y.H * y.W) * T * T


def _aligned(size):
    return -(-size // 16) * 16


def _table(lines):
    table = np.zeros((len(lines), r.COLUMNS), np.int64)
    for row, line in zip(table, lines):
        for column, value in line.items():
            row[column] = value
    return table
