"""Every operation as plain loops: slow, short, and the definition that the fast forms are judged by.

One rule carries the file. If the forward pass computes ``y[out] += a * x[in]``, then a change of ``x[in]`` by one moves
``y[out]`` by ``a``, so the backward pass computes ``dx[in] += a * dy[out]``: **the same loops, with the arrow turned
round**. Read each pair side by side and compare the innermost lines. It is ``+=`` because an input that was used
several times (by overlapping windows, by several filters, by every sample of a batch) is to blame for the sum of all.

The letters are the same everywhere::

    n  sample                    N, C, H, W   samples, channels, height, width of the input
    c  input channel             F            filters, which are the output's channels
    f  filter                    KH, KW       height and width of the window
    i, j  row, column of y       OH, OW       height and width of the output
    u, v  row, column of the window (a "tap")
    h, w  row, column of the image
    p, q  rows, columns that the taps see: p[u] = i*stride + u*dilation - top padding, q[v] = j*stride + v*dilation - left
          padding, and H or W where that lies outside: all padding is one row and one column of zeros behind the image

``dy`` is the gradient of the loss with respect to ``y``: as large as ``y``, and handed back by the operation above.
``for i, j in np.ndindex(OH, OW)`` is ``for i in range(OH): for j in range(OW):`` on one line.

float32 stays float32 and float64 stays float64, and the two do not mix; integers, bools and float16 follow the floats
they meet, and become float32 if there are none. Sums are taken in float64 and rounded once, when they are complete.
"""

from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import NamedTuple

import numpy as np

__all__ = [
    "im2col", "col2im",
    "conv2d_forward", "conv2d_backward",
    "max_pool2d_forward", "max_pool2d_backward",
    "avg_pool2d_forward", "avg_pool2d_backward",
    "relu_forward", "relu_backward",
    "dropout_forward", "dropout_backward",
    "flatten_forward", "flatten_backward",
    "linear_forward", "linear_backward",
    "softmax",
    "cross_entropy_forward", "cross_entropy_backward",
    "mse_forward", "mse_backward", "binary_cross_entropy_with_logits_forward", "binary_cross_entropy_with_logits_backward",
]  # fmt: skip

# Too large is inf and inf - inf is nan, without a warning: as in compiled code.
_silent = np.errstate(over="ignore", invalid="ignore", divide="ignore")


# Where a window looks ------------------------------------------------------------------------------------------------


class _Axis(NamedTuple):
    """How a window slides along one axis of an image: down its rows or across its columns."""

    size: int  # of the image
    kernel: int  # taps of the window
    stride: int  # pixels from one window to the next
    dilation: int  # pixels from one tap to the next
    before: int  # padding at the top or left
    after: int  # padding at the bottom or right
    out: int  # positions of the window

    def at(self, i):
        """The row or column that each tap of window `i` sees; one past the last stands for all padding."""
        places = [i * self.stride + u * self.dilation - self.before for u in range(self.kernel)]
        return [p if 0 <= p < self.size else self.size for p in places]

    def inside(self, i):
        """The rows or columns of the image itself that window `i` sees: few, however large the window is."""
        start = i * self.stride - self.before
        stop = start + (self.kernel - 1) * self.dilation + 1
        return range(start if start >= 0 else start % self.dilation, min(stop, self.size), self.dilation)

    def taps(self, i, count_padding):
        """How many taps of the undilated window `i` lie inside the image, or inside image and padding."""
        start = i * self.stride
        stop = start + self.kernel
        if count_padding:
            return min(stop, self.before + self.size + self.after) - start
        return max(0, min(stop, self.before + self.size) - max(start, self.before))


def _axis(size, kernel, stride, dilation, padding, ceil_mode):
    span = (kernel - 1) * dilation + 1
    if padding == "same":
        total = max((ceil(size / stride) - 1) * stride + span - size, 0)
        padding = total // 2, total - total // 2
    before, after = padding
    room = before + size + after - span
    if room < 0:
        raise ValueError(f"a window spanning {span} does not fit an image of {size} padded by {before} and {after}")
    out = room // stride + 1
    if ceil_mode:
        out = ceil(room / stride) + 1
        if (out - 1) * stride >= before + size:  # it would see nothing but the padding after the image
            out -= 1
    return _Axis(size, kernel, stride, dilation, before, after, out)


