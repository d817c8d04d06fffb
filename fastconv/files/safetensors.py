"""Model files: .safetensors with PyTorch's names, plus one metadata key that describes and checks everything.

A safetensors file is a header length (8 bytes), a JSON header, and the tensors. Its metadata key "fastconv" holds canonical
JSON: the format's version, the architecture, for an estimator its preprocessing and classes, a SHA-256 of every tensor, and one
of the header, taken with its own field blank.
"""

import errno
import hashlib
import json
import os
import stat
import sys
from dataclasses import fields as fields_of
from math import isfinite, prod
from typing import NamedTuple, get_args

import numpy as np

from ..layers import LAYERS, checked_shape, infer_shapes, parameter_layout
from ..support.arrays import empty
from .writing import write_whole

VERSION = 1
_DTYPES = {"F32": "float32", "F64": "float64"}
_DESCRIPTION = {"version": int, "input_shape": list, "dtype": str, "layers": list, "tensors": dict, "header": str}
"""What the metadata key holds, beside "estimator"."""
_BLANK = "0" * 64
LONGEST_HEADER, _MOST_LAYERS = 2**20, 1000
_LENGTH = 8
"""Bytes of the header's length, and what the header's own length is a multiple of."""
_MOST_DIGITS = 20
"""Of an integer of 64 bits, its sign included."""


class ModelFileError(ValueError):
    """Whatever is wrong with a model file."""


class Stored(NamedTuple):
    """A network as a file holds it."""

    layers: list
    input_shape: tuple
    dtype: np.dtype
    buffer: np.ndarray  # every parameter, one after the other
    estimator: dict | None = None  # what surrounds the network


def save_model(net, path, estimator=None):
    """Write `net` to `path`, whole or not at all; `estimator` is JSON that describes what surrounds it.

    The numbers are copied once and then described and written: those of a network in training may lie between two steps, the
    file is whole.
    """
    flat = net.buffer.astype(net.dtype.newbyteorder("<"))
    if len(net.layers) > _MOST_LAYERS:
        raise ValueError(f"a model file holds at most {_MOST_LAYERS} layers, the network has {len(net.layers)}")
    table, checksums, stop = {}, {}, 0
    for name, value in net.named(flat).items():
        start, stop = stop, stop + value.nbytes
        table[name] = {"dtype": f"F{8 * value.itemsize}", "shape": value.shape, "data_offsets": (start, stop)}
        checksums[name] = hashlib.sha256(value).hexdigest()
    about = {
        "version": VERSION,
        "input_shape": net.input_shape,
        "dtype": net.dtype.name,
        "layers": describe_layers(net.layers),
        "estimator": estimator,
        "tensors": checksums,
        "header": _BLANK,
    }
    about["header"] = _header_hash(_header(about, table))
    write_whole(path, _header(about, table), flat)


def _header(about, table):
    """The length and the header, which is filled up."""
    text = _canonical({"__metadata__": {"fastconv": _canonical(about)}} | table).encode()
    text += b" " * (-len(text) % _LENGTH)
    if len(text) > LONGEST_HEADER:
        raise ValueError(
            f"the description of the model takes {len(text):,} bytes, a model file holds at most {LONGEST_HEADER:,}"
        )
    return len(text).to_bytes(_LENGTH, "little") + text


def load_model(path):
    """What the file `path` holds, as `Stored`: everything is checked first, and the numbers are read into their places."""
    with _open_regular(path) as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise ModelFileError(f"{path}: the header does not describe a network: {error!r}") from None


