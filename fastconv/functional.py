"""Backpropagation, one forward/backward pair an operation: the convolution is im2col, a matrix product, and col2im.

Activations are (N, C, H, W), weights (F, C/groups, KH, KW) as in PyTorch. Each ``<op>_forward`` returns ``(y, cache)``; the
cache is a small frozen object and nothing is kept anywhere else, so two forwards before one backward are safe. float32 and
float64 are computed in their own precision, other real types are taken into the precision of the floats they
meet, float32 if there are none. `fastconv.reference` has the same
operations as plain loops.
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
    "AvgPool2dCache", "BinaryCrossEntropyCache", "Conv2dCache", "CrossEntropyCache", "DropoutCache", "FlattenCache", "LinearCache", "MSECache",
    "MaxPool2dCache", "ReluCache", "avg_pool2d_backward", "avg_pool2d_forward",
    "binary_cross_entropy_with_logits_backward", "binary_cross_entropy_with_logits_forward", "col2im", "conv2d_backward",
    "conv2d_forward", "cross_entropy_backward", "cross_entropy_forward", "dropout_backward", "dropout_forward",
    "flatten_backward", "flatten_forward", "im2col", "linear_backward", "linear_forward", "max_pool2d_backward",
    "max_pool2d_forward", "mse_backward", "mse_forward", "relu_backward", "relu_forward", "softmax",
]  # fmt: skip

PATCH_BYTES = 64 * 2**20
"""Patches up to this size are built once and kept for the backward pass; larger ones come in chunks of the batch, twice."""


# --- patches ---


def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Gather every patch that a convolution looks at into a matrix.

    x (N, C, H, W) -> cols (C*KH*KW, N*OH*OW), with ``cols[c*KH*KW + u*KW + v, n*OH*OW + i*OW + j]`` the pixel under tap (u, v)
    of channel c when the window of sample n stands at (i, j), zero in the padding.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size, stride, dilation : int or (height, width)
        In pixels.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        In pixels; "same" gives ``out = ceil(in / stride)``, the odd row or column at the bottom or right.

    Returns
    -------
    array (C*KH*KW, N*OH*OW)

    Raises
    ------
    ValueError
        If `x` is not 4-D, the window does not fit, or the matrix would not fit into memory.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
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

    cols (C*KH*KW, N*OH*OW) -> dx (N, C, H, W); where patches overlap their values add up.

    Parameters
    ----------
    cols : array (C*KH*KW, N*OH*OW)
    x_shape : (N, C, H, W)
        The shape of the images.
    kernel_size, stride, padding, dilation
        As for `im2col`.

    Returns
    -------
    array (N, C, H, W)

    Raises
    ------
    ValueError
        If the shape of `cols` is not what `im2col` returns for `x_shape`.
    TypeError
        If `cols` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
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
    _add_patches(cols.reshape(rows, N, window.OH, window.OW), window, dx)
    return dx


def _patches(x, window):
    """x (N, C, H, W) -> cols (C*KH*KW, N, OH, OW)"""
    N, C = x.shape[:2]
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    cols = empty((C * KH * KW, N, OH, OW), x.dtype, "the patch matrix")
    kernels.im2col(x, KH, KW, SH, SW, DH, DW, PT, PL, cols)
    return cols


def _add_patches(cols, window, dx):
    """cols (C*KH*KW, N, OH, OW) added onto dx (N, C, H, W)"""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    kernels.col2im(cols, KH, KW, SH, SW, DH, DW, PT, PL, dx)


# --- convolution ---


class Conv2dCache(NamedTuple):
    """What a convolution's backward pass needs.

    Attributes
    ----------
    x : array (N, C, H, W)
        The input; not copied, so leave it alone until the backward pass.
    w : array (F, C/groups, KH, KW)
        The weights, not copied either.
    has_bias : bool
    window : Window
        Kernel, stride, dilation, padding and output size.
    groups : int
    cols : array (C*KH*KW, N, OH, OW) or None
        The patches, kept up to `PATCH_BYTES`; None where the backward pass builds them again, chunk by chunk.
    """

    x: np.ndarray
    w: np.ndarray
    has_bias: bool
    window: Window
    groups: int
    cols: np.ndarray | None


def conv2d_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Slide F kernels over a batch of images: cross-correlation, as every framework's convolution.

    x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) -> y (N, F, OH, OW)

    As a matrix product: ``y[f] = w[f] . cols + b[f]``, a row of weights times the patches of `im2col`.

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (F, C/groups, KH, KW)
    b : array (F,), optional
    stride, dilation : int or (height, width)
        In pixels.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        Zeros around the image, in pixels; "same" gives ``out = ceil(in / stride)``.
    groups : int
        Each of `groups` equal parts of the filters sees only its part of the channels; C makes it depthwise.

    Returns
    -------
    y : array (N, F, OH, OW)
    cache : Conv2dCache
        For `conv2d_backward`.

    Raises
    ------
    ValueError
        For shapes, strides and paddings that do not fit each other, and for sizes beyond memory.
    TypeError
        For arrays that are not real numbers or not of one precision.

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))
    >>> y
    array([[[[4., 4.],
             [4., 4.]]]])
    >>> dx, dw, db = conv2d_backward(np.ones_like(y), cache)
    >>> dx
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    x, w, b = as_floats(x=x, w=w, b=b)
    groups = _require_conv(x, w, b, groups)
    window = conv_window(*x.shape[2:], w.shape[2:], stride, padding, dilation)
    N, F, P = len(x), len(w), window.OH * window.OW
    y = empty((N, F, window.OH, window.OW), x.dtype, "y")
    bias = np.zeros(F, x.dtype) if b is None else b
    chunk = _chunk(x, window)
    cols = None
    for start in range(0, N, chunk):
        part = slice(start, start + chunk)
        cols = _patches(x[part], window)
        with np.errstate(all="ignore"):
            rows = np.matmul(_grouped(w, groups), _grouped(cols, groups))  # (G, F/G, n*P)
        kernels.unfold_batch(rows.reshape(F, -1, P), bias, y[part].reshape(-1, F, P))
    return y, Conv2dCache(x, w, b is not None, window, groups, cols if chunk >= N else None)


def conv2d_backward(dy, cache, *, need_dx=True):
    """The gradients of a convolution: two more matrix products on the patches, and `col2im`.

    dy (N, F, OH, OW) -> dx (N, C, H, W), dw (F, C/groups, KH, KW), db (F,)

    ``dw = dy . cols^T``; ``dcols = w^T . dy``, and `col2im` adds each patch of it back to the pixels it came from.

    Parameters
    ----------
    dy : array (N, F, OH, OW)
    cache : Conv2dCache
    need_dx : bool
        False saves the work for dx, which the first layer of a network does not need.

    Returns
    -------
    dx : array (N, C, H, W) or None
    dw : array (F, C/groups, KH, KW)
    db : array (F,) or None
        None if the forward pass had no bias.

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward pass's output.
    TypeError
        If `dy` has not its dtype.
    """
    x, w, has_bias, window, groups, _ = cache
    N, F, P = len(x), len(w), window.OH * window.OW
    dy = _gradient(dy, (N, F, window.OH, window.OW), x.dtype)
    dx = zeros(x.shape, x.dtype, "dx") if need_dx else None
    dw, db = np.zeros((groups, F // groups, w[0].size), w.dtype), np.zeros(F, w.dtype)
    chunk = _chunk(x, window) if cache.cols is None else max(N, 1)
    for start in range(0, N, chunk):
        part = slice(start, start + chunk)
        cols = _patches(x[part], window) if cache.cols is None else cache.cols
        rows = np.empty((F, len(x[part]), P), dy.dtype)
        kernels.fold_batch(dy[part].reshape(-1, F, P), rows)
        with np.errstate(all="ignore"):
            db += rows.sum(axis=(1, 2))
            dw += np.matmul(_grouped(rows, groups), _grouped(cols, groups).transpose(0, 2, 1))
            if need_dx:
                # The patches are spent (unless the caller may use the cache again): write their gradient over them.
                out = _grouped(cols, groups) if cache.cols is None else None
                dcols = np.matmul(_grouped(w, groups).transpose(0, 2, 1), _grouped(rows, groups), out=out)
        if need_dx:
            _add_patches(dcols.reshape(cols.shape), window, dx[part])
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


def _gradient(dy, shape, dtype):
    """`dy` checked against what the forward pass returned."""
    dy = as_float(dy, "dy", dtype)
    if dy.dtype != dtype:
        raise TypeError(f"dy must be of the forward pass's dtype {dtype}, got {dy.dtype}")
    require_shape(dy, shape, "dy", "as the forward pass's output")
    return dy


# --- pooling ---


class MaxPool2dCache(NamedTuple):
    """What a max pool's backward pass needs.

    Attributes
    ----------
    argmax : int64 array (N, C, OH, OW)
        h*W + w of each window's maximum in its input plane, -1 for a window that lies in the padding altogether.
    x_shape : (N, C, H, W)
    dtype : numpy.dtype
        Of the input.
    """

    argmax: np.ndarray
    x_shape: tuple
    dtype: np.dtype


def max_pool2d_forward(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The maximum of each window.

    x (N, C, H, W) -> y (N, C, OH, OW)

    Of equal maxima the first in row-major order wins, a NaN wins over every number, the last of several.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size, dilation : int or (height, width)
        In pixels.
    stride : int or (height, width), optional
        In pixels; `kernel_size` unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        Pixels that never win, at most half the dilated window.
    ceil_mode : bool
        Keep a last window that hangs over the edge, as long as it starts inside the image or the padding before it.

    Returns
    -------
    y : array (N, C, OH, OW)
    cache : MaxPool2dCache
        ``cache.argmax`` says who won.

    Raises
    ------
    ValueError
        For shapes, strides and paddings that do not fit each other.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
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
    kernels.max_pool2d(x, rows, columns, SH, SW, DH, DW, PT, PL, y, argmax)
    return y, MaxPool2dCache(argmax, x.shape, x.dtype)


def max_pool2d_backward(dy, cache):
    """Send each window's gradient to the pixel that won it; where several windows chose one pixel, add.

    dy (N, C, OH, OW) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C, OH, OW)
    cache : MaxPool2dCache

    Returns
    -------
    dx : array (N, C, H, W)

    Raises
    ------
    ValueError
        If `dy` has not the shape of ``cache.argmax``, or an argmax lies outside its plane.
    TypeError
        If `dy` has not the input's dtype, or argmax is not of integers.
    """
    argmax, (N, C, H, W), dtype = cache
    argmax = np.asarray(argmax)
    if argmax.dtype.kind not in "iu":
        raise TypeError(f"argmax must be integers, got {argmax.dtype}")
    if argmax.ndim != 4 or argmax.shape[:2] != (N, C):
        raise ValueError(f"argmax {argmax.shape} does not belong to an input of shape {(N, C, H, W)}")
    dy = _gradient(dy, argmax.shape, dtype)
    if argmax.dtype == np.uint64:  # its upper half would turn negative, and -1 sends no gradient
        argmax = np.minimum(argmax, np.uint64(2**63 - 1))
    argmax = np.require(argmax, np.int64, ["C", "W"])
    dx = zeros((N, C, H, W), dy.dtype, "dx")
    planes, P = N * C, argmax.shape[2] * argmax.shape[3]
    if not kernels.max_pool2d_scatter(dy.reshape(planes, P), argmax.reshape(planes, P), dx.reshape(planes, H * W)):
        raise ValueError(f"argmax {argmax.shape} holds positions outside its input planes {(H, W)}")
    return dx


class AvgPool2dCache(NamedTuple):
    """What an average pool's backward pass needs.

    Attributes
    ----------
    x_shape : (N, C, H, W)
    window : Window
        Kernel, stride, padding and output size.
    divisor : array (OH, OW)
        What each window's sum was divided by.
    """

    x_shape: tuple
    window: Window
    divisor: np.ndarray


def avg_pool2d_forward(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window.

    x (N, C, H, W) -> y (N, C, OH, OW)

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size : int or (height, width)
        In pixels.
    stride : int or (height, width), optional
        In pixels; `kernel_size` unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        Zeros, at most half the window.
    ceil_mode : bool
        Keep a last window that hangs over the edge; what hangs over the padding too is never counted.
    count_include_pad : bool
        Whether padding counts as pixels in the mean.

    Returns
    -------
    y : array (N, C, OH, OW)
    cache : AvgPool2dCache

    Raises
    ------
    ValueError
        For shapes, strides and paddings that do not fit each other.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
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
    require_memory((OH * OW + OH + OW) * 8, "the windows' divisors")
    rows = _counted(H, KH, SH, PT, PB, OH, count_include_pad)
    columns = _counted(W, KW, SW, PL, PR, OW, count_include_pad)
    divisor = np.multiply.outer(rows, columns).astype(x.dtype)  # (OH, OW)
    y = empty((*x.shape[:2], OH, OW), x.dtype, "y")
    kernels.avg_pool2d(x, KH, KW, SH, SW, PT, PL, divisor, y)
    return y, AvgPool2dCache(x.shape, window, divisor)


def avg_pool2d_backward(dy, cache):
    """Give every pixel of a window its equal share of the window's gradient; overlapping windows add.

    dy (N, C, OH, OW) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C, OH, OW)
    cache : AvgPool2dCache

    Returns
    -------
    dx : array (N, C, H, W)

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward pass's output.
    TypeError
        If `dy` has not its dtype.
    """
    x_shape, window, divisor = cache
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    dy = _gradient(dy, (*x_shape[:2], OH, OW), divisor.dtype)
    dx = zeros(x_shape, dy.dtype, "dx")
    kernels.avg_pool2d_scatter(dy, KH, KW, SH, SW, PT, PL, divisor, dx)
    return dx


def _counted(size, K, S, before, after, count, include_pad):
    """How many pixels each of `count` windows along one axis takes the mean over, at least 1."""
    start = np.arange(count) * S - before
    stop = np.minimum(start + K, size + after)
    if not include_pad:
        start, stop = np.maximum(start, 0), np.minimum(stop, size)
    return np.maximum(stop - start, 1)


# --- elementwise ---


class ReluCache(NamedTuple):
    """What a ReLU's backward pass needs.

    Attributes
    ----------
    shut : bool array
        Where the input was at most 0, so that no gradient passes. A NaN is open, as in PyTorch.
    dtype : numpy.dtype
        Of the input.
    """

    shut: np.ndarray
    dtype: np.dtype


def relu_forward(x):
    """``max(x, 0)``, elementwise.

    x (any shape) -> y (the same shape)

    Parameters
    ----------
    x : array

    Returns
    -------
    y : array
    cache : ReluCache

    Raises
    ------
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> y, relu_backward(np.ones(3), cache)
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    x = as_float(x, "x")
    with np.errstate(invalid="ignore"):
        return np.maximum(x, 0), ReluCache(x <= 0, x.dtype)


