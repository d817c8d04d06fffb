"""What is wrong with a table: one line that names the file's line and the column."""

import re
import warnings
from math import isfinite

import numpy as np

from .lines import MISSING, is_number, line_of, read_again, short


def explain(table, otherwise):
    """Raise for the first line that is wrong; where Python's reader finds none, say what NumPy's said."""
    for line, cells in read_again(table):
        if len(cells) != table.n_columns:
            raise ValueError(f"{table.source}: line {line} has {len(cells)} cells, the first line has {table.n_columns}")
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
    if re.fullmatch(r"[+-]?\d+,\d+", text, re.ASCII):
        raise ValueError(f"{where}: {short(text)!r} has a decimal comma; write {short(text.replace(',', '.'))}")
    hint = (
        f"; if {name} is what to predict, name it: --target {name}"
        if table.may_be_target
        else "; write it as a number, or leave the column out"
    )
    raise ValueError(f"{where}: {short(text)!r} is not a number{hint}")


def warn_of(table, X):
    """Say which number is the largest."""
    row, k = np.unravel_index(max(X.argmin(), X.argmax(), key=lambda place: abs(X[np.unravel_index(place, X.shape)])), X.shape)
    line = line_of(table, row)
    message = f"{table.source}: line {line}, {table.called(table.wanted[k])}: {X[row, k]:g} is too large to be squared in 32 bits; is it a mark for a missing number?"
    warnings.warn(message, UserWarning, stacklevel=3)
