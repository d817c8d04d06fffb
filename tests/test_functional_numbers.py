"""fastconv.functional against numbers worked out by hand, against SciPy, and on NaN and infinity as PyTorch treats them."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.signal import convolve, correlate
from scipy.special import log_softmax

from fastconv import functional as fast

nan, inf = np.nan, np.inf


def image(*rows, dtype=np.float64):
    """One sample of one channel."""
    return np.array([[rows]], dtype)


# By hand -------------------------------------------------------------------------------------------------------------


def test_im2col_rows_are_taps_and_columns_are_places():
    x = np.arange(1.0, 9).reshape(1, 2, 2, 2)  # [1 2; 3 4] and [5 6; 7 8]
    cols = fast.im2col(x, (1, 2), padding=((0, 0), (1, 0)))
    assert_array_equal(cols, [[0, 1, 0, 3], [1, 2, 3, 4], [0, 5, 0, 7], [5, 6, 7, 8]])
    two = fast.im2col(np.concatenate([x, 10 * x]), (1, 2), padding=((0, 0), (1, 0)))
    assert_array_equal(two, np.concatenate([cols, 10 * cols], axis=1))


def test_col2im_adds_overlaps_and_drops_padding():
    cols = np.array([[1.0, 2, 3], [10, 20, 30]])  # two taps at three places of a row of 3 with a zero on its right
    dx = fast.col2im(cols, (1, 1, 1, 3), (1, 2), padding=((0, 0), (0, 1)))
    assert_array_equal(dx, image([1, 12, 23]))


def test_convolution():
    x, w = image([1, 2, 3], [4, 5, 6], [7, 8, 9]), image([1, 2], [3, 4])
    y, cache = fast.conv2d_forward(x, w, np.array([10.0]))
    assert_array_equal(y, image([47, 57], [77, 87]))  # 1*1 + 2*2 + 3*4 + 4*5 + 10 and so on: not reversed
    dx, dw, db = fast.conv2d_backward(image([1, 10], [100, 1000]), cache)
    assert_array_equal(dx, image([1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]))
    assert_array_equal(dw, image([5421, 6532], [8754, 9865]))
    assert_array_equal(db, [1111])


def test_a_depthwise_convolution_keeps_the_channels_apart():
    x = np.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
    w = np.array([10.0, 11, 20, 21, 30, 31]).reshape(6, 1, 1, 1)
    y, cache = fast.conv2d_forward(x, w, groups=3)
    assert_array_equal(y.ravel(), [10, 11, 40, 42, 90, 93])
    dx, dw, db = fast.conv2d_backward(np.ones_like(y), cache)
    assert_array_equal(dx.ravel(), [21, 41, 61])
    assert_array_equal(dw.ravel(), [1, 1, 2, 2, 3, 3])
    assert db is None


@pytest.mark.parametrize(
    "kernel, stride, expected",
    [
        (2, 1, [[12, 16, 9], [24, 28, 15], [15, 17, 9]]),  # the zeros at the bottom and right only
        (2, 2, [[12, 9], [15, 9]]),
        ((1, 4), 1, [[6, 6, 5], [15, 15, 11], [24, 24, 17]]),  # one column at the left, two at the right
        (2, 3, [[12]]),
    ],
)
def test_same_padding_of_even_kernels(kernel, stride, expected):
    x = image([1, 2, 3], [4, 5, 6], [7, 8, 9])
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    y, _ = fast.conv2d_forward(x, np.ones((1, 1, *kernel)), stride=stride, padding="same")
    assert_array_equal(y, image(*expected))


@pytest.mark.parametrize("kernel", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("size", range(1, 8))
def test_same_padding_divides_the_size_and_rounds_up(size, stride, kernel):
    x, w = np.zeros((1, 1, size, 9)), np.zeros((1, 1, kernel, 1))
    sizes = {
        fast.conv2d_forward(x, w, stride=stride, padding="same")[0].shape[2],
        fast.max_pool2d_forward(x, (kernel, 1), stride, "same")[0].shape[2],
        fast.avg_pool2d_forward(x, (kernel, 1), stride, "same")[0].shape[2],
    }
    assert sizes == {math.ceil(size / stride)}


def test_the_gradients_of_overlapping_maxima_add():
    y, cache = fast.max_pool2d_forward(image([3, 0, 4, 2, 0]), (1, 3), 2)
    assert_array_equal(cache.argmax, [[[[2, 2]]]])
    assert_array_equal(fast.max_pool2d_backward(image([0.7, 0.9]), cache), image([0, 0, 0.7 + 0.9, 0, 0]))


def test_the_first_of_equal_maxima_takes_the_whole_gradient():
    y, cache = fast.max_pool2d_forward(np.zeros((1, 1, 2, 2)), 2)
    assert_array_equal(fast.max_pool2d_backward(image([5]), cache), image([5, 0], [0, 0]))
    y, cache = fast.max_pool2d_forward(image([0, 1, 1], [1, 1, 0]), (2, 3))
    assert cache.argmax.item() == 1


def test_padding_never_wins_a_maximum():
    y, cache = fast.max_pool2d_forward(image([-5, -6], [-7, -8]), 2, 1, 1)
    assert_array_equal(y, image([-5, -5, -6], [-5, -5, -6], [-7, -7, -8]))
    assert_array_equal(cache.argmax, image([0, 0, 1], [0, 0, 1], [2, 2, 3]))


def test_a_dilated_maximum_looks_at_every_other_pixel():
    y, cache = fast.max_pool2d_forward(image([1, 9, 2, 8, 3]), (1, 2), 1, 0, 2)
    assert_array_equal(y, image([2, 9, 3]))
    assert_array_equal(cache.argmax, image([2, 1, 4]))


@pytest.mark.parametrize(
    "pool, count_include_pad, expected",
    [
        # The windows begin at -1, 1 and 3; the third hangs one pixel over the padding, which is never counted.
        ("max", None, [2, 4, 4]),
        ("avg", True, [3 / 3, 9 / 3, 4 / 2]),
        ("avg", False, [3 / 2, 9 / 3, 4 / 1]),
    ],
)
def test_ceil_mode(pool, count_include_pad, expected):
    x = image([1, 2, 3, 4])
    if pool == "max":
        y, _ = fast.max_pool2d_forward(x, (1, 3), 2, (0, 1), ceil_mode=True)
        short, _ = fast.max_pool2d_forward(x, (1, 3), 2, (0, 1))
    else:
        y, cache = fast.avg_pool2d_forward(x, (1, 3), 2, (0, 1), True, count_include_pad)
        short, _ = fast.avg_pool2d_forward(x, (1, 3), 2, (0, 1), False, count_include_pad)
        shares = np.array(expected) / [3, 9, 4]  # 1 / the count
        dx = fast.avg_pool2d_backward(image([1, 10, 100]), cache)
        first, second, third = shares * [1, 10, 100]
        assert_allclose(dx, image([first, first + second, second, second + third]), rtol=1e-15)
    assert_array_equal(y, image(expected))
    assert_array_equal(short, image(expected[:2]))


def test_ceil_mode_drops_a_window_that_would_see_padding_alone():
    y, _ = fast.max_pool2d_forward(image([1, 2, 3]), (1, 2), (1, 2), (0, 1), ceil_mode=True)
    assert_array_equal(y, image([1, 3]))  # one at 4 would be the third


def test_average_pool_counts_padding_unless_told_not_to():
    x = image([4, 8], [12, 16])
    assert_array_equal(fast.avg_pool2d_forward(x, 2, 2, 1)[0], image([1, 2], [3, 4]))
    y, cache = fast.avg_pool2d_forward(x, 2, 2, 1, count_include_pad=False)
    assert_array_equal(y, x)
    assert_array_equal(fast.avg_pool2d_backward(image([1, 2], [3, 4]), cache), image([1, 2], [3, 4]))


def test_relu_has_no_slope_at_0():
    y, cache = fast.relu_forward([-2.0, -0.0, 0.0, 3.0])
    assert_array_equal(y, [0, 0, 0, 3])
    assert_array_equal(fast.relu_backward([5.0, 5.0, 5.0, 5.0], cache), [0, 0, 0, 5])


def test_dropout_scales_what_stays_and_keeps_the_mean():
    x = np.ones(100_000)
    y, cache = fast.dropout_forward(x, 0.8, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0, 1 / (1 - 0.8)}
    assert abs(y.mean() - 1) < 0.03  # five standard errors: the standard deviation of one is 2
    assert_array_equal(fast.dropout_backward(2 * x, cache), 2 * y)
    assert_array_equal(fast.dropout_forward(x, 0, rng=np.random.default_rng(0))[0], x)
    assert (y == fast.dropout_forward(x, 0.8, rng=np.random.default_rng(0))[0]).all()
    assert (y != fast.dropout_forward(x, 0.8, rng=np.random.default_rng(1))[0]).any()


def test_dropout_drops_an_infinity_to_0():
    y, cache = fast.dropout_forward([inf, inf, nan, nan] * 8, 0.5, rng=np.random.default_rng(0))
    assert 0 < cache.kept.sum() < 32
    assert (y[~cache.kept] == 0).all() and not np.isfinite(y[cache.kept]).any()
    assert (fast.dropout_backward([inf] * 32, cache)[~cache.kept] == 0).all()


def test_flatten_goes_channel_by_channel_and_row_by_row():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    y, cache = fast.flatten_forward(np.asfortranarray(x))
    assert_array_equal(y, np.arange(24.0).reshape(2, 12))
    assert_array_equal(fast.flatten_backward(y, cache), x)


def test_linear():
    y, cache = fast.linear_forward([[1.0, 2, 3], [4, 5, 6]], [[1.0, 0, -1], [2, 1, 0]], [10.0, 20])
    assert_array_equal(y, [[8, 24], [8, 33]])
    dx, dw, db = fast.linear_backward([[1.0, 10], [100, 1000]], cache)
    assert_array_equal(dx, [[21, 10, -1], [2100, 1000, -100]])
    assert_array_equal(dw, [[401, 502, 603], [4010, 5020, 6030]])
    assert_array_equal(db, [101, 1010])


def test_cross_entropy():
    logits = np.log([[1.0, 3], [1, 1]])
    loss, cache = fast.cross_entropy_forward(logits, [1, 0])
    assert_allclose(loss, (np.log(4 / 3) + np.log(2)) / 2, rtol=1e-15)
    assert_allclose(fast.cross_entropy_backward(cache), np.array([[0.25, -0.25], [-0.5, 0.5]]) / 2, rtol=1e-15)
    loss, cache = fast.cross_entropy_forward(logits, [1, 0], sample_weight=[3, 1])
    assert_allclose(loss, (3 * np.log(4 / 3) + np.log(2)) / 4, rtol=1e-15)
    assert_allclose(fast.cross_entropy_backward(cache), np.array([[0.75, -0.75], [-0.5, 0.5]]) / 4, rtol=1e-15)


def test_mse():
    y, target = np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 4], [3, 0]])
    loss, cache = fast.mse_forward(y, target)
    assert loss == (1 + 4 + 0 + 16) / 4
    assert_array_equal(fast.mse_backward(cache), [[0.5, -1], [0, 2]])
    loss, cache = fast.mse_forward(y, target, sample_weight=[3, 1])
    assert loss == (3 * 2.5 + 8) / 4
    assert_array_equal(fast.mse_backward(cache), [[0.75, -1.5], [0, 1]])


def test_a_column_of_outputs_takes_a_flat_target():
    """(N, 1) less (N,) would be (N, N) to NumPy."""
    loss, cache = fast.mse_forward([[1.0], [2], [4]], [0.0, 0, 0])
    assert_allclose(loss, (1 + 4 + 16) / 3, rtol=1e-15)
    assert fast.mse_backward(cache).shape == (3, 1)


@pytest.mark.parametrize("forward", [fast.cross_entropy_forward, fast.mse_forward])
def test_the_loss_of_no_samples_and_of_no_weight(forward):
    backward = getattr(fast, forward.__name__.replace("forward", "backward"))
    is_mse = forward is fast.mse_forward
    loss, cache = forward(np.zeros((0, 3)), np.zeros((0, 3)) if is_mse else np.zeros(0, int))
    assert math.isnan(loss) and backward(cache).shape == (0, 3)
    loss, cache = forward(np.ones((2, 3)), np.zeros((2, 3)) if is_mse else [0, 1], sample_weight=[0, 0])
    assert loss == 0 and not backward(cache).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [1e-30, 1e30, 3e38])
def test_only_the_proportions_of_the_weights_count(weight, dtype):
    """Their sum may be beyond the dtype's range."""
    logits, labels = np.array([[1, 2], [3, 5]], dtype), [0, 1]
    expected, _ = fast.cross_entropy_forward(logits, labels)
    loss, cache = fast.cross_entropy_forward(logits, labels, sample_weight=[weight, weight])
    assert_allclose(loss, expected, rtol=1e-6)
    assert_allclose(cache.shares, 0.5, rtol=1e-6)


