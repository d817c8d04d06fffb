"""The forward operations with NumPy alone: what `Sequential.predict` runs on where Numba is not installed, and for float64.

The same names and arguments as in `fastconv.functional`, without checks and without caches: nothing goes backward from here.
Shapes are the usual ones, but in memory the batch is the last axis, so that a patch row is copied and a pool is taken over
whole runs of samples, and no result is ever transposed.
"""

from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .geometry import conv_window, pool_window

CHUNK_BYTES = 2**22
"""Patches of one chunk of the batch: about what a core's cache holds."""


def conv2d_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) -> y (N, F, OH, OW), None"""
    window = conv_window(*x.shape[2:], w.shape[2:], stride, padding, dilation)
    F, N, P = len(w), len(x), window.OH * window.OW
    cols = _taps(_padded(_batch_last(x), window, 0), window)  # (C, KH, KW, OH, OW, N)
    with np.errstate(all="ignore"):
        y = np.matmul(w.reshape(groups, F // groups, -1), cols.reshape(groups, w[0].size, P * N)).reshape(F, P * N)
        if b is not None:
            y += b[:, None]
    return _batch_first(y.reshape(F, window.OH, window.OW, N)), None


def max_pool2d_forward(x, kernel_size, stride=None, padding=0):
    """x (N, C, H, W) -> y (N, C, OH, OW), None"""
    window = pool_window(*x.shape[2:], kernel_size, stride, padding)
    return _reduced(np.maximum, _padded(_batch_last(x), window, -np.inf), window), None


def avg_pool2d_forward(x, kernel_size, stride=None, padding=0):
    """x (N, C, H, W) -> y (N, C, OH, OW), None"""
    window = pool_window(*x.shape[2:], kernel_size, stride, padding)
    y = _reduced(np.add, _padded(_batch_last(x), window, 0), window)
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


def _padded(x, window, value):
    """x (C, H, W, N) within its padding."""
    if not any(window[8:12]):
        return x
    C, H, W, N = x.shape
    top, left = window.PT, window.PL
    padded = np.full((C, top + H + window.PB, left + W + window.PR, N), value, x.dtype)
    padded[:, top : top + H, left : left + W] = x
    return padded


def _taps(x, window):
    """x (C, H, W, N), padded -> (C, KH, KW, OH, OW, N), a view: each tap's pixels for all windows."""
    KH, KW, SH, SW, DH, DW = window[2:8]
    spans = (KH - 1) * DH + 1, (KW - 1) * DW + 1
    windows = sliding_window_view(x, spans, axis=(1, 2))[:, ::SH, ::SW, :, ::DH, ::DW]  # (C, OH, OW, N, KH, KW)
    return windows.transpose(0, 4, 5, 1, 2, 3)


def _reduced(ufunc, x, window):
    """x (C, H, W, N), padded -> (N, C, OH, OW): `ufunc` over the taps of each window."""
    taps = _taps(x, window)
    y = taps[:, 0, 0].copy()
    with np.errstate(invalid="ignore"):
        for u in range(window.KH):
            for v in range(window.KW):
                if u or v:
                    ufunc(y, taps[:, u, v], out=y)
    return _batch_first(y)