def _window(shape, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The two axes, down and across, of a window that slides over images of `shape` (N, C, H, W)."""
    if len(shape) != 4:
        raise ValueError(f"expected images of shape (N, C, H, W), got {shape}")
    axes = zip(shape[2:], _pair(kernel_size), _pair(stride), _pair(dilation), _paddings(padding))
    down, across = (_axis(*axis, ceil_mode) for axis in axes)
    return down, across


def _paddings(padding):
    """``((top, bottom), (left, right))``, with ``"same"`` for an axis that is to work out its own."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding must be "same", "valid", an int or pairs of ints, got {padding!r}')
        return ("same", "same") if padding == "same" else ((0, 0), (0, 0))
    return tuple(_pair(side) for side in _pair(padding))


def _pair(value):
    first, second = (value, value) if np.isscalar(value) else value
    return first, second


def _pad(x):
    """A copy of `x` (N, C, H, W) in float64 with a row and a column of zeros behind it, which are all padding there is."""
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 1, W + 1))
    padded[:, :, :H, :W] = x
    return padded


def _crop(padded):
    """The image without its padding, as a view."""
    return padded[:, :, :-1, :-1]


# Arrays --------------------------------------------------------------------------------------------------------------


def _float(*arrays):
    """The arrays, native and all of float32 or all of float64; None stays None."""
    arrays = [None if a is None else np.asarray(a) for a in arrays]
    kinds = {a.dtype.newbyteorder("=") for a in arrays if a is not None}
    floats = {kind for kind in kinds if kind in (np.float32, np.float64)}
    if any(kind.kind not in "iub" and kind != np.float16 for kind in kinds - floats):
        raise TypeError(f"expected real numbers of at most 64 bits, got {', '.join(map(str, kinds))}")
    if len(floats) > 1:
        raise TypeError("expected arrays of one precision, got float32 and float64")
    dtype = floats.pop() if floats else np.float32
    found = [None if a is None else a.astype(dtype, copy=False) for a in arrays]
    return found if len(found) > 1 else found[0]


def _double(a):
    """`a` in float64, for sums that are rounded only when they are complete."""
    a = np.asarray(a)
    return (a if a.dtype.kind in "iub" else _float(a)).astype(np.float64)


def _gradient(dy, shape, dtype):
    """`dy` in float64, once it is known to be of the shape and dtype of what the forward pass returned."""
    dy, _ = _float(dy, np.empty(0, dtype))
    _expect("dy", dy.shape, shape)
    return _double(dy)


def _zeros(shape, dtype, name):
    """A new array for the result `name`; one of no samples is as large as one of one."""
    try:
        return np.zeros([max(length, 1) for length in shape], dtype)[tuple(map(slice, shape))]
    except (MemoryError, ValueError):  # of these NumPy raises one or the other, from size to size
        size = prod(max(length, 1) for length in shape) * dtype.itemsize / 2**30
        raise ValueError(f"{name} {shape} would take {size:,.1f} GiB, more than this machine's memory") from None


def _expect(name, shape, expected):
    if tuple(shape) != tuple(expected):
        raise ValueError(f"{name} has shape {tuple(shape)}, expected {tuple(expected)}")


# im2col: patches as columns ------------------------------------------------------------------------------------------