# SciPy ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_convolution_is_scipys_correlation_and_dx_its_convolution(mode, stride):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(4, 3, 3, 5))
    padding = {"valid": 0, "same": (1, 2), "full": (2, 4)}[mode]
    every = np.array([[sum(correlate(a, k, mode) for a, k in zip(sample, kernel)) for kernel in w] for sample in x])
    SH, SW = stride
    y, cache = fast.conv2d_forward(x, w, stride=stride, padding=padding)
    assert_allclose(y, every[:, :, ::SH, ::SW], rtol=1e-10, atol=1e-12)
    # "The stride dilates the gradient": zeros where the forward pass skipped.
    dy = np.zeros_like(every)
    dy[:, :, ::SH, ::SW] = rng.normal(size=y.shape)
    full = np.array([[sum(convolve(d, k[c]) for d, k in zip(sample, w)) for c in range(3)] for sample in dy])
    top, left = np.broadcast_to(padding, 2)
    dx, dw, _ = fast.conv2d_backward(dy[:, :, ::SH, ::SW], cache)
    assert_allclose(dx, full[:, :, top : top + 7, left : left + 8], rtol=1e-10, atol=1e-12)
    padded = np.pad(x, [(0, 0), (0, 0), (top, top), (left, left)])
    expected = [[sum(correlate(padded[n, c], dy[n, f], "valid") for n in range(2)) for c in range(3)] for f in range(4)]
    assert_allclose(dw, expected, rtol=1e-10, atol=1e-12)


