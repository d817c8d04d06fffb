"""Where the taps of a sliding window fall: parsed and checked once, remembered for every later call."""

import operator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

_LARGEST = 2**31 - 1
WINDOWS, AXES = 4096, 256
"""How many are remembered, and of how many axes the taps, which are arrays: training asks for the same few all the time."""

NO_GAP = 4
"""Taps between the first and the last that a window sees, per pixel: above it they are looked for one window at a time."""


class Window(NamedTuple):
    """A KH x KW window sliding over an H x W image; every distance is in pixels.

    Output (i, j) looks at rows ``i*SH - PT + u*DH`` and columns ``j*SW - PL + v*DW`` of the image.
    PT, PB, PL and PR are the padding at the top, bottom, left and right.
    """

    H: int
    W: int
    KH: int
    KW: int
    SH: int
    SW: int
    DH: int
    DW: int
    PT: int
    PB: int
    PL: int
    PR: int
    OH: int
    OW: int

    @property
    def is_pointwise(self):
        """Whether the patches are the image itself: without a copy one sample is predicted 1.4 to 1.6 times as fast."""
        return self.KH == self.KW == self.SH == self.SW == 1 and not (self.PT or self.PB or self.PL or self.PR)


def integer(value, name, least):
    """One int, at least `least`; True and 2.0 are refused as well as text."""
    if type(value) is not int:
        try:
            # NumPy 2.0 still makes 1 of its True.
            is_bool = isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"
            number = None if is_bool else operator.index(value)
        except TypeError:
            number = None
        if number is None:
            raise ValueError(f"{name} must be an integer, got {_line(value)}")
        value = number
    if not least <= value <= _LARGEST:
        raise ValueError(f"{name} must be between {least} and {_LARGEST}, got {value}")
    return value


def switch(value, name):
    """A plain bool: 10 and 0 are refused, as is text."""
    if type(value) is not bool and type(value).__name__ not in ("bool_", "bool"):
        raise ValueError(f"{name} must be True or False, got {_line(value)}")
    return bool(value)


def plain(value):
    """A size that was checked, or pairs of such, as Python's own numbers and tuples; None and text stay."""
    if value is None or isinstance(value, (str, bool)):
        return str(value) if isinstance(value, str) else value
    return tuple(map(plain, value)) if _is_sequence(value) else operator.index(value)


def pair(value, name, least):
    """``2`` -> ``(2, 2)``, ``(2, 3)`` -> ``(2, 3)``, each at least `least`."""
    if type(value) is int and least <= value <= _LARGEST:
        return value, value
    if _is_sequence(value):
        if len(value) != 2:
            raise ValueError(f"{name} must be an int or (height, width), got {_line(value)}")
        return integer(value[0], name, least), integer(value[1], name, least)
    value = integer(value, name, least)
    return value, value


def conv_window(H, W, kernel_size, stride, padding, dilation):
    """The Window of a convolution or of im2col over an H x W image."""
    kernel, stride = pair(kernel_size, "kernel_size", 1), pair(stride, "stride", 1)
    dilation = pair(dilation, "dilation", 1)
    return _window(H, W, kernel, stride, dilation, _padding(padding), False, False)


def pool_window(H, W, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The Window of a pool: stride is the kernel size unless given, padding at most half a dilated window."""
    kernel, dilation = pair(kernel_size, "kernel_size", 1), pair(dilation, "dilation", 1)
    stride = kernel if stride is None else pair(stride, "stride", 1)
    return _window(H, W, kernel, stride, dilation, _padding(padding), bool(ceil_mode), True)


@lru_cache(maxsize=AXES)
def taps_inside(size, K, S, D, before, count):
    """The taps along one axis with which some window sees the image, ascending: bounded by the image, however large K is."""

    def seen(i):
        start = i * S - before
        return range(max(-(start // D), 0), min((size - 1 - start) // D + 1, K))

    first, stop = seen(count - 1).start, seen(0).stop
    if stop - first <= NO_GAP * size:
        return np.arange(first, stop)
    # ceil_mode may put a second window far from the first.
    return np.unique(np.concatenate([seen(i) for i in range(count)]))


def _is_sequence(value):
    return isinstance(value, (tuple, list)) or bool(getattr(value, "shape", ()))


def _line(value):
    """repr on one line: that of a matrix has several."""
    return " ".join(repr(value).split())


def _padding(padding):
    """``"same"``, ``"valid"`` or ``(top, bottom, left, right)``."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding must be "valid", "same", an int or pairs of ints, got {_line(padding)}')
        return padding
    if _is_sequence(padding) and len(padding) == 2 and any(_is_sequence(side) for side in padding):
        if not all(_is_sequence(side) and len(side) == 2 for side in padding):
            raise ValueError(f"padding must be ((top, bottom), (left, right)), got {_line(padding)}")
        (top, bottom), (left, right) = padding
        return tuple(integer(side, "padding", 0) for side in (top, bottom, left, right))
    high, wide = pair(padding, "padding", 0)
    return high, high, wide, wide


@lru_cache(maxsize=WINDOWS)
def _window(H, W, kernel, stride, dilation, padding, ceil_mode, is_pool):
    (KH, KW), (SH, SW), (DH, DW) = kernel, stride, dilation
    span_h, span_w = (KH - 1) * DH + 1, (KW - 1) * DW + 1
    if padding == "valid":
        PT = PB = PL = PR = 0
    elif padding == "same":
        (PT, PB), (PL, PR) = _same(H, SH, span_h), _same(W, SW, span_w)
    else:
        PT, PB, PL, PR = padding
    if is_pool and (2 * max(PT, PB) > span_h or 2 * max(PL, PR) > span_w):
        raise ValueError(f"padding {((PT, PB), (PL, PR))} must be at most half the dilated window {(span_h, span_w)}")
    if span_h > H + PT + PB or span_w > W + PL + PR or min(H, W) < 1:
        raise ValueError(
            f"the window {(span_h, span_w)} (kernel_size {(KH, KW)}, dilation {(DH, DW)}) does not fit the image "
            f"{(H, W)} with padding {((PT, PB), (PL, PR))}"
        )
    OH, OW = _positions(H, PT, PB, span_h, SH, ceil_mode), _positions(W, PL, PR, span_w, SW, ceil_mode)
    return Window(H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW)


def _same(size, stride, span):
    """Padding (before, after) for out = ceil(in / stride), the odd one after."""
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _positions(size, before, after, span, stride, ceil_mode):
    room = size + before + after - span
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # As PyTorch: the last window must start inside the image or the padding before it.
    return count - 1 if (count - 1) * stride >= size + before else count
