"""The reference is judged by numbers worked out by hand, by SciPy, by exact identities and by finite differences."""

import ast
import doctest
import inspect
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.signal import convolve2d, correlate2d
from scipy.special import log_softmax

from fastconv import reference as ref

# Stride below, equal to and above the window; images and windows never square; sizes that the stride doesn't divide.
WINDOWS = [
    dict(kernel_size=(3, 2), stride=(1, 1), padding=0),
    dict(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    dict(kernel_size=(2, 3), stride=(2, 3), padding=((0, 1), (1, 0))),
    dict(kernel_size=(2, 1), stride=(3, 2), padding=(1, 0)),
    dict(kernel_size=(2, 4), stride=(1, 2), padding="same"),
    dict(kernel_size=(1, 3), stride=(2, 2), padding="valid"),
]
SHAPE = (2, 4, 5, 7)


def integers(rng, *shape):
    """Small whole numbers in float64, whose sums and products are exact."""
    return rng.integers(-9, 10, shape).astype(float)


def distinct(rng, *shape):
    """Numbers at least 0.1 apart and away from 0, so that no nudge changes a maximum or a sign."""
    return (rng.permutation(np.prod(shape)).reshape(shape) - np.prod(shape) // 2 + 0.5) / 10


def numeric_gradient(f, x, step=1e-5):
    """d f() / d x by central differences, nudging `x` in place."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = f()
        x[index] = kept - step
        gradient[index] = (above - f()) / (2 * step)
        x[index] = kept
    return gradient


def assert_gradients(forward, backward, *arrays):
    """Compare `backward`'s gradients of all `arrays` with differences of ``sum(dy * forward(*arrays))``."""
    y, cache = forward(*arrays)
    dy = np.random.default_rng(5).normal(size=y.shape)
    found = backward(dy, cache)
    for array, gradient in zip(arrays, found if isinstance(found, tuple) else (found,), strict=True):
        expected = numeric_gradient(lambda: (forward(*arrays)[0] * dy).sum(), array)
        assert np.abs(expected).max() > 0.01
        assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


# By hand -------------------------------------------------------------------------------------------------------------


def test_convolution_by_hand():
    x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], float)[None, None]
    w = np.array([[1, 2], [3, 4]], float)[None, None]
    y, cache = ref.conv2d_forward(x, w, np.array([10.0]))
    # 1*1 + 2*2 + 3*4 + 4*5 = 37, and so on
    assert_array_equal(y[0, 0], [[47, 57], [77, 87]])
    dx, dw, db = ref.conv2d_backward(np.array([[[[1.0, 10], [100, 1000]]]]), cache)
    assert_array_equal(dx[0, 0], [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]])
    assert_array_equal(dw[0, 0], [[5421, 6532], [8754, 9865]])
    assert_array_equal(db, [1111])


def test_stride_by_hand():
    x = np.array([1, 2, 3, 4, 5, 6], float).reshape(1, 1, 1, 6)
    y, cache = ref.conv2d_forward(x, np.array([1, 10], float).reshape(1, 1, 1, 2), stride=(1, 3))
    assert_array_equal(y[0, 0], [[21, 54]])
    dx, dw, db = ref.conv2d_backward(np.array([2, 3], float).reshape(1, 1, 1, 2), cache)
    assert_array_equal(dx[0, 0], [[2, 20, 0, 3, 30, 0]])
    assert_array_equal(dw[0, 0], [[2 * 1 + 3 * 4, 2 * 2 + 3 * 5]])
    assert db is None


def test_dilation_by_hand():
    x = np.array([1, 2, 3, 4, 5], float).reshape(1, 1, 1, 5)
    y, _ = ref.conv2d_forward(x, np.array([1, 10], float).reshape(1, 1, 1, 2), dilation=(1, 3))
    assert_array_equal(y[0, 0], [[41, 52]])