def test_dilation_is_a_kernel_with_holes():
    rng = np.random.default_rng(1)
    x, w, holes = rng.normal(size=(1, 1, 9, 9)), rng.normal(size=(1, 1, 3, 2)), np.zeros((5, 4))
    holes[::2, ::3] = w[0, 0]
    y, _ = fast.conv2d_forward(x, w, dilation=(2, 3))
    assert_allclose(y[0, 0], correlate(x[0, 0], holes, "valid"), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(3, 5), (1, 3), (5, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_pools_are_scipys_filters(size, stride):
    x = np.random.default_rng(2).normal(size=(2, 3, 8, 9))
    padding = tuple(side // 2 for side in size)
    y, _ = fast.max_pool2d_forward(x, size, stride, padding)
    filtered = maximum_filter(x, (1, 1, *size), mode="constant", cval=-inf)
    assert_array_equal(y, filtered[:, :, ::stride, ::stride])
    y, _ = fast.avg_pool2d_forward(x, size, stride, padding)
    filtered = uniform_filter(x, (1, 1, *size), mode="constant")
    assert_allclose(y, filtered[:, :, ::stride, ::stride], rtol=1e-10, atol=1e-12)


def test_softmax_and_cross_entropy_are_scipys():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(20, 7)) * 30, rng.integers(0, 7, 20)
    expected = log_softmax(logits, axis=1)
    assert_allclose(fast.softmax(logits), np.exp(expected), rtol=1e-12)
    assert_allclose(fast.cross_entropy_forward(logits, labels)[0], -expected[range(20), labels].mean(), rtol=1e-12)


# NaN and infinity, as PyTorch has them -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "pixels, winner",
    [
        ([1, nan, 3, 2, 0, 9], 1),
        ([1, nan, 3, nan, 0, inf], 3),
        ([nan, 1, 2, 3, 4, 5], 0),
        ([inf, inf, 1, 2, 3, 4], 0),
        ([-inf, -inf, -inf, -inf, -inf, -inf], 0),
        ([-inf, -inf, -inf, -1e300, -inf, -inf], 3),
        ([nan] * 6, 5),
        ([-0.0, 0.0, -0.0, 0.0, 0.0, 0.0], 0),
    ],
)
def test_who_wins_a_window(pixels, winner, dtype):
    with np.errstate(over="ignore"):
        x = np.array(pixels).astype(dtype).reshape(1, 1, 2, 3)
    if dtype == np.float32 and -1e300 in pixels:
        winner = 0  # it is -inf too
    y, cache = fast.max_pool2d_forward(x, (2, 3))
    assert cache.argmax.item() == winner
    assert_array_equal(y.item(), x.ravel()[winner])
    dx = fast.max_pool2d_backward(np.array([[[[nan]]]], dtype), cache)
    assert_array_equal(dx.ravel(), [nan if p == winner else 0 for p in range(6)])


def test_a_nan_wins_every_window_that_holds_it():
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 2] = nan
    y, cache = fast.max_pool2d_forward(x, 2, 1)
    assert_array_equal(np.isnan(y[0, 0]), [[0, 1, 1], [0, 1, 1], [0, 0, 0]])
    assert (cache.argmax[np.isnan(y)] == 6).all()


