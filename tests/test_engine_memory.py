"""Training runs between pages that may not be touched, and networks that left their memory once stay within it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from numpy.testing import assert_allclose

from fastconv import SGD, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, train

HERE = Path(__file__).parent
GUARDED = int(os.environ.get("FASTCONV_GUARDED", examples(30, 60)))


def run(code, *arguments):
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


GUARD = """
import ctypes, mmap, random, sys
import numpy as np
from drawn_networks import draw_network
from fastconv import SGD, Sequential, train
from fastconv.engine.machine import jobs
from fastconv.engine.vector.lanes import T

LIBC, PAGE, kept = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []

def guarded(shape, dtype=np.float64):
    "Zeros that end where a page begins that nobody may touch, another one before them."
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    for page in (start, start + (pages + 1) * PAGE):
        assert LIBC.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
    kept.append(block)
    return np.frombuffer(block, dtype, int(np.prod(shape)), (pages + 1) * PAGE - size).reshape(shape)

def copy(a):
    twin = guarded(a.shape, a.dtype)
    twin[...] = a
    return twin

jobs.aligned_zeros = lambda size: guarded(size, np.float32)
if sys.argv[1] == "proof":
    guarded(100, np.float32)[-1:].ctypes.data
    a = guarded(100, np.float32)
    ctypes.memset(a.ctypes.data + a.nbytes, 0, 1)
rng = random.Random(int(sys.argv[2]))
for k in range(int(sys.argv[1])):
    layers, shape = draw_network(rng)
    n, loss = rng.choice([1, 2, 3, T - 1, T, T + 1]), rng.choice(["mse", "cross_entropy"])
    buffers = []
    for backend in ("im2col", "compiled"):
        data = np.random.default_rng(k)
        net = Sequential(layers, shape, random_state=0)
        X = copy(data.normal(size=(2 * n, *shape)).astype("f4"))
        y = data.integers(net.output_shape[0], size=2 * n) if loss == "cross_entropy" and len(net.output_shape) == 1 else None
        y, kind = (y, loss) if y is not None else (copy(data.normal(size=(2 * n, *net.output_shape)).astype("f4")), "mse")
        train(net, X, y, epochs=2, batch_size=n, optimizer=SGD(0.01), loss=kind, random_state=1, backend=backend, n_threads=1)
        buffers.append(net.buffer)
        if backend == "compiled":
            np.testing.assert_allclose(net.predict(X), net.forward(X)[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(*buffers[::-1], rtol=5e-4, atol=5e-5, err_msg=str((n, shape, layers)))
    while len(kept) > 200:
        kept.pop(0)
print("trained", sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages by mprotect")
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the twin is NumPy's, which checks")
def test_training_between_pages_that_nobody_may_touch():
    assert run(GUARD, GUARDED, os.environ.get("FASTCONV_SEED", 0)).split() == ["trained", str(GUARDED)]


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages by mprotect")
def test_the_guard_pages_guard():
    with pytest.raises(AssertionError):
        run(GUARD, "proof", 0)


FORMERLY_WRONG = [
    ([Conv2d(64, 1), Conv2d(64, 3, padding=1), Flatten(), Linear(2)], (1, 1, 1)),  # wrote dx beyond its place
    ([Conv2d(5, 1), Conv2d(20, 3, padding=1, stride=3), Flatten(), Linear(3)], (2, 3, 3)),  # as large as the image, but shifted
    ([Conv2d(5, 1), Conv2d(20, 3, padding=((0, 2), (0, 2)), stride=3, dilation=2), Flatten(), Linear(3)], (2, 3, 3)),
    ([Conv2d(7, 1), Conv2d(20, 1, padding=1, stride=3), Flatten(), Linear(3)], (7, 1, 1)),  # sees padding only
    ([MaxPool2d(2**30 - 1, padding=2**29 - 1), Flatten(), Linear(3)], (2, 3, 4)),
    (
        [
            Conv2d(2, 1, stride=2**31 - 1, padding=((0, 2**20), (0, 2**20))),
            MaxPool2d((2**30, 3), padding=(2**29, 1)),
            Flatten(),
        ],
        (1, 4, 5),
    ),
    ([Conv2d(3, 2, dilation=2**30, padding=((2**30, 0), (0, 2**30))), ReLU(), Flatten(), Linear(2)], (1, 3, 2)),
]


@pytest.mark.parametrize("layers, shape", FORMERLY_WRONG)
@pytest.mark.parametrize("n", [1, 3, 20])
def test_networks_that_were_wrong_or_took_for_ever(layers, shape, n):
    buffers = []
    for backend in ("im2col", "compiled"):
        net, rng = Sequential(layers, shape, random_state=0), np.random.default_rng(0)
        X, y = rng.normal(size=(n, *shape)).astype("f4"), rng.normal(size=(n, *net.output_shape))
        train(net, X, y, epochs=3, batch_size=n, optimizer=SGD(0.1), loss="mse", backend=backend, random_state=0)
        buffers.append(net.buffer)
    assert_allclose(*buffers, rtol=1e-4, atol=1e-6)
