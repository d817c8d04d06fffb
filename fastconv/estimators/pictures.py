"""What a picture is: a table may have a square number of columns, too, and must not get a convolution."""

import numpy as np

from .scaling import of_columns, scaled

SMALLEST_IMAGE = 3
"""Height and width from which an array can be a picture: with a neighbour on either side."""

REAL_IMAGE = 6
"""Height and width from which a picture may be shifted, and has pixels enough for dropout."""

FEWEST_ROWS, MOST_ROWS, FEWEST_PIXELS, MOST_PIXELS = 20, 1000, 6, 800
"""Of fewer rows, or fewer pixels that vary, nothing can be said; more rows, and more pixels, would tell no more."""

MARGIN = 0.08
"""By how much neighbours correlate more than others. Digits of 8x8 to 4x4 pixels: 0.11 to 0.5."""

UNITS = 20
"""Pixels have one unit, columns many: their largest deviation is more than so many times the median."""

LEAST_DEVIATION = 0.5
"""Of a standardised column that varies at all: it is 1, and 0 for a constant."""

NOISE = 0.5
"""Over the square root of the rows: by how much two correlations differ by chance."""

LEAST_EXCESS = 2.3
"""Of the neighbours' correlations, in deviations from columns in random order."""


def is_picture(shape):
    """Whether (C, H, W) is large enough both ways to be a picture and not a table's row."""
    return min(shape[1:]) >= SMALLEST_IMAGE


def is_real_picture(shape, as_picture=True):
    """Whether what has `shape` (C, H, W) is a picture, and large enough to be shifted."""
    return as_picture and min(shape[1:]) >= REAL_IMAGE


def look_like_pictures(rows, shape):
    """Whether `rows` (n, C*H*W) vary as pictures of `shape` (C, H, W) do: pixels together with their neighbours, both ways.

    Each condition is there for a kind of table that meets the others, and the thresholds for none of 3,700 tables to meet all.
    """
    if len(rows) < FEWEST_ROWS or not is_picture(shape):
        return False
    correlation, deviations, y, x = _correlation(_sample(rows, shape))
    if len(deviations) < FEWEST_PIXELS or np.median(deviations) < deviations.max() / UNITS:
        return False
    down, right = y - y[:, None], x - x[:, None]
    return _neighbours_stand_out(correlation, down, right, x, NOISE / np.sqrt(min(len(rows), MOST_ROWS))) and bool(
        _excess(correlation, np.abs(down) + np.abs(right) == 1) > LEAST_EXCESS
    )


def _sample(rows, shape):
    """Images (n, H, W): some rows from all of the data, which may be sorted by class, and the middle lines of large ones."""
    if len(rows) > MOST_ROWS:
        rows = rows[np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False)]
    images = rows.reshape(-1, *shape[1:])
    count = max(SMALLEST_IMAGE, MOST_PIXELS // shape[2])
    top = max(0, shape[1] - count) // 2
    return images[:, top : top + count]


def _correlation(images):
    """-> correlation (m, m) of the pixels that vary, their deviations, rows and columns"""
    flat = images.reshape(len(images), -1)
    mean, deviation = of_columns(flat, None)
    standardised = scaled(flat, mean, deviation, np.float64)
    varying = np.flatnonzero(standardised.std(axis=0) > LEAST_DEVIATION)
    z = standardised[:, varying]
    return z.T @ z / len(z), deviation[varying], *np.divmod(varying, images.shape[2])


def _neighbours_stand_out(correlation, down, right, x, noise):
    """Whether columns beside and below each other correlate more than others."""
    count = len(x)
    everything = (correlation.sum() - np.trace(correlation)) / (count * (count - 1))

    def mean(pairs):
        return correlation[pairs].mean() if pairs.any() else everything

    # The end of a line and the start of the next: as near as any neighbours in a series, not in a picture.
    seam = mean((down == 1) & (x[:, None] == x.max()) & (x == x.min()))
    for along, across in ((right, down), (down, right)):
        near, far = (mean((along == distance) & (across == 0)) for distance in (1, 2))
        # Two steps away is as near in groups of columns, and where each line repeats the last.
        if near < max(everything, seam) + MARGIN or near < far + noise:
            return False
    return True


def _excess(correlation, adjacent):
    """The sum of `correlation` over `adjacent` pairs, in deviations from what columns in random order have (Mantel, 1967)."""
    m = len(correlation)
    off_diagonal = correlation - np.diag(np.diag(correlation))
    (a, b, c), (A, B, C) = ((p.sum(), np.square(p).sum(), np.square(p.sum(axis=0)).sum()) for p in (off_diagonal, adjacent))
    mean = a * A / (m * (m - 1))
    squares = 2 * b * B + 4 * (c - b) * (C - B) / (m - 2)
    squares += (a * a + 2 * b - 4 * c) * (A * A + 2 * B - 4 * C) / ((m - 2) * (m - 3))
    variance = squares / (m * (m - 1)) - mean**2
    return (off_diagonal[adjacent].sum() - mean) / np.sqrt(max(variance, np.finfo(float).tiny))
