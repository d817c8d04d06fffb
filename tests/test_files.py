"""Model files: what is saved comes back, and nothing damaged loads."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential


def _net(dtype="float32"):
    layers = [Conv2d(2, (1, 2), padding=((0, 1), (1, 0)), bias=False), ReLU(), MaxPool2d(2, 1), AvgPool2d((2, 1))]
    return Sequential([*layers, Dropout(0.5), Flatten(), Linear(2)], (1, 3, 4), random_state=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back(tmp_path, dtype):
    net = _net(dtype)
    net.save(tmp_path / "net.safetensors")
    again = Sequential.load(tmp_path / "net.safetensors")
    assert (again.layers, again.input_shape, again.dtype) == (net.layers, net.input_shape, net.dtype)
    assert_array_equal(again.buffer, net.buffer)
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_the_file_is_plain_safetensors_with_pytorchs_names(tmp_path):
    from safetensors.numpy import load_file

    net = _net()
    net.save(tmp_path / "net.safetensors")
    state = load_file(tmp_path / "net.safetensors")
    assert state.keys() == net.params.keys()
    for name, value in state.items():
        assert_array_equal(value, net.params[name])


def test_no_flipped_bit_and_no_cut_file_loads(tmp_path):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    data = path.read_bytes()
    damaged = [data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :] for i in range(len(data)) for bit in range(8)]
    damaged += [data[:length] for length in range(0, len(data), 7)] + [data + b"\0"]
    for broken in damaged:
        path.write_bytes(broken)
        with pytest.raises(fastconv.ModelFileError, match=r"net\.safetensors: "):
            Sequential.load(path)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    before = path.read_bytes()

    def fault(*_):
        raise OSError("injected")

    monkeypatch.setattr(os, fails, fault)
    other = _net()
    other.buffer += np.float32(1)
    with pytest.raises(OSError, match="injected"):
        other.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.safetensors"]


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Sequential.load(tmp_path / "none")
