"""Everything but the product, as plain Numba loops over rows of T samples: `work` is one line of a program.

Each takes (mem, line, tile), as the product does: the flat memory, a line of the table, and the tile's context.
"""

from math import exp, log, log1p, sqrt

import numpy as np

from ..support.jit import kernel
from . import record as r
from .lanes import FINGERPRINT, T
from .softmaxkernel import softmax, softmax_of_one

_kernel = kernel(key=FINGERPRINT)


@_kernel
def lane_zero(mem, line, tile):
    """NP rows of zeros."""
    start = tile[r.WORK] + line[r.OUT]
    mem[start : start + line[r.NP] * T] = 0


@_kernel
def relu(mem, line, tile):
    """y = max(x, 0); a NaN stays."""
    size = line[r.CHANNELS] * line[r.NQ] * line[r.NP] * T
    x, y = tile[r.WORK] + line[r.X], tile[r.WORK] + line[r.OUT]
    _relu(mem[x : x + size], mem[y : y + size])


@_kernel
def _relu(x, y):
    for i in range(len(x)):
        y[i] = np.float32(0) if x[i] <= 0 else x[i]


@_kernel
def relu_back(mem, line, tile):
    """dx = dy where y is above 0, in place."""
    size = line[r.CHANNELS] * line[r.NQ] * line[r.NP] * T
    dy, y = tile[r.WORK] + line[r.X], tile[r.WORK] + line[r.MASK]
    _relu_back(mem[dy : dy + size], mem[y : y + size])


@_kernel
def _relu_back(dy, y):
    for i in range(len(y)):
        dy[i] = np.float32(0) if y[i] <= 0 else dy[i]


@_kernel
def avg_pool(mem, line, tile):
    """The sum over the taps inside the image, over the window's size; backward adds its share to each tap."""
    back = line[r.KIND] == r.AVG_POOL_BACK
    small, large = (line[r.X], line[r.OUT]) if back else (line[r.OUT], line[r.X])
    small, large, size = tile[r.WORK] + small, tile[r.WORK] + large, line[r.CHANNELS] * T
    count = np.float32(line[r.KH] * line[r.KW])
    if back:
        mem[large : large + line[r.HEIGHT] * line[r.WIDTH] * size] = 0
    for i in range(line[r.NQ]):
        for j in range(line[r.NP]):
            at = small + (i * line[r.NP] + j) * size
            mean = mem[at : at + size]
            if not back:
                mean[:] = 0
            for h in range(max(i * line[r.SH] - line[r.PT], 0), min(i * line[r.SH] - line[r.PT] + line[r.KH], line[r.HEIGHT])):
                for w in range(
                    max(j * line[r.SW] - line[r.PL], 0), min(j * line[r.SW] - line[r.PL] + line[r.KW], line[r.WIDTH])
                ):
                    start = large + (h * line[r.WIDTH] + w) * size
                    pixel = mem[start : start + size]
                    for k in range(size):
                        if back:
                            pixel[k] += mean[k] / count
                        else:
                            mean[k] += pixel[k]
            if not back:
                for k in range(size):
                    mean[k] /= count


@_kernel
def _mix(h):
    """As `fastconv.support.streams.mix`, on one number of 32 bits held in 64."""
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return h ^ (h >> 16)


