"""A network becomes a program: a table of operations on a tile of T samples, with every offset worked out here, in Python.

A *row* is one (y, x, channel) position of T samples side by side; an image is stored [y][x][channel][lane]. im2col's gather is
then nothing but strides: the patch under an output is a few runs of rows that lie side by side. Taps that fall into padding are left
out of the sums, so positions are grouped into rectangles that see the same taps: nine for a padded 3x3 convolution.
"""

from math import ceil, frexp
from typing import NamedTuple

import numpy as np

from ..layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from ..support.arrays import require_memory
from ..support.geometry import Window, conv_window
from . import record as r
from .bounds import Region, require_inside
from .lanes import T
from .microkernel import in_sizes
from .poolkernel import BACK, EXCLUSIVE_BACK, FORWARD
from .runs import equal_parts, tap_runs


class Image(NamedTuple):
    """Where an activation, or its gradient, lies in the workspace."""

    at: int
    C: int
    H: int
    W: int
    step: int  # floats from one pixel to the next
    lane: int  # floats from one channel to the next

    @property
    def row(self):
        return self.W * self.step

    @property
    def size(self):
        return self.H * self.row

    def pixel(self, y, x, c=0):
        return self.at + y * self.row + x * self.step + c * self.lane


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


class Step(NamedTuple):
    """What the forward walk leaves for the backward one: a layer, and where it reads and writes."""

    owner: int
    kind: type
    what: object
    x: Image
    y: Image
    masked: bool  # whether x is a ReLU's output whose mask the dx of this layer applies


