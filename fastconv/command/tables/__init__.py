"""Data for the command line: the digits, tables of text, NumPy's archives and idx files."""

import re
from pathlib import Path

from .archives import read_idx, read_npz
from .sources import opened
from .text import read_text

TEXT = (".csv", ".tsv", ".txt", ".data")


def read_data(source, target=None, features=None, *, with_target=True):
    """Samples, and their targets where there are any.

    -> X (n, ...), y (n,) or None, names of the features or None

    Parameters
    ----------
    source : str
        "digits"; or a table, .csv, .tsv, .txt or .data; or an .npz file with arrays X and y, or x_train and y_train; or an idx
        file of images with its labels beside it, such as train-images-idx3-ubyte. Tables and idx files may be gzipped.
    target : str, optional
        The column of a table, or the array of an .npz file, that holds the target; in a table without names the column's
        number, from 0 or, backwards, from -1.
    features : list of str, optional
        The columns of a table to read, in this order; without it all but the target and an unnamed index.
    with_target : bool
        Without it y is None, whatever the target's cells hold, and an .npz file with x_train and x_test gives x_test.

    Raises
    ------
    ValueError
        For another kind of file, and for content that is no table of numbers.
    OSError
        If the file cannot be read.
    """
    if source == "digits":
        from ...data import load_digits

        if target is not None:
            raise ValueError("the digits have no column to choose: --target is for files")
        return *load_digits(), None
    kind = _kind(source)
    if kind == "text":
        return read_text(source, target, features, with_target)
    return *(read_npz if kind == "npz" else read_idx)(source, target, with_target), None


def read_test(source, target=None):
    """What a file itself sets apart to test with: x_test and y_test of an .npz file. -> X (n, ...), y (n,), or None"""
    return read_npz(source, target, True, to_test=True) if source != "digits" and _kind(source) == "npz" else None


def _kind(source):
    name = Path(source).name.lower().removesuffix(".gz")
    if re.search(r"idx\d*-ubyte$|\.idx\d*$", name):
        return "idx"
    suffix = Path(name).suffix
    if suffix in TEXT:
        return "text"
    if suffix == ".npz":
        return "npz"
    with opened(source):  # what is missing, or no file, is said first
        pass
    raise ValueError(
        f'{source}: expected "digits", a table ({", ".join(TEXT)}), an .npz file, or idx files such as train-images-idx3-ubyte'
    )
