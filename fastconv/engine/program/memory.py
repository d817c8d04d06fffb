"""What is where: images and packed weights, each in a region of memory that is reserved for it."""

from math import ceil
from typing import NamedTuple

import numpy as np

from ...layers import Linear
from ...support.arrays import require_memory
from ...support.geometry import Window
from .lines import PARAMS, WORK, Place

CACHE_LINE = 16
"""Its floats: on cache lines regions begin, and no two threads write parts of one."""


class Region(NamedTuple):
    """A part of a segment that was reserved: by which layer (-1: none), and what for."""

    owner: int
    name: str
    at: int
    size: int


class Regions(dict):
    """segment -> its regions: of WORK, and of PARAMS, whose regions GRADS has, too."""

    def __init__(self):
        super().__init__({PARAMS: [], WORK: []})

    def size(self, segment):
        """Floats up to the end of the last region."""
        last = self[segment][-1:] or [Region(-1, "", 0, 0)]
        return _aligned(last[0].at + last[0].size)

    def reserve(self, segment, owner, sizes):
        """Room for `sizes`, name -> floats, one after the other; -> where each begins"""
        at = self.size(segment)
        require_memory(4 * (at + sum(sizes.values())), "the network's activations")
        found = []
        for name, size in sizes.items():
            self[segment].append(Region(owner, name, at, size))
            found.append(at)
            at += size
        return found

    def reserve_work(self, owner, name, size):
        """Room in the workspace; -> where it begins"""
        return self.reserve(WORK, owner, {name: size})[0]


def _aligned(size):
    return ceil(size / CACHE_LINE) * CACHE_LINE


class Image(NamedTuple):
    """Where an activation, or its gradient, lies in the workspace: [y][x][channel][lane]."""

    at: int
    C: int
    H: int
    W: int
    step: int  # floats from one pixel to the next
    channel: int  # floats from one channel to the next

    @property
    def row(self):
        """Floats from one row of pixels to the next."""
        return self.W * self.step

    @property
    def size(self):
        """Floats of it all."""
        return self.H * self.row

    def pixel(self, y, x, c=0):
        """Where a pixel begins, or one of its channels."""
        return self.at + y * self.row + x * self.step + c * self.channel

    def place(self, y=0, x=0, c=0):
        """The same with its segment."""
        return Place(WORK, self.pixel(y, x, c))

    @property
    def as_pixel(self):
        """The same floats as one pixel of many channels, as a linear layer sees them."""
        return self._replace(C=self.C * self.H * self.W, H=1, W=1, step=self.size)


class Conv(NamedTuple):
    """A convolution over its packed weights ``[group][block of T filters][u][v][c][filter]``; a linear layer has one pixel."""

    window: Window
    groups: int
    C: int
    F: int
    T: int
    weight: int = 0
    bias: int = -1  # without

    @property
    def has_bias(self):
        """Whether each filter adds a number of its own."""
        return self.bias >= 0

    @property
    def in_group(self):
        """(channels, filters) of one group"""
        return self.C // self.groups, self.F // self.groups

    @property
    def n_blocks(self):
        """Blocks of up to T filters in a group."""
        return ceil(self.in_group[1] / self.T)

    @property
    def blocks(self):
        """(group, block, filters in it) for each block of up to T filters."""
        size, T = self.in_group[1], self.T
        return [(g, k, min(T, size - k * T)) for g in range(self.groups) for k in range(self.n_blocks)]

    @property
    def block(self):
        """Floats from one block to the next."""
        return self.window.KH * self.window.KW * self.in_group[0] * self.T

    def tap(self, g=0, block=0, u=0, v=0, c=0):
        """The offset of a tap's weights for a block of filters."""
        K, Cg = self.window, self.in_group[0]
        return self.weight + (g * self.n_blocks + block) * self.block + ((u * K.KW + v) * Cg + c) * self.T


def packed_order(layer, x, conv):
    """Where each weight, in PyTorch's order, lies among the packed ones of its layer: int64 (weights,)"""
    T, (Cg, Fg) = conv.T, conv.in_group
    if isinstance(layer, Linear):
        # Rows are stored [y][x][c], a flattened image is numbered [c][y][x].
        c, y, x_ = np.ogrid[: x.C, : x.H, : x.W]
        k = (((y * x.W + x_) * x.C) + c).reshape(-1)
        f = np.arange(conv.F)[:, None]
        return (f // T * conv.block + k * T + f % T).reshape(-1)
    f, c, u, v = np.ogrid[: conv.F, :Cg, : conv.window.KH, : conv.window.KW]
    g, f = f // Fg, f % Fg
    return ((g * conv.n_blocks + f // T) * conv.block + ((u * conv.window.KW + v) * Cg + c) * T + f % T).reshape(-1)
