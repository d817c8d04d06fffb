"""Where windows fall: runs of outputs and pixels that see the same taps, and how ranges are cut into parts.

Two axes' runs make rectangles, under which every position does the same: nine for a padded 3x3 convolution.
"""

from math import gcd
from typing import NamedTuple


class Span(NamedTuple):
    """The numbers first, first + 1, ..., `count` of them."""

    first: int
    count: int


class Run(NamedTuple):
    """Outputs that see the same taps of their windows."""

    first: int  # output
    count: int
    tap: int  # the first that is seen
    taps: int

    def part(self, k, count):
        """`count` outputs from number k on."""
        return self._replace(first=self.first + k, count=count)


class SourceRun(NamedTuple):
    """Pixels that the same taps reach: each pixel's gradient gathers from the outputs under those taps."""

    first: int  # pixel
    count: int
    step: int  # from one pixel to the next
    output: int  # the one that reaches the first pixel by the first tap
    tap: int
    taps: int
    tap_step: int
    output_step: int  # back, from one tap to the next

    def part(self, k, count):
        """`count` pixels from number k on."""
        return self._replace(first=self.first + k * self.step, count=count, output=self.output + k)


class Parts(NamedTuple):
    """`count` parts of equal `size`, one after the other."""

    first: int
    count: int
    size: int


def positions(size, shift, stride, count):
    """The span of outputs i for which ``i * stride + shift`` lies in the image."""
    first = max(0, -(shift // stride))
    return Span(first, max(0, min(count, (size - 1 - shift) // stride + 1) - first))


def common(a, b):
    """The span that two spans, or runs, have in common."""
    first = max(a.first, b.first)
    return Span(first, max(0, min(a.first + a.count, b.first + b.count) - first))


def tap_runs(size, K, S, D, P, count):
    """The runs of the `count` outputs along one axis of an image."""
    runs = []
    for i in range(count):
        taps = positions(
            size, i * S - P, D, K
        )  # a tap's place is the window's start plus its number times D, as an output's is
        taps = taps if taps.count else (0, 0)
        if runs and runs[-1][2:] == taps:
            runs[-1] = runs[-1]._replace(count=runs[-1].count + 1)
        else:
            runs.append(Run(i, 1, *taps))
    return runs


def source_runs(size, K, S, D, P, count):
    """The source runs of the pixels along one axis of an image: y, y + S, ... from outputs i, i + 1, ..."""
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
    return [
        SourceRun(y, n, S, (y + P - taps.first * D) // S if taps.count else 0, *taps, step, step * D // S)
        for (_, taps, *_), (y, n) in runs.items()
    ]


def _taps_onto(y, K, S, D, count, shared):
    """The span of taps u, S / shared apart, that lie on the padded pixel y from an output i: ``i * S + u * D == y``."""
    step = S // shared
    if y % shared:
        return Span(0, 0)
    least = max(0, -((S * (count - 1) - y) // D))  # from here on the output is among the first `count`
    first = least + (y // shared * pow(D // shared, -1, step) - least) % step
    last = min(K - 1, y // D)
    return Span(first, (last - first) // step + 1) if first <= last else Span(0, 0)


def full_and_rest(n, size):
    """n things as parts of `size`, then the rest."""
    full, rest = divmod(n, size)
    return [Parts(0, full, size)] * bool(full) + [Parts(full * size, 1, rest)] * bool(rest)


def equal_parts(n, most):
    """n things as equal parts, none above `most`, where that is possible; else full ones and the rest."""
    parts = -(-n // most)
    return [Parts(0, parts, n // parts)] if n and n % parts == 0 else full_and_rest(n, most)


def even_parts(n, most):
    """The spans of as few and as equal parts of n things as can be, none above `most`."""
    parts = -(-n // most)
    edges = [k * n // max(parts, 1) for k in range(parts + 1)]
    return [Span(start, stop - start) for start, stop in zip(edges, edges[1:])]


def banded(runs, row_size, most):
    """Runs of an image's rows cut into bands of about `most` numbers, `row_size` a row."""
    return [run.part(*part) for run in runs for part in even_parts(run.count, max(1, most // row_size))]


def chunks(H, W, most):
    """(rows, columns) of rectangles of up to `most` positions: two spans each."""
    rows = max(1, most // W)
    return [(Span(i, min(rows, H - i)), columns) for i in range(0, H, rows) for columns in even_parts(W, most)]
