"""`diagnose`: which mistake turns the right gradient into the one that was given?

Every mistake, alone and in pairs, is made on the trace's own network; the one whose gradient is the given one is named.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..arrays import as_float
from .ledger import number
from .mistakes import END, LOSS, MISTAKES, variations
from .planted import Planted
from .terms import entry

TIGHT, LOOSE = 1e-9, 1e-5
"""Relative to the gradient's size: agreement in float64, and in float32."""


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes
    ----------
    mistake : str or None
        A name of `fastconv.explain.mistakes.MISTAKES`; None where the gradient is right, "unknown" where nothing explains it.
    mistakes : tuple of str
        Where several together explain it; `mistake` is the first.
    confidence : float
        1 where nothing else gives these numbers, less where other mistakes or rounding would.
    text : str
        The finding and the correction.
    alternatives : tuple of tuple of str
        Other mistakes that give the same numbers here.
    where : str or None
        The first entry that deviates from the right gradient.
    """

    mistake: str | None
    mistakes: tuple
    confidence: float
    text: str
    alternatives: tuple = ()
    where: str | None = None

    def __str__(self):
        return self.text


def diagnose(gradient, trace, name):
    """Name the mistake behind a gradient that was computed by hand or by other code.

    gradient (shape of ``trace["d " + name]``, or that transposed) -> Diagnosis

    Parameters
    ----------
    gradient : array
        Also rounded, to 2 or 3 decimals say.
    trace : Trace
        Of the same network, batch and labels.
    name : str
        "0.weight", "4.bias", "1.out", "input"; "d 0.weight" is the same.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        For an unknown name, and a shape that is not the right one with its axes reordered.

    Examples
    --------
    >>> import fastconv, fastconv.explain
    >>> net, x, labels = fastconv.explain.integer_example()
    >>> t = fastconv.explain.trace(net, x, labels)
    >>> diagnose(t["d 0.weight"][..., ::-1, ::-1], t, "0.weight").mistake
    'kernel_rotated'
    """
    name = name.strip().removeprefix("d ")
    right = _gradient_of(trace, name)
    given = as_float(gradient, "gradient").astype(np.float64)
    if sorted(given.shape) != sorted(right.shape):
        raise ValueError(f"the gradient has shape {given.shape}, expected {right.shape} as {name!r}, or its axes reordered")
    search = _Search(Planted(trace), name, given)
    where = _first_deviation(given, search.right, name)
    if not np.isfinite(given).all():
        return _unknown(given, search, where)
    exact, rounded, sloppy = _tiers(given, trace)
    for tier in rounded:
        # Rounding first: numbers that a rounded right gradient may have are never called wrong.
        if search.is_right(tier):
            return _correct(search, tier)
    for tiers, sizes, confidence in ((exact, (1, 2), 1.0), (rounded, (1, 2), 0.9), (sloppy, (1,), 0.5)):
        for tier in tiers:
            if search.is_right(tier):
                return _correct(search, tier)
            for size in sizes:
                if found := search.explained(size, tier):
                    return _named(found, trace, where, confidence)
    return _unknown(given, search, where)


class _Fit(NamedTuple):
    """How well a planted gradient explains the given one: where it was planted, their largest difference, its size."""

    plants: tuple
    residual: float
    size: float


class _Search:
    """The given gradient against every planted one."""

    def __init__(self, planted, name, given):
        self.planted, self.name, self.given = planted, name, given
        self.right = planted.gradient(name, ())
        self.choices = variations(planted.trace, name, given.shape)
        self.floor = TIGHT * abs(planted.dy(len(planted.trace.layers) - 1, ())).max()
        self._tried = {}

    def is_right(self, tier):
        """Whether the given gradient is the right one, up to relative and absolute tolerance."""
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
        unit = max(TIGHT * abs(self.given).max(initial=0), self.floor, 1e-300)
        best = {names: min(fit.residual for fit in fits) for names, fits in found.items()}
        order = sorted(best, key=lambda names: (round(best[names] / unit) if best[names] > unit else 0, _rank(names)))
        return {names: found[names] for names in order}

    def rivals(self, tier):
        """The single mistakes that rounding hides: not the right gradient, and yet no further from the given one."""
        right = self._fit((), self.right).residual
        found = self.explained(1, tier).items()
        return [names for names, fits in found if any(abs(fit.residual - right) > self.floor for fit in fits)]

    def _fit(self, plants, candidate):
        return _Fit(plants, float(abs(self.given - candidate).max(initial=0)), float(abs(candidate).max(initial=0)))

    def _agrees(self, fit, tier):
        relative, absolute = tier
        return fit.residual <= relative * max(fit.size, self.floor) + absolute

    def _candidates(self, size):
        for choice in combinations(self.choices, size):
            plants = tuple(plant for plants in choice for plant in plants)
            names = tuple(sorted({plant.mistake for plant in plants}, key=list(MISTAKES).index))
            slots = {(plant.place, plant.slot) for plant in plants}
            if len(names) == size and len(slots) == len(plants) and not _contradict(plants):
                gradient = self.planted.gradient(self.name, plants)
                if gradient.shape == self.given.shape:
                    yield names, self._fit(plants, gradient)


def _contradict(plants):
    """A bias is summed once; whoever mistakes dw's taps has them in one way."""
    return {"bias", "columns"} <= {plant.slot for plant in plants if plant.place == END}


