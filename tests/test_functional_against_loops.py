"""fastconv.functional is judged by fastconv.reference, its definition as plain loops, on shapes that hypothesis draws.

The numbers are so few and small that most sums are exact in any order: the comparison can be for equality.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from shapes import DTYPES, conv_cases, halves, peppered, pool_cases

from fastconv import functional as fast
from fastconv import reference as loops


def assert_same(found, expected):
    """Equal numbers (NaN equals NaN), shape and dtype."""
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected, strict=True)


def assert_close(found, expected):
    """Equal to a few roundings of the dtype."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    tolerance = 16 * np.finfo(expected.dtype).eps
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@given(conv_cases())
def test_im2col(case):
    x = case.array(case.x_shape)
    assert_same(fast.im2col(x, **case.window), loops.im2col(x, **case.window))


@given(conv_cases())
def test_col2im(case):
    shape = loops.im2col(np.zeros(case.x_shape, case.dtype), **case.window).shape
    cols = case.array(shape)
    assert_same(fast.col2im(cols, case.x_shape, **case.window), loops.col2im(cols, case.x_shape, **case.window))


@given(conv_cases(), st.booleans())
def test_conv2d(case, has_bias):
    x, w = case.array(case.x_shape), case.array(case.w_shape)
    b = case.array(len(w)) if has_bias else None
    options = dict(stride=case.stride, padding=case.padding, dilation=case.dilation, groups=case.groups)
    y, cache = fast.conv2d_forward(x, w, b, **options)
    expected, loop_cache = loops.conv2d_forward(x, w, b, **options)
    assert_same(y, expected)
    dy = case.array(y.shape)
    gradients = fast.conv2d_backward(dy, cache)
    for found, expected in zip(gradients, loops.conv2d_backward(dy, loop_cache), strict=True):
        if expected is None:
            assert found is None
        else:
            assert_same(found, expected)
    without = fast.conv2d_backward(dy, cache, need_dx=False)
    assert without[0] is None
    assert_same(without[1], gradients[1])


@given(pool_cases())
def test_max_pool(case):
    x = case.array(case.x_shape)
    args = (*case.window.values(), case.ceil_mode)
    y, cache = fast.max_pool2d_forward(x, *args)
    expected, loop_cache = loops.max_pool2d_forward(x, *args)
    assert_same(y, expected)
    assert_same(cache.argmax, loop_cache.argmax)
    dy = case.array(y.shape)
    assert_same(fast.max_pool2d_backward(dy, cache), loops.max_pool2d_backward(dy, loop_cache))


@given(pool_cases(dilated=False))
def test_avg_pool(case):
    x = case.array(case.x_shape)
    args = (case.kernel_size, case.stride, case.padding, case.ceil_mode, case.count_include_pad)
    y, cache = fast.avg_pool2d_forward(x, *args)
    expected, loop_cache = loops.avg_pool2d_forward(x, *args)
    assert_same(y, expected)
    dy = case.array(y.shape)
    # Thirds are rounded before they are added here, after it there.
    assert_close(fast.avg_pool2d_backward(dy, cache), loops.avg_pool2d_backward(dy, loop_cache))


