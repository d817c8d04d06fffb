"""Tables of text. NumPy's reader reads them; what stands here says which column is what."""

import csv
import re
from collections import Counter
from itertools import chain, groupby, islice
from math import isfinite, isqrt

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .faults import explain, warn_of_large
from .lines import MISSING, MOST_SHOWN, Table, find_delimiter, is_number, line_of, numbered_lines, records, short
from .sources import Refused, opened, require_room

TARGETS = ("target", "label", "class", "y")
"""Names of a column that are taken for the target's unless one is named."""

INDEX = ("", "Unnamed: 0")
"""Names of a first column that only counts the rows."""

NUMBER_BYTES = 8
"""Of a feature, float64."""

ROWS_A_CHECK = 1024
"""Rows after which it is asked anew whether there is room for the array."""


def read_text(source, target, features, with_target):
    """-> X (n, features), or (n, side, side) of columns that are named as pixels; y (n,) or None; names of features or None"""
    try:
        with opened(source) as (file, size):
            lines = (line for _, line in numbered_lines(source, file, size))
            head = list(islice(lines, 2))
            table, body = _begin(source, chain(head, lines), find_delimiter(source, head), (target, features, with_target))
            X, texts = _load(table, body)
        if not (isfinite(X.min()) and isfinite(X.max())):
            explain(table, "infinite or missing numbers")
        warn_of_large(table, X, table.wanted)
        names = None if table.names is None else [table.names[k] for k in table.wanted]
        return _as_images(X, names), None if texts is None else _answers(table, texts), names
    except UnicodeDecodeError:
        raise ValueError(f"{source}: not UTF-8 text") from None
    except csv.Error as error:
        raise ValueError(f"{source}: not a table: {error}") from None


def _begin(source, lines, delimiter, asked):
    """-> what the columns are, the lines after the names"""
    kept = []
    rows = records((kept.append(line) or line for line in lines), delimiter)
    first = [cell.strip() for cell in next(rows, [])]
    n_lines = len(kept)
    second = [cell.strip() for cell in next(rows, [])]
    has_names = _are_names(first, second)
    if has_names and not second or not first:
        raise ValueError(f"{source}: expected a line of names and at least one row")
    choose = _by_name if has_names else _by_number
    return choose(source, delimiter, first, *asked), chain(kept[n_lines:] if has_names else kept, lines)


def _are_names(first, second):
    """No numbers; or pandas' 0, 1, 2 and so on; or a text above a number."""
    numbers = [cell for cell in first if is_number(cell) or cell.lower() == "nan"]
    if not numbers or (len(numbers) > 2 and numbers == [str(k) for k in range(len(numbers))]):
        return True
    return any(a.lower() not in MISSING and not is_number(a) and is_number(b) for a, b in zip(first, second))


# --- columns ---


def _by_name(source, delimiter, names, target, features, with_target):
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{source}: two columns are called {short(twice)!r}")
    numbers = {name: k for k, name in enumerate(names)}
    missing = [name for name in (*([] if target is None else [target]), *(features or ())) if name not in numbers]
    if missing:
        more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        shown = ", ".join(map(short, names[:MOST_SHOWN])) + more
        raise ValueError(f"{source}: no column {short(missing[0])!r}, only {shown}")
    found = target
    if target is None and (with_target or features is None):
        known = set(features or ())
        fit = [name for name in names if name.lower() in TARGETS and name not in known]
        if len(fit) > 1:
            raise ValueError(f"{source}: {' or '.join(fit[:3])} could be the target; choose with --target")
        found = fit[0] if fit else None
    if features is None:
        features = [name for k, name in enumerate(names) if name != found and not (k == 0 and name in INDEX)]
    wanted, place = [numbers[name] for name in features], numbers[found] if found is not None and with_target else None
    return _table(source, delimiter, names, len(names), wanted, place, found is None)


