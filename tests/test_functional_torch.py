"""The same layers as PyTorch computes them, forward and backward; skipped where PyTorch is not installed."""

import warnings
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastconv import functional as fast

torch = pytest.importorskip("torch")
F = torch.nn.functional

TOLERANCES = {np.float64: dict(rtol=1e-10, atol=1e-12), np.float32: dict(rtol=2e-4, atol=2e-5)}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCES)


def tensors(*arrays):
    return [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]


def assert_gradients(found, leaves, tolerance):
    for gradient, leaf in zip(found, leaves, strict=True):
        if leaf is None:
            assert gradient is None
        else:
            assert gradient.dtype == leaf.detach().numpy().dtype
            assert_allclose(gradient, leaf.grad.numpy(), **tolerance)


@DTYPES
@pytest.mark.parametrize("N", [0, 3])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("C, filters, groups", [(4, 6, 1), (4, 6, 2), (4, 4, 4), (4, 8, 4)])
@pytest.mark.parametrize(
    "kernel, stride, padding, dilation",
    [
        ((3, 3), 1, 0, 1),
        ((3, 2), 1, 1, 1),
        ((3, 2), (2, 1), (2, 0), 1),
        ((2, 3), 3, 1, (1, 2)),
        ((1, 1), 1, 0, 1),
        ((1, 1), 2, 1, 1),
        ((2, 4), 1, "same", 1),
        ((3, 2), 1, "same", (2, 3)),
        ((3, 3), 2, "valid", 2),
        ((7, 9), 1, 0, 1),
    ],
)
def test_conv2d(dtype, N, has_bias, C, filters, groups, kernel, stride, padding, dilation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, C, 7, 9)).astype(dtype)
    w = rng.normal(size=(filters, C // groups, *kernel)).astype(dtype)
    b = rng.normal(size=filters).astype(dtype) if has_bias else None
    y, cache = fast.conv2d_forward(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    leaves = tensors(x, w, b)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel", UserWarning)  # PyTorch copies x there
        expected = F.conv2d(*leaves, stride, padding, dilation, groups)
    assert y.dtype == dtype
    assert_allclose(y, expected.detach().numpy(), **TOLERANCES[dtype])
    dy = rng.normal(size=y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    assert_gradients(fast.conv2d_backward(dy, cache), leaves, TOLERANCES[dtype])


POOLS = [
    (kernel, stride, padding, ceil_mode)
    for (kernel, stride, padding), ceil_mode in product(
        [
            ((2, 3), None, 0),
            (2, None, 1),
            ((3, 2), 1, 1),
            ((3, 4), (2, 3), (1, 2)),
            ((1, 2), (3, 4), (0, 1)),
            (3, 5, 1),
            ((7, 9), 1, 0),
        ],
        [False, True],
    )
]


@DTYPES
@pytest.mark.parametrize("N", [0, 2])
@pytest.mark.parametrize("dilation", [1, (2, 1), (1, 3)])
@pytest.mark.parametrize("kernel, stride, padding, ceil_mode", POOLS)
def test_max_pool2d(dtype, N, dilation, kernel, stride, padding, ceil_mode):
    """Ties everywhere, so that the indices say who wins them."""
    rng = np.random.default_rng(1)
    # 22 pixels a side hold the widest dilated window.
    x = rng.integers(-2, 3, (N, 3, 22, 26)).astype(dtype)
    y, cache = fast.max_pool2d_forward(x, kernel, stride, padding, dilation, ceil_mode)
    (leaf,) = tensors(x)
    expected, indices = F.max_pool2d(leaf, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    assert y.dtype == dtype
    assert_array_equal(y, expected.detach().numpy())
    assert_array_equal(cache.argmax, indices.numpy())
    dy = rng.normal(size=y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    assert_gradients([fast.max_pool2d_backward(dy, cache)], [leaf], TOLERANCES[dtype])


@DTYPES
@pytest.mark.parametrize("N", [0, 2])
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("kernel, stride, padding, ceil_mode", POOLS)
def test_avg_pool2d(dtype, N, count_include_pad, kernel, stride, padding, ceil_mode):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(N, 3, 8, 11)).astype(dtype)
    y, cache = fast.avg_pool2d_forward(x, kernel, stride, padding, ceil_mode, count_include_pad)
    (leaf,) = tensors(x)
    expected = F.avg_pool2d(leaf, kernel, stride, padding, ceil_mode, count_include_pad)
    assert y.dtype == dtype
    assert_allclose(y, expected.detach().numpy(), **TOLERANCES[dtype])
    dy = rng.normal(size=y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    assert_gradients([fast.avg_pool2d_backward(dy, cache)], [leaf], TOLERANCES[dtype])


@DTYPES
@pytest.mark.parametrize("seed", range(10))
def test_max_pool2d_of_nan_and_infinity(dtype, seed):
    """A NaN wins its window, the last of several; a window of -inf alone points at its first pixel."""
    rng = np.random.default_rng(seed)
    x = rng.choice(np.array([np.nan, np.inf, -np.inf, -np.inf, 0, 1], dtype), (2, 2, 6, 7))
    x[0, 0] = -np.inf
    x[1, 1] = np.nan
    y, cache = fast.max_pool2d_forward(x, (2, 3), 1, 1)
    expected, indices = F.max_pool2d(torch.tensor(x), (2, 3), 1, 1, return_indices=True)
    assert_array_equal(y, expected.numpy())
    assert_array_equal(cache.argmax, indices.numpy())


@DTYPES
def test_relu(dtype):
    """At 0 the gradient is 0, at NaN it passes, and an infinite gradient is stopped without becoming NaN."""
    x = np.array([-1, -0.0, 0, 2, np.inf, -np.inf, np.nan], dtype)
    (leaf,) = tensors(x)
    expected = F.relu(leaf)
    expected.backward(torch.full(x.shape, np.inf, dtype=leaf.dtype))
    y, cache = fast.relu_forward(x)
    assert_array_equal(y, expected.detach().numpy())
    assert_array_equal(fast.relu_backward(np.full_like(x, np.inf), cache), leaf.grad.numpy())


@DTYPES
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("N, inputs, outputs", [(0, 3, 2), (1, 5, 1), (7, 33, 10)])
def test_linear(dtype, has_bias, N, inputs, outputs):
    rng = np.random.default_rng(3)
    x, w, dy = (rng.normal(size=shape).astype(dtype) for shape in [(N, inputs), (outputs, inputs), (N, outputs)])
    b = rng.normal(size=outputs).astype(dtype) if has_bias else None
    y, cache = fast.linear_forward(x, w, b)
    leaves = tensors(x, w, b)
    expected = F.linear(*leaves)
    assert y.dtype == dtype
    assert_allclose(y, expected.detach().numpy(), **TOLERANCES[dtype])
    expected.backward(torch.tensor(dy))
    assert_gradients(fast.linear_backward(dy, cache), leaves, TOLERANCES[dtype])


@DTYPES
@pytest.mark.parametrize("scale", [0.1, 1, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(dtype, scale, weighted):
    """PyTorch weights classes, not samples: with one sample a class the two are the same."""
    rng = np.random.default_rng(4)
    logits = (rng.normal(size=(6, 6)) * scale).astype(dtype)
    labels = rng.permutation(6)
    weights = rng.random(6).astype(dtype) if weighted else None
    by_class = None if weights is None else torch.tensor(weights[np.argsort(labels)])
    loss, cache = fast.cross_entropy_forward(logits, labels, sample_weight=weights)
    (leaf,) = tensors(logits)
    expected = F.cross_entropy(leaf, torch.tensor(labels), weight=by_class)
    expected.backward()
    assert_allclose(loss, expected.item(), **TOLERANCES[dtype])
    assert_gradients([fast.cross_entropy_backward(cache)], [leaf], TOLERANCES[dtype])


@pytest.mark.parametrize("row", [[-np.inf, 0, 1], [0, -np.inf, 1], [np.inf, 0, 1], [np.nan, 0, 1], [-np.inf] * 3])
def test_cross_entropy_of_nan_and_infinity(row):
    logits, labels = np.array([row, [0, 0, 0]]), [0, 1]
    loss, cache = fast.cross_entropy_forward(logits, labels)
    (leaf,) = tensors(logits)
    expected = F.cross_entropy(leaf, torch.tensor(labels))
    expected.backward()
    assert_array_equal(loss, expected.item())
    assert_gradients([fast.cross_entropy_backward(cache)], [leaf], TOLERANCES[np.float64])


@DTYPES
def test_softmax(dtype):
    logits = (np.random.default_rng(5).normal(size=(2, 3, 5)) * 50).astype(dtype)
    logits[0, 0] = [np.inf, 0, 0, 0, 0]
    logits[1, 1, 2] = -np.inf
    logits[1, 2] = -np.inf
    found = fast.softmax(logits)
    assert found.dtype == dtype
    assert_allclose(found, F.softmax(torch.tensor(logits), -1).numpy(), **TOLERANCES[dtype])


@DTYPES
@pytest.mark.parametrize("shape", [(4, 3), (5, 1), (7,)])
def test_mse(dtype, shape):
    rng = np.random.default_rng(6)
    y, target = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    loss, cache = fast.mse_forward(y, target)
    (leaf,) = tensors(y)
    expected = F.mse_loss(leaf, torch.tensor(target))
    expected.backward()
    assert_allclose(loss, expected.item(), **TOLERANCES[dtype])
    assert_gradients([fast.mse_backward(cache)], [leaf], TOLERANCES[dtype])


def test_the_gradients_through_a_whole_network():
    """A convolution, a ReLU, a pool, a linear layer and the loss, one after the other."""
    rng = np.random.default_rng(7)
    x, w, b = rng.normal(size=(5, 2, 8, 9)), rng.normal(size=(4, 2, 3, 2)), rng.normal(size=4)
    v, c, labels = rng.normal(size=(10, 4 * 4 * 4)), rng.normal(size=10), rng.integers(0, 10, 5)
    h, conv = fast.conv2d_forward(x, w, b, padding=(1, 0))
    h, relu = fast.relu_forward(h)
    h, pool = fast.max_pool2d_forward(h, 2)
    h, flat = fast.flatten_forward(h)
    h, linear = fast.linear_forward(h, v, c)
    loss, entropy = fast.cross_entropy_forward(h, labels)
    leaves = tensors(x, w, b, v, c)
    h = F.max_pool2d(F.relu(F.conv2d(*leaves[:3], padding=(1, 0))), 2).flatten(1)
    expected = F.cross_entropy(F.linear(h, *leaves[3:]), torch.tensor(labels))
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-12)
    dh, dv, dc = fast.linear_backward(fast.cross_entropy_backward(entropy), linear)
    dh = fast.max_pool2d_backward(fast.flatten_backward(dh, flat), pool)
    assert_gradients([*fast.conv2d_backward(fast.relu_backward(dh, relu), conv), dv, dc], leaves, TOLERANCES[np.float64])
