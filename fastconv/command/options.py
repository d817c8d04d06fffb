"""What the options of the `fastconv` command are made of: its parser, and the types of their values."""

import argparse
from math import isfinite

from .output import printable


class Parser(argparse.ArgumentParser):
    """As argparse's, with one line for wrong usage."""

    def error(self, message):
        """End with 2."""
        self.exit(2, f"{self.prog}: {printable(message)}; usage: {self.prog} --help\n")


def _typed(convert, is_in, wanted):
    """A type for argparse: what `convert` makes of a text, if that is in its range."""

    def typed(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not is_in(value):
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text}")
        return value

    return typed


def _sizes(text):
    return tuple(int(size) for size in text.lower().split("x"))


count = _typed(int, lambda value: value >= 1, "a whole number of at least 1")
seed = _typed(int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 4294967295")
rate = _typed(float, lambda value: value > 0 and isfinite(value), "a number above 0")
share = _typed(float, lambda value: 0 < value < 1, "a number between 0 and 1")
shape = _typed(_sizes, lambda sizes: len(sizes) in (2, 3) and min(sizes) > 0, "sizes such as 28x28 or 3x32x32")
