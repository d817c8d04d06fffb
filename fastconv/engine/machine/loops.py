"""The operations that need no vector code, as plain Numba loops over rows of T samples, which LLVM turns into vectors itself.

Each takes (mem, line, tile), as all kernels do; `work` is any of them.
"""

import numpy as np

from ..program import lines
from ..program.lines import TILE
from ..program.table import KIND, KINDS, columns
from ..vector.lanes import kernel

_zero, _relu, _relu_back = columns(lines.Zero), columns(lines.ReLU), columns(lines.ReLUBack)
_avg, _drop = columns(lines.AvgPool), columns(lines.Dropout)  # backward's pool has its fields in the same columns
LOOPS = lines.ReLU, lines.ReLUBack, lines.AvgPool, lines.AvgPoolBack, lines.Dropout, lines.Zero
"""The kinds of lines that `work` knows."""
_IS_RELU, _IS_RELU_BACK, _IS_AVG_POOL, _IS_AVG_POOL_BACK, _IS_DROPOUT, _IS_ZERO = map(KINDS.index, LOOPS)


@kernel
def _floats(mem, tile, at, size):
    """A piece of the workspace."""
    start = tile[TILE.work] + at
    return mem[start : start + size]


@kernel
def zero(mem, line, tile):
    """Zeros."""
    _floats(mem, tile, line[_zero.out], line[_zero.size])[:] = 0


@kernel
def relu(mem, line, tile):
    """y = max(x, 0); a NaN stays."""
    size = line[_relu.size]
    x, y = _floats(mem, tile, line[_relu.x], size), _floats(mem, tile, line[_relu.out], size)
    for i in range(size):
        y[i] = np.float32(0) if x[i] <= 0 else x[i]


@kernel
def relu_back(mem, line, tile):
    """dx = dy where y is above 0, in place."""
    size = line[_relu_back.size]
    dy, y = _floats(mem, tile, line[_relu_back.dy], size), _floats(mem, tile, line[_relu_back.y], size)
    for i in range(size):
        dy[i] = np.float32(0) if y[i] <= 0 else dy[i]


@kernel
def avg_pool(mem, line, tile):
    """The sum over the taps inside the image, over the window's size."""
    count = np.float32(line[_avg.KH] * line[_avg.KW])
    for i in range(line[_avg.OH]):
        for j in range(line[_avg.OW]):
            mean = _mean(mem, line, tile, i, j)
            mean[:] = 0
            for h in range(*_inside(i, line[_avg.SH], line[_avg.PT], line[_avg.KH], line[_avg.H])):
                for w in range(*_inside(j, line[_avg.SW], line[_avg.PL], line[_avg.KW], line[_avg.W])):
                    pixel = _pixel(mem, line, tile, h, w)
                    for k in range(len(mean)):
                        mean[k] += pixel[k]
            for k in range(len(mean)):
                mean[k] /= count


@kernel
def avg_pool_back(mem, line, tile):
    """Each mean's gradient, over the window's size, added to the taps inside the image."""
    count = np.float32(line[_avg.KH] * line[_avg.KW])
    _floats(mem, tile, line[_avg.image], line[_avg.H] * line[_avg.W] * line[_avg.size])[:] = 0
    for i in range(line[_avg.OH]):
        for j in range(line[_avg.OW]):
            mean = _mean(mem, line, tile, i, j)
            for h in range(*_inside(i, line[_avg.SH], line[_avg.PT], line[_avg.KH], line[_avg.H])):
                for w in range(*_inside(j, line[_avg.SW], line[_avg.PL], line[_avg.KW], line[_avg.W])):
                    pixel = _pixel(mem, line, tile, h, w)
                    for k in range(len(mean)):
                        pixel[k] += mean[k] / count


@kernel
def _inside(i, stride, before, taps, size):
    """-> the first pixel under a window that lies in the image, and the one after the last."""
    return max(i * stride - before, 0), min(i * stride - before + taps, size)


@kernel
def _mean(mem, line, tile, i, j):
    return _floats(mem, tile, line[_avg.means] + (i * line[_avg.OW] + j) * line[_avg.size], line[_avg.size])


@kernel
def _pixel(mem, line, tile, h, w):
    return _floats(mem, tile, line[_avg.image] + (h * line[_avg.W] + w) * line[_avg.size], line[_avg.size])


@kernel
def hashed(h):
    """As `fastconv.support.streams.mix`, on one number of 32 bits held in 64."""
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return h ^ (h >> 16)


_UNITS = 64
"""Numbers that dropout draws at once: rows of 16 alone are too short for LLVM's vector loop."""


@kernel
def dropout(mem, line, tile):
    """y = x / (1 - p) for units whose hash of (seed, step, layer, sample, unit) is at least p, else 0; the same backward."""
    size, pixels, lanes = line[_drop.pixels] * line[_drop.pixel], line[_drop.pixels], line[_drop.lanes]
    x, y = _floats(mem, tile, line[_drop.x], size), _floats(mem, tile, line[_drop.out], size)
    if tile[TILE.seed] < 0:
        y[:] = x
        return
    scale = np.float32(line[_drop.mantissa] * 2.0 ** line[_drop.exponent])
    some = max(1, _UNITS // lanes)
    samples, units = np.empty(some * lanes, np.uint32), np.empty(some * lanes, np.uint32)
    for t in range(lanes):
        sample = hashed(hashed(tile[TILE.seed] ^ line[_drop.number]) ^ (tile[TILE.start] + t))
        for c in range(some):
            samples[c * lanes + t], units[c * lanes + t] = sample, c * pixels
    for p in range(pixels):
        for c in range(0, line[_drop.C], some):
            at = p * line[_drop.pixel] + c * line[_drop.channel]
            end = at + min(some, line[_drop.C] - c) * lanes
            _drop_units(x[at:end], y[at:end], samples, units, c * pixels + p, line[_drop.threshold], scale)


@kernel
def _drop_units(x, y, samples, units, first, threshold, scale):
    """Some units of each sample, from the `first` one on. In 32 bits and without a branch, so that it becomes vector code."""
    first, threshold = np.uint32(first), np.uint32(threshold)
    for t in range(len(x)):
        h = np.uint32(samples[t] ^ np.uint32(first + units[t]))
        h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
        h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
        value = x[t] * scale
        y[t] = value if (h ^ (h >> np.uint32(16))) >> np.uint32(8) >= threshold else np.float32(0)


@kernel
def work(mem, line, tile):
    """Any line whose kind has no kernel of its own."""
    kind = line[KIND]
    if kind == _IS_ZERO:
        zero(mem, line, tile)
    elif kind == _IS_RELU:
        relu(mem, line, tile)
    elif kind == _IS_RELU_BACK:
        relu_back(mem, line, tile)
    elif kind == _IS_AVG_POOL:
        avg_pool(mem, line, tile)
    elif kind == _IS_AVG_POOL_BACK:
        avg_pool_back(mem, line, tile)
    elif kind == _IS_DROPOUT:
        dropout(mem, line, tile)
