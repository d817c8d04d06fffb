"""To how many digits a gradient was written down, and how far its entries may therefore be from the ones meant."""

from typing import NamedTuple

import numpy as np

TIGHT, LOOSE = 1e-9, 1e-5
"""Relative to the gradient's size: agreement in float64, and in float32."""

_DECIMALS, _DIGITS = 8, 5
"""So many decimals, or significant digits, are taken for rounding; more for the numbers as they were computed."""

_FEWEST = 2
"""Decimals or digits that rounded numbers have at least: 0.5 may well be 0.50."""

_HALF = 0.5001
"""Of a unit in the last digit, and a little for the number's own representation."""

_SLOPPY_UNITS, _SLOPPY_SHARE = 5, 100
"""Whoever rounds at every step is off by so many units in the end; believed where the largest entry has so many."""

_FINE = 0.05
"""Of a grid's step: where the numbers themselves are coarser, every number is on the grid."""

_SINGLE, _DOUBLE = 1e-7, 1e-13
"""How far 0.12 is from 12/100 in float32 and in float64, relatively."""


class Tier(NamedTuple):
    """A tolerance."""

    relative: float  # to the size of the gradient that is compared with
    slack: np.ndarray  # what each entry may be off besides


class Tiers(NamedTuple):
    """Tolerances to try."""

    exact: list  # if nothing was rounded
    rounded: list  # if the result was, in any of the ways that it may have been
    sloppy: list  # if every step was


def tiers(given, noise, dtype, is_single):
    """The `Tiers` of a gradient that came in `dtype`; noise: what computing in float64 and in float32 may do to an entry."""
    double, single = (np.full(given.shape, size) for size in noise)
    exact = [Tier(LOOSE, single)] if is_single else [Tier(TIGHT, double), Tier(LOOSE, single)]
    rounded = [Tier(LOOSE, single + half) for half in _half_units(given, dtype, is_single)]
    unit = 10.0 ** -max(_decimals(given, is_single), _FEWEST)
    is_large = _SLOPPY_SHARE * unit < abs(given).max(initial=0)
    return Tiers(exact, rounded, [Tier(LOOSE, single + _SLOPPY_UNITS * unit)] if rounded and is_large else [])


def _half_units(given, dtype, is_single):
    """Half a unit in each entry's last digit, for every way in which the gradient may have been rounded."""
    found = []
    decimals, digits = _decimals(given, is_single), _digits(given, is_single)
    if decimals <= _DECIMALS:
        found.append(np.full(given.shape, _HALF * 10.0 ** -max(decimals, _FEWEST)))
    if digits <= _DIGITS:
        found.append(_HALF * _unit(given, max(digits, _FEWEST)))
    with np.errstate(over="ignore"):
        half, limits = given.astype(np.float16), np.finfo(np.float16)
    if dtype == np.float16 or (given.any() and np.array_equal(half, given)):
        found.append((abs(given) * limits.eps + limits.smallest_subnormal) / 2)
    return found


def _decimals(given, is_single):
    """To how many decimals every entry is rounded, 9 if it is not."""
    slack = _representation(given, is_single)
    grids = (d for d in range(_DECIMALS + 1) if slack.max(initial=0) < _FINE * 10.0**-d)
    return next((d for d in grids if (abs(given - given.round(d)) <= slack).all()), _DECIMALS + 1)


def _digits(given, is_single):
    """To how many significant digits every entry is rounded, 6 if it is not."""
    slack = _representation(given, is_single)
    for digits in range(1, _DIGITS + 1):
        unit = _unit(given, digits)
        nearest = np.divide(given, unit, out=np.zeros_like(given), where=unit > 0).round() * unit
        if (abs(given - nearest) <= slack).all():
            return digits
    return _DIGITS + 1


def _unit(given, digits):
    """A unit in the last of so many digits of each entry, 0 for an entry that is 0."""
    exponents = np.floor(np.log10(abs(given), out=np.zeros_like(given), where=given != 0))
    return np.where(given == 0, 0.0, 10.0 ** (exponents - digits + 1))


def _representation(given, is_single):
    return (_SINGLE if is_single else _DOUBLE) * abs(given)
