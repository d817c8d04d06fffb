"""The border: arrays and sizes are checked here, before any kernel runs; inside, they are trusted."""

import os
from math import prod

import numpy as np


def as_float(x, name):
    """`x` as a C-contiguous, writable, native array of float32 or float64, copied only where it must be.

    Integers, bools and float16 become float32. Read-only arrays are copied because Numba would compile every kernel a
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
        dtype = np.dtype(np.float32)
    else:
        raise TypeError(f"{name} must be of a real number type (float32, float64, integers, bool), got {x.dtype}")
    require_memory(x.size * dtype.itemsize, name)
    return np.array(x, dtype=dtype, order="C", subok=False, copy=True)


def as_floats(**arrays):
    """Each array through `as_float` (None stays None); all must then be of one dtype.

    Raises
    ------
    TypeError
        If two of them differ in precision.
    """
    found = [None if a is None else as_float(a, name) for name, a in arrays.items()]
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
    if size > 2**28 and size > _physical_memory():
        raise ValueError(f"{name} would take {size / 2**30:,.1f} GiB, more than this machine's memory")


def empty(shape, dtype, name):
    """An uninitialised array, refused rather than wrapped where its size is absurd."""
    require_memory(prod(shape) * dtype.itemsize, f"{name} {shape}")
    return np.empty(shape, dtype)


def zeros(shape, dtype, name):
    """As `empty`, filled with zeros."""
    require_memory(prod(shape) * dtype.itemsize, f"{name} {shape}")
    return np.zeros(shape, dtype)


def _physical_memory():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**46