def relu_backward(dy, cache):
    """Pass the gradient where the input was above 0; at 0 it is 0.

    dy (any shape) -> dx (the same shape)

    Parameters
    ----------
    dy : array
    cache : ReluCache

    Returns
    -------
    dx : array

    Raises
    ------
    ValueError
        If `dy` has not the input's shape.
    TypeError
        If `dy` has not its dtype.
    """
    dy = _gradient(dy, cache.shut.shape, cache.dtype)
    dx = np.empty_like(dy)
    kernels.relu_gate(dy.reshape(-1), np.asarray(cache.shut).reshape(-1), dx.reshape(-1))
    return dx


class DropoutCache(NamedTuple):
    """What dropout's backward pass needs.

    Attributes
    ----------
    kept : bool array
        The units that stayed.
    scale : scalar
        1 / (1 - p), in the input's dtype.
    """

    kept: np.ndarray
    scale: np.floating


def dropout_forward(x, p, *, rng):
    """Set each unit to 0 with probability `p` and scale the rest by 1 / (1 - p), so that the mean stays.

    x (any shape) -> y (the same shape)

    Parameters
    ----------
    x : array
    p : float
        In [0, 1).
    rng : numpy.random.Generator
        Or any object whose ``random(shape)`` gives numbers in [0, 1).

    Returns
    -------
    y : array
    cache : DropoutCache

    Raises
    ------
    ValueError
        If `p` is not in [0, 1).
    TypeError
        If `x` does not hold real numbers or `rng` has no ``random``.

    Examples
    --------
    >>> import numpy as np
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

    dy (any shape) -> dx (the same shape)

    Parameters
    ----------
    dy : array
    cache : DropoutCache

    Returns
    -------
    dx : array

    Raises
    ------
    ValueError
        If `dy` has not the input's shape.
    TypeError
        If `dy` has not its dtype.
    """
    return _drop(_gradient(dy, cache.kept.shape, cache.scale.dtype), cache)


