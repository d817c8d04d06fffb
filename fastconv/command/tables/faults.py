"""What is wrong with a table: one line that names the file's line and the column."""

import warnings
from math import isfinite

import numpy as np

from .lines import MISSING, is_number, line_of, read_again, short

LARGE = 1e18
"""The square of a larger number is beyond 32-bit ones."""


def explain(table, otherwise):
    """Raise for the first line that is wrong; where Python's reader finds none, say what NumPy's said."""
    for line, cells in read_again(table):
        if len(cells) != table.n_columns:
            found = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
            raise ValueError(f"{table.source}: line {line} has {found}, the first line has {table.n_columns}")
        if not _are_plain(cells, table.wanted):
            for k in table.wanted:
                _require_number(table, line, k, cells[k].strip())
    raise ValueError(f"{table.source}: not a table of numbers: {otherwise}")


def _are_plain(cells, wanted):
    chosen = [cells[k] for k in wanted]
    try:
        return all(map(isfinite, map(float, chosen))) and "".join(chosen).isascii() and not any("_" in cell for cell in chosen)
    except ValueError:
        return False


def _require_number(table, line, k, text):
    if is_number(text):
        return
    where, name = f"{table.source}: line {line}, {table.called(k)}", short(table.names[k]) if table.names else k
    if text.lower() in MISSING:
        raise ValueError(f"{where}: no number ({text!r}); fill it in, or leave the line out")
    if "," in text and is_number(text.replace(".", "").replace(",", "")):
        raise ValueError(f"{where}: {short(text)!r} has a comma; write numbers such as 1.5 and 1000")
    hint = (
        f"; if {name} is what to predict, name it: --target {name}"
        if table.may_be_target
        else "; write it as a number, or leave the column out"
    )
    raise ValueError(f"{where}: {short(text)!r} is not a number{hint}")


def warn_of_large(table, values, columns):
    """Say which of `values` (n, len(columns)) is the largest, if it is so large that it can be no measurement."""
    low, high = values.min(), values.max()  # neither copies, as finding the places does
    if max(-low, high) > LARGE:
        row, k = np.argwhere(values == (low if -low > high else high))[0]
        where = f"{table.source}: line {line_of(table, row)}, {table.called(columns[k])}"
        message = f"{where}: {values[row, k]:g} is too large to be squared in 32 bits; is it a mark for a missing number?"
        warnings.warn(message, UserWarning, stacklevel=3)