def _open_regular(path):
    """The file, for reading; what would wait for a writer, or never end, is refused."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise ModelFileError(f"{path}: a model file is a regular file, this is a device, a pipe or a socket")


def _read(file, size):
    start = file.read(_LENGTH)
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH or length > min(size - _LENGTH, LONGEST_HEADER):
        where = f"which must lie in the file and have at most {LONGEST_HEADER:,}"
        raise ModelFileError(f"not a model file: {size} bytes with a header of {length}, {where}")
    data = start + file.read(length)
    table = _json(data[_LENGTH:])
    if "fastconv" not in table.get("__metadata__", {}):
        raise ModelFileError("not written by fastconv: it has no description; Sequential.load_state_dict takes its tensors")
    about = _json(table.pop("__metadata__")["fastconv"])
    if about["header"] != _header_hash(data):
        raise ModelFileError("the header's checksum does not match")
    layers, input_shape, dtype = _described(about)
    _, places = parameter_layout(layers, infer_shapes(layers, input_shape))
    starts = _checked_table(table, {name: shape for name, _, shape in places}, dtype)
    if about["tensors"].keys() != starts.keys():
        raise ModelFileError(f"checksums of {sorted(about['tensors'])}, the layers have {sorted(starts)}")
    n_numbers = sum(prod(shape) for _, _, shape in places)
    if n_numbers * dtype.itemsize != size - len(data):
        raise ModelFileError(f"{size - len(data)} bytes of tensors, expected {n_numbers * dtype.itemsize}")
    # Only now, with every size equal to what the file holds, is memory taken for a network.
    buffer = empty((n_numbers,), dtype, "the parameters")
    for name, place, _ in places:
        file.seek(len(data) + starts[name])
        _read_tensor(file, name, buffer[place], about["tensors"][name])
    return Stored(layers, input_shape, dtype, buffer, about["estimator"])


def _described(about):
    """-> layers, input shape, dtype"""
    if about["version"] != VERSION or type(about["version"]) is not int:
        raise ModelFileError(f"format version {about['version']}, this release reads {VERSION}")
    if about.keys() != {*_DESCRIPTION, "estimator"}:
        raise ModelFileError(f"a description of {sorted(about)}, expected {sorted({*_DESCRIPTION, 'estimator'})}")
    for name, kind in _DESCRIPTION.items():
        if type(about[name]) is not kind:
            raise ModelFileError(f"{name} is {about[name]!r}, expected a {kind.__name__}")
    if type(about["estimator"]) not in (dict, type(None)):
        raise ModelFileError(f"estimator is {about['estimator']!r}, expected a dict or none")
    if about["dtype"] not in _DTYPES.values():
        raise ModelFileError(f"unknown dtype {about['dtype']!r}")
    return build_layers(about["layers"]), checked_shape(about["input_shape"]), np.dtype(about["dtype"])


def _checked_table(table, shapes, dtype):
    """-> name -> its first byte: just the tensors that the layers need, each of its shape, one after the other, no gaps."""
    if table.keys() != shapes.keys():
        raise ModelFileError(f"tensors {sorted(table)}, the layers have {sorted(shapes)}")
    found = {name: _checked_place(name, entry, shapes[name], dtype) for name, entry in table.items()}
    end = 0
    for start, stop, name in sorted((*place, name) for name, place in found.items()):
        if start != end:
            raise ModelFileError(f"{name} lies at bytes {start} to {stop}, expected {end}, without gaps or overlaps")
        end = stop
    return {name: start for name, (start, _) in found.items()}


def _checked_place(name, entry, shape, dtype):
    start, stop = entry["data_offsets"]
    if _DTYPES.get(entry["dtype"]) != dtype.name or tuple(entry["shape"]) != shape:
        raise ModelFileError(f"{name} is {entry['dtype']} {entry['shape']}, expected {dtype} {shape}")
    if any(type(size) is not int for size in (start, stop, *entry["shape"])):
        raise ModelFileError(f"{name} has sizes that are no integers: {entry['shape']}, {entry['data_offsets']}")
    if start < 0 or stop - start != prod(shape) * dtype.itemsize:
        raise ModelFileError(f"{name} lies at bytes {start} to {stop}, expected {prod(shape) * dtype.itemsize} of them")
    return start, stop


def _read_tensor(file, name, value, checksum):
    """Fill `value` with the next bytes of the file."""
    if file.readinto(value) != value.nbytes:
        raise ModelFileError(f"the file ends within {name}")
    if hashlib.sha256(value).hexdigest() != checksum:
        raise ModelFileError(f"{name}: the checksum does not match")
    if sys.byteorder == "big":
        value.byteswap(inplace=True)


def describe_layers(layers):
    """Layers as JSON; TypeError for one that `build_layers` could not build."""
    for layer in layers:
        if LAYERS.get(type(layer).__name__) is not type(layer):
            raise TypeError(f"a model file cannot hold {layer!r}, only fastconv's own layers: {', '.join(LAYERS)}")
    return [[type(layer).__name__, vars(layer)] for layer in layers]


def build_layers(described):
    """The layers that `describe_layers` described."""
    if len(described) > _MOST_LAYERS:
        raise ModelFileError(f"{len(described)} layers, at most {_MOST_LAYERS} are read")
    return [_build_layer(name, fields) for name, fields in described]


def _build_layer(name, fields):
    if name not in LAYERS:
        raise ModelFileError(f"unknown layer {name!r}")
    kinds = {field.name: get_args(field.type) or (field.type,) for field in fields_of(LAYERS[name])}
    for field, value in fields.items():
        if field not in kinds:
            raise ModelFileError(f"{name} has no field {field!r}")
        kind = tuple if type(value) is list else type(value)
        if kind not in kinds[field] and not (kind is int and float in kinds[field]):
            raise ModelFileError(
                f"{name} with {field}={value!r}, expected {' or '.join(kind.__name__ for kind in kinds[field])}"
            )
    return LAYERS[name](**fields)


def _header_hash(header):
    """SHA-256 of the length and the header, its own field blank."""
    key = b'\\"header\\":\\"'
    start = header.find(key) + len(key)
    blank = header[:start] + _BLANK.encode() + header[start + len(_BLANK) :]
    return hashlib.sha256(blank).hexdigest()


def _canonical(value):
    """JSON of plain values and of NumPy's numbers, which parameters and scores often are."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError as error:
        raise ValueError(f"a model file holds finite numbers only: {error}") from None


def _plain(value):
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a model file cannot hold {value!r}, a {type(value).__name__}")


def _json(text):
    """What strict JSON says: no name twice, finite numbers, integers of 64 bits."""

    def refuse(constant):
        raise ModelFileError(f"the number {constant[:40]} in the header")

    def unique(pairs):
        if len({name for name, _ in pairs}) < len(pairs):
            raise ModelFileError("a name stands twice in the header")
        return dict(pairs)

    def finite(digits):
        return float(digits) if isfinite(float(digits)) else refuse(digits)

    def whole(digits):
        return int(digits) if len(digits) <= _MOST_DIGITS else refuse(digits)

    text = text.decode() if isinstance(text, bytes) else text
    return json.loads(text, parse_constant=refuse, parse_float=finite, parse_int=whole, object_pairs_hook=unique)