def _drop(x, cache):
    with np.errstate(all="ignore"):
        return np.where(cache.kept, x * cache.scale, x.dtype.type(0))


# --- the fully connected end ---


class FlattenCache(NamedTuple):
    """What flatten's backward pass needs.

    Attributes
    ----------
    x_shape : (N, C, H, W)
    dtype : numpy.dtype
        Of the input.
    """

    x_shape: tuple
    dtype: np.dtype


def flatten_forward(x):
    """One row a sample: channel by channel, row by row.

    x (N, C, H, W) -> y (N, C*H*W)

    Parameters
    ----------
    x : array (N, C, H, W)

    Returns
    -------
    y : array (N, C*H*W)
        A view of `x` where that is possible.
    cache : FlattenCache

    Raises
    ------
    ValueError
        If `x` is not 4-D.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    >>> import numpy as np
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

    dy (N, C*H*W) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C*H*W)
    cache : FlattenCache

    Returns
    -------
    dx : array (N, C, H, W)

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward pass's output.
    TypeError
        If `dy` has not its dtype.
    """
    N, C, H, W = cache.x_shape
    return _gradient(dy, (N, C * H * W), cache.dtype).reshape(cache.x_shape)


class LinearCache(NamedTuple):
    """What a linear layer's backward pass needs.

    Attributes
    ----------
    x : array (N, in)
        The input; not copied, so leave it alone until the backward pass.
    w : array (out, in)
        The weights, not copied either.
    has_bias : bool
    """

    x: np.ndarray
    w: np.ndarray
    has_bias: bool


