"""The kinds of lines in a program: each is one operation on a tile, a NamedTuple of places, loops and sizes.

What a line touches it says itself (`touches`), for `bounds` and for `listing`. A *row* is T floats: one number of each sample,
or T channels of one sample. `table` makes a table of lines.
"""

from typing import NamedTuple

import numpy as np

PARAMS, WORK, GRADS = range(3)
"""Segments of memory: packed weights and biases, a thread's workspace, a shard's gradients; offsets count floats in them."""
ADJACENT, ROWS_APART, STRIDED = range(3)
"""A product's `order`: how far apart its scalars lie: side by side, T floats, or `stride` with their results `apart`."""
ZERO, BIAS, ADD, ADD_UNLESS_FIRST = range(4)
"""What a sum starts from; the last: from what is there, unless this is the first tile of a shard."""
PLAIN, RELU, MASK = range(3)
"""What happens to a sum before it is stored: nothing, max(0, sum), or 0 where the mask is at most 0."""


class Tile(NamedTuple):
    """The context of a tile, which the interpreter fills in: where segments begin, in their order, and what differs by tile."""

    params: int
    work: int
    grads: int
    first: int  # whether it is the first one of its shard
    start: int  # number of its first sample in the batch
    seed: int  # of this step's dropout; below 0: none
    init: int  # what a product starts from, once that is known


TILE = Tile(*range(len(Tile._fields)))
"""Where each of it stands in the array that kernels take."""


class Place(NamedTuple):
    """A float of memory."""

    segment: int
    at: int

    def moved(self, by):
        """The place so many floats further on."""
        return Place(self.segment, self.at + by)


class Loop(NamedTuple):
    """Do what follows `n` times, each time so many floats further on in every operand."""

    n: int = 1
    x: int = 0
    w: int = 0
    out: int = 0
    mask: int = 0


class Sum(NamedTuple):
    """Add up what follows `n` times, each time so many floats further on in x and w."""

    n: int = 1
    x: int = 0
    w: int = 0


class Touch(NamedTuple):
    """What a line reads or writes, by name: `loops` of (n, stride) around `width` floats, where `when` holds."""

    name: str
    place: Place
    loops: tuple
    width: int
    writes: bool
    when: bool = True


class Product(NamedTuple):
    """Sums of scalars times rows, `rows.n` by `scalars` at once in registers: out[m] = init + sum of w[m] * x, then `final`."""

    order: int
    out: Place
    x: Place = Place(WORK, 0)  # the rows: of x forward, of dy for dx and dw, of weights for one sample
    w: Place = Place(WORK, 0)  # the scalars: weights, numbers of x for dw, of pixels for one sample
    scalars: int = 0  # set where it is cut for the registers
    init: int = ZERO
    final: int = PLAIN
    bias: int = 0  # in PARAMS
    mask: int = 0  # in WORK
    rows: Loop = Loop()
    q: Loop = Loop()
    p: Loop = Loop()
    outer: Sum = Sum()
    middle: Sum = Sum()
    inner: Sum = Sum()
    run: int = 1  # terms whose rows lie side by side
    stride: int = 0  # from one scalar to the next, if the order is STRIDED,
    apart: int = 0  # and from one's results to the next one's

    def moved(self, x=0, w=0, out=0, mask=0, bias=0):
        """The same product elsewhere."""
        places = {"x": self.x.moved(x), "w": self.w.moved(w), "out": self.out.moved(out)}
        return self._replace(**places, mask=self.mask + mask, bias=self.bias + bias)

    def touches(self, T):
        """As `vector.product.product_twin`."""
        is_strided, is_adjacent = np.equal(self.order, STRIDED), np.equal(self.order, ADJACENT)
        between = np.where(is_adjacent, 1, np.where(is_strided, self.stride, T))
        apart, along = np.where(is_strided, self.apart, T), np.where(is_adjacent, T, 1)
        terms = self.outer, self.middle, self.inner
        has_terms = np.multiply(self.outer.n * self.middle.n, self.inner.n * self.run) > 0
        adds = np.isin(self.init, (ADD, ADD_UNLESS_FIRST))

        def over(name, between_scalars):
            return [(loop.n, getattr(loop, name)) for loop in (self.q, self.p, self.rows)] + [(self.scalars, between_scalars)]

        x = [*over("x", 0), *((sum_.n, sum_.x) for sum_ in terms), (self.run, T)]
        w = [*over("w", between), *((sum_.n, sum_.w) for sum_ in terms), (self.run, along)]
        n_biases = np.where(is_strided, self.rows.n * T, self.scalars)
        return (
            Touch("x", self.x, x, T, False, has_terms),
            Touch("w", self.w, w, 1, False, has_terms),
            Touch("out", self.out, over("out", apart), T, False, adds),
            Touch("out", self.out, over("out", apart), T, True),
            Touch("mask", Place(WORK, self.mask), over("mask", apart), T, False, np.equal(self.final, MASK)),
            Touch("b", Place(PARAMS, self.bias), ((self.q.n, 0), (self.p.n, 0)), n_biases, False, np.equal(self.init, BIAS)),
        )

    def multiply_adds(self, T):
        """Of a tile."""
        sums = self.q.n * self.p.n * self.rows.n * self.scalars
        return sums * self.outer.n * self.middle.n * self.inner.n * self.run * T


