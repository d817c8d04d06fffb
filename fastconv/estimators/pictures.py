"""Whether flat rows are pictures: a table may have a square number of columns, too, and must not get a convolution."""

import numpy as np

from .architecture import is_picture
from .scaling import of_columns, scaled

FEWEST_ROWS, MOST_ROWS, MOST_PIXELS = 20, 1000, 800
"""Of fewer rows nothing can be said; more rows, and more pixels, would tell no more."""

MARGIN = 0.08
"""By how much neighbours correlate more than others. Digits of 8x8 to 4x4 pixels: 0.11 to 0.5."""


def look_like_pictures(rows, shape):
    """Whether `rows` (n, C*H*W) vary as pictures of `shape` (C, H, W) do: pixels together with their neighbours, both ways.

    Each condition is there for a kind of table that meets the others, and the thresholds for none of 3,700 tables to meet all.
    """
    if len(rows) < FEWEST_ROWS or not is_picture(shape):
        return False
    correlation, deviations, y, x = _correlation(_sample(rows, shape))
    # Pixels have one unit, columns many.
    if len(deviations) < 6 or np.median(deviations) < deviations.max() / 20:
        return False
    down, right = y - y[:, None], x - x[:, None]
    return _neighbours_stand_out(correlation, down, right, x, 0.5 / np.sqrt(min(len(rows), MOST_ROWS))) and (
        _excess(correlation, np.abs(down) + np.abs(right) == 1) > 2.3
    )


def _sample(rows, shape):
    """Images (n, H, W): some rows from all of the data, which may be sorted by class, and lines from the middle of large ones."""
    if len(rows) > MOST_ROWS:
        rows = rows[np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False)]
    images = rows.reshape(-1, *shape[1:])
    count = max(3, MOST_PIXELS // shape[2])
    top = max(0, shape[1] - count) // 2
    return images[:, top : top + count]


def _correlation(images):
    """-> correlation (m, m) of the pixels that vary, their deviations, rows and columns"""
    flat = images.reshape(len(images), -1)
    mean, deviation = of_columns(flat, None)
    standardised = scaled(flat, mean, deviation, np.float64)
    varying = np.flatnonzero(standardised.std(axis=0) > 0.5)
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
    """The sum of `correlation` over `adjacent` pairs, in deviations from what columns in random order would have (Mantel, 1967)."""
    m = len(correlation)
    off_diagonal = correlation - np.diag(np.diag(correlation))
    (a, b, c), (A, B, C) = ((p.sum(), np.square(p).sum(), np.square(p.sum(axis=0)).sum()) for p in (off_diagonal, adjacent))
    mean = a * A / (m * (m - 1))
    squares = 2 * b * B + 4 * (c - b) * (C - B) / (m - 2)
    squares += (a * a + 2 * b - 4 * c) * (A * A + 2 * B - 4 * C) / ((m - 2) * (m - 3))
    variance = squares / (m * (m - 1)) - mean**2
    return (off_diagonal[adjacent].sum() - mean) / np.sqrt(max(variance, np.finfo(float).tiny))
