"""The forward operations with NumPy alone: what `Sequential.predict` runs on where Numba is not installed, and for float64.

The same names and arguments as in `fastconv.functional`, without checks and without caches: nothing goes backward from here.
Shapes are the usual ones, but in memory the batch is the last axis, so that a patch row is copied and a pool is taken over
whole runs of samples, and no result is ever transposed.
"""

from math import prod

import numpy as np

from .arrays import require_memory, zeros
from .geometry import conv_window, pool_window, taps_inside

CHUNK_BYTES = 2**22
"""Patches of one chunk of the batch: about what a core's cache holds."""


def conv2d_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) -> y (N, F, OH, OW), None"""
    window = conv_window(*x.shape[2:], w.shape[2:], stride, padding, dilation)
    F, N, P = len(w), len(x), window.OH * window.OW
    require_memory(F * max(N, 1) * P * x.itemsize, f"y {(N, F, window.OH, window.OW)}")
    cols = _patches(_batch_last(x), window)  # (C, KH, KW, OH, OW, N)
    with np.errstate(all="ignore"):
        y = np.matmul(w.reshape(groups, F // groups, -1), cols.reshape(groups, w[0].size, P * N)).reshape(F, P * N)
        if b is not None:
            y += b[:, None]
    return _batch_first(y.reshape(F, window.OH, window.OW, N)), None


def max_pool2d_forward(x, kernel_size, stride=None, padding=0):
    """x (N, C, H, W) -> y (N, C, OH, OW), None"""
    window = pool_window(*x.shape[2:], kernel_size, stride, padding)
    return _reduced(np.maximum, _batch_last(x), window, -np.inf), None


def avg_pool2d_forward(x, kernel_size, stride=None, padding=0):
    """x (N, C, H, W) -> y (N, C, OH, OW), None"""
    window = pool_window(*x.shape[2:], kernel_size, stride, padding)
    y = _reduced(np.add, _batch_last(x), window, 0)
    with np.errstate(all="ignore"):
        y /= y.dtype.type(window.KH * window.KW)
    return y, None


def relu_forward(x):
    """x (any shape) -> y (the same shape), None"""
    with np.errstate(invalid="ignore"):
        return np.maximum(x, 0), None


def flatten_forward(x):
    """x (N, C, H, W) -> y (N, C*H*W), None"""
    return _batch_last(x).reshape(prod(x.shape[1:]), len(x)).T, None


def linear_forward(x, w, b=None):
    """x (N, in), w (out, in), b (out,) -> y (N, out), None"""
    with np.errstate(all="ignore"):
        y = np.matmul(w, x.T)
        if b is not None:
            y += b[:, None]
    return y.T, None


def _batch_last(x):
    """(N, C, H, W) -> (C, H, W, N), copied only where it does not lie so in memory already."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0))


def _batch_first(x):
    """(C, H, W, N) -> (N, C, H, W), a view."""
    return x.transpose(3, 0, 1, 2)


def _patches(x, window):
    """x (C, H, W, N) -> (C, KH, KW, OH, OW, N): each tap's pixels for all windows, zeros where they are padding."""
    if window.is_pointwise:
        return x
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    cols = zeros((len(x), KH, KW, OH, OW, x.shape[3]), x.dtype, "the patches")
    for u in range(KH):
        outputs, rows = _seen(H, SH, u * DH - PT, OH)
        for v in range(KW):
            across, columns = _seen(W, SW, v * DW - PL, OW)
            cols[:, u, v, outputs, across] = x[:, rows, columns]
    return cols


def _reduced(ufunc, x, window, nothing):
    """x (C, H, W, N) -> (N, C, OH, OW): `ufunc` over what each window sees of the image, first down, then across."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    y = _reduced_along(1, ufunc, x, (H, KH, SH, DH, PT, OH), nothing)
    return _batch_first(_reduced_along(2, ufunc, y, (W, KW, SW, DW, PL, OW), nothing))


def _reduced_along(axis, ufunc, x, window, nothing):
    """`x` with `axis` reduced to its windows."""
    size, K, S, D, before, count = window
    y, every = None, (slice(None),) * axis
    with np.errstate(all="ignore"):
        for tap in taps_inside(*window).tolist():
            outputs, pixels = _seen(size, S, tap * D - before, count)
            seen = x[(*every, pixels)]
            if y is None and outputs == slice(0, count):
                y = seen.copy()
                continue
            if y is None:
                y = np.full((*x.shape[:axis], count, *x.shape[axis + 1 :]), nothing, x.dtype)
            part = y[(*every, outputs)]
            ufunc(part, seen, out=part)
    return y


def _seen(size, S, shift, count):
    """Slices of the outputs i whose pixel i*S + shift lies inside the image, and of those pixels."""
    first = min(max(-(shift // S), 0), count)
    stop = min((size - 1 - shift) // S + 1, count)
    if stop <= first:
        return slice(0, 0), slice(0, 0)
    return slice(first, stop), slice(first * S + shift, (stop - 1) * S + shift + 1, S)
