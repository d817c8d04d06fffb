"""Where windows fall: runs of outputs and pixels that see the same taps, and how ranges are cut into parts."""

from math import gcd


def positions(size, shift, stride, count):
    """(first, number) of the outputs i for which ``i * stride + shift`` lies in the image."""
    first = max(0, -(shift // stride))
    return first, max(0, min(count, (size - 1 - shift) // stride + 1) - first)


def tap_runs(size, K, S, D, P, count):
    """Runs of outputs that see the same taps: (first output, outputs, first tap, taps)."""
    runs = []
    for i in range(count):
        taps = positions(
            size, i * S - P, D, K
        )  # a tap's place is the window's start plus its number times D, as an output's is
        taps = taps if taps[1] else (0, 0)
        if runs and runs[-1][2:] == taps:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, *taps)
        else:
            runs.append((i, 1, *taps))
    return runs


def source_runs(size, K, S, D, P, count):
    """Runs of pixels y, y + S, ... that the same taps reach from outputs i, i + 1, ...

    -> (first pixel, pixels, pixel step, output under the first tap, first tap, taps, tap step, output step back)
    """
    runs, shared = {}, gcd(S, D)
    step = S // shared
    for y in range(size):
        taps = _taps_onto(y + P, K, S, D, count, shared)
        key = y % S, taps
        first, n = runs.get(key, (y, 0))
        if n and y != first + n * S:  # the same taps again further on: dilation leaves gaps
            key = y % S, taps, y
            first, n = y, 0
        runs[key] = first, n + 1
    return [(y, n, S, (y + P - taps[0] * D) // S if taps[1] else 0, *taps, step, step * D // S)
            for (_, taps, *_), (y, n) in runs.items()]  # fmt: skip


def _taps_onto(y, K, S, D, count, shared):
    """(first, number) of the taps u that lie on the padded pixel y from an output i: ``i * S + u * D == y``; they are S / shared apart."""
    step = S // shared
    if y % shared:
        return 0, 0
    least = max(0, -((S * (count - 1) - y) // D))  # from here on the output is among the first `count`
    first = least + (y // shared * pow(D // shared, -1, step) - least) % step
    last = min(K - 1, y // D)
    return (first, (last - first) // step + 1) if first <= last else (0, 0)


def blocks(C, T):
    """(first channel, number of blocks, channels in each): blocks of T, then the rest."""
    full, rest = divmod(C, T)
    return [(0, full, T)] * bool(full) + [(full * T, 1, rest)] * bool(rest)


def banded(runs, row_size, most):
    """Runs (first row, rows, ...) of an image cut into bands of about `most` numbers, `row_size` a row."""
    bands = []
    for first, n, *rest in runs:
        step = rest[0] if len(rest) > 2 else 1
        for k, part in even_parts(n, max(1, most // row_size)):
            # dx's runs (pixel, pixels, step, output, ...) move on in both images.
            moved = [rest[0], rest[1] + k, *rest[2:]] if len(rest) > 2 else rest
            bands.append((first + k * step, part, *moved))
    return bands


def chunks(H, W, most):
    """(first row, rows, first column, columns) of rectangles of up to `most` positions."""
    rows = max(1, most // W)
    return [(i, min(rows, H - i), j, nj) for i in range(0, H, rows) for j, nj in even_parts(W, most)]


def common(a, b):
    """(first, number) of what two ranges (first, number) have in common."""
    first = max(a[0], b[0])
    return first, max(0, min(a[0] + a[1], b[0] + b[1]) - first)


def equal_parts(n, most):
    """(first, parts, size) of n things: one run of equal parts where that is possible, else full ones and the rest."""
    parts = -(-n // most)
    if n and n % parts == 0:
        return [(0, parts, n // parts)]
    return [(0, n // most, most)] * (n >= most) + [(n - n % most, 1, n % most)] * (n % most > 0)


def even_parts(n, most):
    """(start, size) of as few and as equal parts as can be, none above `most`."""
    parts = -(-n // most)
    edges = [k * n // max(parts, 1) for k in range(parts + 1)]
    return [(start, stop - start) for start, stop in zip(edges, edges[1:])]