class Plan:
    """The program of a network, and the layout of its memory; `WidePlan` and `NarrowPlan` differ in what lies in the lanes.

    Attributes
    ----------
    forward, backward : int64 arrays (operations, COLUMNS)
    packed : int64 array (parameters,)
        Where each number of the network's flat buffer lies among the packed parameters.
    biases : int64 array (layers, 2)
        Where the biases of each layer begin and end there.
    n_packed, n_work : int
        Floats of the packed parameters, and of one thread's workspace.
    input, output : Image
    steps : list of Step
    regions : dict of segment to list of Region
        What was reserved in PARAMS (GRADS is laid out alike) and in WORK.
    gradients : dict of layer to (int, int)
        Where dy and dx of each layer begin in the workspace; -1: there is no dx.
    """

    def __init__(self, net):
        self.n_work = 0
        self.n_packed = 0
        self.regions = {r.PARAMS: [], r.WORK: []}
        self._owner = -1
        self._forward, self._backward, self._packed, self._biases = [], [], [], []
        self.output = None
        self.output = self.input = self._image(*net.input_shape)
        self.steps = list(self._parse(net))
        trainable = [i for i, step in enumerate(self.steps) if step.kind is Conv2d]
        self.first = trainable[0] if trainable else len(self.steps)
        # Scratch for all layers, one after the other.
        self._owner = -1
        self._reserve_scratch([(step.what, step.x, step.y) for step in self.steps if step.kind is Conv2d])
        self.ones = self._reserve(T, "ones")
        self.gradient = self.output._replace(at=self._reserve(self.output.size, "d output"))
        gradient, self.gradients = self.gradient, {}
        for index in range(len(self.steps) - 1, self.first - 1, -1):
            step, done = self.steps[index], len(self._backward)
            is_mask = self.steps[index - 1].kind is ReLU
            dy, gradient = gradient, self._emit_backward(step, gradient, index > self.first, is_mask)
            self.gradients[step.owner] = dy.at, gradient.at if index > self.first else -1
            self._own(self._backward[done:], step.owner)
        self.forward, self.backward = _table(self._forward), _table(self._backward)
        self.packed = np.concatenate([*self._packed, np.zeros(0, np.int64)]).astype(np.int64)
        self.biases = np.array(self._biases, np.int64).reshape(-1, 2)
        self.n_packed = _aligned(self.n_packed)
        self.multiply_adds = sum(layer.multiply_adds(shape) for layer, shape in zip(net.layers, net.shapes))
        require_inside(self)

    def _reserve(self, size, name):
        """Room for `size` floats of the workspace; -> where it begins"""
        at = self.n_work
        require_memory(4 * (at + size), "the network's activations")
        self.regions[r.WORK].append(Region(self._owner, name, at, size))
        self.n_work = _aligned(at + size)
        return at

    @staticmethod
    def _own(lines, owner):
        for line in lines:
            line[r.OWNER] = owner

    # --- forward ---

    def _parse(self, net):
        """Emit the forward program; yields the steps of the backward one."""
        dropouts, masked = 0, False
        layers = [(*pair, owner) for owner, pair in enumerate(zip(net.layers, net.shapes)) if not isinstance(pair[0], Flatten)]
        at = 0
        while at < len(layers):
            layer, shape, self._owner = layers[at]
            x, done = self.output, len(self._forward)
            at += 1
            if isinstance(layer, (Conv2d, Linear)):
                # A ReLU is folded in where a product comes next, or next after max pools and dropout: its dx applies the mask in passing.
                later = [type(layer) for layer, *_ in layers[at + 1 :] if type(layer) not in (MaxPool2d, Dropout)]
                fused = at < len(layers) and type(layers[at][0]) is ReLU and bool(later) and later[0] in (Conv2d, Linear)
                at += fused
                kind = Conv2d
                what, x = self._conv(layer, shape, x)
                y = self.output = self._image(what.F, what.window.OH, what.window.OW)
                self._emit_conv(what, x, y, fused)
            elif isinstance(layer, MaxPool2d):
                kind, window = MaxPool2d, layer.window(shape)
                y = self.output = self._image(x.C, window.OH, window.OW)
                argmax = self._reserve(y.size, "argmax")
                what = window, argmax
                self._forward += _max_pool(window, x, y, argmax, {r.KIND: r.MAX_POOL, r.ORDER: FORWARD})
            elif isinstance(layer, AvgPool2d):
                kind, window = AvgPool2d, layer.window(shape)
                y = self.output = self._image(x.C, window.OH, window.OW)
                what = _pool_columns(window, x)
                self._forward.append({r.KIND: r.AVG_POOL, r.X: x.at, r.OUT: y.at, r.NQ: y.H, r.NP: y.W, **what})
            else:
                kind, y = type(layer), self._image(x.C, x.H, x.W)
                self.output = y
                dropouts += kind is Dropout
                what = {r.CHANNELS: x.step // T, r.NQ: x.H, r.NP: x.W}
                if kind is Dropout:
                    what |= self._dropout_columns(layer.p, x, dropouts)
                self._forward.append({r.KIND: r.DROPOUT if kind is Dropout else r.RELU, r.X: x.at, r.OUT: y.at, **what})
            self._own(self._forward[done:], self._owner)
            yield Step(self._owner, kind, what, x, y, masked)
            masked = fused if kind is Conv2d else masked and kind in (MaxPool2d, Dropout)

    def _dropout_columns(self, p, x, number):
        """The columns of the network's dropout layer number `number`."""
        fraction, exponent = frexp(np.float32(1 / (1 - p)))
        return {r.CHANNELS: x.C, r.XP: x.step, r.XQ: x.lane, r.WQ: self.samples, r.LAYER: number, r.THRESHOLD: ceil(p * 2**24),
                r.MANTISSA: int(fraction * 2**24), r.EXPONENT: exponent - 24}  # fmt: skip

    def _conv(self, layer, shape, x):
        """The Conv of a layer, its parameters laid out and packed; x as it sees it."""
        if isinstance(layer, Conv2d):
            window, groups, F = layer.window(shape), layer.groups, layer.out_channels
        else:
            seen = self._linear_image(x)
            window, groups, F = conv_window(seen.H, seen.W, (seen.H, seen.W), 1, 0, 1), 1, layer.out_features
        order = _weight_order(layer, x, window, groups, F)
        if isinstance(layer, Linear):
            x = seen
        self._packed.append(self.n_packed + order)
        weight = self.n_packed
        self.n_packed += groups * ceil(F // groups / T) * window.KH * window.KW * (x.C // groups) * T
        self.regions[r.PARAMS].append(Region(self._owner, "weight", weight, self.n_packed - weight))
        bias = -1
        if layer.bias:
            bias = self.n_packed
            self._packed.append(bias + np.arange(F))
            self._biases.append((bias, bias + F))
            self.n_packed = _aligned(bias + F)
            self.regions[r.PARAMS].append(Region(self._owner, "bias", bias, self.n_packed - bias))
        return Conv(window, groups, x.C, F, weight, bias), x

    # --- backward ---

    def _emit_backward(self, step, dy, need_dx, is_mask):
        """Emit one layer's backward pass from `dy`; -> where its dx lies: in the place of x, if nobody needs that any more."""
        self._owner, kind, what, x, y, masked = step
        if kind is Conv2d:
            dy = y._replace(at=dy.at)
            self._emit_dw(what, x, dy)
        if kind in (ReLU, Dropout):
            line = {r.KIND: r.DROPOUT if kind is Dropout else r.RELU_BACK, r.X: dy.at, r.OUT: dy.at, r.MASK: y.at, **what}
            self._backward.append(line)
            return x._replace(at=dy.at)
        keeps_x = is_mask or (kind is Conv2d and self._writes_dx_twice(what))
        dx = x._replace(at=self._reserve(x.size, "dx")) if need_dx and keeps_x else x
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
            self._backward += _max_pool(window, dx, y._replace(at=dy.at), argmax, line)
        else:
            line = {r.KIND: r.AVG_POOL_BACK, r.X: dy.at, r.OUT: dx.at, r.NQ: y.H, r.NP: y.W, **what}
            self._backward.append(line)
        return dx


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
    """The lines of a max pool from `x` to `y`, a rectangle of windows each; its taps inside the image are numbered from 0."""
    lines = []
    for i, ni, u, nu in tap_runs(K.H, K.KH, K.SH, 1, K.PT, K.OH):
        for j, nj, v, nv in tap_runs(K.W, K.KW, K.SW, 1, K.PL, K.OW):
            at = y.pixel(i, j) - y.at
            lines.append(line | {
                r.X: x.pixel(i * K.SH - K.PT + u, j * K.SW - K.PL + v), r.OUT: y.at + at, r.MASK: argmax + at,
                r.NQ: ni, r.XQ: K.SH * x.row, r.OQ: y.row, r.NP: nj, r.XP: K.SW * x.step, r.OP: y.step,
                r.N2: nu, r.X2: x.row, r.N1: nv, r.X1: x.step, r.N0: x.step // T,
                r.ORDER: line[r.ORDER] + (nu == nv == 2), r.M: 0 if nu * nv else -1, r.N3: nv})  # fmt: skip
    return lines


def _is_exclusive(K):
    """Whether 2 x 2 windows share no pixel and leave none out."""
    return (K.KH, K.KW) == (K.SH, K.SW) == (2, 2) and (2 * K.OH, 2 * K.OW) == (K.H, K.W) and not K.PT + K.PL


def _pool_columns(K, x):
    """An average pool's columns."""
    return {r.CHANNELS: x.step // T, r.HEIGHT: x.H, r.WIDTH: x.W, r.KH: K.KH, r.KW: K.KW, r.SH: K.SH, r.SW: K.SW, r.PT: K.PT, r.PL: K.PL,
            r.PB: K.PB, r.PR: K.PR}  # fmt: skip


def _aligned(size):
    return -(-size // 16) * 16


def _table(lines):
    table = np.zeros((len(lines), r.COLUMNS), np.int64)
    for row, line in zip(table, lines):
        for column, value in line.items():
            row[column] = value
    return table


def weight_tiles(line, S, blocks, conv, area, apart=T):
    """A product for dw in pieces that fill the registers: S scalars, `apart`, times pairs of blocks of filters, `area` apart; then the odd one."""
    step, tiles = conv.tap(0, 1) - conv.tap(0, 0), []
    pairs = {r.ROWS: 2, r.NQ: blocks // 2, r.XQ: 2 * area, r.OQ: 2 * step, r.XR: area, r.OR: step}
    odd = shifted(line, {r.X: (blocks - 1) * area, r.OUT: (blocks - 1) * step}) | {r.ROWS: 1, r.NQ: 1}
    for shape, most in [(pairs, T // 2)] * (blocks > 1) + [(odd, T)] * (blocks % 2):
        for s, n, M in equal_parts(S, most):
            line_of_parts = line | shape | {r.NP: n, r.WP: M * apart, r.OP: M * T}
            for m, size in in_sizes(M):
                shift = {r.W: (s + m) * apart, r.OUT: (s + m) * T}
                tiles.append(line_of_parts | shifted(line_of_parts, shift) | {r.M: size})
    return tiles


def shifted(line, by):
    """What of a line changes if these columns move on by so much."""
    return {column: line.get(column, 0) + shift for column, shift in by.items()}
