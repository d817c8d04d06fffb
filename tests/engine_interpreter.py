"""What each kind of line means, written down once more: a program runs on whole numbers in float64, so that every sum is exact.

It counts, for each float of memory, how often a line sets it anew instead of adding to it, and refuses lines whose
results overlap or that read what they write. Dropout and the mean are those of `engine_definitions`, which keep whole
numbers whole.
"""

import numpy as np
from engine_definitions import UNIT, kept

from fastconv.engine.program import lines
from fastconv.engine.program.table import line_of


def grid(*loops):
    """The offsets of every round of nested loops of (n, stride): int64 (n, n, ...)"""
    offsets = np.zeros((), np.int64)
    for n, stride in loops:
        offsets = np.add.outer(offsets, np.arange(n) * stride)
    return offsets


class Tile:
    """The memory of one tile: `starts` of PARAMS, WORK and GRADS in `mem`."""

    def __init__(self, mem, starts, T):
        self.mem, self.starts, self.T, self.is_first = mem, starts, T, True
        self.begun = np.zeros(len(mem), np.int64)
        self._mine = np.zeros(len(mem), bool)

    def run(self, rows):
        """-> how often each float was begun"""
        self.begun[:] = 0
        for row in rows:
            line = line_of(row)
            _MEANINGS[type(line)](self, line)
        return self.begun

    def at(self, place):
        """Where a place lies in `mem`."""
        return self.starts[place.segment] + place.at

    def work(self, at, size):
        """The floats of a piece of the workspace."""
        return self.mem[self.starts[lines.WORK] + at :][:size]

    def fill(self, at, values):
        """Store a piece of the workspace."""
        self.store(self.starts[lines.WORK] + at + np.arange(len(values)), values)

    def store(self, out, values, adds=False, reads=()):
        """All results of a line at once, which must not overlap with one another, nor with the `reads` of the same line."""
        self._mine[out] = True
        assert np.count_nonzero(self._mine) == out.size, "results overlap"
        assert not any(self._mine[read].any() for read in reads), "a line reads what it writes"
        self._mine[out] = False
        self.mem[out] = values
        if not adds:
            self.begun[out] += 1

    def masked(self, out, mask, values):
        """`values` where the mask, which may lie in the place of the result but nowhere else among them, is above 0."""
        self._mine[out] = True
        assert (mask == out)[self._mine[mask]].all(), "a mask is written before it is read"
        self._mine[out] = False
        return np.where(self.mem[mask] > 0, values, 0)


def product(tile, line):
    """Axes: q and p, row, scalar, lane; a sum's terms come last but one."""
    T, mem = tile.T, tile.mem
    positions = line.q, line.p
    between, along = {lines.ADJACENT: (1, T), lines.ROWS_APART: (T, 1), lines.STRIDED: (line.stride, 1)}[line.order]
    apart = line.apart if line.order == lines.STRIDED else T
    sums = line.outer, line.middle, line.inner
    x = tile.at(line.x) + grid(
        *((p.n, p.x) for p in positions), (line.rows.n, line.rows.x), *((s.n, s.x) for s in sums), (line.run, T), (T, 1)
    )
    w = tile.at(line.w) + grid(
        *((p.n, p.w) for p in positions), (line.scalars, between), *((s.n, s.w) for s in sums), (line.run, along)
    )
    shape = line.q.n, line.p.n, line.rows.n, line.scalars, T
    x, w = x.reshape(*shape[:3], -1, T), w.reshape(*shape[:2], 1, line.scalars, -1)
    out, mask = (
        grid(*((p.n, getattr(p, name)) for p in (*positions, line.rows)), (line.scalars, apart), (T, 1))
        for name in ("out", "mask")
    )
    out, mask = out + tile.at(line.out), mask + tile.starts[lines.WORK] + line.mask
    values = mem[w] @ mem[x]
    bias = line.bias + tile.starts[lines.PARAMS]
    adds = line.init == lines.ADD or line.init == lines.ADD_UNLESS_FIRST and not tile.is_first
    if line.init == lines.BIAS and line.order == lines.STRIDED:
        values = values + mem[bias + grid((line.rows.n, T), (1, 0), (T, 1))]
    elif line.init == lines.BIAS:
        values = values + mem[bias + grid((line.scalars, 1), (1, 0))]
    elif adds:
        values = values + mem[out]
    if line.final == lines.MASK:
        values = tile.masked(out, mask, values)
    tile.store(out, np.maximum(values, 0) if line.final == lines.RELU else values, adds, (x, w))


def lane_product(tile, line):
    T, work = tile.T, tile.starts[lines.WORK]
    x = work + line.x + grid((line.q.n, line.q.x), (line.p.n, line.p.x), (line.taps, T), (T, 1))
    w = work + line.w + grid((line.q.n, line.q.w), (line.p.n, line.p.w), (line.scalars, T), (T, 1))
    out = work + line.out + grid((line.scalars, line.apart), (line.taps, T), (T, 1))
    values = np.einsum("qpnt,qpmt->mnt", tile.mem[x], tile.mem[w])
    tile.store(out, tile.mem[out] + values, True, (x, w))


def _positions(line, name, *loops):
    return grid(*((loop.n, getattr(loop, name)) for loop in map(line._asdict().get, "qp") if loop), *loops)


