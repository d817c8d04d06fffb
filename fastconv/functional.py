"""Backpropagation, one forward/backward pair an operation, in the order in which one rests on another.

`im2col` makes columns of the patches that a window sees, `col2im` adds them back. A linear layer is a matrix product, and two
more backward; a convolution is the same products on patches. Then pools, ReLU, dropout, flatten, losses. `fastconv.reference`
has the same operations as plain loops.

Activations are (N, C, H, W), weights (F, C/groups, KH, KW) as in PyTorch. Each ``<op>_forward`` returns ``(y, cache)``, and
``<op>_backward(dy, cache)`` the gradients to its arrays, in their order. The cache is a small frozen object, nothing is kept
anywhere else: two forwards before one backward are safe. float32 and float64 are computed in their own precision; other real
types are taken into the precision of the floats they meet, float32 if there are none.

Bad arguments are refused alike by all, before anything is computed:

- ``ValueError``: shapes, windows, strides and paddings that do not fit each other, numbers outside their range, a `dy` that has
  not the shape of the forward pass's output, and what would not fit into memory.
- ``TypeError``: arrays that are not of real numbers, or not of one precision, and a `dy` of another than the output's.
"""

from typing import NamedTuple

import numpy as np

from . import kernels
from .losses import (
    BinaryCrossEntropyCache,
    CrossEntropyCache,
    MSECache,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    cross_entropy_backward,
    cross_entropy_forward,
    mse_backward,
    mse_forward,
    softmax,
)
from .support.arrays import as_float, as_floats, empty, require_images, require_memory, require_shape, share, zeros
from .support.geometry import Window, conv_window, integer, pool_window, taps_inside

__all__ = [
    "im2col", "col2im",
    "LinearCache", "linear_forward", "linear_backward",
    "Conv2dCache", "conv2d_forward", "conv2d_backward",
    "MaxPool2dCache", "max_pool2d_forward", "max_pool2d_backward",
    "AvgPool2dCache", "avg_pool2d_forward", "avg_pool2d_backward",
    "ReLUCache", "relu_forward", "relu_backward",
    "DropoutCache", "dropout_forward", "dropout_backward",
    "FlattenCache", "flatten_forward", "flatten_backward",
    "softmax",
    "CrossEntropyCache", "cross_entropy_forward", "cross_entropy_backward",
    "MSECache", "mse_forward", "mse_backward",
    "BinaryCrossEntropyCache", "binary_cross_entropy_with_logits_forward", "binary_cross_entropy_with_logits_backward",
]  # fmt: skip

# --- patches ---


def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Gather every patch that a convolution looks at into a matrix.

    x (N, C, H, W) -> cols (C*KH*KW, N*OH*OW)

    ``cols[c*KH*KW + u*KW + v, n*OH*OW + i*OW + j]`` is the pixel under tap (u, v) of channel c when the window of sample n
    stands at (i, j), zero in the padding.

    Parameters
    ----------
    kernel_size, stride, dilation : int or (height, width)
        In pixels.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        In pixels; "same" gives ``out = ceil(in / stride)``, the odd row or column at the bottom or right.

    Examples
    --------
    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    x = as_float(x, "x")
    require_images(x)
    window = conv_window(*x.shape[2:], kernel_size, stride, padding, dilation)
    return _patches(x, window).reshape(x.shape[1] * window.KH * window.KW, len(x) * window.OH * window.OW)


