"""The border: arrays and sizes are checked here, before any kernel runs; inside, they are trusted."""

import os
from math import prod
from numbers import Real

import numpy as np

SMALL = 2**28
"""Bytes that every machine has: what is smaller is not compared with this one's memory."""
UNKNOWN_MEMORY = 2**46
"""Bytes, where the system does not say: more than any machine has."""
GIB = 2**30


def as_float(x, name, whole=np.float32):
    """`x` as a C-contiguous, writable, native array of float32 or float64, copied only where it must be.

    Integers, bools and float16 become `whole`. Read-only arrays are copied because Numba would compile every kernel a
    second time for them.

    Raises
    ------
    TypeError
        For complex numbers, objects, text, dates and extended precision.
    ValueError
        If the copy would not fit into memory.
    """
    if type(x) is np.ndarray and x.dtype.char in "fd" and x.dtype.isnative and x.flags.carray:
        return x
    x = np.asarray(x)
    kind, size = x.dtype.kind, x.dtype.itemsize
    if kind == "f" and size in (4, 8):
        dtype = np.dtype(f"=f{size}")
    elif kind in "iub" or (kind == "f" and size == 2):
        dtype = np.dtype(whole)
    else:
        raise TypeError(f"{name} must be of a real number type (float32, float64, integers, bool), got {x.dtype}")
    require_memory(x.size * dtype.itemsize, name)
    return np.array(x, dtype=dtype, order="C", subok=False, copy=True)


def as_floats(**arrays):
    """Each array through `as_float` (None stays None), integers, bools and float16 in the precision of the others.

    Raises
    ------
    TypeError
        If two of them differ in precision.
    """
    given = [None if a is None else np.asarray(a) for a in arrays.values()]
    whole = np.float64 if any(a is not None and a.dtype.char == "d" for a in given) else np.float32
    found = [None if a is None else as_float(a, name, whole) for name, a in zip(arrays, given)]
    if len({a.dtype.char for a in found if a is not None}) > 1:
        kinds = ", ".join(f"{name} {a.dtype}" for name, a in zip(arrays, found) if a is not None)
        raise TypeError(f"arrays must be of one dtype, got {kinds}")
    return found


def require_images(x, name="x"):
    """Raise ValueError unless `x` is (N, C, H, W), naming what would make it so."""
    if x.ndim == 4:
        return
    fix = {
        3: f"for (N, H, W) images of one channel use {name}[:, None], for one (C, H, W) image {name}[None]",
        2: f"for one (H, W) image use {name}[None, None], for flat rows {name}.reshape(N, C, H, W)",
    }.get(x.ndim, f"use {name}.reshape(N, C, H, W)")
    raise ValueError(f"{name} must have 4 dimensions (N, C, H, W), got shape {x.shape}; {fix}")


def require_shape(x, shape, name, because):
    """Raise ValueError, naming both shapes, unless `x` has `shape`."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, expected {shape} {because}")


def require_memory(size, name):
    """Raise ValueError if `size` bytes are more than this machine's memory."""
    if size > SMALL and size > physical_memory():
        raise ValueError(f"{name} would take {size / GIB:,.1f} GiB, more than this machine's memory")


def within(x, dtype, name):
    """`x` in `dtype`; ValueError if a finite number of it is beyond that."""
    if x.dtype == dtype:
        return x
    with np.errstate(over="ignore"):
        found = x.astype(dtype)
    lost = np.isfinite(x) & ~np.isfinite(found)
    if lost.any():
        raise ValueError(f"{name} holds {x[lost][0]:g}, which is beyond {np.dtype(dtype)}; scale it")
    return found


def require_finite(x, name):
    """Raise ValueError, naming how many and the first place, unless every number is finite."""
    if x.size and not (np.isfinite(x.min()) and np.isfinite(x.max())):
        wrong = np.argwhere(~np.isfinite(x))
        place = ", ".join(map(str, wrong[0]))
        raise ValueError(
            f"{name} must be finite: {len(wrong):,} numbers are not, the first is {name}[{place}] = {x[tuple(wrong[0])]}"
        )


def is_finite(x):
    """Whether every number of `x` is finite: their sum says so in one pass, unless it overflows itself."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(x.sum()) or np.isfinite(x).all())


def layout_hint(shape, input_shape, name):
    """What would make images of `shape` a batch (N, C, H, W), or nothing."""
    C, H, W = input_shape
    if len(shape) == 4 and shape[1:] == (H, W, C):
        return f"; channels come first, use {name}.transpose(0, 3, 1, 2)"
    if len(shape) == 3 and C == 1 and shape[1:] == (H, W):
        return f"; for images of one channel use {name}[:, None]"
    if shape == (C, H, W):
        return f"; for one image use {name}[None]"
    if len(shape) == 2 and shape[1] == C * H * W:
        return f"; for flat rows use {name}.reshape(-1, {C}, {H}, {W})"
    return ""


def share(value, name):
    """A plain float in [0, 1); True, text and NaN are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return float(value)


def empty(shape, dtype, name):
    """An uninitialised array, refused rather than wrapped where its size is absurd."""
    _require_one(shape, dtype, name)
    return np.empty(shape, dtype)


def zeros(shape, dtype, name):
    """As `empty`, filled with zeros."""
    _require_one(shape, dtype, name)
    return np.zeros(shape, dtype)


def _require_one(shape, dtype, name):
    """An array without elements is one of the same size a sample."""
    require_memory(prod(max(size, 1) for size in shape) * dtype.itemsize, f"{name} {shape}")


def physical_memory():
    """Bytes."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return UNKNOWN_MEMORY