class LaneProduct(NamedTuple):
    """dw with lanes kept apart: out[m, tap] += w[m] * x[tap], row by row, over all positions; w is dy."""

    scalars: int
    taps: int
    x: int
    w: int
    out: int
    apart: int  # from one m to the next in out
    q: Loop = Loop()
    p: Loop = Loop()

    def touches(self, T):
        """As `vector.lane_product.lane_product_twin`."""
        positions, has_any = (self.q, self.p), np.multiply(self.q.n, self.p.n) > 0
        x, w = ([(loop.n, getattr(loop, name)) for loop in positions] for name in ("x", "w"))
        out = (self.scalars, self.apart), (self.taps, T)
        return (
            Touch("x", Place(WORK, self.x), (*x, (self.taps, T)), T, False, has_any),
            Touch("w", Place(WORK, self.w), (*w, (self.scalars, T)), T, False, has_any),
            Touch("out", Place(WORK, self.out), out, T, False),
            Touch("out", Place(WORK, self.out), out, T, True),
        )

    def multiply_adds(self, T):
        """Of a tile."""
        return self.q.n * self.p.n * self.scalars * self.taps * T


class Transpose(NamedTuple):
    """[filter][lane] -> [lane][filter] at each position: `n_rows` filters, `apart`, filled up to T with zeros."""

    n_rows: int
    apart: int
    x: Place
    out: Place
    q: Loop = Loop()
    p: Loop = Loop()

    def touches(self, T):
        """As `vector.transpose.transpose_twin`."""
        x, out = ([(loop.n, getattr(loop, name)) for loop in (self.q, self.p)] for name in ("x", "out"))
        return Touch("x", self.x, (*x, (self.n_rows, self.apart)), T, False), Touch("out", self.out, out, T * T, True)


class SumLanes(NamedTuple):
    """The lanes of `n_rows` rows, `apart`, added up: T sums side by side, added to gradients."""

    n_rows: int
    apart: int
    x: Place
    out: Place
    p: Loop = Loop()

    def touches(self, T):
        """As `vector.transpose.sum_lanes_twin`."""
        x, out = [(self.p.n, self.p.x)], [(self.p.n, self.p.out)]
        return (
            Touch("x", self.x, (*x, (self.n_rows, self.apart)), T, False),
            *(Touch("out", self.out, out, T, writes) for writes in (False, True)),
        )


class DotLanes(NamedTuple):
    """dx of a linear layer, one sample: `n_rows` rows of weights, `apart`, times dy, their lanes added up, then `final`."""

    n_rows: int
    apart: int
    blocks: int  # of T filters
    block: int  # from one to the next in x
    x: Place
    w: int  # dy, in WORK
    out: Place
    final: int = PLAIN
    mask: int = 0
    q: Loop = Loop()
    p: Loop = Loop()

    def touches(self, T):
        """As `vector.transpose.dot_lanes_twin`."""
        x, out, mask = ([(loop.n, getattr(loop, name)) for loop in (self.q, self.p)] for name in ("x", "out", "mask"))
        positions = (self.q.n, 0), (self.p.n, 0)
        return (
            Touch("x", self.x, (*x, (self.n_rows, self.apart), (self.blocks, self.block)), T, False),
            Touch("w", Place(WORK, self.w), positions, self.blocks * T, False),
            Touch("out", self.out, out, T, True),
            Touch("mask", Place(WORK, self.mask), mask, T, False),  # loaded where it is not used, too
        )

    def multiply_adds(self, T):
        """Of a tile of one sample."""
        return self.q.n * self.p.n * self.n_rows * self.blocks * T


