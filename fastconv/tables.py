"""Data for the command line: the digits, .npz and .csv files."""

import csv
import zlib
from math import isfinite
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

TARGETS = ("target", "label", "class", "y")
"""Names of a column that are taken for the target's unless one is named."""


def read_data(source, target=None, features=None):
    """Samples, and their targets where there are any.

    -> X (n, ...), y (n,) or None, names of the features or None

    Parameters
    ----------
    source : str
        "digits", or a .npz file with arrays X and y, or a .csv file with a line of names.
    target : str, optional
        The column of a .csv file, or the array of a .npz file, that holds the target.
    features : list of str, optional
        The columns of a .csv file to read, in this order; without it all but the target.

    Raises
    ------
    ValueError
        For another kind of file, and for content that is no table of numbers.
    OSError
        If the file cannot be read.
    """
    if source == "digits":
        from .data import load_digits

        if target is not None:
            raise ValueError("the digits have no column to choose: --target is for files")
        return *load_digits(), None
    suffix = Path(source).suffix.lower()
    if suffix == ".npz":
        return *_read_npz(source, target), None
    if suffix == ".csv":
        return _read_csv(source, target, features)
    raise ValueError(f'{source}: expected "digits", a .npz or a .csv file')


# --- arrays ---


def _read_npz(source, target):
    try:
        with open(source, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    # Whatever a damaged archive makes zipfile and NumPy raise.
    except (ValueError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        raise ValueError(f"{source}: not a .npz file of arrays") from None
    for name in ("X", *([] if target is None else [target])):
        if name not in arrays:
            raise ValueError(f"{source}: no array {name}, only {sorted(arrays)}")
    X, y = arrays["X"], arrays.get(target or "y")
    if X.ndim < 2 or len(X) == 0:
        raise ValueError(f"{source}: X has shape {X.shape}, expected rows or images, at least one")
    if y is not None and y.shape[:1] != X.shape[:1]:
        raise ValueError(f"{source}: {target or 'y'} has shape {y.shape} for X {X.shape}")
    return X, y


# --- tables ---


def _read_csv(source, target, features):
    names, rows = _lines(source)
    if target is not None and target not in names:
        raise ValueError(f"{source}: no column {target!r}, only {', '.join(names)}")
    found = target or next((name for name in names if name.lower() in TARGETS), None)
    wanted = [name for name in names if name != found] if features is None else features
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"{source}: no column {missing[0]!r}, only {', '.join(names)}")
    places = [names.index(name) for name in wanted]
    X = np.array([[_number(source, line, names[k], row[k], features is None) for k in places] for line, row in rows], float)
    return X, None if found is None else _target(source, names.index(found), found, rows), wanted


def _lines(source):
    """-> names of the columns, [(number of the line, its cells)]; blank lines are left out"""
    try:
        with open(source, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except UnicodeDecodeError:
        raise ValueError(f"{source}: not UTF-8 text") from None
    except csv.Error as error:
        raise ValueError(f"{source}: not a table: {error}") from None
    (_, names), *rows = lines or [(0, [])]
    if not rows:
        raise ValueError(f"{source}: expected a line of names and at least one row")
    if _is_number(names[0]):
        raise ValueError(f"{source}: the first line must name the columns, it begins with {names[0]}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{source}: two columns are called {twice!r}")
    ragged = next(((line, row) for line, row in rows if len(row) != len(names)), None)
    if ragged is not None:
        raise ValueError(f"{source}: line {ragged[0]} has {len(ragged[1])} cells, the first line has {len(names)}")
    return names, rows


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(source, line, name, text, may_be_target):
    if not _is_number(text) or not isfinite(float(text)):
        hint = f"; if {name} is what to predict, name it: --target {name}" if may_be_target and text.strip() else ""
        raise ValueError(f"{source}: line {line}, column {name}: {text!r} is not a number{hint}")
    return float(text)


def _target(source, place, name, rows):
    """Whole numbers, numbers, or texts, whichever all of them are; codes such as 007 are texts."""
    texts = [row[place].strip() for _, row in rows]
    empty = next((line for line, row in rows if not row[place].strip()), None)
    if empty is not None:
        raise ValueError(f"{source}: line {empty}, column {name}: no target")
    if not any(text.lstrip("+-")[:1] == "0" and text.lstrip("+-")[1:2].isdigit() for text in texts):
        for kind in (int, float):
            try:
                return np.array([kind(text) for text in texts])
            except ValueError:
                continue
    return np.array(texts)