def test_a_window_between_the_pixels_has_no_winner():
    """Taps 5 apart around one pixel: both fall into the padding."""
    y, cache = fast.max_pool2d_forward(image([7]), (1, 2), 1, ((0, 0), (3, 3)), dilation=5)
    assert_array_equal(y, image([-inf, -inf]))
    assert_array_equal(cache.argmax, image([-1, -1]))
    assert_array_equal(fast.max_pool2d_backward(image([3, 4]), cache), image([0]))


def test_zero_times_infinity_is_nan_even_in_padding():
    y, cache = fast.conv2d_forward(image([0, 1]), image([inf, 1]), padding=((0, 0), (1, 0)))
    assert_array_equal(y, image([nan, nan]))  # 0 * inf in the padding, 0 * inf in the image
    dx, dw, _ = fast.conv2d_backward(image([0, 1]), cache)
    assert_array_equal(dx, image([inf, 1]))
    assert_array_equal(dw, image([0, 1]))
    y, _ = fast.linear_forward([[0.0, 1]], [[inf, 1], [1, inf], [-inf, 1]])
    assert_array_equal(y, [[nan, inf, nan]])


def test_infinities_of_both_signs_are_nan_without_a_warning():
    y, _ = fast.conv2d_forward(image([inf, -inf, 1]), image([1, 1]))
    assert_array_equal(y, image([nan, -inf]))
    y, _ = fast.conv2d_forward(image([inf]), image([1]), np.array([-inf]))
    assert_array_equal(y, image([nan]))
    y, _ = fast.avg_pool2d_forward(image([inf, -inf, 1, inf]), (1, 2))
    assert_array_equal(y, image([nan, inf]))
    assert_array_equal(fast.col2im([[inf, 1.0], [1.0, -inf]], (1, 1, 1, 3), (1, 2)), image([inf, 2, -inf]))


