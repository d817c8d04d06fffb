"""The Numba kernels under fastconv.functional: patches, pools, and the batch moved in and out of a matrix.

Each takes C-contiguous arrays and integers, writes its output argument in full (or adds to it where it says so), allocates
nothing, and trusts that `geometry.Window` was checked against the arrays.
"""

from math import isnan

from .jit import kernel


@kernel
def im2col(x, KH, KW, SH, SW, DH, DW, PT, PL, OH, OW, cols):
    """x (N, C, H, W) -> cols (C*KH*KW, N, OH, OW): every tap's pixels in one row, zeros where it falls into padding."""
    N, C, H, W = x.shape
    for c in range(C):
        for u in range(KH):
            for v in range(KW):
                row = cols[(c * KH + u) * KW + v]
                # The outputs j from `first` to `stop` see pixels 0 <= j*SW + shift < W; the rest see padding.
                shift = v * DW - PL
                first = min(max(-(shift // SW), 0), OW)
                stop = max(min((W - 1 - shift) // SW + 1, OW), first)
                for n in range(N):
                    for i in range(OH):
                        y = i * SH - PT + u * DH
                        out = row[n, i]
                        if y < 0 or y >= H:
                            for j in range(OW):
                                out[j] = 0
                            continue
                        pixels = x[n, c, y]
                        for j in range(first):
                            out[j] = 0
                        if SW == 1:
                            for j in range(first, stop):
                                out[j] = pixels[j + shift]
                        else:
                            for j in range(first, stop):
                                out[j] = pixels[j * SW + shift]
                        for j in range(stop, OW):
                            out[j] = 0


@kernel
def col2im(cols, KH, KW, SH, SW, DH, DW, PT, PL, dx):
    """cols (C*KH*KW, N, OH, OW) added onto dx (N, C, H, W): the adjoint of im2col, so overlapping patches add up."""
    N, C, H, W = dx.shape
    OH, OW = cols.shape[2], cols.shape[3]
    for n in range(N):
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    row = cols[(c * KH + u) * KW + v]
                    shift = v * DW - PL
                    first = min(max(-(shift // SW), 0), OW)
                    stop = max(min((W - 1 - shift) // SW + 1, OW), first)
                    for i in range(OH):
                        y = i * SH - PT + u * DH
                        if y < 0 or y >= H:
                            continue
                        pixels = dx[n, c, y]
                        patch = row[n, i]
                        if SW == 1:
                            for j in range(first, stop):
                                pixels[j + shift] += patch[j]
                        else:
                            for j in range(first, stop):
                                pixels[j * SW + shift] += patch[j]


@kernel
def unfold_batch(rows, b, y):
    """rows (F, N, P) + b (F,) -> y (N, F, P): the product's result back in NCHW, the bias added on the way."""
    F, N, P = rows.shape
    for n in range(N):
        for f in range(F):
            source, target, bias = rows[f, n], y[n, f], b[f]
            for p in range(P):
                target[p] = source[p] + bias


@kernel
def fold_batch(dy, rows):
    """dy (N, F, P) -> rows (F, N, P): the gradient as the matrix that multiplies the patches."""
    N, F, P = dy.shape
    for f in range(F):
        for n in range(N):
            source, target = dy[n, f], rows[f, n]
            for p in range(P):
                target[p] = source[p]


@kernel
def max_pool2d(x, KH, KW, SH, SW, DH, DW, PT, PL, y, argmax):
    """x (N, C, H, W) -> y (N, C, OH, OW) and argmax, h*W + w of each window's maximum in its plane.

    The first maximum wins a tie; a NaN wins over everything before it, so the last NaN stays. A window that lies in the padding
    altogether has argmax -1 and y -inf.
    """
    N, C, H, W = x.shape
    OH, OW = y.shape[2], y.shape[3]
    for n in range(N):
        for c in range(C):
            plane = x[n, c]
            for i in range(OH):
                top = i * SH - PT
                u0 = max(0, -(top // DH))
                u1 = min(KH, (H - 1 - top) // DH + 1)
                for j in range(OW):
                    left = j * SW - PL
                    v0 = max(0, -(left // DW))
                    v1 = min(KW, (W - 1 - left) // DW + 1)
                    best, where = y.dtype.type(-float("inf")), -1
                    if u0 < u1 and v0 < v1:
                        where = (top + u0 * DH) * W + left + v0 * DW
                        best = plane[top + u0 * DH, left + v0 * DW]
                        for u in range(u0, u1):
                            h = top + u * DH
                            for v in range(v0, v1):
                                value = plane[h, left + v * DW]
                                if value > best or isnan(value):
                                    best, where = value, h * W + left + v * DW
                    y[n, c, i, j], argmax[n, c, i, j] = best, where


@kernel
def max_pool2d_scatter(dy, argmax, dx):
    """dy (M, P) added onto dx (M, H*W) at argmax (M, P); False, with dx half written, if an argmax lies outside."""
    M, P = dy.shape
    size = dx.shape[1]
    for m in range(M):
        plane = dx[m]
        for p in range(P):
            where = argmax[m, p]
            if where >= size or where < -1:
                return False
            if where >= 0:
                plane[where] += dy[m, p]
    return True


@kernel
def avg_pool2d(x, KH, KW, SH, SW, PT, PL, divisor, y):
    """x (N, C, H, W) -> y (N, C, OH, OW): sums over the taps inside the image, over divisor (OH, OW)."""
    N, C, H, W = x.shape
    OH, OW = y.shape[2], y.shape[3]
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
def avg_pool2d_scatter(dy, KH, KW, SH, SW, PT, PL, divisor, dx):
    """dy (N, C, OH, OW) / divisor (OH, OW) added onto every tap's pixel of dx (N, C, H, W)."""
    N, C, H, W = dx.shape
    OH, OW = dy.shape[2], dy.shape[3]
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
