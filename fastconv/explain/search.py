"""The search: a given gradient against every one that a mistake, or two, would have made."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from .mistakes import END, choices, rank
from .rounding import TIGHT, tiers
from .wrong_gradients import WrongGradients

_UNITS = 8
"""How many units in the last place, of all that was added up for a number, rounding may take from it."""

_NOTHING = 1e-300
"""The least unit in which residuals are counted, where all numbers are 0."""


class Fit(NamedTuple):
    """How well a planted gradient explains the given one."""

    plants: tuple
    excess: dict  # by a tier's slack: how far the worst entry is off beyond it
    size: float  # of the planted gradient's largest entry
    residual: float  # the largest difference


class Search:
    """The given gradient (float64, of ``dtype`` before) against every planted one."""

    def __init__(self, trace, name, given, dtype):
        self.wrong, self.name, self.given = WrongGradients(trace), name, given
        self.right = self.wrong.gradient(name, ())
        self.is_single = trace["input"].dtype == np.float32 or np.array_equal(given, given.astype(np.float32))
        self.noise = _noise(self.wrong, name)
        self.tiers = tiers(np.where(np.isfinite(given), given, 0), self.noise, dtype, self.is_single)
        # By identity, for arrays do not hash.
        self._slacks = {id(tier.slack): tier.slack for group in self.tiers for tier in group}
        self._tried = {}

    def is_right(self, tier):
        """Whether the given gradient is the right one, within a tolerance."""
        return self.right.shape == self.given.shape and self._agrees(self._fit((), self.right), tier)

    def explained(self, size, tier):
        """names -> fits of the mistakes, `size` together, that give these numbers: the closest and commonest first."""
        if size not in self._tried:
            self._tried[size] = list(self._candidates(size))
        found = {}
        for names, fit in self._tried[size]:
            if self._agrees(fit, tier):
                found.setdefault(names, []).append(fit)
        # Residuals within the tight tolerance are equal; between equals the commoner mistake comes first.
        unit = max(TIGHT * abs(self.given).max(initial=0), self.noise[self.is_single], _NOTHING)
        best = {names: min(fit.residual for fit in fits) for names, fits in found.items()}

        def place(names):
            return round(best[names] / unit) if best[names] > unit else 0, [rank(name) for name in reversed(names)]

        return {names: found[names] for names in sorted(best, key=place)}

    def rivals(self, tier):
        """The single mistakes that rounding hides: not the right gradient, and yet no further from the given one."""
        right = self._fit((), self.right).residual
        found = self.explained(1, tier).items()
        return [names for names, fits in found if any(abs(fit.residual - right) > self.noise[0] for fit in fits)]

    def _fit(self, plants, candidate):
        off = abs(self.given - candidate)
        excess = {key: float((off - slack).max(initial=0)) for key, slack in self._slacks.items()}
        return Fit(plants, excess, float(abs(candidate).max(initial=0)), float(off.max(initial=0)))

    def _agrees(self, fit, tier):
        return fit.excess[id(tier.slack)] <= tier.relative * fit.size

    def _candidates(self, size):
        for choice in combinations(choices(self.wrong.trace, self.name, self.given.shape, size), size):
            plants = tuple(plant for plants in choice for plant in plants)
            names = tuple(sorted({plant.form.mistake for plant in plants}, key=rank))
            steps = {(plant.place, plant.form.step) for plant in plants}
            are_apart = len(names) == size and len(steps) == len(plants)  # forms of one step exclude each other
            if are_apart and self._has_shape(steps):
                yield names, self._fit(plants, self.wrong.gradient(self.name, plants))

    def _has_shape(self, steps):
        """Whether the gradient comes out in the given one's shape: `choices` has only reorderings of axes to that."""
        return (END, "axes") in steps or self.right.shape == self.given.shape


def _noise(wrong, name):
    """What rounding in float64 and in float32 may do to an entry: a few units of all that was added up for it.

    Logits are rounded relative to themselves, and probabilities by as much again.
    """
    trace = wrong.trace
    largest = wrong.magnitude(name).max(initial=0) * max(abs(trace[trace.operations[-1].x]).max(), 1)
    return tuple(float(_UNITS * np.finfo(dtype).eps * largest) for dtype in (np.float64, np.float32))
