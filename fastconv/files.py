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
from .network import Sequential

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
    about = _json(header.pop("__metadata__")["fastconv"])
    claimed = about["header"]
    if claimed != _header_hash(data):
        raise ModelFileError("the header's checksum does not match")
    if about["version"] != VERSION:
        raise ModelFileError(f"format version {about['version']}, this release reads {VERSION}")
    net = _build(about)
    if header.keys() != net.params.keys():
        raise ModelFileError(f"tensors {sorted(header)}, the layers have {sorted(net.params)}")
    body, state, total = data[8 + length :], {}, 0
    for name, entry in header.items():
        state[name] = _tensor(name, entry, net, body)
        if hashlib.sha256(state[name].tobytes()).hexdigest() != about["tensors"][name]:
            raise ModelFileError(f"{name}: the checksum does not match")
        total += state[name].nbytes
    if total != len(body):
        raise ModelFileError(f"{len(body)} bytes of tensors, expected {total}")
    net.load_state_dict(state)
    return net, about["estimator"]


def describe_layers(layers):
    """Layers as JSON."""
    return [[type(layer).__name__, vars(layer)] for layer in layers]


def build_layers(described):
    """The layers that `describe_layers` described."""
    unknown = [name for name, _ in described if name not in _LAYERS]
    if unknown:
        raise ModelFileError(f"unknown layer {unknown[0]!r}")
    return [_LAYERS[name](**fields) for name, fields in described]


def _build(about):
    described = build_layers(about["layers"])
    if about["dtype"] not in _DTYPES.values():
        raise ModelFileError(f"unknown dtype {about['dtype']!r}")
    return Sequential(described, about["input_shape"], random_state=0, dtype=about["dtype"])


def _tensor(name, entry, net, body):
    start, stop = entry["data_offsets"]
    shape, dtype = net.params[name].shape, net.dtype
    if _DTYPES.get(entry["dtype"]) != dtype.name or tuple(entry["shape"]) != shape:
        raise ModelFileError(f"{name} is {entry['dtype']} {entry['shape']}, expected {dtype} {shape}")
    if not 0 <= start <= stop <= len(body) or stop - start != prod(shape) * dtype.itemsize:
        raise ModelFileError(f"{name} lies at bytes {start} to {stop} of {len(body)}")
    return np.frombuffer(body[start:stop], dtype.newbyteorder("<")).reshape(shape)


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
    """Write a temporary file in the same folder, then rename: at every moment the old file or the new one is whole."""
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