def col2im(cols, x_shape, kernel_size, stride=1, padding=0, dilation=1):
    """Add every patch back to where `im2col` took it from: its adjoint, and the convolution's gradient to its input.

    cols (C*KH*KW, N*OH*OW) -> dx (N, C, H, W)

    x_shape is that of the images, everything else as for `im2col`; where patches overlap, their values add up.

    Examples
    --------
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), 2)  # how many patches hold each pixel
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    cols = as_float(cols, "cols")
    if len(x_shape) != 4:
        raise ValueError(f"x_shape must be (N, C, H, W), got {tuple(x_shape)}")
    N, C, H, W = (integer(size, "x_shape", 0) for size in x_shape)
    window = conv_window(H, W, kernel_size, stride, padding, dilation)
    rows, columns = C * window.KH * window.KW, N * window.OH * window.OW
    require_shape(cols, (rows, columns), "cols", f"for x_shape {(N, C, H, W)} and {window.KH}x{window.KW} windows")
    dx = zeros((N, C, H, W), cols.dtype, "dx")
    kernels.col2im(cols.reshape(rows, N, window.OH, window.OW), tuple(window), dx)
    return dx


def _patches(x, window):
    """x (N, C, H, W) -> cols (C*KH*KW, N, OH, OW)"""
    cols = empty((x.shape[1] * window.KH * window.KW, len(x), window.OH, window.OW), x.dtype, "the patch matrix")
    # A plain tuple: Numba takes 0.8 us more to recognise a named one.
    kernels.im2col(x, tuple(window), cols)
    return cols


# --- a matrix product, forward and backward: all that a linear layer and a convolution compute ---


def _product(left, right):
    """y = left @ right: (..., I, K), (..., K, J) -> y (..., I, J)"""
    return np.matmul(left, right)


def _left_gradient(dy, right):
    """dleft = dy @ right.T: entry (i, k) of left took part in all of row i of y, so the sum over its J columns."""
    return np.matmul(dy, right.mT)


def _right_gradient(left, dy, out=None):
    """dright = left.T @ dy: entry (k, j) of right took part in all of column j of y, so the sum over its I rows."""
    return np.matmul(left.mT, dy, out)


# --- linear: the product of samples and weights ---


class LinearCache(NamedTuple):
    """x, w and has_bias of a pass. x and w are not copied: leave them alone until `linear_backward`."""

    x: np.ndarray  # (N, in)
    w: np.ndarray  # (out, in)
    has_bias: bool


def linear_forward(x, w, b=None):
    """A fully connected layer, ``y = x @ w.T + b``.

    x (N, in), w (out, in), b (out,) or None -> y (N, out), cache

    Examples
    --------
    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0]))
    >>> y, linear_backward(np.array([[1.0]]), cache)
    (array([[16.]]), (array([[3., 4.]]), array([[1., 2.]]), array([1.])))
    """
    x, w, b = as_floats(x=x, w=w, b=b)
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        hint = "; flatten x first" if x.ndim > 2 else ""
        raise ValueError(f"x {x.shape} and w {w.shape} must be (N, in) and (out, in){hint}")
    if b is not None:
        require_shape(b, (len(w),), "b", f"for w {w.shape}")
    require_memory(len(x) * len(w) * x.itemsize, "y")
    with np.errstate(all="ignore"):
        y = _product(x, w.T)
        if b is not None:
            y += b
    return y, LinearCache(x, w, b is not None)


def linear_backward(dy, cache):
    """The gradients of a linear layer: ``dx = dy @ w``, ``dw = dy.T @ x``, and db the sum over the batch.

    dy (N, out), cache -> dx (N, in), dw (out, in), db (out,) or None
    """
    x, w, has_bias = cache
    dy = _gradient(dy, (len(x), len(w)), x.dtype)
    with np.errstate(all="ignore"):
        dx = _left_gradient(dy, w.T)  # of y = x @ w.T
        dw = _left_gradient(dy.T, x.T)  # of y.T = w @ x.T, so that dw lies as w does
        return dx, dw, dy.sum(axis=0) if has_bias else None


# --- convolution: the product of weights and patches, a column for each position of the window in each sample ---

PATCH_BYTES = 64 * 2**20
"""Patches up to this size are built once and kept for the backward pass; larger ones come in chunks of the batch, twice."""


class Conv2dCache(NamedTuple):
    """x, w, has_bias, window, groups and cols of a pass. x and w are not copied: leave them alone until `conv2d_backward`."""

    x: np.ndarray  # (N, C, H, W)
    w: np.ndarray  # (F, C/groups, KH, KW)
    has_bias: bool
    window: Window  # kernel, stride, dilation, padding and output size
    groups: int
    cols: np.ndarray | None  # (C*KH*KW, N, OH, OW): the patches, up to PATCH_BYTES; larger ones are built again, chunk by chunk


def conv2d_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Slide F kernels over images, a cross-correlation: ``y[f] = w[f] @ cols + b[f]`` with the patches of `im2col`.

    x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) or None -> y (N, F, OH, OW), cache

    Parameters
    ----------
    stride, padding, dilation
        In pixels, as for `im2col`.
    groups : int
        Each of `groups` equal parts of the filters sees only its part of the channels; C makes it depthwise.

    Examples
    --------
    >>> y, cache = conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))
    >>> y
    array([[[[4., 4.],
             [4., 4.]]]])
    >>> dx, dw, db = conv2d_backward(np.ones_like(y), cache)
    >>> dw.tolist(), db
    ([[[[4.0, 4.0], [4.0, 4.0]]]], array([4.]))
    """
    x, w, b = as_floats(x=x, w=w, b=b)
    groups = _require_conv(x, w, b, groups)
    window = conv_window(*x.shape[2:], w.shape[2:], stride, padding, dilation)
    N, F, P = len(x), len(w), window.OH * window.OW
    y = empty((N, F, window.OH, window.OW), x.dtype, "y")
    weights, bias = _grouped(w, groups), np.zeros(F, x.dtype) if b is None else b
    chunk, cols = _chunk(x, window), None
    for start in range(0, N, chunk):
        part = slice(start, start + chunk)
        cols = _patches(x[part], window)
        with np.errstate(all="ignore"):
            rows = _product(weights, _grouped(cols, groups))  # (G, F/G, n*P)
        kernels.samples_first(rows.reshape(F, -1, P), bias, y[part].reshape(-1, F, P))
    return y, Conv2dCache(x, w, b is not None, window, groups, cols if chunk >= N else None)


