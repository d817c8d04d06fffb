"""Prediction where Numba is not installed: NumPy alone, the same numbers to rounding."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, reference

ROOT = Path(__file__).parents[1]
NETWORKS = {
    "asymmetric": [Conv2d(4, (2, 3), padding=((0, 1), (2, 1)))],
    "same, even kernel, stride": [Conv2d(4, (2, 4), stride=(2, 3), padding="same")],
    "valid, dilation": [Conv2d(4, (2, 3), padding="valid", dilation=(2, 1))],
    "groups": [Conv2d(4, 2, groups=2, bias=False), ReLU(), Conv2d(8, (1, 2), padding=1, groups=4)],
    "depthwise": [Conv2d(2, 3, padding=1, groups=2), Conv2d(3, 1)],
    "overlapping padded pools": [MaxPool2d((3, 2), 1, padding=1), AvgPool2d((2, 3), (1, 2), padding=((1, 0), (1, 1)))],
    "same pools": [MaxPool2d((2, 3), padding="same"), AvgPool2d(2, 1, padding="same")],
    "head": [Conv2d(3, 2), ReLU(), Dropout(0.5), Flatten(), Linear(5), ReLU(), Linear(2, bias=False)],
}


def _net(name, dtype="float32"):
    return Sequential(NETWORKS[name], (2, 6, 7), random_state=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_agrees_with_the_loops(name, dtype):
    from fastconv.support import portable

    net = _net(name, dtype)
    x = np.random.default_rng(1).standard_normal((3, 2, 6, 7)).astype(dtype)
    y, _ = net.forward(x, ops=portable)
    assert y.dtype == net.dtype
    assert_allclose(y, net.forward(x, ops=reference)[0], rtol=0, atol=1e-12 if dtype == "float64" else 1e-5)


def test_chunks_of_the_batch_join_and_an_empty_batch_is_empty(monkeypatch):
    from fastconv.support import portable

    net = _net("head", "float64")
    x = np.random.default_rng(1).standard_normal((7, 2, 6, 7))
    whole = net.predict(x)
    monkeypatch.setattr(portable, "CHUNK_BYTES", 3000)
    assert_allclose(net.predict(x), whole, rtol=1e-13, atol=1e-15)
    assert_allclose(net.predict(x, n_threads=1), whole, rtol=1e-13, atol=1e-15)
    assert net.predict(x[:0]).shape == (0, 2)


def test_nan_and_infinity_pass_as_in_the_loops():
    from fastconv.support import portable

    net = Sequential([ReLU(), MaxPool2d(2, 1, padding=1), AvgPool2d(2, 1)], (1, 4, 5), dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 5))
    x[0, 0, 1, 2], x[1, 0, 0, 0], x[1, 0, 3, 3] = np.nan, -np.inf, np.inf
    assert_allclose(net.forward(x, ops=portable)[0], net.forward(x, ops=reference)[0], rtol=1e-15)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
import fastconv
from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
net = Sequential.load(sys.argv[1])
x, expected = np.load(sys.argv[2]), np.load(sys.argv[3])
assert np.abs(net.predict(x) - expected).max() < 1e-5
net.save(sys.argv[1])
assert (Sequential.load(sys.argv[1]).buffer == net.buffer).all()
for backend in (None, "compiled", "im2col"):
    try:
        fastconv.train(net, x, np.zeros(len(x), int), epochs=1, batch_size=2, optimizer=fastconv.SGD(0.1), backend=backend)
    except ModuleNotFoundError as error:
        assert "needs numba" in str(error) and "\\n" not in str(error)
    else:
        raise AssertionError(backend)
before = net.predict(x)
fastconv.train(net, x, np.zeros(len(x), int), epochs=1, batch_size=2, optimizer=fastconv.SGD(0.1), backend="loop")
assert (net.predict(x) != before).any()
"""


def test_a_saved_network_predicts_and_saves_without_numba(tmp_path):
    net = _net("head")
    x = np.random.default_rng(1).standard_normal((5, 2, 6, 7)).astype("float32")
    paths = [tmp_path / name for name in ("net.safetensors", "x.npy", "y.npy")]
    net.save(paths[0])
    np.save(paths[1], x)
    np.save(paths[2], net.predict(x))
    run = subprocess.run([sys.executable, "-c", WITHOUT_NUMBA, *paths], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
