"""The names of arrays and of their entries: made and taken apart here, and nowhere else."""

import re
from typing import NamedTuple

import numpy as np

FUNCTIONS = {"exp": np.exp, "log": np.log, "log1p": np.log1p, "1/": np.reciprocal}
"""What may be applied to an entry that is a factor of a term; an operation may add its own."""

_NAME = re.compile(r"(?P<d>d )?((?P<layer>\d+)\.)?(?P<own>[^\[\]]*)")
_ENTRY = re.compile(r"(?P<name>[^\[\]]+?)\s*(\[(?P<index>[\s\d,-]*)\])?")


class Name(NamedTuple):
    """The name of one array of a trace; ``str(name)`` is "d 0.weight", "3.out", "input"."""

    gradient: bool
    layer: int | None  # -1 for the input, which is the output of what is below the first layer; None for "loss" and the like
    own: str

    @classmethod
    def parse(cls, text):
        """``"d 0.weight"`` -> ``Name(True, 0, "weight")``"""
        match = _NAME.match(text)
        layer = -1 if match["own"] == "input" else None
        return cls(bool(match["d"]), int(match["layer"]) if match["layer"] else layer, match["own"])

    @property
    def d(self):
        """The gradient with respect to it."""
        return self._replace(gradient=True)

    @property
    def is_activation(self):
        """Whether it is what a layer takes or hands on, or the gradient to that."""
        return self.own in ("input", "out")

    def __str__(self):
        has_number = self.layer is not None and self.layer >= 0
        return f"{'d ' if self.gradient else ''}{f'{self.layer}.' if has_number else ''}{self.own}"


def output(layer):
    """The name of what layer number `layer` hands on; below the first layer that is the input."""
    return Name(False, layer, "out" if layer >= 0 else "input")


def entry(name, *index):
    """``"0.out", 1, 0, 2, 3`` -> ``"0.out[1,0,2,3]"``"""
    return f"{name}[{','.join(map(str, index))}]" if index else str(name)


def parse_entry(text):
    """``"0.out[1,0,2,3]"`` -> ``"0.out", (1, 0, 2, 3)``; ValueError for what is no name with an index."""
    match = _ENTRY.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a name with an index, such as 'd 0.out[0,0,1,2]'")
    try:
        return match["name"], tuple(int(number) for number in (match["index"] or "").split(",") if number.strip())
    except ValueError:
        raise ValueError(f"{text!r} has an index that is no list of integers") from None


def applied(function, inside):
    """``"log", "sums[0]"`` -> ``"log(sums[0])"``, ``"1/", "sums[0]"`` -> ``"1/sums[0]"``"""
    return f"1/{inside}" if function == "1/" else f"{function}({inside})"


def parse_applied(source):
    """``"log(sums[0])"`` -> ``"log", "sums[0]"``; None and the source itself where nothing is applied."""
    for function in FUNCTIONS:
        before, after = applied(function, "|").split("|")
        if source.startswith(before) and source.endswith(after):
            return function, source.removeprefix(before).removesuffix(after)
    return None, source