def conv2d_backward(dy, cache, *, need_dx=True):
    """The gradients of a convolution: ``dw = dy @ cols.T`` on the patches, ``dcols = w.T @ dy``, and `col2im` makes dx of it.

    dy (N, F, OH, OW), cache -> dx (N, C, H, W) or None, dw (F, C/groups, KH, KW), db (F,) or None

    Without need_dx the work for dx is saved, which the first layer of a network does not need.
    """
    x, w, has_bias, window, groups, kept = cache
    N, F, P = len(x), len(w), window.OH * window.OW
    dy = _gradient(dy, (N, F, window.OH, window.OW), x.dtype)
    weights = _grouped(w, groups)  # (G, F/G, C/G*KH*KW)
    dx = zeros(x.shape, x.dtype, "dx") if need_dx else None
    dw, db = np.zeros(weights.shape, w.dtype), np.zeros(F, w.dtype)
    chunk = _chunk(x, window) if kept is None else max(N, 1)
    for start in range(0, N, chunk):
        part = slice(start, start + chunk)
        rows = np.empty((F, len(x[part]), P), dy.dtype)
        kernels.filters_first(dy[part].reshape(-1, F, P), rows)
        dy_rows = _grouped(rows, groups)  # (G, F/G, n*P)
        cols = _grouped(_patches(x[part], window) if kept is None else kept, groups)  # (G, C/G*KH*KW, n*P)
        with np.errstate(all="ignore"):
            db += rows.sum(axis=(1, 2))
            dw += _left_gradient(dy_rows, cols)  # dy @ cols.T
            if need_dx:  # w.T @ dy, written over the patches where they were built for this pass alone
                dcols = _right_gradient(weights, dy_rows, cols if kept is None else None)
        if need_dx:
            kernels.col2im(dcols.reshape(-1, len(x[part]), window.OH, window.OW), tuple(window), dx[part])
    return dx, dw.reshape(w.shape), db if has_bias else None


def _require_conv(x, w, b, groups):
    require_images(x)
    groups = integer(groups, "groups", 1)
    if w.ndim != 4 or 0 in w.shape:
        raise ValueError(f"w must be (F, C/groups, KH, KW) and not empty, got shape {w.shape} for x {x.shape}")
    C, F = x.shape[1], len(w)
    if w.shape[1] * groups != C:
        channels_last = x.shape[3] == w.shape[1] * groups
        hint = "; x looks channels-last, use x.transpose(0, 3, 1, 2)" if channels_last else ""
        raise ValueError(f"x {x.shape} has {C} channels, w {w.shape} with groups={groups} takes {w.shape[1] * groups}{hint}")
    if F % groups:
        raise ValueError(f"w {w.shape} has {F} filters, which groups={groups} does not divide; x is {x.shape}")
    if b is not None:
        require_shape(b, (F,), "b", f"for w {w.shape}")
    return groups