def test_an_even_kernel_of_same_padding_pads_the_bottom_and_the_right():
    x = np.array([[1, 2], [3, 4]], float)[None, None]
    y, cache = ref.conv2d_forward(x, np.array([[1, 10], [100, 1000]], float)[None, None], padding="same")
    assert_array_equal(y[0, 0], [[4321, 402], [43, 4]])
    dx, _, _ = ref.conv2d_backward(np.array([[[[0.0, 0], [0, 1]]]]), cache)
    assert_array_equal(dx[0, 0], [[0, 0], [0, 1]])


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(size, stride, kernel):
    x = np.ones((1, 1, size, 3))
    y, _ = ref.conv2d_forward(x, np.ones((1, 1, kernel, 1)), stride=(stride, 2), padding="same")
    assert y.shape[2:] == (-(-size // stride), 2)


def test_max_pool_by_hand():
    x = np.arange(1.0, 17).reshape(1, 1, 4, 4)
    y, cache = ref.max_pool2d_forward(x, 3, stride=1)
    assert_array_equal(y[0, 0], [[11, 12], [15, 16]])
    assert_array_equal(cache.argmax[0, 0], [[10, 11], [14, 15]])
    dx = ref.max_pool2d_backward(np.array([[[[1.0, 2], [3, 4]]]]), cache)
    assert_array_equal(dx[0, 0], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2], [0, 0, 3, 4]])


def test_a_pixel_that_wins_two_windows_gets_both_gradients():
    y, cache = ref.max_pool2d_forward(np.array([3.0, 0, 4, 2, 0]).reshape(1, 1, 1, 5), (1, 3), stride=2)
    assert_array_equal(y[0, 0], [[4, 4]])
    dx = ref.max_pool2d_backward(np.array([0.7, 0.9]).reshape(1, 1, 1, 2), cache)
    assert_allclose(dx[0, 0], [[0, 0, 1.6, 0, 0]], rtol=1e-15)


nan, inf = np.nan, np.inf


@pytest.mark.parametrize(
    "window, winner",
    [
        ([[5, 5], [5, 5]], 0),
        ([[1, 5], [5, 5]], 1),
        ([[0.0, -0.0], [0, 0]], 0),
        ([[1, nan], [9, 2]], 1),
        ([[nan, 1], [nan, inf]], 2),
        ([[nan, nan], [nan, nan]], 3),
        ([[-inf, -inf], [-inf, -inf]], 0),
        ([[-inf, -inf], [-inf, -9]], 3),
    ],
)
def test_the_winner_of_a_window(window, winner):
    x = np.array(window, float)[None, None]
    y, cache = ref.max_pool2d_forward(x, 2)
    assert_array_equal(cache.argmax, [[[[winner]]]])
    assert_array_equal(y, [[[[x.flat[winner]]]]])
    assert_array_equal(ref.max_pool2d_backward(np.array([[[[7.0]]]]), cache).ravel(), 7 * np.eye(4)[winner])


def test_padding_never_wins_a_maximum():
    y, cache = ref.max_pool2d_forward(np.full((1, 1, 2, 3), -inf), (2, 2), stride=(2, 2), padding=1)
    assert_array_equal(y[0, 0], np.full((2, 2), -inf))
    assert_array_equal(cache.argmax[0, 0], [[0, 1], [3, 4]])


def test_a_window_without_a_pixel_has_no_winner_and_sends_no_gradient():
    y, cache = ref.max_pool2d_forward(np.array([[[[5.0, 6]]]]), 1, padding=((0, 0), (1, 0)))
    assert_array_equal(y[0, 0], [[-inf, 5, 6]])
    assert_array_equal(cache.argmax[0, 0], [[-1, 0, 1]])
    assert_array_equal(ref.max_pool2d_backward(np.array([[[[7.0, 8, 9]]]]), cache)[0, 0], [[8, 9]])


def test_average_pool_by_hand():
    x = np.array([[1, 2, 3], [4, 5, 6]], float)[None, None]
    y, cache = ref.avg_pool2d_forward(x, (2, 2), stride=1)
    assert_array_equal(y[0, 0], [[3, 4]])
    assert_array_equal(ref.avg_pool2d_backward(np.array([[[[4.0, 8]]]]), cache)[0, 0], [[1, 3, 2], [1, 3, 2]])