@_kernel
def dropout(mem, line, tile):
    """y = x / (1 - p) for the units whose hash of (seed, step, layer, sample, unit) is at least p, else 0; backward is the same."""
    x, y, pixels, lanes = tile[r.WORK] + line[r.X], tile[r.WORK] + line[r.OUT], line[r.NQ] * line[r.NP], line[r.WQ]
    if tile[r.SEED] < 0:
        size = pixels * line[r.XP]
        mem[y : y + size] = mem[x : x + size]
        return
    scale = np.float32(line[r.MANTISSA] * 2.0 ** line[r.EXPONENT])
    # Some channels at once: rows of 16 alone are too short for LLVM's vector loop.
    some = max(1, 64 // lanes)
    samples, units = np.empty(some * lanes, np.uint32), np.empty(some * lanes, np.uint32)
    for t in range(lanes):
        hashed = _mix(_mix(tile[r.SEED] ^ line[r.LAYER]) ^ (tile[r.START] + t))
        for c in range(some):
            samples[c * lanes + t], units[c * lanes + t] = hashed, c * pixels
    for p in range(pixels):
        for c in range(0, line[r.CHANNELS], some):
            at, size = p * line[r.XP] + c * line[r.XQ], min(some, line[r.CHANNELS] - c) * lanes
            _drop(
                mem[x + at : x + at + size],
                mem[y + at : y + at + size],
                samples,
                units,
                c * pixels + p,
                line[r.THRESHOLD],
                scale,
            )


@_kernel
def _drop(x, y, samples, units, first, threshold, scale):
    """Some units of each sample, from the `first` one on. In 32 bits and without a branch, so that it becomes vector code."""
    first, threshold = np.uint32(first), np.uint32(threshold)
    for t in range(len(x)):
        h = np.uint32(samples[t] ^ np.uint32(first + units[t]))
        h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
        h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
        value = x[t] * scale
        y[t] = value if (h ^ (h >> np.uint32(16))) >> np.uint32(8) >= threshold else np.float32(0)


@_kernel
def scatter(mem, at, C, pixels, out, start, count):
    """Rows [pixel][channel][lane] -> out[start:start + count] (n, C * pixels)."""
    for t in range(count):
        image = out[start + t]
        for c in range(C):
            for p in range(pixels):
                image[c * pixels + p] = mem[at + (p * C + c) * T + t]


@_kernel
def cross_entropy(mem, y, dy, C, pixels, labels, samples, shares, lanes, scratch):
    """Softmax cross-entropy of a tile: dy = (p - onehot) * share, 0 in lanes without a sample; -> sum of share * loss."""
    K, largest, sums = C * pixels, scratch[:T], scratch[T : 2 * T]
    if lanes == T:
        softmax(mem, y, dy, K, largest, sums)
    else:
        softmax_of_one(mem, y, dy, K, largest, sums)
    total = 0.0
    for t in range(len(samples)):
        label = labels[samples[t]]
        row = (label % pixels) * C + label // pixels
        mem[dy + row * lanes + t] -= np.float32(1)
        if shares[t] > 0:
            total += (np.float32(log(sums[t])) - (mem[y + row * lanes + t] - largest[t])) * shares[t]
    if lanes == T:
        for k in range(K):
            _scale(mem[dy + k * T : dy + (k + 1) * T], shares)
    else:
        for k in range(K):
            mem[dy + k] *= shares[0]
    return total


@_kernel
def _scale(row, shares):
    for t in range(T):
        row[t] *= shares[t]


@_kernel
def mean_squares(mem, y, dy, C, pixels, targets, samples, shares, lanes):
    """Mean squared error of a tile: dy = 2 * share / K * (y - target), 0 in lanes without a sample; -> sum of share * loss."""
    total = 0.0
    K = C * pixels
    for t in range(lanes):
        loss = 0.0
        for c in range(C):
            for p in range(pixels):
                at = (p * C + c) * lanes + t
                mem[dy + at] = 0
                if t < len(samples):
                    error = mem[y + at] - targets[samples[t], c * pixels + p]
                    mem[dy + at] = error * np.float32(2 * shares[t] / K)
                    loss += error * error
        if t < len(samples) and shares[t] > 0:
            total += loss / K * shares[t]
    return total


@_kernel
def binary_cross_entropy(mem, y, dy, C, pixels, targets, samples, shares, lanes):
    """Binary cross-entropy of a tile: dy = share / K * (sigmoid(y) - target), 0 in lanes without a sample; -> sum of share * loss."""
    total = 0.0
    K = C * pixels
    for t in range(lanes):
        loss = 0.0
        for c in range(C):
            for p in range(pixels):
                at = (p * C + c) * lanes + t
                mem[dy + at] = 0
                if t < len(samples):
                    z, target = mem[y + at], targets[samples[t], c * pixels + p]
                    small = np.float32(exp(-abs(z)))
                    probability = (np.float32(1) if z >= 0 else small) / (np.float32(1) + small)
                    mem[dy + at] = (probability - target) * np.float32(shares[t] / K)
                    loss += (np.float32(0) if z <= 0 else z) - target * z + log1p(small)
        if t < len(samples) and shares[t] > 0:
            total += loss / K * shares[t]
    return total


_BLOCK = 1024
"""Parameters of one round of an update: its gradients stay in the first-level cache while shards are added to them."""


@_kernel
def update(mem, start, stop, size, grads, shards, optimizer, spared, steps):
    """One optimizer step on parameters [start, stop): the shards' gradients added in their order, then SGD or Adam.

    Parameters lie at 0, the optimizer's two states `size` and 2 * `size` further; `optimizer` is
    (kind, lr, momentum, nesterov, weight decay) or (kind, lr, beta1, beta2, eps, weight decay). Parameters in the intervals `spared`
    do not decay.
    """
    for first in range(start, stop, _BLOCK):
        last = min(first + _BLOCK, stop)
        w, one, two = mem[first:last], mem[size + first : size + last], mem[2 * size + first : 2 * size + last]
        dw = mem[grads + first : grads + last]
        for s in range(1, shards):
            _add(mem[grads + s * size + first : grads + s * size + last], dw)
        decay = np.float32(optimizer[4] if optimizer[0] == 0 else optimizer[5])
        for k in range(len(spared)):
            for i in range(max(spared[k, 0], first), min(spared[k, 1], last)):
                dw[i - first] -= decay * mem[i]
        if optimizer[0] == 0:
            _sgd(w, dw, one, optimizer)
        else:
            _adam(w, dw, one, two, optimizer, steps)


@_kernel
def _add(more, sums):
    for i in range(len(sums)):
        sums[i] += more[i]


@_kernel
def _sgd(w, dw, velocity, optimizer):
    lr, momentum, decay = np.float32(optimizer[1]), np.float32(optimizer[2]), np.float32(optimizer[4])
    if momentum == 0:
        for i in range(len(w)):
            w[i] -= lr * (dw[i] + decay * w[i])
    elif optimizer[3] != 0:
        for i in range(len(w)):
            d = dw[i] + decay * w[i]
            velocity[i] = momentum * velocity[i] + d
            w[i] -= lr * (d + momentum * velocity[i])
    else:
        for i in range(len(w)):
            velocity[i] = momentum * velocity[i] + (dw[i] + decay * w[i])
            w[i] -= lr * velocity[i]


@_kernel
def _adam(w, dw, first, second, optimizer, steps):
    beta1, beta2, eps = np.float32(optimizer[2]), np.float32(optimizer[3]), np.float32(optimizer[4])
    rest1, rest2 = np.float32(1 - optimizer[2]), np.float32(1 - optimizer[3])
    decay = np.float32(optimizer[5])
    correct = np.float32(1 / sqrt(1 - optimizer[3] ** steps))
    rate = np.float32(optimizer[1] / (1 - optimizer[2] ** steps))
    for i in range(len(w)):
        d = dw[i] + decay * w[i]
        m = beta1 * first[i] + rest1 * d
        v = beta2 * second[i] + rest2 * (d * d)
        first[i], second[i] = m, v
        w[i] -= rate * m / (np.sqrt(v) * correct + eps)


@_kernel
def work(mem, line, tile):
    """Any line of a program that is not a kernel of its own."""
    kind = line[r.KIND]
    if kind == r.LANE_ZERO:
        lane_zero(mem, line, tile)
    elif kind == r.RELU:
        relu(mem, line, tile)
    elif kind == r.RELU_BACK:
        relu_back(mem, line, tile)
    elif kind == r.AVG_POOL or kind == r.AVG_POOL_BACK:
        avg_pool(mem, line, tile)
    elif kind == r.DROPOUT:
        dropout(mem, line, tile)