def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Copy each patch that a window sees into a column of its own.

    x (N, C, H, W) -> cols (C*KH*KW, N*OH*OW)

    Row ``c*KH*KW + u*KW + v`` holds what tap (u, v) sees in channel c; column ``n*OH*OW + i*OW + j`` is the patch of
    output (i, j) of sample n. A pixel appears once for each window that covers it. With the weights as rows,
    ``w.reshape(F, C*KH*KW) @ cols`` is the convolution.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size, stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"

    Returns
    -------
    cols : array (C*KH*KW, N*OH*OW), of x's dtype

    Examples
    --------
    >>> im2col(np.arange(1, 7).reshape(1, 1, 2, 3), (2, 2)).astype(int)  # [1 2 3; 4 5 6] has two 2x2 patches
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """
    x = _float(x)
    down, across = _window(x.shape, kernel_size, stride, padding, dilation)
    N, C, KH, KW, OH, OW = *x.shape[:2], down.kernel, across.kernel, down.out, across.out
    padded = _pad(x)
    cols = _zeros((C * KH * KW, N * OH * OW), x.dtype, "the patch matrix")
    for n, i, j in np.ndindex(N, OH, OW):
        p, q = down.at(i), across.at(j)
        for c, u, v in np.ndindex(C, KH, KW):
            row, column = c * KH * KW + u * KW + v, n * OH * OW + i * OW + j
            cols[row, column] = padded[n, c, p[u], q[v]]
    return cols


@_silent
def col2im(cols, x_shape, kernel_size, stride=1, padding=0, dilation=1):
    """Add each column back to the pixels that `im2col` took it from: the adjoint of im2col, not its inverse.

    cols (C*KH*KW, N*OH*OW) -> x (N, C, H, W)

    Where patches overlap their values add; what falls on the padding is dropped.

    Parameters
    ----------
    cols : array (C*KH*KW, N*OH*OW)
    x_shape : (N, C, H, W)
    kernel_size, stride, padding, dilation : as for `im2col`

    Returns
    -------
    x : array (N, C, H, W), of the dtype of cols

    Examples
    --------
    >>> col2im(np.ones((4, 2)), (1, 1, 2, 3), (2, 2))[0, 0]  # both patches cover the middle column
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    cols = _float(cols)
    down, across = _window(x_shape, kernel_size, stride, padding, dilation)
    N, C, KH, KW, OH, OW = *x_shape[:2], down.kernel, across.kernel, down.out, across.out
    _expect("cols", cols.shape, (C * KH * KW, N * OH * OW))
    padded = _pad(np.zeros(x_shape))
    for n, i, j in np.ndindex(N, OH, OW):
        p, q = down.at(i), across.at(j)
        for c, u, v in np.ndindex(C, KH, KW):
            row, column = c * KH * KW + u * KW + v, n * OH * OW + i * OW + j
            padded[n, c, p[u], q[v]] += cols[row, column]
    return _crop(padded).astype(cols.dtype)


# Convolution ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Conv2dCache:
    """What `conv2d_backward` needs of the forward pass."""

    x: np.ndarray  # (N, C, H, W)
    w: np.ndarray  # (F, C/groups, KH, KW)
    b: np.ndarray | None  # (F,)
    window: tuple  # how it slides down and across
    groups: int