@pytest.mark.parametrize("count_include_pad, expected", [(True, [0.5, 2.5, 2.5]), (False, [1, 2.5, 5])])
def test_what_an_average_is_divided_by(count_include_pad, expected):
    # The windows see [0 1], [2 3] and [5 0].
    x = np.array([1, 2, 3, 5], float).reshape(1, 1, 1, 4)
    y, cache = ref.avg_pool2d_forward(x, (1, 2), padding=(0, 1), count_include_pad=count_include_pad)
    assert_array_equal(y[0, 0, 0], expected)
    dx = ref.avg_pool2d_backward(np.ones((1, 1, 1, 3)), cache)
    assert_array_equal(dx[0, 0, 0], [0.5, 0.5, 0.5, 0.5] if count_include_pad else [1, 0.5, 0.5, 1])


@pytest.mark.parametrize("size, kernel, stride, padding, n_windows, last_average", [
    (5, 2, 2, 0, 3, 5),  # a window cut off by the end: its one pixel counts, nothing beyond does
    (6, 3, 2, 0, 3, 5.5),
    (4, 2, 3, 1, 2, 3.5),  # -1 0 | 2 3: the third would start at 5, beyond the image
    (4, 3, 2, 1, 3, 4 / 2),  # the last sees 4 and one 0 of padding
    (4, 1, 3, 0, 2, 4),
    (3, 1, 4, 0, 1, 1),  # a window at 4 would see nothing
])  # fmt: skip
def test_ceil_mode(size, kernel, stride, padding, n_windows, last_average):
    x = np.arange(1.0, size + 1).reshape(1, 1, size, 1)
    arguments = (kernel, 1), (stride, 1), (padding, 0)
    y, cache = ref.avg_pool2d_forward(x, *arguments, ceil_mode=True)
    assert y.shape == (1, 1, n_windows, 1)
    assert y[0, 0, -1, 0] == last_average
    assert_gradients(lambda x: ref.avg_pool2d_forward(x, *arguments, ceil_mode=True), ref.avg_pool2d_backward, x)
    y, cache = ref.max_pool2d_forward(x, *arguments, ceil_mode=True)
    assert_array_equal(cache.argmax.ravel() + 1, y.ravel())
    assert y.shape == (1, 1, n_windows, 1)


def test_an_average_of_nothing_is_0_and_sends_no_gradient():
    x = np.array([[[[5.0, 6]]]])
    y, cache = ref.avg_pool2d_forward(x, 1, padding=((0, 0), (1, 0)), count_include_pad=False)
    assert_array_equal(y[0, 0], [[0, 5, 6]])
    assert_array_equal(ref.avg_pool2d_backward(np.array([[[[7.0, 8, 9]]]]), cache)[0, 0], [[8, 9]])


def test_relu_by_hand():
    y, cache = ref.relu_forward(np.array([-2, -0.0, 0, 3, nan, inf, -inf]))
    assert_array_equal(y, [0, 0, 0, 3, nan, inf, 0])
    assert_array_equal(ref.relu_backward(np.array([inf, nan, inf, 5, 6, 7, -inf]), cache), [0, 0, 0, 5, 6, 7, 0])


def test_dropout_scales_what_it_keeps_and_blocks_the_rest():
    x = np.arange(1.0, 13).reshape(3, 4)
    y, cache = ref.dropout_forward(x, 0.75, rng=np.random.default_rng(3))
    kept = np.random.default_rng(3).random((3, 4)) >= 0.75
    assert 0 < kept.sum() < 12
    assert_array_equal(y, np.where(kept, 4 * x, 0))
    assert_array_equal(ref.dropout_backward(np.full((3, 4), 5.0), cache), np.where(kept, 20.0, 0))
    assert_array_equal(ref.dropout_backward(np.full((3, 4), inf), cache), np.where(kept, inf, 0))


def test_dropout_of_0_changes_nothing_and_of_1_is_refused():
    x = np.array([[1.0, -2, 3]])
    assert_array_equal(ref.dropout_forward(x, 0, rng=np.random.default_rng(0))[0], x)
    with pytest.raises(ValueError, match="p must be"):
        ref.dropout_forward(x, 1, rng=np.random.default_rng(0))


