"""A program as a table of integers, a line a row: its kind, the layer that it belongs to, then the fields of that kind.

`columns` names them for whoever reads a row: ``line[c.q.n]`` with ``c = columns(Product)`` is how often the product's outer
loop runs.
"""

from itertools import count

import numpy as np

from . import lines

KINDS = (
    *(lines.Product, lines.LaneProduct, lines.Transpose, lines.SumLanes, lines.DotLanes, lines.MaxPool, lines.MaxPoolBack),
    *(lines.ReLU, lines.ReLUBack, lines.AvgPool, lines.AvgPoolBack, lines.Dropout, lines.Zero),
)
"""A line's kind is its place here."""
KIND, OWNER, _FIELDS = range(3)
"""The first columns of a row; then come the fields."""


def _filled(kind, numbers):
    """A `kind` of the next `numbers`, field by field."""
    return kind(
        *(_filled(part, numbers) if hasattr(part, "_fields") else next(numbers) for part in kind.__annotations__.values())
    )


def columns(kind):
    """A `kind` that holds, in the place of each field, the number of its column."""
    return _filled(kind, count(_FIELDS))


def line_of(row):
    """The line that a row of a table holds; of many rows of one kind, transposed, a line of arrays."""
    fields = row[_FIELDS:].tolist() if row.ndim == 1 else row[_FIELDS:]
    return _filled(KINDS[int(np.ravel(row[KIND])[0])], iter(fields))


def _flat(line):
    return [number for part in line for number in (_flat(part) if isinstance(part, tuple) else [part])]


COLUMNS = _FIELDS + max(len(_flat(columns(kind))) for kind in KINDS)


def table_of(owned):
    """The rows of (owner, line) pairs: int64 (lines, COLUMNS)"""
    owned = list(owned)
    rows = np.zeros((len(owned), COLUMNS), np.int64)
    for row, (owner, line) in zip(rows, owned):
        numbers = [KINDS.index(type(line)), owner, *_flat(line)]
        row[: len(numbers)] = numbers
    return rows