@st.composite
def _matrices(draw, least_rows=0):
    """A generator of numbers, a dtype, and the numbers of samples, inputs and outputs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return (
        rng,
        draw(st.sampled_from(DTYPES)),
        draw(st.integers(least_rows, 6)),
        draw(st.integers(1, 7)),
        draw(st.integers(1, 6)),
    )


@given(_matrices(), st.booleans(), st.booleans())
def test_linear(matrices, has_bias, special):
    rng, dtype, N, inputs, outputs = matrices

    def array(*shape):
        values = halves(rng, shape, dtype)
        return peppered(rng, values) if special else values

    x, w, b = array(N, inputs), array(outputs, inputs), array(outputs) if has_bias else None
    y, cache = fast.linear_forward(x, w, b)
    expected, loop_cache = loops.linear_forward(x, w, b)
    assert_same(y, expected)
    dy = array(*y.shape)
    for found, expected in zip(fast.linear_backward(dy, cache), loops.linear_backward(dy, loop_cache), strict=True):
        if expected is None:
            assert found is None
        else:
            assert_same(found, expected)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.sampled_from(DTYPES), st.integers(0, 2**16))
def test_relu(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x, dy = peppered(rng, halves(rng, shape, dtype)), peppered(rng, halves(rng, shape, dtype))
    y, cache = fast.relu_forward(x)
    expected, loop_cache = loops.relu_forward(x)
    assert_same(y, expected)
    assert_same(fast.relu_backward(dy, cache), loops.relu_backward(dy, loop_cache))


@given(_matrices(), st.floats(0, 0.99))
def test_dropout(matrices, p):
    rng, dtype, N, inputs, outputs = matrices
    x, dy = halves(rng, (N, inputs, outputs), dtype), halves(rng, (N, inputs, outputs), dtype)
    y, cache = fast.dropout_forward(x, p, rng=np.random.default_rng(N))
    expected, loop_cache = loops.dropout_forward(x, p, rng=np.random.default_rng(N))
    assert_same(y, expected)
    assert_same(fast.dropout_backward(dy, cache), loops.dropout_backward(dy, loop_cache))


@given(st.tuples(*[st.integers(0, 4)] * 4), st.sampled_from(DTYPES))
def test_flatten(shape, dtype):
    x = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    y, cache = fast.flatten_forward(x)
    expected, loop_cache = loops.flatten_forward(x)
    assert_same(y, expected)
    assert_same(fast.flatten_backward(y, cache), loops.flatten_backward(y, loop_cache))


def _logits(rng, shape, dtype, how):
    if how == "far apart":
        return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
    values = halves(rng, shape, dtype)
    return peppered(rng, values) if how == "special" else values


@given(_matrices(), st.sampled_from(["ties", "far apart", "special"]))
def test_softmax(matrices, how):
    rng, dtype, *shape = matrices
    logits = _logits(rng, shape, dtype, how)
    assert_close(fast.softmax(logits), loops.softmax(logits))


def _weights(rng, N, kind):
    """None, or weights of which some (or all) are 0."""
    return {"none": None, "some": rng.integers(0, 3, N) / 2, "zero": np.zeros(N), "positive": rng.random(N) + 0.1}[kind]


@given(_matrices(), st.sampled_from(["none", "some", "zero"]), st.sampled_from(["ties", "far apart"]))
def test_cross_entropy(matrices, weights, how):
    rng, dtype, N, K, _ = matrices
    logits, labels = _logits(rng, (N, K), dtype, how), rng.integers(0, K, N)
    sample_weight = _weights(rng, N, weights)
    loss, cache = fast.cross_entropy_forward(logits, labels, sample_weight=sample_weight)
    expected, loop_cache = loops.cross_entropy_forward(logits, labels, sample_weight=sample_weight)
    assert type(loss) is float
    # Scores far apart cancel in logits - max, so the loss is good to the rounding of the largest score.
    assert_allclose(loss, expected, rtol=64 * np.finfo(dtype).eps, atol=64 * np.finfo(dtype).eps)
    assert_close(fast.cross_entropy_backward(cache), loops.cross_entropy_backward(loop_cache))


@given(_matrices(), st.sampled_from(["none", "positive"]))
def test_cross_entropy_of_nan_and_infinity(matrices, weights):
    rng, dtype, N, K, _ = matrices
    logits, labels = _logits(rng, (N, K), dtype, "special"), rng.integers(0, K, N)
    sample_weight = _weights(rng, N, weights)
    loss, cache = fast.cross_entropy_forward(logits, labels, sample_weight=sample_weight)
    expected, loop_cache = loops.cross_entropy_forward(logits, labels, sample_weight=sample_weight)
    assert_allclose(loss, expected, rtol=64 * np.finfo(dtype).eps)
    assert_close(fast.cross_entropy_backward(cache), loops.cross_entropy_backward(loop_cache))


@given(_matrices(), st.sampled_from(["none", "some", "zero"]))
def test_mse(matrices, weights):
    rng, dtype, N, K, _ = matrices
    y, target = halves(rng, (N, K), dtype), halves(rng, (N, K), dtype)
    sample_weight = _weights(rng, N, weights)
    loss, cache = fast.mse_forward(y, target, sample_weight=sample_weight)
    expected, loop_cache = loops.mse_forward(y, target, sample_weight=sample_weight)
    assert type(loss) is float
    assert_allclose(loss, expected, rtol=16 * np.finfo(dtype).eps)
    assert_close(fast.mse_backward(cache), loops.mse_backward(loop_cache))


@pytest.mark.parametrize("shape", [(2, 0, 3, 4), (0, 0, 3, 4), (0, 2, 3, 4)])
def test_no_channels_or_no_samples(shape):
    """No channels is not no shape: what is returned must still fit the next operation."""
    x = np.zeros(shape)
    cols = fast.im2col(x, (2, 3))
    assert_same(cols, loops.im2col(x, (2, 3)))
    assert_same(fast.col2im(cols, shape, (2, 3)), x)
    for pool in ("max_pool2d", "avg_pool2d"):
        y, cache = getattr(fast, pool + "_forward")(x, 2)
        assert_same(y, getattr(loops, pool + "_forward")(x, 2)[0])
        assert_same(getattr(fast, pool + "_backward")(y, cache), x)
