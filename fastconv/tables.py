"""Data for the command line: the digits, .npz and .csv files."""

import csv
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

TARGETS = ("target", "label", "class", "y")
"""Names of a column that are taken for the target's unless one is named."""


def read_data(source, target=None):
    """Samples, and their targets where there are any.

    -> X (n, ...), y (n,) or None, names of the features or None

    Parameters
    ----------
    source : str
        "digits", or a .npz file with arrays X and y, or a .csv file with a line of names.
    target : str, optional
        The column of a .csv file, or the array of a .npz file, that holds the target.

    Raises
    ------
    ValueError
        For another kind of file, and for content that is no table of numbers.
    OSError
        If the file cannot be read.
    """
    if source == "digits":
        from .data import load_digits

        return *load_digits(), None
    suffix = Path(source).suffix.lower()
    if suffix == ".npz":
        return *_read_npz(source, target), None
    if suffix == ".csv":
        return _read_csv(source, target)
    raise ValueError(f'{source}: expected "digits", a .npz or a .csv file')


def _read_npz(source, target):
    try:
        with open(source, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise ValueError(f"{source}: not a .npz file of arrays: {error}") from None
    if "X" not in arrays:
        raise ValueError(f"{source}: no array X, only {sorted(arrays)}")
    if target is not None and target not in arrays:
        raise ValueError(f"{source}: no array {target}, only {sorted(arrays)}")
    return arrays["X"], arrays.get(target or "y")


def _read_csv(source, target):
    with open(source, newline="", encoding="utf-8-sig") as file:
        names, *rows = list(csv.reader(file)) or [[]]
    if not rows or not names:
        raise ValueError(f"{source}: expected a line of names and at least one row")
    if _is_number(names[0]):
        raise ValueError(f"{source}: the first line must name the columns, it begins with {names[0]}")
    ragged = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
    if ragged is not None:
        raise ValueError(f"{source}: line {ragged + 2} has {len(rows[ragged])} cells, the first line has {len(names)}")
    found = target or next((name for name in names if name.lower() in TARGETS), None)
    if target is not None and target not in names:
        raise ValueError(f"{source}: no column {target!r}, only {', '.join(names)}")
    columns = [k for k, name in enumerate(names) if name != found]
    y = None if found is None else _plain([row[names.index(found)] for row in rows])
    X = np.array([[_number(source, k + 2, names[c], row[c]) for c in columns] for k, row in enumerate(rows)], float)
    return X, y, [names[c] for c in columns]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(source, line, name, text):
    if not _is_number(text):
        raise ValueError(f"{source}: line {line}, column {name}: {text!r} is not a number")
    return float(text)


def _plain(texts):
    """Whole numbers, numbers, or texts, whichever all of them are."""
    for kind in (int, float):
        try:
            return np.array([kind(text) for text in texts])
        except ValueError:
            continue
    return np.array(texts)
