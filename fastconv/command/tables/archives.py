"""Arrays: .npz files, also as Keras writes them, and the idx files of MNIST."""

import re
import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np

from .lines import MOST_SHOWN
from .sources import Refused, opened, require_no_bomb

TRAINING = (("X", "y"), ("x", "y"), ("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels"))
TESTING = (("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels"))
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

DAMAGED = (ValueError, TypeError, AttributeError, EOFError, OSError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error)
"""Whatever a damaged archive makes zipfile and NumPy raise."""


# --- .npz ---


def read_npz(source, target, with_target, to_test=False):
    """-> X (n, ...), y (n,) or None: X and y, or x_train and y_train; with `to_test` x_test and y_test, or None."""
    with opened(source) as (file, size):
        try:
            archive = zipfile.ZipFile(file)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except DAMAGED:
            raise Refused(f"{source}: not a .npz file of arrays") from None
        pairs = TESTING if to_test else TRAINING if with_target else TRAINING[:2] + TESTING + TRAINING[2:]
        samples, answers = next((pair for pair in pairs if pair[0] in members), (None, None))
        if to_test and (samples is None or target is not None or any(pair[0] in members for pair in TRAINING[:2])):
            return None
        answers = target or answers
        for name in (samples or "X", *([answers] if target or to_test else [])):
            if name not in members:
                raise ValueError(f"{source}: no array {name}, only {', '.join(sorted(members)[:MOST_SHOWN])}")
        names = [samples, answers] if with_target and answers in members else [samples]
        require_no_bomb(source, sum(members[name].file_size for name in names), size)
        X, y = *(_member(source, archive, members[name]) for name in names), *[None] * (2 - len(names))
    return _checked(source, samples, X, answers, y)


def _member(source, archive, info):
    """An array, if the file says as much as it holds: NumPy makes room for what the header says."""
    try:
        with archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = read_header(file)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError
            if prod(shape) * dtype.itemsize != info.file_size - file.tell() or dtype.hasobject:
                raise ValueError
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (*DAMAGED, KeyError):
        raise Refused(f"{source}: {info.filename} is damaged, or no array of numbers") from None


def _checked(source, samples, X, answers, y):
    if X.ndim < 2 or X.size == 0:
        raise ValueError(f"{source}: {samples} has shape {X.shape}, expected rows or images, at least one")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{source}: {samples} has dtype {X.dtype}, expected numbers")
    if samples.lower() != "x" and X.ndim == 4 and X.shape[3] in (1, 3, 4) and min(X.shape[1:3]) > 4:
        X = X.transpose(0, 3, 1, 2)  # Keras has channels last
    if y is None:
        return X, y
    if y.shape[:1] != X.shape[:1] or y.ndim > 2:
        raise ValueError(f"{source}: {answers} has shape {y.shape} for {samples} {X.shape}")
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{source}: {answers} has dtype {y.dtype}, expected numbers or texts")
    return X, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


# --- idx ---


def read_idx(source, target, with_target):
    """Images, and the labels of the file beside them. -> X (n, ...), y (n,) or None"""
    if target is not None:
        raise ValueError(f"{source}: labels of idx files are read from the file beside them; --target is for tables and arrays")
    X = _idx(source)
    if X.ndim < 2 or X.size == 0:
        raise ValueError(
            f"{source} has shape {X.shape}, expected images, at least one; name the file of images, not the labels'"
        )
    if not with_target:
        return X, None
    path = Path(source)
    name = re.sub(r"idx\d", "idx1", path.name.removesuffix(".gz")).replace("images", "labels")
    found = [path.with_name(each) for each in (name, name + ".gz") if each != path.name and path.with_name(each).exists()]
    if not found:
        raise FileNotFoundError(f"{source}: no labels beside it, expected {name} or {name}.gz")
    y = _idx(found[0])
    if y.shape != X.shape[:1]:
        raise ValueError(f"{found[0]} has shape {y.shape} for {source} {X.shape}")
    return X, y.astype(y.dtype.newbyteorder("="))


def _idx(source):
    with opened(source) as (file, size):
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not 1 <= head[3] <= 4:
            raise ValueError(f"{source}: not an idx file")
        dtype, n_axes = np.dtype(IDX_TYPES[head[2]]), head[3]
        sizes = file.read(4 * n_axes).ljust(4 * n_axes, b"\0")  # cut off: no bytes, as it says below
        shape = tuple(np.frombuffer(sizes, ">u4").tolist())
        needed = prod(shape) * dtype.itemsize
        require_no_bomb(source, needed, size)
        content = file.read(needed + 1)
    if len(content) != needed:
        held = "more" if len(content) > needed else f"{len(content):,}"
        raise ValueError(f"{source}: its header says {shape}, {needed:,} bytes, it holds {held}")
    return np.frombuffer(content, dtype).reshape(shape)