def test_flatten_writes_channel_after_channel_and_row_after_row():
    x = np.arange(24.0).reshape(2, 2, 2, 3)
    y, cache = ref.flatten_forward(x)
    assert_array_equal(y, [np.arange(12), np.arange(12, 24)])
    assert_array_equal(ref.flatten_backward(y, cache), x)


def test_linear_by_hand():
    x, w, b = np.array([[1.0, 2, 3]]), np.array([[1.0, 10, 100], [0, 1, -1]]), np.array([1000.0, 7])
    y, cache = ref.linear_forward(x, w, b)
    assert_array_equal(y, [[1321, 6]])
    dx, dw, db = ref.linear_backward(np.array([[2.0, 3]]), cache)
    assert_array_equal(dx, [[2, 23, 197]])
    assert_array_equal(dw, [[2, 4, 6], [3, 6, 9]])
    assert_array_equal(db, [2, 3])
    assert ref.linear_backward(np.ones((1, 2)), ref.linear_forward(x, w)[1])[2] is None


def test_cross_entropy_by_hand():
    logits = np.log([[1.0, 2, 5], [4, 4, 2]])
    loss, cache = ref.cross_entropy_forward(logits, np.array([2, 0]))
    assert isinstance(loss, float)
    assert_allclose(loss, (np.log(8 / 5) + np.log(10 / 4)) / 2, rtol=1e-14)
    assert_allclose(ref.cross_entropy_backward(cache), [[1 / 16, 1 / 8, -3 / 16], [-3 / 10, 2 / 10, 1 / 10]], rtol=1e-13)
    loss, cache = ref.cross_entropy_forward(logits, np.array([2, 0]), sample_weight=[3, 1])
    assert_allclose(loss, (3 * np.log(8 / 5) + np.log(10 / 4)) / 4, rtol=1e-14)
    assert_allclose(ref.cross_entropy_backward(cache)[1], [-3 / 20, 1 / 10, 1 / 20], rtol=1e-13)


def test_mse_by_hand():
    y, target = np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 4], [3, 1]])
    loss, cache = ref.mse_forward(y, target)
    assert isinstance(loss, float)
    assert loss == (1 + 4 + 0 + 9) / 4
    assert_array_equal(ref.mse_backward(cache), [[0.5, -1], [0, 1.5]])
    loss, cache = ref.mse_forward(y, target, sample_weight=[3, 1])
    assert loss == (3 * 2.5 + 4.5) / 4
    assert_array_equal(ref.mse_backward(cache), [[0.75, -1.5], [0, 0.75]])


LOSSES = [
    (lambda a, **k: ref.cross_entropy_forward(a, np.zeros(len(a), int), **k), ref.cross_entropy_backward),
    (lambda a, **k: ref.mse_forward(a, np.ones_like(a), **k), ref.mse_backward),
]


@pytest.mark.parametrize("forward, backward", LOSSES)
def test_the_loss_of_no_samples_and_of_no_weight(forward, backward):
    loss, cache = forward(np.zeros((0, 3)))
    assert np.isnan(loss)
    assert backward(cache).shape == (0, 3)
    loss, cache = forward(np.arange(6.0).reshape(2, 3), sample_weight=np.zeros(2))
    assert loss == 0
    assert_array_equal(backward(cache), np.zeros((2, 3)))


def test_softmax_of_huge_scores():
    assert_array_equal(ref.softmax(np.array([[1e300, 1e300], [-1e300, 0], [-inf, 5]])), [[0.5, 0.5], [0, 1], [0, 1]])
    loss, _ = ref.cross_entropy_forward(np.array([[1e4, 0.0]]), np.array([1]))
    assert loss == 1e4