class MaxPool(NamedTuple):
    """The largest of `down.n` x `across.n` taps at each window of a rectangle, and the winner's number: the argmax."""

    x: int
    out: int
    argmax: int
    n_rows: int  # side by side: a pixel's channels
    first_tap: int  # its number; a step down adds a row of taps to it
    is_two_by_two: int
    q: Loop = Loop()
    p: Loop = Loop()
    down: Sum = Sum()
    across: Sum = Sum()

    def touches(self, T):
        """As `vector.max_pool.max_pool_twin`."""
        windows, taps = self.extents()
        return (
            Touch("x", Place(WORK, self.x), taps, self.n_rows * T, False),
            Touch("out", Place(WORK, self.out), windows, self.n_rows * T, True),
            Touch("argmax", Place(WORK, self.argmax), windows, self.n_rows * T, True),
        )

    def extents(self):
        """-> the loops over windows, and over the pixels that they look at"""
        loops = self.q, self.p
        pixels = [(loop.n, loop.x) for loop in loops] + [(taps.n, taps.x) for taps in (self.down, self.across)]
        return [(loop.n, loop.out) for loop in loops], pixels


class MaxPoolBack(NamedTuple):
    """Each window's gradient to its winner: in the pool, x is dx and out is dy."""

    pool: MaxPool
    is_exclusive: int  # windows share no pixel and leave none out: dx is written, not added to

    def touches(self, T):
        """As `vector.max_pool.max_pool_back_twin`."""
        pool, (windows, taps) = self.pool, self.pool.extents()
        return (
            Touch("dx", Place(WORK, pool.x), taps, pool.n_rows * T, False, np.equal(self.is_exclusive, 0)),
            Touch("dx", Place(WORK, pool.x), taps, pool.n_rows * T, True),
            Touch("dy", Place(WORK, pool.out), windows, pool.n_rows * T, False),
            Touch("argmax", Place(WORK, pool.argmax), windows, pool.n_rows * T, False),
        )


class ReLU(NamedTuple):
    """out = max(0, x)"""

    x: int
    out: int
    size: int

    def touches(self, T):
        """As `machine.loops.relu`."""
        return Touch("x", Place(WORK, self.x), (), self.size, False), Touch("out", Place(WORK, self.out), (), self.size, True)


class ReLUBack(NamedTuple):
    """dx = dy, or 0 where y is at most 0, in the place of dy."""

    dy: int
    y: int
    size: int

    def touches(self, T):
        """As `machine.loops.relu_back`."""
        dy = [Touch("dy", Place(WORK, self.dy), (), self.size, writes) for writes in (False, True)]
        return *dy, Touch("y", Place(WORK, self.y), (), self.size, False)


class AvgPool(NamedTuple):
    """The mean of each window, whose padding counts."""

    image: int
    means: int
    size: int  # floats of a pixel
    H: int
    W: int
    KH: int
    KW: int
    SH: int
    SW: int
    PT: int
    PL: int
    OH: int
    OW: int

    def touches(self, T):
        """As `machine.loops.avg_pool`."""
        image, means = self.extents("x", "out")
        return image._replace(writes=False), *(means._replace(writes=writes) for writes in (False, True))  # sums grow in place

    def extents(self, image, means):
        """-> the whole image, and all means, under these names"""
        return (
            Touch(image, Place(WORK, self.image), (), self.H * self.W * self.size, True),
            Touch(means, Place(WORK, self.means), (), self.OH * self.OW * self.size, True),
        )


class AvgPoolBack(NamedTuple):
    """Each mean's gradient in equal shares to its window: in the pool, the image is dx and the means are dy."""

    pool: AvgPool

    def touches(self, T):
        """As `machine.loops.avg_pool_back`."""
        image, means = self.pool.extents("dx", "dy")
        return means._replace(writes=False), *(image._replace(writes=writes) for writes in (False, True))


class Dropout(NamedTuple):
    """y = x / (1 - p) for units whose hash is at least `threshold`, else 0; the same backward, in place."""

    x: int
    out: int
    C: int
    pixels: int
    pixel: int  # floats from one to the next
    channel: int
    lanes: int  # samples
    number: int  # which of the network's dropout layers
    threshold: int  # p * 2**24
    mantissa: int  # 1 / (1 - p) = mantissa * 2**exponent
    exponent: int

    def touches(self, T):
        """As `machine.loops.dropout`."""
        size = self.pixels * self.pixel
        return Touch("x", Place(WORK, self.x), (), size, False), Touch("out", Place(WORK, self.out), (), size, True)


class Zero(NamedTuple):
    """Zeros to add to."""

    out: int
    size: int

    def touches(self, T):
        """As `machine.loops.zero`."""
        return (Touch("out", Place(WORK, self.out), (), self.size, True),)