def transpose(tile, line):
    T = tile.T
    x = tile.at(line.x) + _positions(line, "x", (T, 1), (line.n_rows, line.apart))
    out = tile.at(line.out) + _positions(line, "out", (T, T), (T, 1))
    values = np.zeros(out.shape)
    values[..., : line.n_rows] = tile.mem[x]
    tile.store(out, values, reads=[x])


def sum_lanes(tile, line):
    T = tile.T
    x = tile.at(line.x) + _positions(line, "x", (line.n_rows, line.apart), (T, 1))
    out = tile.at(line.out) + _positions(line, "out", (T, 1))
    values = np.zeros(out.shape) if tile.is_first else tile.mem[out]
    values[..., : line.n_rows] += tile.mem[x].sum(-1)
    tile.store(out, values, not tile.is_first, [x])


def dot_lanes(tile, line):
    T, work = tile.T, tile.starts[lines.WORK]
    x = tile.at(line.x) + _positions(line, "x", (line.n_rows, line.apart), (line.blocks, line.block), (T, 1))
    dy = work + line.w + grid((line.blocks, T), (T, 1))
    out, mask = tile.at(line.out) + _positions(line, "out", (T, 1)), work + line.mask + _positions(line, "mask", (T, 1))
    values = np.zeros(out.shape)
    values[..., : line.n_rows] = np.einsum("qpmbt,bt->qpm", tile.mem[x], tile.mem[dy])
    if line.final == lines.MASK:
        values = tile.masked(out, mask, values)
    tile.store(out, values, reads=[x, dy])


def _windows(tile, pool):
    """-> places of the taps [q, p, lane, tap] and of the windows [q, p, lane], the taps' numbers"""
    work, lanes = tile.starts[lines.WORK], (pool.n_rows * tile.T, 1)
    x = work + pool.x + _positions(pool, "x", lanes, (pool.down.n, pool.down.x), (pool.across.n, pool.across.x))
    windows = work + _positions(pool, "out", lanes)
    return (
        x.reshape(*windows.shape, -1),
        windows,
        pool.first_tap + grid((pool.down.n, pool.across.n), (pool.across.n, 1)).ravel(),
    )


def max_pool(tile, line):
    x, windows, numbers = _windows(tile, line)
    assert x.shape[-1] and len({*numbers.tolist()}) == len(numbers), "a window without taps, or two of one number"
    values = tile.mem[x]
    tile.store(windows + line.out, values.max(-1), reads=[x])
    tile.store(windows + line.argmax, numbers[values.argmax(-1)], reads=[x])


def max_pool_back(tile, line):
    x, windows, numbers = _windows(tile, line.pool)
    dy, winners = (tile.mem[windows + at][..., None] for at in (line.pool.out, line.pool.argmax))
    shares = np.where(numbers == winners, dy, 0)
    if line.is_exclusive:
        tile.store(x, shares, reads=[windows + line.pool.out, windows + line.pool.argmax])
    else:
        np.add.at(tile.mem, x, shares)


def _inside(start, taps, size):
    return range(max(start, 0), min(start + taps, size))


def _means(tile, pool):
    """(mean, the pixels under its window) for every mean: views of the memory"""
    for i, j in np.ndindex(pool.OH, pool.OW):
        mean = tile.work(pool.means + (i * pool.OW + j) * pool.size, pool.size)
        pixels = [
            tile.work(pool.image + (h * pool.W + w) * pool.size, pool.size)
            for h in _inside(i * pool.SH - pool.PT, pool.KH, pool.H)
            for w in _inside(j * pool.SW - pool.PL, pool.KW, pool.W)
        ]
        yield mean, pixels


def avg_pool(tile, line):
    tile.fill(line.means, np.zeros(line.OH * line.OW * line.size))
    for mean, pixels in _means(tile, line):
        mean[:] = sum(pixels) * (UNIT // (line.KH * line.KW))


def avg_pool_back(tile, line):
    pool = line.pool
    tile.fill(pool.image, np.zeros(pool.H * pool.W * pool.size))
    for mean, pixels in _means(tile, pool):
        for pixel in pixels:
            pixel += mean * (UNIT // (pool.KH * pool.KW))


def relu(tile, line):
    tile.fill(line.out, np.maximum(tile.work(line.x, line.size), 0))


def relu_back(tile, line):
    tile.fill(line.dy, np.where(tile.work(line.y, line.size) > 0, tile.work(line.dy, line.size), 0))


def dropout(tile, line):
    unit, sample = np.ogrid[: line.C * line.pixels, : line.lanes]
    offsets = unit // line.pixels * line.channel + unit % line.pixels * line.pixel + sample
    x, out = (tile.starts[lines.WORK] + at + offsets for at in (line.x, line.out))
    tile.store(out, tile.mem[x] * kept(line.number, sample, unit))


def zero(tile, line):
    tile.fill(line.out, np.zeros(line.size))


_MEANINGS = {
    lines.Product: product, lines.LaneProduct: lane_product, lines.Transpose: transpose, lines.SumLanes: sum_lanes,
    lines.DotLanes: dot_lanes, lines.MaxPool: max_pool, lines.MaxPoolBack: max_pool_back, lines.ReLU: relu,
    lines.ReLUBack: relu_back, lines.AvgPool: avg_pool, lines.AvgPoolBack: avg_pool_back, lines.Dropout: dropout,
    lines.Zero: zero,
}  # fmt: skip