def test_relu_lets_nan_pass_and_stops_an_infinite_gradient():
    y, cache = fast.relu_forward([nan, inf, -inf])
    assert_array_equal(y, [nan, inf, 0])
    assert_array_equal(fast.relu_backward([inf, inf, inf], cache), [inf, inf, 0])


def test_softmax_of_huge_scores():
    assert_array_equal(fast.softmax([[1e300, 0], [-1e300, 1e300]]), [[1, 0], [0, 1]])
    assert_array_equal(fast.softmax([[-inf, 0], [inf, 0], [nan, 0]]), [[0, 1], [nan, nan], [nan, nan]])
    loss, cache = fast.cross_entropy_forward([[1e300, 0.0], [0, 0]], [0, 1])
    assert_allclose(loss, math.log(2) / 2)
    assert fast.cross_entropy_forward([[-inf, 0.0]], [0])[0] == inf


def test_an_error_too_large_to_square_is_infinite_without_a_warning():
    loss, cache = fast.mse_forward(np.array([[1e30]], np.float32), np.array([[-1e30]], np.float32))
    assert loss == inf
    assert_array_equal(fast.mse_backward(cache), np.array([[4e30]], np.float32))


def test_an_unsigned_argmax_does_not_wrap_to_minus_one():
    """-1 stands for a window without pixels; 2**64 - 1 is an error."""
    y, cache = fast.max_pool2d_forward(np.ones((1, 1, 2, 2)), 2)
    with pytest.raises(ValueError, match="outside"):
        fast.max_pool2d_backward(y, cache._replace(argmax=np.full((1, 1, 1, 1), 2**64 - 1, np.uint64)))