@_silent
def conv2d_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Slide each filter over the image and take the product sum at every stop; the filter is not turned round.

    x (N, C, H, W), w (F, C/groups, KH, KW), b (F,) -> y (N, F, OH, OW)

    ``y[n, f, i, j] = b[f] + sum over c, u, v of w[f, c, u, v] * padded[n, c, p[u], q[v]]``, where
    ``p[u] = i*stride + u*dilation - top padding`` and ``q[v] = j*stride + v*dilation - left padding``.

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (F, C/groups, KH, KW)
    b : array (F,), optional
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
    groups : int
        The channels are cut into so many equal groups, the filters too, and filters see the channels of their group.

    Returns
    -------
    y : array (N, F, OH, OW)
    cache : Conv2dCache
    """
    x, w, b = _float(x, w, b)
    F, C_group, KH, KW = w.shape
    down, across = _window(x.shape, (KH, KW), stride, padding, dilation)
    if groups < 1 or F % groups or x.shape[1] != C_group * groups:
        raise ValueError(f"w of shape {w.shape} in {groups} groups does not fit x of shape {x.shape}")
    if b is not None:
        _expect("b", b.shape, (F,))
    padded, taps = _pad(x), _double(w)
    y = _zeros((len(x), F, down.out, across.out), x.dtype, "y")
    for n, f, i, j in np.ndindex(y.shape):
        first, p, q = f // (F // groups) * C_group, down.at(i), across.at(j)
        total = 0.0 if b is None else float(b[f])
        for c, u, v in np.ndindex(C_group, KH, KW):
            total += taps[f, c, u, v] * padded[n, first + c, p[u], q[v]]
        y[n, f, i, j] = total
    return y, Conv2dCache(x, w, b, (down, across), groups)


@_silent
def conv2d_backward(dy, cache, *, need_dx=True):
    """Turn the forward pass's one product round: each of its two factors earns ``dy`` times the other one.

    dy (N, F, OH, OW) -> dx (N, C, H, W), dw (F, C/groups, KH, KW), db (F,)

    Nothing is reversed and no stride is "dilated" here: the textbook's rotated kernel is these same loops seen from
    the pixel, where a window that stops further down reaches it with a tap further up.

    Parameters
    ----------
    dy : array (N, F, OH, OW)
    cache : Conv2dCache
    need_dx : bool
        The first layer has no use for dx.

    Returns
    -------
    dx : array (N, C, H, W), or None if not needed
    dw : array (F, C/groups, KH, KW)
    db : array (F,), or None if there was no b
    """
    x, w, b, groups = cache.x, cache.w, cache.b, cache.groups
    down, across = cache.window
    F, C_group, KH, KW = w.shape
    dy = _gradient(dy, (len(x), F, down.out, across.out), x.dtype)
    padded, taps = _pad(x), _double(w)
    dpadded, dw, db = np.zeros(padded.shape), np.zeros(w.shape), np.zeros(F)
    for n, f, i, j in np.ndindex(dy.shape):
        first, p, q = f // (F // groups) * C_group, down.at(i), across.at(j)
        db[f] += dy[n, f, i, j]
        for c, u, v in np.ndindex(C_group, KH, KW):
            dw[f, c, u, v] += dy[n, f, i, j] * padded[n, first + c, p[u], q[v]]
            if need_dx:
                dpadded[n, first + c, p[u], q[v]] += dy[n, f, i, j] * taps[f, c, u, v]
    dx = _crop(dpadded).astype(x.dtype) if need_dx else None
    return dx, dw.astype(w.dtype), None if b is None else db.astype(b.dtype)


# Pooling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MaxPool2dCache:
    """What `max_pool2d_backward` needs of the forward pass."""

    argmax: np.ndarray  # (N, C, OH, OW) int64: h*W + w of each window's winner, -1 for a window without a pixel
    x_shape: tuple  # (N, C, H, W)
    dtype: np.dtype  # of x


def max_pool2d_forward(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Keep the largest pixel of each window, and remember where it was.

    x (N, C, H, W) -> y (N, C, OH, OW)

    Of equal pixels the first wins, row by row. A nan beats every number and the last nan beats the others. Padding
    never wins: a window of -inf only points at its first pixel, and one without any pixel gives -inf and argmax -1.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size, dilation : int or (height, width)
    stride : int or (height, width), optional
        kernel_size unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
    ceil_mode : bool
        Add a last window where the stride leaves a rest, if it starts in the image or the padding before it.

    Returns
    -------
    y : array (N, C, OH, OW)
    cache : MaxPool2dCache

    Examples
    --------
    >>> y, cache = max_pool2d_forward(np.array([[[[3, 0, 4, 2, 0]]]]), (1, 3), stride=2)
    >>> y[0, 0, 0], cache.argmax[0, 0, 0]
    (array([4., 4.], dtype=float32), array([2, 2]))
    """
    x = _float(x)
    stride = kernel_size if stride is None else stride
    down, across = _window(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    N, C, H, W = x.shape
    y = _zeros((N, C, down.out, across.out), x.dtype, "y")
    argmax = np.zeros(y.shape, np.int64)
    for n, c, i, j in np.ndindex(y.shape):
        best, winner = -np.inf, -1
        for h, w in product(down.inside(i), across.inside(j)):
            value = x[n, c, h, w]
            if winner == -1 or value > best or np.isnan(value):
                best, winner = value, h * W + w
        y[n, c, i, j], argmax[n, c, i, j] = best, winner
    return y, MaxPool2dCache(argmax, x.shape, x.dtype)


@_silent
def max_pool2d_backward(dy, cache):
    """Hand each window's gradient to its winner alone; a pixel that won several windows gets the sum.

    dy (N, C, OH, OW) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C, OH, OW)
    cache : MaxPool2dCache

    Returns
    -------
    dx : array (N, C, H, W)

    Examples
    --------
    >>> y, cache = max_pool2d_forward(np.array([[[[3.0, 0, 4, 2, 0]]]]), (1, 3), stride=2)
    >>> max_pool2d_backward(np.array([[[[0.7, 0.9]]]]), cache)[0, 0, 0]  # the 4 won both windows
    array([0. , 0. , 1.6, 0. , 0. ])
    """
    dy = _gradient(dy, cache.argmax.shape, cache.dtype)
    dx = np.zeros(cache.x_shape)
    W = cache.x_shape[3]
    for n, c, i, j in np.ndindex(dy.shape):
        winner = cache.argmax[n, c, i, j]
        if winner >= 0:
            dx[n, c, winner // W, winner % W] += dy[n, c, i, j]
    return dx.astype(cache.dtype)


@dataclass(frozen=True, eq=False)
class AvgPool2dCache:
    """What `avg_pool2d_backward` needs of the forward pass."""

    window: tuple  # how it slides down and across
    count_include_pad: bool
    x_shape: tuple  # (N, C, H, W)
    dtype: np.dtype  # of x


@_silent
def avg_pool2d_forward(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Average the pixels of each window.

    x (N, C, H, W) -> y (N, C, OH, OW)

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel_size : int or (height, width)
    stride : int or (height, width), optional
        kernel_size unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
    ceil_mode : bool
        Add a last window where the stride leaves a rest, if it starts in the image or the padding before it.
    count_include_pad : bool
        Whether the padding's zeros count among the averaged. What ceil_mode's last window sees beyond the padding
        never counts, and a window without anything to count gives 0.

    Returns
    -------
    y : array (N, C, OH, OW)
    cache : AvgPool2dCache
    """
    x = _float(x)
    stride = kernel_size if stride is None else stride
    down, across = _window(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    wide = _double(x)
    y = _zeros((*x.shape[:2], down.out, across.out), x.dtype, "y")
    for n, c, i, j in np.ndindex(y.shape):
        total, count = 0.0, _count(down, across, i, j, count_include_pad)
        for h, w in product(down.inside(i), across.inside(j)):
            total += wide[n, c, h, w]
        y[n, c, i, j] = total / count if count else 0
    return y, AvgPool2dCache((down, across), count_include_pad, x.shape, x.dtype)


@_silent
def avg_pool2d_backward(dy, cache):
    """Hand each window's gradient to its pixels in equal shares; shares from overlapping windows add.

    dy (N, C, OH, OW) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C, OH, OW)
    cache : AvgPool2dCache

    Returns
    -------
    dx : array (N, C, H, W)
    """
    down, across = cache.window
    N, C, H, W = cache.x_shape
    dy = _gradient(dy, (N, C, down.out, across.out), cache.dtype)
    dx = np.zeros(cache.x_shape)
    for n, c, i, j in np.ndindex(dy.shape):
        count = _count(down, across, i, j, cache.count_include_pad)
        for h, w in product(down.inside(i), across.inside(j)):
            dx[n, c, h, w] += dy[n, c, i, j] / count if count else 0
    return dx.astype(cache.dtype)


def _count(down, across, i, j, count_include_pad):
    """What the average of window (i, j) is divided by."""
    return down.taps(i, count_include_pad) * across.taps(j, count_include_pad)


# Elementwise ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ReLUCache:
    """What `relu_backward` needs of the forward pass."""

    open: np.ndarray  # bool, False where x <= 0: no gradient passes there
    dtype: np.dtype  # of x


def relu_forward(x):
    """Replace what is negative by 0; nan stays nan.

    x (any shape) -> y (the same)

    Parameters
    ----------
    x : array

    Returns
    -------
    y : array
    cache : ReLUCache
    """
    x = _float(x)
    open = ~(x <= 0)  # not "x > 0", which is False for nan
    return np.where(open, x, x.dtype.type(0)), ReLUCache(open, x.dtype)


def relu_backward(dy, cache):
    """Let the gradient pass where x did; at exactly 0, where the slope is undefined, it is taken as 0.

    dy (any shape) -> dx (the same)

    Parameters
    ----------
    dy : array
    cache : ReLUCache

    Returns
    -------
    dx : array
    """
    dy = _gradient(dy, cache.open.shape, cache.dtype).astype(cache.dtype)
    return np.where(cache.open, dy, dy.dtype.type(0))  # a product with the mask would make nan of 0 * inf


@dataclass(frozen=True, eq=False)
class DropoutCache:
    """What `dropout_backward` needs of the forward pass."""

    kept: np.ndarray  # bool, as x
    scale: np.floating  # 1 / (1 - p), of x's dtype


@_silent
def dropout_forward(x, p, *, rng):
    """Set each number to 0 with probability `p`, and scale the others so that the expected value stays.

    x (any shape) -> y (the same)

    Parameters
    ----------
    x : array
    p : float in [0, 1)
    rng : numpy.random.Generator

    Returns
    -------
    y : array
    cache : DropoutCache
    """
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p!r}")
    x = _float(x)
    cache = DropoutCache(kept=rng.random(x.shape) >= p, scale=x.dtype.type(1 / (1 - p)))
    return _drop(x, cache), cache


@_silent
def dropout_backward(dy, cache):
    """Drop and scale the gradient just as x was.

    dy (any shape) -> dx (the same)

    Parameters
    ----------
    dy : array
    cache : DropoutCache

    Returns
    -------
    dx : array
    """
    return _drop(_gradient(dy, cache.kept.shape, cache.scale.dtype).astype(cache.scale.dtype), cache)


def _drop(a, cache):
    return np.where(cache.kept, a * cache.scale, a.dtype.type(0))


# Flatten and linear --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FlattenCache:
    """What `flatten_backward` needs of the forward pass."""

    x_shape: tuple  # (N, C, H, W)
    dtype: np.dtype  # of x


def flatten_forward(x):
    """Write each sample's image as one row: channel after channel, row after row.

    x (N, C, H, W) -> y (N, C*H*W)

    Parameters
    ----------
    x : array (N, C, H, W)

    Returns
    -------
    y : array (N, C*H*W)
    cache : FlattenCache
    """
    x = _float(x)
    return x.reshape(len(x), prod(x.shape[1:])), FlattenCache(x.shape, x.dtype)


def flatten_backward(dy, cache):
    """Fold each row back into an image.

    dy (N, C*H*W) -> dx (N, C, H, W)

    Parameters
    ----------
    dy : array (N, C*H*W)
    cache : FlattenCache

    Returns
    -------
    dx : array (N, C, H, W)
    """
    dy = _gradient(dy, (cache.x_shape[0], prod(cache.x_shape[1:])), cache.dtype)
    return dy.astype(cache.dtype).reshape(cache.x_shape)


@dataclass(frozen=True, eq=False)
class LinearCache:
    """What `linear_backward` needs of the forward pass."""

    x: np.ndarray  # (N, in)
    w: np.ndarray  # (out, in)
    b: np.ndarray | None  # (out,)


@_silent
def linear_forward(x, w, b=None):
    """Give each output its own weighted sum of all inputs.

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
    """
    x, w, b = _float(x, w, b)
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x (N, in) of shape {x.shape} does not fit w (out, in) of shape {w.shape}")
    if b is not None:
        _expect("b", b.shape, w.shape[:1])
    wide, weights = _double(x), _double(w)
    y = np.zeros((len(x), len(w)), x.dtype)
    for n, o in np.ndindex(y.shape):
        total = 0.0 if b is None else float(b[o])
        for k in range(x.shape[1]):
            total += weights[o, k] * wide[n, k]
        y[n, o] = total
    return y, LinearCache(x, w, b)


@_silent
def linear_backward(dy, cache):
    """Turn the product round: each of its two factors earns ``dy`` times the other one.

    dy (N, out) -> dx (N, in), dw (out, in), db (out,)

    Parameters
    ----------
    dy : array (N, out)
    cache : LinearCache

    Returns
    -------
    dx : array (N, in)
    dw : array (out, in)
    db : array (out,), or None if there was no b
    """
    x, w, b = cache.x, cache.w, cache.b
    dy = _gradient(dy, (len(x), len(w)), x.dtype)
    wide, weights = _double(x), _double(w)
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(len(w))
    for n, o in np.ndindex(dy.shape):
        db[o] += dy[n, o]
        for k in range(x.shape[1]):
            dw[o, k] += dy[n, o] * wide[n, k]
            dx[n, k] += dy[n, o] * weights[o, k]
    return dx.astype(x.dtype), dw.astype(w.dtype), None if b is None else db.astype(b.dtype)


# Losses --------------------------------------------------------------------------------------------------------------


def softmax(logits):
    """Turn scores into probabilities: ``exp(logits)``, divided by its sum over the last axis.

    logits (..., classes) -> probabilities (the same)

    Parameters
    ----------
    logits : array (..., classes)

    Returns
    -------
    probabilities : array (..., classes)
    """
    logits = _float(logits)
    return np.exp(_log_softmax(logits)).astype(logits.dtype)


@_silent
def _log_softmax(logits):
    """The logarithm of `softmax`, in float64; the largest score is subtracted first, so that exp can't overflow."""
    scores = _double(logits)
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def _shares(sample_weight, n_samples):
    """What each sample counts for in a weighted mean: ``w / sum(w)``, or nothing at all where every weight is 0."""
    weights = np.ones(n_samples) if sample_weight is None else _double(sample_weight)
    _expect("sample_weight", weights.shape, (n_samples,))
    total = weights.sum()
    return weights / total if total else np.zeros(n_samples)


@_silent
def _weighted_mean(losses, shares):
    """The mean of the samples' losses, a Python float; nan for an empty batch, as the mean of nothing."""
    return float((shares * losses).sum()) if len(losses) else float("nan")


@dataclass(frozen=True, eq=False)
class CrossEntropyCache:
    """What `cross_entropy_backward` needs of the forward pass."""

    logits: np.ndarray  # (N, classes)
    labels: np.ndarray  # (N,)
    shares: np.ndarray  # (N,) float64: what each sample counts for in the mean


def cross_entropy_forward(logits, labels, *, sample_weight=None):
    """Mean surprise at the right classes: ``-log(softmax(logits)[label])``.

    logits (N, classes), labels (N,), sample_weight (N,) -> loss, a float

    Parameters
    ----------
    logits : array (N, classes)
    labels : array (N,) of integers from 0 to classes - 1
    sample_weight : array (N,), optional
        The loss is ``sum(weight * l) / sum(weight)``: 0 if all weights are 0.

    Returns
    -------
    loss : float
        nan for an empty batch.
    cache : CrossEntropyCache
    """
    logits, labels = _float(logits), np.asarray(labels)
    N, classes = logits.shape
    if N and labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    _expect("labels", labels.shape, (N,))
    if N and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    log_probabilities = _log_softmax(logits)
    losses = np.array([-log_probabilities[n, labels[n]] for n in range(N)])
    cache = CrossEntropyCache(logits, labels, _shares(sample_weight, N))
    return _weighted_mean(losses, cache.shares), cache


@_silent
def cross_entropy_backward(cache):
    """Probabilities minus the right answer, once for each sample's share in the mean.

    -> dlogits (N, classes)

    ``d loss / d logits[n, k] = share[n] * (softmax(logits)[n, k] - (1 if k is the label else 0))``

    Parameters
    ----------
    cache : CrossEntropyCache

    Returns
    -------
    dlogits : array (N, classes)
    """
    dlogits = np.exp(_log_softmax(cache.logits))
    for n, label in enumerate(cache.labels):
        dlogits[n, label] -= 1
        dlogits[n] *= cache.shares[n]
    return dlogits.astype(cache.logits.dtype)


@dataclass(frozen=True, eq=False)
class MSECache:
    """What `mse_backward` needs of the forward pass."""

    y: np.ndarray  # (N, outputs)
    target: np.ndarray  # (N, outputs)
    shares: np.ndarray  # (N,) float64: what each sample counts for in the mean


@_silent
def mse_forward(y, target, *, sample_weight=None):
    """Mean of the squared differences over the outputs, then over the samples.

    y (N, outputs), target (N, outputs), sample_weight (N,) -> loss, a float

    Parameters
    ----------
    y, target : arrays (N, outputs), of the same shape: (N,) against (N, 1) would compare all with all
    sample_weight : array (N,), optional
        The loss is ``sum(weight * l) / sum(weight)``: 0 if all weights are 0.

    Returns
    -------
    loss : float
        nan for an empty batch.
    cache : MSECache
    """
    y, target = _float(y, target)
    _expect("target", target.shape, y.shape)
    cache = MSECache(y, target, _shares(sample_weight, len(y)))
    outputs = prod(y.shape[1:])
    squares = (_double(y) - _double(target)) ** 2
    losses = squares.reshape(len(y), outputs).sum(axis=1) / outputs
    return _weighted_mean(losses, cache.shares), cache


@_silent
def mse_backward(cache):
    """Twice the difference, shared out as the mean was taken.

    -> dy (N, outputs)

    ``d loss / d y[n, o] = share[n] / outputs * 2 * (y[n, o] - target[n, o])``

    Parameters
    ----------
    cache : MSECache

    Returns
    -------
    dy : array (N, outputs)
    """
    dy = 2 * (_double(cache.y) - _double(cache.target)) / prod(cache.y.shape[1:])
    for n, share in enumerate(cache.shares):
        dy[n] *= share
    return dy.astype(cache.y.dtype)


@dataclass(frozen=True, eq=False)
class BinaryCrossEntropyCache:
    """What `binary_cross_entropy_with_logits_backward` needs of the forward pass."""

    logits: np.ndarray  # (N, outputs)
    target: np.ndarray  # (N, outputs)
    shares: np.ndarray  # (N,) float64: what each sample counts for in the mean


@_silent
def binary_cross_entropy_with_logits_forward(logits, target, *, sample_weight=None):
    """Each output is a yes or no of its own: the mean of ``-t log p - (1 - t) log(1 - p)`` with ``p = 1 / (1 + exp(-logit))``.

    logits (N, outputs), target (N, outputs), sample_weight (N,) -> loss, a float

    Parameters
    ----------
    logits, target : arrays (N, outputs), of the same shape
        Targets are 0, 1, or a probability between them.
    sample_weight : array (N,), optional
        The loss is ``sum(weight * l) / sum(weight)``: 0 if all weights are 0.

    Returns
    -------
    loss : float
        nan for an empty batch.
    cache : BinaryCrossEntropyCache
    """
    logits, target = _float(logits, target)
    _expect("target", target.shape, logits.shape)
    cache = BinaryCrossEntropyCache(logits, target, _shares(sample_weight, len(logits)))
    z, t = _double(logits), _double(target)
    outputs = prod(logits.shape[1:])
    losses = np.zeros(len(logits))
    for n in range(len(logits)):
        for k in np.ndindex(logits.shape[1:]):
            # log(1 + exp(z)) - t * z, written so that exp never overflows.
            at = (n, *k)
            losses[n] += (max(z[at], 0) if z[at] == z[at] else z[at]) - t[at] * z[at] + np.log1p(np.exp(-abs(z[at])))
        losses[n] /= outputs
    return _weighted_mean(losses, cache.shares), cache


@_silent
def binary_cross_entropy_with_logits_backward(cache):
    """The probability less the target, shared out as the mean was taken.

    -> dlogits (N, outputs)

    ``d loss / d logits[n, k] = share[n] / outputs * (p[n, k] - target[n, k])``

    Parameters
    ----------
    cache : BinaryCrossEntropyCache

    Returns
    -------
    dlogits : array (N, outputs)
    """
    dlogits = (1 / (1 + np.exp(-_double(cache.logits))) - _double(cache.target)) / prod(cache.logits.shape[1:])
    for n, share in enumerate(cache.shares):
        dlogits[n] *= share
    return dlogits.astype(cache.logits.dtype)