# Against SciPy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 1)])
def test_the_forward_convolution_is_scipys_correlation_and_dx_its_convolution(stride):
    rng = np.random.default_rng(0)
    x, w, b = integers(rng, 2, 3, 6, 7), integers(rng, 4, 3, 3, 2), integers(rng, 4)
    y, cache = ref.conv2d_forward(x, w, b, stride=stride)
    dense = np.zeros((2, 4, 4, 6))
    for n, f, c in np.ndindex(2, 4, 3):
        dense[n, f] += correlate2d(x[n, c], w[f, c], "valid")
    assert_array_equal(y, dense[:, :, :: stride[0], :: stride[1]] + b[:, None, None])

    dy = integers(rng, *y.shape)
    dilated = np.zeros_like(dense)
    dilated[:, :, :: stride[0], :: stride[1]] = dy
    dx, dw, db = ref.conv2d_backward(dy, cache)
    for n, c in np.ndindex(2, 3):
        assert_array_equal(dx[n, c], sum(convolve2d(dilated[n, f], w[f, c], "full") for f in range(4)))
    for f, c in np.ndindex(4, 3):
        assert_array_equal(dw[f, c], sum(correlate2d(x[n, c], dilated[n, f], "valid") for n in range(2)))
    assert_array_equal(db, dy.sum(axis=(0, 2, 3)))


def test_dilation_is_a_kernel_with_holes():
    rng = np.random.default_rng(1)
    x, w = integers(rng, 2, 2, 7, 8), integers(rng, 3, 2, 3, 2)
    holed = np.zeros((3, 2, 5, 4))
    holed[:, :, ::2, ::3] = w
    y, cache = ref.conv2d_forward(x, w, dilation=(2, 3), padding=(1, 2), stride=(2, 1))
    expected, holed_cache = ref.conv2d_forward(x, holed, padding=(1, 2), stride=(2, 1))
    assert_array_equal(y, expected)
    dy = integers(rng, *y.shape)
    dx, dw, _ = ref.conv2d_backward(dy, cache)
    holed_dx, holed_dw, _ = ref.conv2d_backward(dy, holed_cache)
    assert_array_equal(dx, holed_dx)
    assert_array_equal(dw, holed_dw[:, :, ::2, ::3])


def test_groups_are_convolutions_side_by_side():
    rng = np.random.default_rng(2)
    x, w, b = integers(rng, 2, 4, 4, 5), integers(rng, 6, 2, 2, 3), integers(rng, 6)
    y, cache = ref.conv2d_forward(x, w, b, groups=2)
    dy = integers(rng, *y.shape)
    dx, dw, db = ref.conv2d_backward(dy, cache)
    for channels, filters in [(slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))]:
        part, part_cache = ref.conv2d_forward(x[:, channels], w[filters], b[filters])
        assert_array_equal(y[:, filters], part)
        part_dx, part_dw, part_db = ref.conv2d_backward(dy[:, filters], part_cache)
        assert_array_equal(dx[:, channels], part_dx)
        assert_array_equal(dw[filters], part_dw)
        assert_array_equal(db[filters], part_db)


@pytest.mark.parametrize("stride", [(1, 1), (3, 5), (2, 7)])
def test_pools_are_scipys_filters(stride):
    x = distinct(np.random.default_rng(3), 2, 2, 8, 9)
    arguments = (3, 5), stride, (1, 2)
    expected = maximum_filter(x, (1, 1, 3, 5), mode="constant", cval=-inf)[:, :, :: stride[0], :: stride[1]]
    y, cache = ref.max_pool2d_forward(x, *arguments)
    assert_array_equal(y, expected)
    assert_array_equal(np.take_along_axis(x.reshape(2, 2, -1), cache.argmax.reshape(2, 2, -1), 2), y.reshape(2, 2, -1))
    expected = uniform_filter(x, (1, 1, 3, 5), mode="constant")[:, :, :: stride[0], :: stride[1]]
    assert_allclose(ref.avg_pool2d_forward(x, *arguments)[0], expected, rtol=0, atol=1e-12)


def test_a_dilated_maximum_is_that_of_scipys_footprint():
    x = distinct(np.random.default_rng(4), 1, 2, 7, 8)
    footprint = np.zeros((1, 1, 5, 3), bool)
    footprint[:, :, ::2, ::2] = True
    expected = maximum_filter(x, footprint=footprint, mode="constant", cval=-inf)[:, :, ::3, ::2]
    assert_array_equal(ref.max_pool2d_forward(x, (3, 2), (3, 2), (2, 1), (2, 2))[0], expected)


