"""The program of a tile of T samples: every row holds one number of each sample, and nothing is ever moved between lanes but for dw."""

from math import ceil

from . import record as r
from .lanekernel import FILTERS, TAPS
from .lanes import T
from .microkernel import in_sizes
from .plan import Image, Plan, shifted, weight_tiles
from .runs import banded, blocks, chunks, common, even_parts, positions, source_runs, tap_runs

FEW_CHANNELS = 6
"""Below, dw sums lanes; from here on channels fill enough accumulators (6 of D's second layer: 160 GFLOP/s of 249)."""


CHUNK = 24
"""Positions whose rows stay in the first-level cache while dw's taps pass over them."""


BAND = 2**16
"""Floats of the rows that a product reads before the next block of filters reads them again."""


class WidePlan(Plan):
    """Samples in the lanes."""

    samples = T

    def _image(self, C, H, W):
        return Image(self._reserve(C * H * W * T, "image"), C, H, W, C * T, T)

    def _linear_image(self, x):
        """An image seen by a linear layer: one pixel of many channels."""
        return Image(x.at, x.C * x.H * x.W, 1, 1, x.C * x.H * x.W * T, T)

    def _reserve_scratch(self, convs):
        """Room for dw: dy transposed, a chunk at a time, or lanes of sums; and for the lanes of db."""
        self._transposed = self._reserve(max([_dw_scratch(conv, y) for conv, _, y in convs] + [0]), "scratch")
        self._bias_lanes = self._reserve(max([conv.F * T for conv, _, _ in convs] + [0]), "bias scratch")

    def _writes_dx_twice(self, conv):
        """Whether dx is a sum of two products, the first of which would overwrite the mask."""
        Fg = conv.F // conv.groups
        return Fg > T and Fg % T > 0

    def _emit_conv(self, conv, x, y, relu):
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        rows = tap_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH)
        columns = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        base = {r.KIND: r.PRODUCT, r.ORDER: 0, r.X_IN: r.WORK, r.W_IN: r.PARAMS, r.OUT_IN: r.WORK,
                r.INIT: r.ZERO if conv.bias < 0 else r.BIAS, r.FINAL: r.RELU_AFTER if relu else r.PLAIN,
                r.XQ: K.SH * x.row, r.XP: K.SW * x.step, r.OQ: y.row, r.OP: y.step,
                r.N3: 1, r.X2: K.DH * x.row, r.W2: K.KW * Cg * T}  # fmt: skip
        for i, ni, u, nu in banded(rows, x.row, BAND):
            for g, block, M in conv.blocks:
                for j, nj, v, nv in columns:
                    line = base | {r.M: M, r.NQ: ni, r.NP: nj, r.N2: nu, r.W: conv.tap(g, block, u, v),
                                   r.BIAS_AT: max(conv.bias, 0) + g * Fg + block * T,
                                   r.X: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, g * Cg),
                                   r.OUT: y.pixel(i, j, g * Fg + block * T)}  # fmt: skip
                    if K.DW == 1 and conv.groups == 1:
                        line |= {r.N1: 1, r.N0: nv * Cg}  # a kernel's row is one run
                    else:
                        line |= {r.N1: nv, r.X1: K.DW * x.step, r.W1: Cg * T, r.N0: Cg}
                    self._forward += _register_tiles(line)

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
        for f, M in even_parts(conv.F, FILTERS):
            self._backward.append({r.KIND: r.LANE_PRODUCT, r.M: M, r.N0: 1, r.X: self.ones, r.W: dy.pixel(i, j, f),
                                   r.NQ: ni, r.WQ: dy.row, r.NP: nj, r.WP: dy.step,
                                   r.OQ: T, r.OUT: self._bias_lanes + f * T})  # fmt: skip

    def _emit_reduction(self, F, at, step, out, taps=1):
        """Add up the lanes of F * taps rows at `at`, a filter's `step` apart, into gradients [block of T filters][tap][filter]."""
        for f in range(0, F, T):
            self._backward.append({r.KIND: r.REDUCE_LANES, r.X_IN: r.WORK, r.M: min(T, F - f), r.X: at + f * step, r.XR: step, r.OUT_IN: r.GRADS,
                                   r.OUT: out + f * taps, r.NQ: 1, r.NP: taps, r.XP: T, r.OP: T})  # fmt: skip

    def _emit_transposed_dw(self, conv, x, dy, g):
        """dw of one group, a few positions at a time, so that what is read again and again stays in the first-level cache."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        at, one_pixel = self._transposed, dy.H == dy.W == K.KH == K.KW == 1 and not K.PT + K.PL
        merged = K.DW == 1 and conv.groups == 1 and Cg < T
        runs = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW) if merged else [
            (*positions(K.W, v * K.DW - K.PL, K.SW, K.OW), v, 1) for v in range(K.KW)]  # fmt: skip
        if not one_pixel:
            # A product without terms: it clears a shard's first gradient.
            line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.OUT_IN: r.GRADS, r.INIT: r.ADD_UNLESS_FIRST, r.OUT: conv.tap(g, 0)}
            self._backward += weight_tiles(line, K.KH * K.KW * Cg, ceil(Fg / T), conv, 0)
        for i0, ni0, j0, nj0 in chunks(dy.H, dy.W, CHUNK):
            area = ni0 * nj0 * T * T
            if g == 0:
                self._emit_bias_lanes(conv, dy, i0, ni0, j0, nj0)
            for block in range(ceil(Fg / T)):
                self._backward.append({r.KIND: r.TRANSPOSE, r.X_IN: r.WORK, r.OUT_IN: r.WORK, r.XR: T, r.M: min(T, Fg - block * T), r.X: dy.pixel(i0, j0, g * Fg + block * T),
                                       r.NQ: ni0, r.XQ: dy.row, r.OQ: nj0 * T * T, r.NP: nj0, r.XP: dy.step, r.OP: T * T,
                                       r.OUT: at + block * area})  # fmt: skip
            for u in range(K.KH):
                i, ni = common(positions(K.H, u * K.DH - K.PT, K.SH, K.OH), (i0, ni0))
                for j, nj, v, nv in runs:
                    j, nj = common((j, nj), (j0, nj0))
                    if not ni * nj * nv:
                        continue
                    line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.X_IN: r.WORK, r.W_IN: r.WORK, r.OUT_IN: r.GRADS,
                            r.INIT: r.ADD_UNLESS_FIRST if one_pixel else r.ADD, r.OUT: conv.tap(g, 0, u, v),
                            r.X: at + ((i - i0) * nj0 + j - j0) * T * T, r.N3: 1, r.N2: ni, r.X2: nj0 * T * T, r.N1: nj, r.X1: T * T,
                            r.W: x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, g * Cg),
                            r.W2: K.SH * x.row, r.W1: K.SW * x.step, r.N0: T}  # fmt: skip
                    self._backward += weight_tiles(line, nv * Cg, ceil(Fg / T), conv, area)

    def _emit_lane_dw(self, conv, x, dy):
        """dw where there are few channels: filters times taps of sums, whose lanes are added at the end."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        k_size, at, merged = K.KH * K.KW * Cg, self._transposed, K.DW == 1 and conv.groups == 1
        self._backward.append({r.KIND: r.LANE_ZERO, r.OUT: at, r.NP: conv.F * k_size})
        columns = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        if not merged:
            columns = [(j, nj, v + more, 1) for j, nj, v, nv in columns for more in range(nv)]
        for f, M in [(g * Fg + f, M) for g in range(conv.groups) for f, M in even_parts(Fg, FILTERS)]:
            for u in range(K.KH):
                i, ni = positions(K.H, u * K.DH - K.PT, K.SH, K.OH)
                for j, nj, v, nv in columns:
                    pixel = x.pixel(i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW, f // Fg * Cg)
                    for tap, N in even_parts(nv * Cg, TAPS):
                        self._backward.append({
                            r.KIND: r.LANE_PRODUCT, r.M: M, r.N0: N, r.X: pixel + tap * T, r.W: dy.pixel(i, j, f), r.NQ: ni, r.NP: nj,
                            r.XQ: K.SH * x.row, r.XP: K.SW * x.step, r.WQ: dy.row, r.WP: dy.step,
                            r.OQ: k_size * T, r.OUT: at + (f * k_size + (u * K.KW + v) * Cg + tap) * T})  # fmt: skip
        for g in range(conv.groups):
            self._emit_reduction(Fg, at + g * Fg * k_size * T, k_size * T, conv.tap(g, 0), k_size)

    def _emit_dx(self, conv, dy, dx, mask):
        """dx as the forward product with the roles of channels and filters exchanged: col2im as a gather."""
        K, Cg, Fg = conv.window, conv.C // conv.groups, conv.F // conv.groups
        rows = source_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH)
        columns = source_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        one_pixel = K.H == K.W == K.OH == K.OW == 1
        # A linear layer's blocks of channels are one line: its only pixel leaves a loop free.
        channels = [
            (g, g * Cg + c + k * T, count, M)
            for g in range(conv.groups)
            for c, n, M in blocks(Cg, T)
            for k, count in ([(0, n)] if one_pixel else [(k, 1) for k in range(n)])
        ]
        for y, ny, sy, i, u, nu, du, di in banded(rows, dy.row, BAND):
            for g, channel, count, M in channels:
                for x, nx, sx, j, v, nv, dv, dj in columns:
                    line = {r.KIND: r.PRODUCT, r.ORDER: 1, r.X_IN: r.WORK, r.W_IN: r.PARAMS, r.OUT_IN: r.WORK, r.M: M,
                            r.OUT: dx.pixel(y, x, channel), r.MASK: mask.pixel(y, x, channel) if mask else 0,
                            r.NQ: ny, r.XQ: dy.row, r.OQ: sy * dx.row, r.MQ: sy * dx.row,
                            r.NP: nx, r.XP: dy.step, r.OP: sx * dx.step, r.MP: sx * dx.step,
                            r.N3: nu, r.X3: -di * dy.row, r.W3: du * K.KW * Cg * T,
                            r.N2: nv, r.X2: -dj * dy.step, r.W2: dv * Cg * T}  # fmt: skip
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
        return _single_tiles(line)
    pairs = {r.ROWS: 2, r.NP: NP // 2} | {pair: line.get(step, 0) for pair, step in ((r.XR, r.XP), (r.OR, r.OP), (r.MR, r.MP))}
    pairs |= {step: 2 * line.get(step, 0) for step in (r.XP, r.OP, r.MP)}
    tiles = [line | pairs | _moved(line, m) | {r.M: n} for m, n in even_parts(M, T // 2)]
    if NP % 2:
        last = {at: (NP - 1) * line.get(step, 0) for at, step in ((r.X, r.XP), (r.OUT, r.OP), (r.MASK, r.MP))}
        tiles += _single_tiles(line | shifted(line, last) | {r.NP: 1})
    return tiles


def _single_tiles(line):
    """A product over positions one by one."""
    return [line | _moved(line, m) | {r.M: n, r.ROWS: 1} for m, n in in_sizes(line[r.M])]


def _moved(line, m):
    """A product's columns from its scalar number m on."""
    across = T if line[r.ORDER] else 1
    return shifted(line, {r.W: m * across, r.OUT: m * T, r.MASK: m * T, r.BIAS_AT: m})


_BOTH = (r.NP, r.NQ), (r.XP, r.XQ), (r.WP, r.WQ), (r.OP, r.OQ), (r.MP, r.MQ)


def _dw_scratch(conv, y):
    """Floats that a layer's dw needs: dy transposed, a chunk at a time, or lanes of sums."""
    if conv.C // conv.groups < FEW_CHANNELS:
        return conv.F * conv.window.KH * conv.window.KW * (conv.C // conv.groups) * T
    return ceil(conv.F // conv.groups / T) * min(CHUNK, y.H * y.W) * T * T