def _rank(names):
    return sum(2.0 ** list(MISTAKES).index(name) for name in names)


def _gradient_of(trace, name):
    if name == "loss" or f"d {name}" not in trace:
        names = ", ".join(n for n in trace.names if n.startswith("d ") and n != "d loss")
        raise ValueError(f"no gradient {name!r}; the gradients are {names}")
    return trace[f"d {name}"]


def _decimals(given):
    """To how many decimals every entry of the gradient is rounded, 9 if it is not."""
    single = np.array_equal(given, given.astype(np.float32))
    slack = (1e-7 if single else 1e-13) * abs(given)  # 0.12 in float32
    # Finer than the numbers themselves, every number is on the grid.
    grids = (d for d in range(9) if slack.max(initial=0) < 0.05 * 10.0**-d)
    return next((d for d in grids if (abs(given - given.round(d)) <= slack).all()), 9)


def _tiers(given, trace):
    """(relative, absolute) tolerances to try: if nothing was rounded, the result was, every step was."""
    decimals = max(_decimals(given), 2)  # 0.5 may well be 0.50
    single = trace["input"].dtype == np.float32 or np.array_equal(given, given.astype(np.float32))
    exact, unit = [(LOOSE, 0.0)] if single else [(TIGHT, 0.0), (LOOSE, 0.0)], 10.0**-decimals
    if decimals > 8:
        return exact, [], []
    # Whoever rounds at every step is off by a few units in the end; believed where that is little of the gradient.
    sloppy = [(LOOSE, 5 * unit)] if 100 * unit < abs(given).max(initial=0) else []
    return exact, [(LOOSE, 0.5001 * unit)], sloppy


def _correct(search, tier):
    rivals = search.rivals(tier) if tier[1] else ()
    text = f"The gradient is right, to its rounding ({2 * tier[1]:.1g})." if tier[1] else "The gradient is right."
    return Diagnosis(None, (), 1 / (1 + len(rivals)), text, tuple(rivals))


def _named(found, trace, where, confidence):
    mistakes, *others = found
    text = "; and ".join(f"{name}{_layer(name, found[mistakes], trace)}: {MISTAKES[name]}" for name in mistakes) + "."
    if others:
        names = ", ".join(" with ".join(names) for names in others[:5])
        text += f" Here the numbers alone do not tell it from {names}{' and others' if len(others) > 5 else ''}."
    return Diagnosis(mistakes[0], mistakes, confidence / len(found), text, tuple(others), where)


def _layer(mistake, fits, trace):
    """Where the mistake was made, if only one layer explains the numbers."""
    places = {plant.place for fit in fits for plant in fit.plants if plant.mistake == mistake} - {LOSS, END}
    return " at layer {} ({})".format(*places, type(trace.layers[min(places)]).__name__) if len(places) == 1 else ""


def _first_deviation(given, right, name):
    """The first entry, in row-major order, that is not the right one."""
    if given.shape != right.shape:
        return None
    slack = LOOSE * abs(right).max(initial=0)
    if np.isfinite(given).all():
        slack += 0.5001 * 10.0 ** -_decimals(given)
    off = ~(abs(given - right) <= slack)  # NaN is off, too
    return entry(f"d {name}", *map(int, np.argwhere(off)[0])) if off.any() else None


def _unknown(given, search, where):
    if given.shape != search.right.shape:
        text = f"The axes are transposed, {given.shape} for {search.right.shape}, and no known mistake explains the numbers."
        return Diagnosis("transposed", ("transposed", "unknown"), 0.5, text)
    if where is None:
        return Diagnosis(
            "unknown", ("unknown",), 0.0, "No known mistake explains the gradient, which is off in its last digits."
        )
    index = search.planted.trace.parse(where)[1]
    off = int((~(abs(given - search.right) <= LOOSE * abs(search.right).max())).sum())
    text = (
        f"No known mistake, alone or in a pair, gives these numbers. {off} of {given.size} entries deviate; the first is "
        f"{where}: {number(given[index])} where {number(search.right[index])} is right. trace.why({where!r}) lists its terms."
    )
    return Diagnosis("unknown", ("unknown",), 0.0, text, (), where)