def test_the_losses_logarithms_are_scipys():
    logits = np.random.default_rng(5).normal(size=(6, 4)) * 20
    assert_allclose(ref.softmax(logits), np.exp(log_softmax(logits, axis=1)), rtol=1e-12)
    labels = np.array([3, 0, 1, 2, 2, 0])
    loss, _ = ref.cross_entropy_forward(logits, labels)
    assert_allclose(loss, -log_softmax(logits, axis=1)[np.arange(6), labels].mean(), rtol=1e-12)


# Identities, exact on whole numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dilation", [1, (1, 2)])
@pytest.mark.parametrize("window", WINDOWS)
def test_col2im_is_the_adjoint_of_im2col(window, dilation):
    rng = np.random.default_rng(6)
    x = integers(rng, *SHAPE)
    cols = ref.im2col(x, **window, dilation=dilation)
    c = integers(rng, *cols.shape)
    back = ref.col2im(c, SHAPE, **window, dilation=dilation)
    assert back.shape == SHAPE
    assert (cols * c).sum() == (x * back).sum() != 0


@pytest.mark.parametrize("window", WINDOWS)
def test_im2col_makes_the_convolution_a_matrix_product(window):
    rng = np.random.default_rng(7)
    x, w = integers(rng, *SHAPE), integers(rng, 3, 4, *window["kernel_size"])
    y, _ = ref.conv2d_forward(x, w, stride=window["stride"], padding=window["padding"])
    product = w.reshape(3, -1) @ ref.im2col(x, **window)
    assert_array_equal(product.reshape(3, 2, *y.shape[2:]).swapaxes(0, 1), y)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", WINDOWS)
