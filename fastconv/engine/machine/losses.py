"""The loss of a tile and its gradient; lanes without a sample have neither.

Outputs are numbered [c][y][x], rows are stored [y][x][c]. Each function takes the memory's floats, where the workspace
begins, the ends of the program, what y is compared with, the tile's samples and their shares of the batch; it writes dy and
returns the sum of share * loss. Arrays go one by one, not in tuples, of which Numba would count the references to every
member at every call (0.25 us a step).
"""

from math import exp, log, log1p

import numpy as np

from ...losses import LOSSES
from ..vector.lanes import T, kernel
from ..vector.softmax import softmax, softmax_of_one

CROSS_ENTROPY, MEAN_SQUARES, BINARY_CROSS_ENTROPY = range(3)
_KINDS = {
    "cross_entropy": CROSS_ENTROPY,
    "mse": MEAN_SQUARES,
    "binary_cross_entropy_with_logits": BINARY_CROSS_ENTROPY,
}


def loss_kind(name):
    """A loss as compiled code knows it."""
    if name not in _KINDS:
        raise ValueError(f"loss must be one of {LOSSES}, got {name!r}")
    return _KINDS[name]


@kernel
def cross_entropy(mem, work, ends, labels, samples, shares, scratch):
    """Softmax cross-entropy: dy = (p - onehot) * share; `scratch` has two rows."""
    y, dy, lanes, K = work + ends.output, work + ends.gradient, ends.samples, ends.C_out * ends.pixels_out
    largest, sums = scratch[:T], scratch[T:]
    if lanes == T:
        softmax(mem, y, dy, K, largest, sums)
    else:
        softmax_of_one(mem, y, dy, K, largest, sums)
    total = 0.0
    for t in range(len(samples)):
        label = labels[samples[t]]
        row = (label % ends.pixels_out) * ends.C_out + label // ends.pixels_out
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


@kernel
def _scale(row, shares):
    for t in range(T):
        row[t] *= shares[t]


@kernel
def mean_squares(mem, work, ends, targets, samples, shares):
    """Mean squared error: dy = 2 * share / K * (y - target)."""
    y, dy, K = work + ends.output, work + ends.gradient, ends.C_out * ends.pixels_out
    total = 0.0
    for t in range(ends.samples):
        error_sum = 0.0
        for c in range(ends.C_out):
            for p in range(ends.pixels_out):
                at = (p * ends.C_out + c) * ends.samples + t
                mem[dy + at] = 0
                if t < len(samples):
                    error = mem[y + at] - targets[samples[t], c * ends.pixels_out + p]
                    mem[dy + at] = error * np.float32(2 * shares[t] / K)
                    error_sum += error * error
        if t < len(samples) and shares[t] > 0:
            total += error_sum / K * shares[t]
    return total


@kernel
def binary_cross_entropy(mem, work, ends, targets, samples, shares):
    """Binary cross-entropy: dy = share / K * (sigmoid(y) - target)."""
    y, dy, K = work + ends.output, work + ends.gradient, ends.C_out * ends.pixels_out
    total = 0.0
    for t in range(ends.samples):
        error_sum = 0.0
        for c in range(ends.C_out):
            for p in range(ends.pixels_out):
                at = (p * ends.C_out + c) * ends.samples + t
                mem[dy + at] = 0
                if t < len(samples):
                    z, target = mem[y + at], targets[samples[t], c * ends.pixels_out + p]
                    small = np.float32(exp(-abs(z)))
                    probability = (np.float32(1) if z >= 0 else small) / (np.float32(1) + small)
                    mem[dy + at] = (probability - target) * np.float32(shares[t] / K)
                    error_sum += (np.float32(0) if z <= 0 else z) - target * z + log1p(small)
        if t < len(samples) and shares[t] > 0:
            total += error_sum / K * shares[t]
    return total
