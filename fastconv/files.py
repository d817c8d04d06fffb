"""Model files: .safetensors with PyTorch's names, plus one metadata key that describes and checks everything.

A safetensors file is a header length (8 bytes), a JSON header, and the tensors. Its metadata key "fastconv" holds canonical JSON:
the format's version, the architecture, for an estimator its preprocessing and classes, a SHA-256 of every tensor, and one of the header, taken with its own field blank.
"""

import hashlib
import json
import os
import secrets
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np

from . import layers as _layers
from .network import Sequential, checked_shape, infer_shapes, parameter_layout

VERSION = 1
_LAYERS = {
    layer.__name__: layer
    for layer in (
        *(_layers.Conv2d, _layers.ReLU, _layers.Flatten, _layers.Dropout),
        *(_layers.MaxPool2d, _layers.AvgPool2d, _layers.Linear),
    )
}
_DTYPES = {"F32": "float32", "F64": "float64"}
_BLANK = "0" * 64
_LONGEST_HEADER = 2**24


class ModelFileError(ValueError):
    """Whatever is wrong with a model file."""


def save_model(net, path, estimator=None):
    """Write `net` to `path`, whole or not at all; `estimator` is JSON that describes what surrounds it."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in net.params.items()}
    about = {
        "version": VERSION,
        "input_shape": net.input_shape,
        "dtype": net.dtype.name,
        "layers": describe_layers(net.layers),
        "estimator": estimator,
        "tensors": {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in tensors.items()},
        "header": _BLANK,
    }
    blank = save(tensors, metadata={"fastconv": _canonical(about)})
    about["header"] = _header_hash(blank)
    write_whole(Path(path), save(tensors, metadata={"fastconv": _canonical(about)}))


def load_model(path):
    """-> the network in the file `path`, and what describes an estimator around it, or None.

    Everything is checked before anything is built.
    """
    data = Path(path).read_bytes()
    try:
        return _parse(data)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise ModelFileError(f"{path}: the header does not describe a network: {error!r}") from None


def _parse(data):
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _LONGEST_HEADER):
        raise ModelFileError(f"not a model file: {len(data)} bytes cannot hold a header of {length}")
    header = _json(data[8 : 8 + length])
    if "fastconv" not in header.get("__metadata__", {}):
        raise ModelFileError("not written by fastconv: it has no description; Sequential.load_state_dict takes its tensors")
    about = _json(header.pop("__metadata__")["fastconv"])
    claimed = about["header"]
    if claimed != _header_hash(data):
        raise ModelFileError("the header's checksum does not match")
    if about["version"] != VERSION:
        raise ModelFileError(f"format version {about['version']}, this release reads {VERSION}")
    described = _described(about)
    state = _tensors(header, data[8 + length :], about["tensors"], described)
    # Only now, with every size equal to what the file holds, is memory taken for a network.
    layers, input_shape, dtype = described
    net = Sequential(layers, input_shape, random_state=0, dtype=dtype)
    net.load_state_dict(state)
    return net, about["estimator"]


def _described(about):
    """-> layers, input shape, dtype"""
    if about["dtype"] not in _DTYPES.values():
        raise ModelFileError(f"unknown dtype {about['dtype']!r}")
    return build_layers(about["layers"]), checked_shape(about["input_shape"]), np.dtype(about["dtype"])


def _tensors(table, body, checksums, described):
    """The tensors in `body`, by name: just those that the layers need, each of its shape and with its checksum."""
    layers, input_shape, dtype = described
    _, places = parameter_layout(layers, infer_shapes(layers, input_shape))
    shapes = {name: shape for name, _, shape in places}
    if table.keys() != shapes.keys():
        raise ModelFileError(f"tensors {sorted(table)}, the layers have {sorted(shapes)}")
    state = {name: _tensor(name, entry, shapes[name], dtype, body) for name, entry in table.items()}
    for name, value in state.items():
        if hashlib.sha256(value.tobytes()).hexdigest() != checksums[name]:
            raise ModelFileError(f"{name}: the checksum does not match")
    total = sum(value.nbytes for value in state.values())
    if total != len(body):
        raise ModelFileError(f"{len(body)} bytes of tensors, expected {total}")
    return state


def _tensor(name, entry, shape, dtype, body):
    start, stop = entry["data_offsets"]
    if _DTYPES.get(entry["dtype"]) != dtype.name or tuple(entry["shape"]) != shape:
        raise ModelFileError(f"{name} is {entry['dtype']} {entry['shape']}, expected {dtype} {shape}")
    if not 0 <= start <= stop <= len(body) or stop - start != prod(shape) * dtype.itemsize:
        raise ModelFileError(f"{name} lies at bytes {start} to {stop} of {len(body)}")
    return np.frombuffer(body[start:stop], dtype.newbyteorder("<")).reshape(shape)


def describe_layers(layers):
    """Layers as JSON."""
    return [[type(layer).__name__, vars(layer)] for layer in layers]


def build_layers(described):
    """The layers that `describe_layers` described."""
    unknown = [name for name, _ in described if name not in _LAYERS]
    if unknown:
        raise ModelFileError(f"unknown layer {unknown[0]!r}")
    return [_LAYERS[name](**fields) for name, fields in described]


def _header_hash(data):
    """SHA-256 of the length and the header, its own field blank."""
    header = data[: 8 + int.from_bytes(data[:8], "little")]
    key = b'\\"header\\":\\"'
    start = header.find(key) + len(key)
    blank = header[:start] + _BLANK.encode() + header[start + len(_BLANK) :]
    return hashlib.sha256(blank).hexdigest()


def _canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _json(text):
    def refuse(constant):
        raise ModelFileError(f"{constant} in the header")

    def unique(pairs):
        if len({name for name, _ in pairs}) < len(pairs):
            raise ModelFileError("a name stands twice in the header")
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


def write_whole(path, data):
    """Write a temporary file in the same folder, then rename: at every moment the old file or the new one is whole.

    A link is followed, and what is no file, such as /dev/stdout, is written to.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path, data)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # not the temporary file's name


def _replace(path, data):
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Not tempfile, whose files nobody else may read.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    with suppress(OSError, AttributeError):  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