def _by_number(source, delimiter, first, target, features, with_target):
    n = len(first)
    if features is not None:
        named = ", ".join(map(short, features[:3])) + ", ..." * (len(features) > 3)
        raise ValueError(f"{source}: no line of names; the model was trained on columns named {named}")
    rule = "give the target's column by number, --target 0 for the first, --target -1 for the last"
    if target is None and with_target:
        raise ValueError(f"{source}: no line of names; {rule}")
    if target is not None and not (re.fullmatch(r"-?\d{1,9}", target, re.ASCII) and -n <= int(target) < n):
        raise ValueError(f"{source}: no line of names, {n} columns, so --target {target} is none; {rule}")
    place = None if target is None else int(target) % n
    return _table(source, delimiter, None, n, [k for k in range(n) if k != place], place if with_target else None, False)


def _table(source, *described):
    table = Table(source, *described)
    if not table.wanted:
        raise ValueError(f"{source}: no columns to predict from")
    return table


def _as_images(X, names):
    """Square images where the columns are named as their pixels: pixel0 to pixel783, pixel1 to pixel784, 1x1 to 28x28."""
    side = isqrt(len(names)) if names else 0
    if side < 3 or side * side != len(names):
        return X
    counted = [[f"pixel{k}" for k in range(start, start + side * side)] for start in (0, 1)]
    placed = [f"{row}x{column}" for row in range(1, side + 1) for column in range(1, side + 1)]
    return X.reshape(-1, side, side) if [name.lower() for name in names] in (*counted, placed) else X


# --- numbers ---


def _load(table, body):
    """-> X (n, features), texts of the targets (n,) or None"""
    dtype = _layout(table)
    try:
        # Without usecols, so that a row with more cells is an error, too; never by the file's name, which might be an address.
        data = np.loadtxt(_sized(table, body, dtype), dtype, comments=None, delimiter=table.delimiter, quotechar='"', ndmin=1)
    except (Refused, UnicodeDecodeError):
        raise
    except ValueError as error:
        explain(table, " ".join(str(error).split("; use")[0].split()))
    X = as_strided(data[f"x{table.wanted[0]}"], (len(data), len(table.wanted)), (dtype.itemsize, NUMBER_BYTES))
    return X, None if table.target is None else data[f"y{table.target}"][:, 0]


def _layout(table):
    """A row: its features in the order in which they are wanted, the target, and one place for all that is ignored.

    Fields are in the order of the file, a field for neighbours that remain neighbours, but none need be moved once it is read.
    """
    n = len(table.wanted)
    place = {column: k for k, column in enumerate(table.wanted)}
    kinds = [
        ("x", place[k]) if k in place else ("y", n) if k == table.target else ("ignored", n + 1) for k in range(table.n_columns)
    ]
    names, formats, offsets = [], [], []
    for (kind, _), run in groupby(enumerate(kinds), key=lambda each: (each[1][0], each[1][1] - each[0])):
        (first, (_, start)), *more = run
        names.append(f"{kind}{first}")
        formats.append(({"x": "f8", "y": "O", "ignored": "U2"}[kind], (1 + len(more),)))
        offsets.append(NUMBER_BYTES * start)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets})


def _sized(table, body, dtype):
    """The lines, while there is room for the array they become; spaces before a quote are dropped, as Python's reader does."""
    gap = f'{table.delimiter or chr(0)} "'
    for row, line in enumerate(body, 1):
        if row % ROWS_A_CHECK == 0:
            require_room(table.source, row * dtype.itemsize)
        yield re.sub(f'{table.delimiter} +"(?!")', f'{table.delimiter}"', line) if gap in line else line


def _answers(table, texts):
    """Whole numbers, numbers, or texts, whichever all of them are; codes such as 007 are texts, and what no int64 holds."""
    texts = [text.strip() for text in texts]
    distinct = set(texts)
    present = {text for text in distinct if text.lower() not in MISSING}
    is_numeric = all(map(is_number, present))
    lacking = distinct - present if is_numeric else distinct & {""}
    if lacking:
        row = next(row for row, text in enumerate(texts) if text in lacking)
        raise ValueError(f"{table.source}: line {line_of(table, row)}, {table.called(table.target)}: no target")
    if is_numeric and not any(re.match(r"[+-]?0\d", text) for text in distinct):
        if not any(re.search(r"[.e]", text, re.IGNORECASE) for text in distinct):
            if all(-(2**63) <= int(text) < 2**63 for text in distinct):
                return np.array([int(text) for text in texts])
        else:
            y = np.array([float(text) for text in texts])
            warn_of_large(table, y[:, None], [table.target])
            return y
    return np.array(texts)