def linear_forward(x, w, b=None):
    """A fully connected layer, ``y = x @ w.T + b``.

    x (N, in), w (out, in), b (out,) -> y (N, out)

    Parameters
    ----------
    x : array (N, in)
    w : array (out, in)
    b : array (out,), optional

    Returns
    -------
    y : array (N, out)
    cache : LinearCache

    Raises
    ------
    ValueError
        If the shapes do not fit each other.
    TypeError
        For arrays that are not real numbers or not of one precision.

    Examples
    --------
    >>> import numpy as np
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
        y = np.matmul(x, w.T)
        if b is not None:
            y += b
    return y, LinearCache(x, w, b is not None)


def linear_backward(dy, cache):
    """The gradients of a linear layer, ``dx = dy @ w``, ``dw = dy.T @ x``, and db the sum over the batch.

    dy (N, out) -> dx (N, in), dw (out, in), db (out,)

    Parameters
    ----------
    dy : array (N, out)
    cache : LinearCache

    Returns
    -------
    dx : array (N, in)
    dw : array (out, in)
    db : array (out,) or None
        None if the forward pass had no bias.

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward pass's output.
    TypeError
        If `dy` has not its dtype.
    """
    x, w, has_bias = cache
    dy = _gradient(dy, (len(x), len(w)), x.dtype)
    with np.errstate(all="ignore"):
        return np.matmul(dy, w), np.matmul(dy.T, x), dy.sum(axis=0) if has_bias else None
