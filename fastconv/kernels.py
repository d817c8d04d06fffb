"""The Numba kernels under fastconv.functional: patches, pools, and the batch moved in and out of a matrix.

Each takes C-contiguous arrays and a window, writes its output argument in full (or adds to it where it says so), allocates
nothing, and trusts that the window was checked against the arrays. A window is `geometry.Window`'s fields as a plain tuple.

Two habits make the loops fast. Arrays are read flat, because a slice in an inner loop counts references atomically; and inner
indices are unsigned, because a signed one may count from the end and is not vectorised. Together they took im2col from 3.0 to
0.5 ns an element on (128, 16, 8, 8) with 3x3 windows.
"""

import numpy as np
from numpy import uintp

from .support.jit import kernel


@kernel
def _seen(shift, S, size, count):
    """-> first, stop: of `count` outputs those first <= j < stop see the pixels j*S + shift of a row, the others padding."""
    first = min(max(-(shift // S), 0), count)
    return first, max(min((size - 1 - shift) // S + 1, count), first)


@kernel
def im2col(x, window, cols):
    """x (N, C, H, W) -> cols (C*KH*KW, N, OH, OW): every tap's pixels in one row, zeros where it falls into padding."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    N, C = x.shape[:2]
    pixels, patches = x.reshape(-1), cols.reshape(-1)
    at = 0
    for c in range(C):
        for u in range(KH):
            for v in range(KW):
                shift = v * DW - PL
                first, stop = _seen(shift, SW, W, OW)
                for n in range(N):
                    for i in range(OH):
                        h = i * SH - PT + u * DH
                        inside = 0 <= h < H
                        row = ((n * C + c) * H + h) * W + shift
                        begin, end = (first, stop) if inside else (OW, OW)
                        for j in range(begin):
                            patches[uintp(at + j)] = 0
                        if SW == 1:
                            for j in range(begin, end):
                                patches[uintp(at + j)] = pixels[uintp(row + j)]
                        else:
                            for j in range(begin, end):
                                patches[uintp(at + j)] = pixels[uintp(row + j * SW)]
                        for j in range(end, OW):
                            patches[uintp(at + j)] = 0
                        at += OW


@kernel
def col2im(cols, window, dx):
    """cols (C*KH*KW, N, OH, OW) added onto dx (N, C, H, W): the adjoint of im2col, so overlapping patches add up."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    N, C = dx.shape[:2]
    pixels, patches = dx.reshape(-1), cols.reshape(-1)
    for n in range(N):
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    shift = v * DW - PL
                    first, stop = _seen(shift, SW, W, OW)
                    for i in range(OH):
                        h = i * SH - PT + u * DH
                        if h < 0 or h >= H:
                            continue
                        row = ((n * C + c) * H + h) * W + shift
                        at = ((((c * KH + u) * KW + v) * N + n) * OH + i) * OW
                        if SW == 1:
                            for j in range(first, stop):
                                pixels[uintp(row + j)] += patches[uintp(at + j)]
                        else:
                            for j in range(first, stop):
                                pixels[uintp(row + j * SW)] += patches[uintp(at + j)]


@kernel
def samples_first(rows, b, y):
    """rows (F, N, P) + b (F,) -> y (N, F, P): the product's result back in NCHW, the bias added on the way."""
    F, N, P = rows.shape
    source, target = rows.reshape(-1), y.reshape(-1)
    for n in range(N):
        for f in range(F):
            here, there, bias = (f * N + n) * P, (n * F + f) * P, b[f]
            for p in range(P):
                target[uintp(there + p)] = source[uintp(here + p)] + bias


@kernel
def filters_first(dy, rows):
    """dy (N, F, P) -> rows (F, N, P): the gradient as the matrix that multiplies the patches."""
    N, F, P = dy.shape
    source, target = dy.reshape(-1), rows.reshape(-1)
    for f in range(F):
        for n in range(N):
            here, there = (n * F + f) * P, (f * N + n) * P
            for p in range(P):
                target[uintp(there + p)] = source[uintp(here + p)]


@kernel
def relu_gate(dy, open, dx):
    """dy where open, else 0 -> dx, all flat. A select, not a product: an infinite dy times 0 is NaN."""
    for i in range(dy.size):
        dx[uintp(i)] = dy[uintp(i)] if open[uintp(i)] else 0


@kernel
def max_pool2d(x, rows, columns, window, y, argmax):
    """x (N, C, H, W) -> y (N, C, OH, OW) and argmax, h*W + w of each window's maximum in its plane.

    The taps are those of `rows` and `columns`: the others see nothing but padding.

    The first maximum wins a tie; a NaN wins over everything before it, so the last NaN stays. A window that lies in the padding
    altogether has argmax -1 and y -inf.

    Taps outside, windows inside: each tap meets a row of windows at once, and no branch depends on the data, which halved the
    time a window (12 to 6 ns for 2x2 after a ReLU).
    """
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    pixels, maxima, winners = x.reshape(-1), y.reshape(-1), argmax.reshape(-1)
    for plane in range(len(x) * x.shape[1]):
        for at in range(plane * OH * OW, (plane + 1) * OH * OW):
            maxima[uintp(at)] = -np.inf
            winners[uintp(at)] = -1
        for u in rows:
            for v in columns:
                shift = v * DW - PL
                first, stop = _seen(shift, SW, W, OW)
                for i in range(OH):
                    h = i * SH - PT + u * DH
                    if h < 0 or h >= H:
                        continue
                    row, at = plane * H * W, (plane * OH + i) * OW
                    for j in range(first, stop):
                        position = h * W + shift + j * SW
                        value, best, winner = pixels[uintp(row + position)], maxima[uintp(at + j)], winners[uintp(at + j)]
                        wins = (value > best) | (value != value) | (winner < 0)
                        maxima[uintp(at + j)] = value if wins else best
                        winners[uintp(at + j)] = position if wins else winner


@kernel
def max_pool2d_scatter(dy, argmax, dx):
    """dy (M, P) added onto dx (M, H*W) at argmax (M, P); False, with dx half written, if an argmax lies outside."""
    M, P = dy.shape
    size = dx.shape[1]
    gradients, winners, pixels = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for m in range(M):
        for at in range(m * P, (m + 1) * P):
            winner = winners[uintp(at)]
            if winner >= size or winner < -1:
                return False
            if winner >= 0:
                pixels[uintp(m * size + winner)] += gradients[uintp(at)]
    return True


@kernel
def avg_pool2d(x, window, divisor, y):
    """x (N, C, H, W) -> y (N, C, OH, OW): sums over the taps inside the image, over divisor (OH, OW)."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    N, C = x.shape[:2]
    for n in range(N):
        for c in range(C):
            for i in range(OH):
                top = i * SH - PT
                for j in range(OW):
                    left = j * SW - PL
                    total = y.dtype.type(0)
                    for h in range(max(top, 0), min(top + KH, H)):
                        for w in range(max(left, 0), min(left + KW, W)):
                            total += x[n, c, h, w]
                    y[n, c, i, j] = total / divisor[i, j]


@kernel
def avg_pool2d_scatter(dy, window, divisor, dx):
    """dy (N, C, OH, OW) / divisor (OH, OW) added onto every tap's pixel of dx (N, C, H, W)."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    N, C = dx.shape[:2]
    for n in range(N):
        for c in range(C):
            for i in range(OH):
                top = i * SH - PT
                for j in range(OW):
                    left = j * SW - PL
                    share = dy[n, c, i, j] / divisor[i, j]
                    for h in range(max(top, 0), min(top + KH, H)):
                        for w in range(max(left, 0), min(left + KW, W)):
                            dx[n, c, h, w] += share
