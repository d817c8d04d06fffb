"""Windows far larger than the image cost what the image costs, and give what their small equivalents give."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from shapes import halves

import fastconv
from fastconv import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Sequential, functional, reference
from fastconv.support import portable

X = halves(np.random.default_rng(0), (2, 3, 5, 4))
OPS = pytest.mark.parametrize("ops", [reference, functional, portable], ids=lambda ops: ops.__name__)
HUGE_POOLS = [
    (2**30 - 1, None, 2**29 - 1),  # 4 rows of windows over 5, each of which sees the whole image
    ((2**30 - 1, 2**31 - 1), 1, (2**29 - 1, 2**30 - 1)),
    (2**31 - 1, 1, "same"),
    (2**31 - 1, 2**31 - 1, "same"),
    (2**31 - 1, 2**28, 2**30 - 1),
    ((2**31 - 1, 9), (1, 2), (2**30 - 1, 4)),
]


@pytest.fixture(autouse=True)
def at_once():
    functional.max_pool2d_forward(X, 2)  # compiles
    functional.avg_pool2d_backward(X[:, :, :2, :2], functional.avg_pool2d_forward(X, 2)[1])
    functional.conv2d_backward(X[:, :2], functional.conv2d_forward(X, np.ones((2, 3, 1, 1)))[1])
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < 2


def _both(value):
    return value if isinstance(value, tuple) else (value, value)


def _starts(size, K, S, padding):
    """By definition: where each window along an axis of a small image starts, for an output of any size."""
    before = after = padding
    if padding == "same":
        total = (-(-size // S) - 1) * S + K - size
        before, after = total // 2, total - total // 2
    return [i * S - before for i in range((size + before + after - K) // S + 1)]


def _seen(kernel, stride, padding):
    """What each window sees of X: (i, j, rows, columns)."""
    kernel, padding = _both(kernel), _both(padding)
    stride = kernel if stride is None else _both(stride)
    down, across = (_starts(*axis) for axis in zip(X.shape[2:], kernel, stride, padding))
    for i, top in enumerate(down):
        for j, left in enumerate(across):
            yield i, j, slice(max(top, 0), max(top + kernel[0], 0)), slice(max(left, 0), max(left + kernel[1], 0))


@OPS
@pytest.mark.parametrize("kernel, stride, padding", HUGE_POOLS)
def test_a_pool_larger_than_the_image(ops, kernel, stride, padding):
    most, cache = ops.max_pool2d_forward(X, kernel, stride, padding)
    mean, _ = ops.avg_pool2d_forward(X, kernel, stride, padding)
    windows = list(_seen(kernel, stride, padding))
    assert most[0, 0].size == mean[0, 0].size == len(windows)
    for i, j, rows, columns in windows:
        part = X[:, :, rows, columns]
        assert_array_equal(most[:, :, i, j], part.max(axis=(2, 3)))
        assert_allclose(mean[:, :, i, j], part.sum(axis=(2, 3)) / np.prod(_both(kernel), dtype=float), rtol=1e-14)
        if cache is not None:
            inside = np.full(X.shape, -np.inf)
            inside[:, :, rows, columns] = part
            assert_array_equal(cache.argmax[:, :, i, j], inside.reshape(2, 3, -1).argmax(axis=2))


@pytest.mark.parametrize("ops", [reference, functional])
@pytest.mark.parametrize("kernel, stride, padding", HUGE_POOLS)
def test_gradients_of_a_pool_larger_than_the_image(ops, kernel, stride, padding):
    y, most = ops.max_pool2d_forward(X, kernel, stride, padding)
    _, mean = ops.avg_pool2d_forward(X, kernel, stride, padding)
    dy = halves(np.random.default_rng(1), y.shape)
    expected = np.zeros(X.shape)
    for i, j, rows, columns in _seen(kernel, stride, padding):
        expected[:, :, rows, columns] += dy[:, :, i, j, None, None] / np.prod(_both(kernel), dtype=float)
    assert_allclose(ops.avg_pool2d_backward(dy, mean), expected, rtol=1e-14)
    winners = np.zeros((*X.shape[:2], 20))
    for n, c, i, j in np.ndindex(y.shape):
        winners[n, c, most.argmax[n, c, i, j]] += dy[n, c, i, j]
    assert_array_equal(ops.max_pool2d_backward(dy, most).reshape(winners.shape), winners)


@pytest.mark.parametrize("ops", [reference, functional])
def test_a_second_window_far_away(ops):
    """ceil_mode keeps it because it starts in the padding before the image."""
    y, cache = ops.max_pool2d_forward(X, 2**30 - 1, 2**28, 2**29 - 1, ceil_mode=True)
    assert y.shape == (2, 3, 2, 2)
    assert_array_equal(y, np.broadcast_to(X.max(axis=(2, 3), keepdims=True), y.shape))
    assert_array_equal(cache.argmax[:, :, 1, 1], X.reshape(2, 3, 20).argmax(axis=2))


@pytest.mark.parametrize("ops", [reference, functional])
def test_a_dilated_window_that_straddles_the_image(ops):
    """One tap in 2**15 pixels: the two in the middle lie before and behind the image, wherever the window stands."""
    y, cache = ops.max_pool2d_forward(X, 2**15, 1, 2**29 - 2**14, dilation=2**15)
    assert y.shape == X.shape
    assert (y == -np.inf).all() and (cache.argmax == -1).all()


def test_taps_in_reach_are_those_of_the_definition():
    from fastconv.support.geometry import pool_window, taps_inside

    rng = np.random.default_rng(0)
    for _ in range(500):
        size, K, S, D = (int(n) for n in rng.integers(1, (9, 40, 60, 5)))
        padding, ceil_mode = int(rng.integers(0, ((K - 1) * D + 1) // 2 + 1)), bool(rng.integers(2))
        if size + 2 * padding < (K - 1) * D + 1:
            continue
        count = pool_window(size, size, K, S, padding, D, ceil_mode).OH
        expected = {u for u in range(K) for i in range(count) if 0 <= i * S - padding + u * D < size}
        found = taps_inside(size, K, S, D, padding, count)
        assert expected <= set(found) <= set(range(K)) and len(found) <= 4 * size
        assert (np.diff(found) > 0).all()


@OPS
def test_a_convolution_whose_taps_are_far_apart(ops):
    """Of 3 x 3 taps 2**30 pixels apart only the middle one sees the image."""
    w = halves(np.random.default_rng(1), (2, 3, 3, 3))
    y, cache = ops.conv2d_forward(X, w, padding=2**30, dilation=2**30)
    expected, small = ops.conv2d_forward(X, w[:, :, 1:2, 1:2])
    assert_array_equal(y, expected)
    if cache is not None:
        dy = halves(np.random.default_rng(2), expected.shape)
        for found, small_one in zip(ops.conv2d_backward(dy, cache)[:2], ops.conv2d_backward(dy, small)[:2]):
            middle = found if found.shape == small_one.shape else found[:, :, 1:2, 1:2]
            assert_array_equal(middle, small_one)


@OPS
def test_far_taps_and_a_far_stride(ops):
    """Along either axis window 0 sees pixel 1 under its last tap, window 1 pixel 0 under its first."""
    w = halves(np.random.default_rng(1), (2, 3, 3, 3))
    y, _ = ops.conv2d_forward(X, w, padding=2**31 - 1, dilation=2**30, stride=2**31 - 1)
    assert_array_equal(y, np.einsum("nchw,fchw->nfhw", X[:, :, [1, 0]][..., [1, 0]], w[:, :, [2, 0]][..., [2, 0]]))


@OPS
def test_a_stride_beyond_the_image(ops):
    w = halves(np.random.default_rng(1), (2, 3, 2, 2))
    y, _ = ops.conv2d_forward(X, w, stride=2**31 - 1)
    assert_array_equal(y, ops.conv2d_forward(X[:, :, :2, :2], w)[0])
    y, _ = ops.conv2d_forward(X, w, stride=2**31 - 1, padding=((0, 2**31 - 1), (0, 0)))  # a second row in the padding
    assert y.shape == (2, 2, 2, 1) and not y[:, :, 1].any()
    assert_array_equal(ops.max_pool2d_forward(X, 2, 2**31 - 1)[0], X[:, :, :2, :2].max(axis=(2, 3), keepdims=True))


@OPS
@pytest.mark.parametrize("N", [0, 1])
def test_an_output_that_no_memory_holds(ops, N):
    with pytest.raises(ValueError, match="y .*2147483652, 2147483651.* would take .* GiB") as caught:
        ops.conv2d_forward(X[:N], np.ones((1, 3, 2, 2)), padding=2**30)
    assert caught.type is ValueError and "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "layers, shape, message",
    [
        ([Conv2d(1, 1, padding=2**30)], (1, 5, 5), r"layer 0, Conv2d.* output \(1, 2147483653, 2147483653\) .*GiB"),
        ([MaxPool2d(1), Conv2d(2**31 - 1, 1), Flatten()], (1, 30, 30), r"layer 1, Conv2d.* output \(2147483647, 30, 30\)"),
        ([Flatten(), Linear(2**31 - 1)], (1, 28, 28), "the parameters .* GiB"),
        ([Conv2d(2**31 - 1, 2**10)], (3, 2**10, 2**10), "the parameters .* GiB"),
        ([Flatten()], (2**31 - 1, 2**31 - 1, 2**31 - 1), r"one sample \(2147483647, 2147483647, 2147483647\)"),
    ],
)
def test_a_network_that_no_memory_holds(layers, shape, message, dtype):
    with pytest.raises(ValueError, match=message) as caught:
        Sequential(layers, shape, dtype=dtype)
    assert caught.type is ValueError and "\n" not in str(caught.value)


@pytest.mark.parametrize("pool", [MaxPool2d(2**30 - 1, padding=2**29 - 1), AvgPool2d(2**31 - 1, padding="same")])
def test_a_network_with_a_huge_pool(pool, tmp_path):
    net = Sequential([Conv2d(2, 3, padding=1), pool, Flatten(), Linear(3)], (3, 5, 4), random_state=0, dtype="float64")
    assert_allclose(net.predict(X), net.forward(X, ops=reference)[0], rtol=1e-12)
    net.save(tmp_path / "net.safetensors")
    assert_array_equal(Sequential.load(tmp_path / "net.safetensors").predict(X), net.predict(X))
    fastconv.train(net, X, [0, 2], epochs=2, batch_size=1, optimizer=fastconv.SGD(0.1))
    assert "MaxPool2d" in net.summary() or "AvgPool2d" in net.summary()
