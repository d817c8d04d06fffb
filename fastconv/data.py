"""The digits that come with scikit-learn, at 8x8 and smaller."""

import numpy as np

from .support.geometry import integer

SIZE, LEVELS = 8, 16
"""Height and width of the digits as they come, and their shades above black."""


def load_digits(size=SIZE):
    """scikit-learn's 1,797 handwritten digits, averaged down by exact area.

    -> X (1797, 1, size, size), y (1797,)

    Parameters
    ----------
    size : int
        Height and width in pixels, 1 to 8. Each pixel is the mean over its area of the 8x8 image, shares of pixels included.

    Returns
    -------
    X : float32 array (1797, 1, size, size)
        In [0, 1].
    y : int64 array (1797,)
        0 to 9.

    Raises
    ------
    ValueError
        If `size` is not 1 to 8.

    Examples
    --------
    >>> X, y = load_digits(5)
    >>> X.shape, y[:3]
    ((1797, 1, 5, 5), array([0, 1, 2]))
    """
    from sklearn.datasets import load_digits as bundled

    size = integer(size, "size", 1)
    if size > SIZE:
        raise ValueError(f"size must be 1 to 8, the size of the images, got {size}")
    digits = bundled()
    X = digits.images / LEVELS
    if size < SIZE:
        average = _averaging(SIZE, size)
        X = average @ X @ average.T
    return X[:, None].astype(np.float32), digits.target.astype(np.int64)


def _averaging(size, smaller):
    """(smaller, size): row i holds the share that each pixel has in the i-th of `smaller` equal intervals."""
    edges = np.arange(smaller + 1) * (size / smaller)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * (smaller / size)