def _chunk(x, window):
    """How many samples' patches fit into PATCH_BYTES, at least one."""
    sample = x.shape[1] * window.KH * window.KW * window.OH * window.OW * x.itemsize
    require_memory(sample, "the patches of one sample")
    return max(PATCH_BYTES // sample, 1)


def _grouped(matrix, groups):
    """(groups * rows, ...) -> (groups, rows, columns): one matrix for each group."""
    return matrix.reshape(groups, len(matrix) // groups, matrix[0].size)


# --- pools ---


class MaxPool2dCache(NamedTuple):
    """What `max_pool2d_backward` needs: argmax, which says who won each window, x_shape and dtype."""

    argmax: np.ndarray  # int64 (N, C, OH, OW): h*W + w in its input plane, -1 for a window that lies in the padding altogether
    x_shape: tuple  # (N, C, H, W)
    dtype: np.dtype  # of x


def max_pool2d_forward(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The maximum of each window.

    x (N, C, H, W) -> y (N, C, OH, OW), cache

    Of equal maxima the first in row-major order wins, a NaN wins over every number, the last of several.

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        In pixels, as for `im2col`; stride is `kernel_size` unless given, padding never wins: at most half the dilated window.
    ceil_mode : bool
        Keep a last window that hangs over the edge, as long as it starts inside the image or the padding before it.

    Examples
    --------
    >>> y, cache = max_pool2d_forward(np.array([[[[3.0, 0, 4, 2, 0]]]]), (1, 3), 2)
    >>> y, cache.argmax
    (array([[[[4., 4.]]]]), array([[[[2, 2]]]]))
    >>> max_pool2d_backward(np.array([[[[0.7, 0.9]]]]), cache)
    array([[[[0. , 0. , 1.6, 0. , 0. ]]]])
    """
    x = as_float(x, "x")
    require_images(x)
    window = pool_window(*x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    y = empty((*x.shape[:2], OH, OW), x.dtype, "y")
    argmax = empty(y.shape, np.dtype(np.int64), "argmax")
    rows, columns = taps_inside(H, KH, SH, DH, PT, OH), taps_inside(W, KW, SW, DW, PL, OW)
    kernels.max_pool2d(x, rows, columns, tuple(window), y, argmax)
    return y, MaxPool2dCache(argmax, x.shape, x.dtype)


def max_pool2d_backward(dy, cache):
    """Send each window's gradient to the pixel that won it; where several windows chose one pixel, add.

    dy (N, C, OH, OW), cache -> dx (N, C, H, W)
    """
    argmax, (N, C, H, W), dtype = cache
    argmax = np.asarray(argmax)
    if argmax.dtype.kind not in "iu":
        raise TypeError(f"argmax must be integers, got {argmax.dtype}")
    if argmax.ndim != 4 or argmax.shape[:2] != (N, C):
        raise ValueError(f"argmax {argmax.shape} does not belong to an input of shape {(N, C, H, W)}")
    dy = _gradient(dy, argmax.shape, dtype)
    if argmax.dtype == np.uint64:  # its upper half would turn negative, and -1 sends no gradient
        argmax = np.minimum(argmax, np.uint64(np.iinfo(np.int64).max))
    argmax = np.require(argmax, np.int64, ["C", "W"])
    dx = zeros((N, C, H, W), dy.dtype, "dx")
    planes, P = N * C, argmax.shape[2] * argmax.shape[3]
    if not kernels.max_pool2d_scatter(dy.reshape(planes, P), argmax.reshape(planes, P), dx.reshape(planes, H * W)):
        raise ValueError(f"argmax {argmax.shape} holds positions outside its input planes {(H, W)}")
    return dx


class AvgPool2dCache(NamedTuple):
    """What `avg_pool2d_backward` needs: x_shape, window and divisor."""

    x_shape: tuple  # (N, C, H, W)
    window: Window  # kernel, stride, padding and output size
    divisor: np.ndarray  # (OH, OW): what each window's sum was divided by


def avg_pool2d_forward(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window.

    x (N, C, H, W) -> y (N, C, OH, OW), cache

    Parameters
    ----------
    kernel_size, stride, padding
        In pixels, as for `im2col`; stride is `kernel_size` unless given, padding is of zeros and at most half the window.
    ceil_mode : bool
        Keep a last window that hangs over the edge; what hangs over the padding too is never counted.
    count_include_pad : bool
        Whether padding counts as pixels in the mean.

    Examples
    --------
    >>> y, cache = avg_pool2d_forward(np.arange(8.0).reshape(1, 1, 2, 4), 2)
    >>> y
    array([[[[2.5, 4.5]]]])
    >>> avg_pool2d_backward(np.array([[[[4.0, 8.0]]]]), cache)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    x = as_float(x, "x")
    require_images(x)
    window = pool_window(*x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    require_memory((OH * OW + OH + OW) * np.dtype(np.int64).itemsize, "the windows' divisors")
    rows = _counted(H, KH, SH, PT, PB, OH, count_include_pad)
    columns = _counted(W, KW, SW, PL, PR, OW, count_include_pad)
    divisor = np.multiply.outer(rows, columns).astype(x.dtype)  # (OH, OW)
    y = empty((*x.shape[:2], OH, OW), x.dtype, "y")
    kernels.avg_pool2d(x, tuple(window), divisor, y)
    return y, AvgPool2dCache(x.shape, window, divisor)


def avg_pool2d_backward(dy, cache):
    """Give every pixel of a window its equal share of the window's gradient; overlapping windows add.

    dy (N, C, OH, OW), cache -> dx (N, C, H, W)
    """
    x_shape, window, divisor = cache
    dy = _gradient(dy, (*x_shape[:2], window.OH, window.OW), divisor.dtype)
    dx = zeros(x_shape, dy.dtype, "dx")
    kernels.avg_pool2d_scatter(dy, tuple(window), divisor, dx)
    return dx


def _counted(size, K, S, before, after, count, include_pad):
    """How many pixels each of `count` windows along one axis takes the mean over, at least 1."""
    start = np.arange(count) * S - before
    stop = np.minimum(start + K, size + after)
    if not include_pad:
        start, stop = np.maximum(start, 0), np.minimum(stop, size)
    return np.maximum(stop - start, 1)


# --- elementwise ---


class ReLUCache(NamedTuple):
    """What `relu_backward` needs: where the gate was open, and dtype."""

    open: np.ndarray  # bool, as x: False where it was at most 0, so that no gradient passes; a NaN is open, as in PyTorch
    dtype: np.dtype  # of x


def relu_forward(x):
    """``max(x, 0)``, elementwise.

    x (any shape) -> y (the same shape), cache

    Examples
    --------
    >>> y, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> y, relu_backward(np.ones(3), cache)
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    x = as_float(x, "x")
    with np.errstate(invalid="ignore"):
        y = np.maximum(x, 0)
    return y, ReLUCache(y != 0, x.dtype)


def relu_backward(dy, cache):
    """Pass the gradient where the input was above 0; at 0 it is 0.

    dy (any shape), cache -> dx (the same shape)
    """
    dy = _gradient(dy, cache.open.shape, cache.dtype)
    dx = np.empty_like(dy)
    kernels.relu_gate(dy.reshape(-1), np.asarray(cache.open).reshape(-1), dx.reshape(-1))
    return dx


class DropoutCache(NamedTuple):
    """What `dropout_backward` needs: which units were kept, and their scale."""

    kept: np.ndarray  # bool, as x: the units that stayed
    scale: np.floating  # 1 / (1 - p), in x's dtype


def dropout_forward(x, p, *, rng):
    """Set each unit to 0 with probability `p` and scale the rest by 1 / (1 - p), so that the mean stays.

    x (any shape) -> y (the same shape), cache

    Parameters
    ----------
    p : float
        In [0, 1).
    rng : numpy.random.Generator
        Or any object whose ``random(shape)`` gives numbers in [0, 1).

    Examples
    --------
    >>> y, cache = dropout_forward(np.ones(4), 0.5, rng=np.random.default_rng(0))
    >>> y, dropout_backward(np.ones(4), cache)
    (array([2., 0., 0., 0.]), array([2., 0., 0., 0.]))
    """
    x = as_float(x, "x")
    p = share(p, "p")
    if not hasattr(rng, "random"):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    cache = DropoutCache(np.asarray(rng.random(x.shape) >= p), x.dtype.type(1 / (1 - p)))
    return _drop(x, cache), cache


def dropout_backward(dy, cache):
    """The gradient through the units that stayed, scaled as they were.

    dy (any shape), cache -> dx (the same shape)
    """
    return _drop(_gradient(dy, cache.kept.shape, cache.scale.dtype), cache)


def _drop(x, cache):
    with np.errstate(all="ignore"):
        return np.where(cache.kept, x * cache.scale, x.dtype.type(0))


# --- images to rows ---


class FlattenCache(NamedTuple):
    """What `flatten_backward` needs: x_shape and dtype."""

    x_shape: tuple  # (N, C, H, W)
    dtype: np.dtype  # of x


def flatten_forward(x):
    """One row a sample: channel by channel, row by row; a view of x where that is possible.

    x (N, C, H, W) -> y (N, C*H*W), cache

    Examples
    --------
    >>> y, cache = flatten_forward(np.zeros((2, 3, 4, 5)))
    >>> y.shape, flatten_backward(y, cache).shape
    ((2, 60), (2, 3, 4, 5))
    """
    x = as_float(x, "x")
    require_images(x)
    N, C, H, W = x.shape
    return x.reshape(N, C * H * W), FlattenCache(x.shape, x.dtype)


def flatten_backward(dy, cache):
    """The gradient folded back into images.

    dy (N, C*H*W), cache -> dx (N, C, H, W)
    """
    N, C, H, W = cache.x_shape
    return _gradient(dy, (N, C * H * W), cache.dtype).reshape(cache.x_shape)


# --- what all backward passes ask first ---


def _gradient(dy, shape, dtype):
    """`dy` checked against what the forward pass returned."""
    dy = as_float(dy, "dy", dtype)
    if dy.dtype != dtype:
        raise TypeError(f"dy must be of the forward pass's dtype {dtype}, got {dy.dtype}")
    require_shape(dy, shape, "dy", "as the forward pass's output")
    return dy
