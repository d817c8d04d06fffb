"""The lines of a table of text, its delimiter, and its cells as Python's own reader finds them."""

import csv
import re
from io import TextIOWrapper
from itertools import islice
from math import isfinite
from typing import NamedTuple

from .sources import Refused, opened, require_no_bomb

LONGEST_LINE = 2**26
CHECKED_EVERY = 2**16
"""Characters after which it is asked anew whether there is room for what is read."""
LONGEST_SHOWN, MOST_SHOWN = 60, 10
"""Characters of a cell or name in a message, and names."""

MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class Table(NamedTuple):
    """How the lines of a file are read, and as what."""

    source: str
    delimiter: str | None  # None: white space
    names: list | None  # of its columns, None without a line of them
    n_columns: int
    wanted: list  # numbers of the columns that are features, in order
    target: int | None  # the number of the column
    may_be_target: bool  # a column of texts

    def called(self, k):
        """Column `k` in a message."""
        return f"column {short(self.names[k])}" if self.names and self.names[k] else f"column {k} (the first is 0)"


def short(text):
    """A cell or a name may be of any length, a message may not."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def is_number(text):
    """As NumPy's reader takes numbers; finite ones."""
    return bool(NUMBER.fullmatch(text)) and isfinite(float(text))


def numbered_lines(source, file, size):
    """(number, line) of those with something in them; none without an end, and no more of them than there is room for."""
    total, checked, has_comments = 0, 0, not _is_csv(source)
    with TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
            total += len(line)
            if len(line) == LONGEST_LINE:
                raise Refused(f"{source}: a line of more than {LONGEST_LINE:,} characters; not a table")
            if total >= checked + CHECKED_EVERY:
                require_no_bomb(source, total, size)
                checked = total
            if line.strip(',;\t "\r\n') and not (has_comments and line.startswith("#")):
                yield number, line


def _is_csv(source):
    return source.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def find_delimiter(source, head):
    """What divides the cells of the first two lines; None: white space."""
    bare = [re.sub(r'"[^"]*"', "", line) for line in head] or [""]
    for mark in "\t;,":
        if bare[0].count(mark) and len({line.count(mark) for line in bare}) == 1:
            return mark
    most = max("\t;,", key=bare[0].count)
    return most if most in bare[0] else "," if _is_csv(source) else None


def records(lines, delimiter):
    """The cells of each row."""
    return (
        (line.split() for line in lines) if delimiter is None else csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    )


def read_again(table):
    """The file once more, slowly: (number of the line, cells) of each row after the names."""
    with opened(table.source) as (file, size):
        number = 0

        def lines():
            nonlocal number
            for number, line in numbered_lines(table.source, file, size):  # noqa: B007
                yield line

        for cells in islice(records(lines(), table.delimiter), 0 if table.names is None else 1, None):
            yield number, cells


def line_of(table, row):
    """The number of the line that holds a row."""
    return next(islice(read_again(table), row, None))[0]
