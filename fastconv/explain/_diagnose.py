"""`diagnose`: which mistake turns the right gradient into the one that was given?

Every mistake, alone and in pairs, is made on the trace's own network; the one whose gradient is the given one is named.
"""

from dataclasses import dataclass

import numpy as np

from ..support.arrays import as_float
from .ledger import number
from .names import Name, entry
from .rounding import LOOSE
from .search import Search

SURE, ROUNDED, SLOPPY = 1.0, 0.9, 0.5
"""Confidence in numbers that are exact, that were rounded, that were rounded at every step."""

_MOST_NAMED = 5
"""Of other mistakes that give the same numbers."""


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes
    ----------
    mistake : str or None
        Such as those of `fastconv.explain.mistakes.MISTAKES`; None where the gradient is right, "unknown" where nothing
        explains it.
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
    name = _name_of(name, trace)
    right = trace[name.d]
    given = as_float(gradient, "gradient", np.float64).astype(np.float64)
    dtype = getattr(gradient, "dtype", np.dtype(float))
    if sorted(given.shape) != sorted(right.shape):
        raise ValueError(f"the gradient has shape {given.shape}, expected {right.shape} as '{name}', or its axes reordered")
    search = Search(trace, name, given, dtype)
    where = _first_deviation(search)
    if not np.isfinite(given).all():
        return _unknown(search, where)
    exact, rounded, sloppy = search.tiers
    for tier in (exact[0], *rounded):
        # Before anything else: numbers that a rounded right gradient may have are never called wrong.
        if search.is_right(tier):
            return _correct(search, tier, is_rounded=tier is not exact[0])
    # One mistake and rounding is likelier than two, which may give any few digits by chance.
    attempts = [(1, exact, SURE), (1, rounded, ROUNDED), (2, exact, SURE), (2, rounded, ROUNDED), (1, sloppy, SLOPPY)]
    for size, tiers, confidence in attempts:
        for tier in tiers:
            if search.is_right(tier):
                return _correct(search, tier, is_rounded=tiers is sloppy)
            if found := search.explained(size, tier):
                return _named(found, trace, where, confidence)
    return _unknown(search, where)


def _name_of(name, trace):
    gradients = [found for found in map(Name.parse, trace.names) if found.gradient and found.own != "loss"]
    for found in gradients:
        bare = found._replace(gradient=False)
        if name.strip() in (str(found), str(bare)):
            return bare
    raise ValueError(f"no gradient {name!r}; the gradients are {', '.join(map(str, gradients))}")


def _correct(search, tier, is_rounded):
    rivals = search.rivals(tier) if is_rounded else ()
    text = f"The gradient is right, to its rounding ({2 * tier.slack.max():.1g})." if is_rounded else "The gradient is right."
    if is_rounded and not search.given.any() and search.right.any():
        text = (
            f"Every entry is 0; so is the right gradient's, rounded to {2 * tier.slack.max():.1g}. These digits tell no more."
        )
    return Diagnosis(None, (), 1 / (1 + len(rivals)), text, tuple(rivals))


def _named(found, trace, where, confidence):
    mistakes, *others = found
    told = (_told(name, found[mistakes], trace) for name in mistakes)
    text = "; and ".join(told) + "."
    if others:
        names = ", ".join(" with ".join(names) for names in others[:_MOST_NAMED])
        more = " and others" if len(others) > _MOST_NAMED else ""
        text += f" Here the numbers alone do not tell it from {names}{more}."
    return Diagnosis(mistakes[0], mistakes, confidence / len(found), text, tuple(others), where)


def _told(mistake, fits, trace):
    """The mistake, the layer where it was made if only one explains the numbers, and what to do instead, for its first form."""
    plants = [plant for fit in fits for plant in fit.plants if plant.form.mistake == mistake]
    layers = {plant.place for plant in plants if 0 <= plant.place < len(trace.layers)}
    where = " at layer {} ({})".format(*layers, type(trace.layers[min(layers)]).__name__) if len(layers) == 1 else ""
    return f"{mistake}{where}: {plants[0].form.correction}"


def _first_deviation(search):
    """The first entry, in row-major order, that is not the right one."""
    given, right = search.given, search.right
    if given.shape != right.shape:
        return None
    slack = LOOSE * abs(right).max(initial=0) + search.noise[1] * search.is_single
    if np.isfinite(given).all() and search.tiers.rounded:
        slack = slack + np.minimum.reduce([tier.slack for tier in search.tiers.rounded])
    off = ~(abs(given - right) <= slack)  # NaN is off, too
    return entry(search.name.d, *map(int, np.argwhere(off)[0])) if off.any() else None


def _unknown(search, where):
    given, right = search.given, search.right
    if given.shape != right.shape:
        text = f"The axes are transposed, {given.shape} for {right.shape}, and no known mistake explains the numbers."
        return Diagnosis("transposed", ("transposed", "unknown"), SLOPPY, text)
    if where is None:
        text = "No known mistake explains the gradient, which is off in its last digits."
        return Diagnosis("unknown", ("unknown",), 0.0, text)
    index = search.wrong.trace.parse(where)[1]
    off = int((~(abs(given - right) <= LOOSE * abs(right).max())).sum())
    text = (
        f"No known mistake, alone or in a pair, gives these numbers. {off} of {given.size} entries deviate; the first is "
        f"{where}: {number(given[index])} where {number(right[index])} is right. trace.why({where!r}) lists its terms."
    )
    return Diagnosis("unknown", ("unknown",), 0.0, text, (), where)
