"""What X is scaled by: all pixels of pictures by one mean and deviation, each column of a table by its own."""

import numpy as np

ROUNDING, LAST_DIGITS = 10, 4
"""Epsilons of a mean: a deviation up to the one is its rounding, a range up to twice the other the rounding of a constant."""


def of_pixels(rows, weights):
    """Mean and deviation, two floats, of all pixels of `rows` (n, features); a row counts as often as its weight says."""
    # In numbers below 1, whose squares do not overflow; powers of two change no digit.
    exponent = np.frexp(max(rows.max(), -rows.min()))[1]
    parts = np.ldexp(rows, -exponent)
    mean = np.average(parts.mean(axis=1, dtype=np.float64), weights=weights)
    centred = parts - rows.dtype.type(mean)
    squares = np.einsum("ij,ij->i", centred, centred, dtype=np.float64) / rows.shape[1]
    scale = np.sqrt(np.average(squares, weights=weights))
    # A constant's deviation is the rounding of its mean.
    varies = scale > ROUNDING * np.finfo(rows.dtype).eps * abs(mean)
    return float(np.ldexp(mean, exponent)), float(np.ldexp(scale, exponent)) if varies else 1.0


def of_columns(rows, weights):
    """Mean and deviation of each column of `rows` (n, features), in double precision: two arrays (features,)."""
    if weights is not None:
        rows, weights = rows[weights > 0], weights[weights > 0]
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    # As distances from the middle of the range, in halves of it: nothing overflows, and columns far from 0 lose no digit.
    half = high / 2 - low / 2
    middle = low + half
    # A column that varies in its last digits only is a constant that was computed.
    varies = (half > LAST_DIGITS * np.finfo(rows.dtype).eps * abs(middle)) & (half >= np.finfo(np.float64).tiny)
    parts = (rows - middle) / np.where(varies, half, 1)
    mean = np.average(parts, axis=0, weights=weights)
    deviation = np.sqrt(np.average(np.square(parts - mean), axis=0, weights=weights))
    return np.where(varies, middle + half * mean, middle), np.where(varies, half * deviation, 1.0)


def scaled(rows, mean, scale, dtype):
    """``(rows - mean) / scale`` as `dtype`; columns in double precision, where large numbers may differ by little.

    Raises
    ------
    ValueError
        For numbers that the network's float32 does not hold.
    """
    kind = np.float64 if np.ndim(mean) else rows.dtype.type
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = ((rows - kind(mean)) / kind(scale)).astype(dtype, copy=False)
    if not np.abs(found).max(initial=0) <= np.finfo(np.float32).max:
        raise ValueError(f"X has {np.abs(rows).max():g}, too far from the numbers that the model was fitted to")
    return found
