"""What `Trace.why` hands over: the terms of one number, and for a pool the windows that had a say in it."""

from dataclasses import dataclass, field
from math import fsum, isfinite, isinf, prod
from typing import NamedTuple

import numpy as np

from .names import Name, entry

GATES = ("open", "kept")
"""Arrays of ones and zeros; what they stop is 0, whatever it was."""


class Term(NamedTuple):
    """One product of a sum.

    Attributes
    ----------
    factors : tuple of float
        Their product is `value`.
    sources : tuple of str
        Where each factor comes from: an entry such as "input[1,0,2,3]", or a constant's name such as "1/N".
    """

    factors: tuple
    sources: tuple

    @property
    def value(self):
        """The product of the factors. A gate that is shut stops infinity, too."""
        product = prod(self.factors)
        if not isfinite(product) and any(f == 0 and _is_gate(source) for f, source in zip(self.factors, self.sources)):
            return 0.0
        return product

    def __str__(self):
        pairs = [(source, number(factor)) for source, factor in zip(self.sources, self.factors)]
        product = " * ".join(source if source == factor else f"{source} {factor}" for source, factor in pairs)
        return f"{product}  =  {number(self.value)}"


def _is_gate(source):
    return source == "lost" or Name.parse(source).own in GATES


class Look(NamedTuple):
    """One window of a max pool that looked at a position.

    Attributes
    ----------
    window : str
        The entry of the pool's output, "2.out[0,0,1,1]".
    winner : str
        The entry that it took.
    tied : tuple of str
        The other entries that were as large, so that the winner won only by standing first.
    values : tuple of tuple of float
        What the window saw, row by row, without padding.
    """

    window: str
    winner: str
    tied: tuple
    values: tuple

    def __str__(self):
        seen = "; ".join(", ".join(map(number, row)) for row in self.values)
        tie = f" by a tie with {', '.join(self.tied)}, standing first" if self.tied else ""
        return f"{self.window} looks at [{seen}]: {self.winner} wins{tie}"


@dataclass(frozen=True)
class Ledger:
    """Where one number comes from; ``str(ledger)`` is readable.

    Attributes
    ----------
    entry : str
        "d 0.weight[0,0,1,1]".
    value : float
        The number itself.
    equation : str
    terms : tuple of Term
        In the order of the sum. Taps in the padding are there, with a factor 0 from "padding".
    readings : dict of str to tuple of Term
        For the gradient of a convolution's input: "scatter" (the `terms`, as col2im adds them) and "correlation" (full
        correlation with the rotated kernel), the same sum read twice.
    looks : tuple of Look
        For a max pool: every window that looked.
    notes : tuple of str
    """

    entry: str
    value: float
    equation: str
    terms: tuple
    readings: dict = field(default_factory=dict)
    looks: tuple = ()
    notes: tuple = ()

    @property
    def total(self):
        """The sum of the terms: `value`, to rounding."""
        return total(self.terms)

    def __str__(self):
        lines = [f"{self.entry} = {number(self.value)}", f"  {self.equation}"]
        for name, terms in (self.readings or {"": self.terms}).items():
            lines += [f"  read as {name}:"] if name else []
            lines += [f"  {position}.  {term}" for position, term in enumerate(terms, 1)]
            lines.append(f"  sum of {len(terms)} term{'s' if len(terms) != 1 else ''}: {number(total(terms))}")
        return "\n".join([*lines, *(f"  {line}" for line in (*self.looks, *self.notes))])


def ledger_of(trace, name, index):
    """The `Ledger` of ``trace[name][index]``, for a `Name`."""
    rules, looks, notes = _asked(trace, name, index)
    readings = {
        label: tuple(Term(tuple(map(trace.resolve, sources)), tuple(sources)) for sources in rule(*index))
        for label, rule in rules.items()
    }
    terms, value = next(iter(readings.values())), float(trace[name][index])
    if isinf(value) and isfinite(total(terms)):
        limits = np.finfo(trace[name].dtype)
        notes = (*notes, f"the sum does not fit into {limits.dtype}, whose largest number is {limits.max:.3g}")
    equation = trace.equations[str(name)].text
    return Ledger(
        entry(name, *index), value, equation, terms, readings if len(readings) > 1 else {}, tuple(looks), tuple(notes)
    )


def _asked(trace, name, index):
    """-> rules (label -> rule), looks, notes: of the layer, or of the loss, that made the array"""
    maker = trace.makers.get(str(name))
    if maker is None:
        return {"": lambda *index: [[entry(name, *index)]]}, (), ("it is given, or read off, not computed as a sum",)
    rule = {str(made): rule for made, rule in maker.rules().items()}[str(name)]
    return rule if isinstance(rule, dict) else {"": rule}, maker.looks(name, index), maker.notes(name, index)


def total(terms):
    """The sum of terms: exact, or infinite or NaN where it is so."""
    values = [term.value for term in terms]
    try:
        return fsum(values)
    except (OverflowError, ValueError):  # of too large numbers, and of infinities of both signs
        return sum(values)


def number(value):
    """A number as a reader wants it: six digits, no trailing zeros, no minus before zero."""
    return f"{value + 0.0:.6g}"