def test_the_gradients_are_the_adjoints_of_the_convolution(window, groups):
    rng = np.random.default_rng(8)
    settings = dict(stride=window["stride"], padding=window["padding"], groups=groups)
    x, w = integers(rng, *SHAPE), integers(rng, 6, 4 // groups, *window["kernel_size"])
    y, cache = ref.conv2d_forward(x, w, **settings)
    dy = integers(rng, *y.shape)
    dx, dw, db = ref.conv2d_backward(dy, cache)
    assert (y * dy).sum() == (x * dx).sum() == (w * dw).sum() != 0
    assert db is None
    other = integers(rng, *SHAPE)
    assert (ref.conv2d_forward(other, w, **settings)[0] * dy).sum() == (other * dx).sum()
    other = integers(rng, *w.shape)
    assert (ref.conv2d_forward(x, other, **settings)[0] * dy).sum() == (other * dw).sum()


def test_dx_is_left_out_on_demand():
    x, w = np.ones((1, 2, 3, 4)), np.ones((1, 2, 2, 2))
    _, cache = ref.conv2d_forward(x, w, np.ones(1))
    dx, dw, db = ref.conv2d_backward(np.ones((1, 1, 2, 3)), cache, need_dx=False)
    assert dx is None
    assert_array_equal(dw, np.full((1, 2, 2, 2), 6))
    assert_array_equal(db, [6])


def test_two_forwards_before_one_backward():
    first, second = np.array([[[[1.0, 2]]]]), np.array([[[[4.0, 3]]]])
    (_, kept), _ = ref.max_pool2d_forward(first, (1, 2)), ref.max_pool2d_forward(second, (1, 2))
    assert_array_equal(ref.max_pool2d_backward(np.array([[[[5.0]]]]), kept), [[[[0, 5]]]])


# Finite differences --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS)
def test_convolution_gradients(window):
    rng = np.random.default_rng(9)
    x, w, b = rng.normal(size=(2, 2, 4, 5)), rng.normal(size=(2, 1, *window["kernel_size"])), rng.normal(size=2)
    settings = dict(stride=window["stride"], padding=window["padding"], groups=2)
    assert_gradients(lambda x, w, b: ref.conv2d_forward(x, w, b, **settings), ref.conv2d_backward, x, w, b)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
def test_max_pool_gradients(window, ceil_mode):
    x = distinct(np.random.default_rng(10), 2, 2, 5, 6)
    assert_gradients(lambda x: ref.max_pool2d_forward(x, **window, ceil_mode=ceil_mode), ref.max_pool2d_backward, x)


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
def test_average_pool_gradients(window, ceil_mode, count_include_pad):
    x = np.random.default_rng(11).normal(size=(1, 2, 4, 5))
    settings = dict(window, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    assert_gradients(lambda x: ref.avg_pool2d_forward(x, **settings), ref.avg_pool2d_backward, x)


@pytest.mark.parametrize(
    "forward, backward, shapes",
    [
        (ref.relu_forward, ref.relu_backward, [(2, 3, 1, 4)]),
        (lambda x: ref.dropout_forward(x, 0.4, rng=np.random.default_rng(1)), ref.dropout_backward, [(2, 3, 4, 1)]),
        (ref.flatten_forward, ref.flatten_backward, [(2, 3, 1, 4)]),
        (ref.linear_forward, ref.linear_backward, [(3, 4), (2, 4), (2,)]),
    ],
)
def test_the_other_gradients(forward, backward, shapes):
    rng = np.random.default_rng(12)
    assert_gradients(forward, backward, *(distinct(rng, *shape) for shape in shapes))


@pytest.mark.parametrize("sample_weight", [None, [0.5, 3, 0, 1]])
def test_loss_gradients(sample_weight):
    rng = np.random.default_rng(13)
    a, target, labels = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.array([2, 0, 1, 1])
    for backward, forward in [
        (ref.cross_entropy_backward, lambda: ref.cross_entropy_forward(a, labels, sample_weight=sample_weight)),
        (ref.mse_backward, lambda: ref.mse_forward(a, target, sample_weight=sample_weight)),
    ]:
        found = backward(forward()[1])
        assert_allclose(found, numeric_gradient(lambda: forward()[0], a), rtol=1e-6, atol=1e-9)
        assert np.abs(found).max() > 0.01


# Precisions and refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, computed",
    [("f4", "f4"), ("f8", "f8"), (">f4", "f4"), (">f8", "f8"), ("f2", "f4"), ("i8", "f4"), ("u1", "f4"), ("?", "f4")],
)
def test_every_result_has_the_precision_of_its_argument(given, computed):
    x, w, b = np.ones((2, 2, 3, 4), given), np.ones((2, 2, 2, 3), given), np.ones(2, given)
    rows, weights = np.ones((2, 3), given), np.ones((2, 3), given)
    found = [ref.im2col(x, 2), ref.col2im(np.ones((4, 6), given), (1, 1, 3, 4), 2), ref.softmax(rows)]
    for forward, backward, arrays in [
        (ref.conv2d_forward, ref.conv2d_backward, (x, w, b)),
        (lambda x: ref.max_pool2d_forward(x, 2), ref.max_pool2d_backward, (x,)),
        (lambda x: ref.avg_pool2d_forward(x, 2), ref.avg_pool2d_backward, (x,)),
        (ref.relu_forward, ref.relu_backward, (x,)),
        (lambda x: ref.dropout_forward(x, 0.5, rng=np.random.default_rng(0)), ref.dropout_backward, (x,)),
        (ref.flatten_forward, ref.flatten_backward, (x,)),
        (ref.linear_forward, ref.linear_backward, (rows, weights, b)),
    ]:
        y, cache = forward(*arrays)
        gradients = backward(np.ones(y.shape, given), cache)
        found += [y, *(gradients if isinstance(gradients, tuple) else (gradients,))]
    found.append(ref.cross_entropy_backward(ref.cross_entropy_forward(rows, np.array([0, 1]))[1]))
    found.append(ref.mse_backward(ref.mse_forward(rows, weights)[1]))
    assert {(a.dtype, a.dtype.isnative) for a in found} == {(np.dtype(computed), True)}


def test_sums_in_float32_are_rounded_once():
    x = np.array([2.0**24, 1, 1, -(2.0**24)], np.float32).reshape(1, 1, 1, 4)
    assert ref.conv2d_forward(x, np.ones_like(x))[0].item() == 2
    assert ref.linear_forward(x.reshape(1, 4), np.ones((1, 4), np.float32))[0].item() == 2
    assert ref.avg_pool2d_forward(x, (1, 4))[0].item() == 0.5


def test_infinities_pass_without_a_warning():
    x = np.array([[[[inf, -inf, 1e308, 1e308]]]])
    y, cache = ref.conv2d_forward(x, np.ones((1, 1, 1, 2)))
    assert_array_equal(y[0, 0, 0], [nan, -inf, inf])
    dx, dw, _ = ref.conv2d_backward(np.array([[[[inf, -inf, 0]]]]), cache)
    assert_array_equal(dx[0, 0, 0], [inf, nan, -inf, 0])
    assert_array_equal(dw[0, 0, 0], [inf, -inf])


@pytest.mark.parametrize("bad", [np.ones((2, 3), complex), np.full((2, 3), "1"), np.full((2, 3), None)])
def test_what_is_no_real_number_is_a_type_error(bad):
    with pytest.raises(TypeError, match="expected real numbers"):
        ref.relu_forward(bad)


X = np.ones((2, 3, 4, 5))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ref.conv2d_forward(X, np.ones((2, 4, 2, 2))), r"\(2, 4, 2, 2\).*\(2, 3, 4, 5\)"),
        (lambda: ref.conv2d_forward(X, np.ones((2, 1, 2, 2)), groups=3), r"3 groups"),
        (lambda: ref.conv2d_forward(X, np.ones((2, 3, 2, 2)), np.ones(3)), r"b has shape \(3,\), expected \(2,\)"),
        (lambda: ref.conv2d_forward(X, np.ones((2, 3, 5, 5))), "spanning 5 does not fit an image of 4"),
        (lambda: ref.conv2d_forward(X, np.ones((2, 3, 2, 2)), padding="full"), "padding must be"),
        (lambda: ref.im2col(X[0], 2), r"\(N, C, H, W\), got \(3, 4, 5\)"),
        (lambda: ref.col2im(np.ones((3, 3)), X.shape, 2), r"cols has shape \(3, 3\), expected \(12, 24\)"),
        (lambda: ref.linear_forward(np.ones((2, 3)), np.ones((3, 2))), r"\(2, 3\).*\(3, 2\)"),
        (lambda: ref.linear_forward(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), "b has shape"),
        (lambda: ref.relu_backward(X[:1], ref.relu_forward(X)[1]), "dy has shape"),
        (lambda: ref.dropout_backward(X[:1], ref.dropout_forward(X, 0.5, rng=np.random.default_rng(0))[1]), "dy has"),
        (lambda: ref.flatten_backward(X, ref.flatten_forward(X)[1]), r"dy has shape.*expected \(2, 60\)"),
        (lambda: ref.linear_backward(X, ref.linear_forward(np.ones((2, 3)), np.ones((4, 3)))[1]), "dy has shape"),
        (lambda: ref.conv2d_backward(X, ref.conv2d_forward(X, np.ones((2, 3, 2, 2)))[1]), r"expected \(2, 2, 3, 4\)"),
        (lambda: ref.max_pool2d_backward(X, ref.max_pool2d_forward(X, 2)[1]), r"expected \(2, 3, 2, 2\)"),
        (lambda: ref.avg_pool2d_backward(X, ref.avg_pool2d_forward(X, 2)[1]), r"expected \(2, 3, 2, 2\)"),
        (lambda: ref.cross_entropy_forward(np.ones((2, 3)), np.array([0, 3])), "from 0 to 2, got 0 to 3"),
        (lambda: ref.cross_entropy_forward(np.ones((2, 3)), np.array([-1, 0])), "from 0 to 2, got -1 to 0"),
        (lambda: ref.cross_entropy_forward(np.ones((2, 3)), np.array([[0], [1]])), "labels has shape"),
        (lambda: ref.mse_forward(np.ones((2, 1)), np.ones(2)), r"target has shape \(2,\), expected \(2, 1\)"),
        (lambda: ref.mse_forward(X, X, sample_weight=np.ones(3)), "sample_weight has shape"),
    ],
)
def test_wrong_shapes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The file itself -----------------------------------------------------------------------------------------------------


def test_the_examples_in_the_docstrings_are_true():
    failed, attempted = doctest.testmod(ref)
    assert attempted >= 6
    assert failed == 0


def test_it_needs_numpy_alone():
    tree = ast.parse(inspect.getsource(ref))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else alias.name for node in nodes for alias in node.names}
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in nodes)
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"numpy"}
