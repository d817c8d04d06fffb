"""Every call here is wrong: it is refused at once, with one line that says what was given and what was expected.

A traceback out of a kernel, or wild memory read by one, would be the alternative.
"""

import time

import numpy as np
import pytest

from fastconv import functional as fast
from fastconv.losses import LOSSES

X = np.arange(2 * 3 * 5 * 7, dtype=np.float64).reshape(2, 3, 5, 7)
W = np.ones((4, 3, 2, 3))
B = np.ones(4)
ROWS, V, C = np.ones((5, 6)), np.ones((3, 6)), np.ones(3)
LOGITS = np.ones((5, 3))
LABELS = np.array([0, 1, 2, 1, 0])
COLS = fast.im2col(X, (2, 3))  # (18, 40)
F32 = {id(a): a.astype(np.float32) for a in (X, W, B, ROWS, V, C, LOGITS)}
COPIES = [(a, a.copy()) for a in (X, W, B, ROWS, V, C, LOGITS, LABELS, COLS)]

HUGE = np.broadcast_to(np.float64(1), (10**12,))
HUGE_IMAGES = np.broadcast_to(np.float64(1), (10**3, 10**3, 10**3, 10**3))
HUGE_ROWS = np.broadcast_to(np.float64(1), (10**6, 10**6))
LAST = X.transpose(0, 2, 3, 1)  # (2, 5, 7, 3)

CONV = fast.conv2d_forward(X, W, B)[1]  # y (2, 4, 4, 5)
MAX = fast.max_pool2d_forward(X, 2)[1]  # y (2, 3, 2, 3)
AVG = fast.avg_pool2d_forward(X, 2)[1]
RELU = fast.relu_forward(X)[1]
DROP = fast.dropout_forward(X, 0.5, rng=np.random.default_rng(0))[1]
FLAT = fast.flatten_forward(X)[1]
LINEAR = fast.linear_forward(ROWS, V, C)[1]


def f32(a):
    return F32[id(a)]


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def bad_argmax(argmax):
    return MAX._replace(argmax=argmax)


def moved(value):
    argmax = MAX.argmax.copy()
    argmax[1, 2, 1, 2] = value
    return bad_argmax(argmax)


GEN = np.random.default_rng(0)
REAL = "must be of a real number type"
ONE_DTYPE = "must be of one dtype, got"
MEMORY = "more than this machine's memory"
TOO_LARGE = f"({MEMORY}|too big|between 0 and 2147483647|between 1 and 2147483647|does not fit)"
FORWARD_DTYPE = "forward pass's dtype float64, got float32"

# (function, arguments, options, exception, what its message says)
BINARY = fast.binary_cross_entropy_with_logits_forward

CALLS = [
    # im2col
    (fast.im2col, (X[0], 2), {}, ValueError, r"\(3, 5, 7\).*x\[None\]"),
    (fast.im2col, (X[0, 0], 2), {}, ValueError, r"\(5, 7\).*x\[None, None\]"),
    (fast.im2col, (X[None], 2), {}, ValueError, r"4 dimensions.*\(1, 2, 3, 5, 7\)"),
    (fast.im2col, (1.0, 2), {}, ValueError, r"4 dimensions.*\(\)"),
    (fast.im2col, (X, 6), {}, ValueError, r"window \(6, 6\).*image \(5, 7\)"),
    (fast.im2col, (X, (1, 8)), {}, ValueError, r"window \(1, 8\).*image \(5, 7\)"),
    (fast.im2col, (X, 3), {"dilation": (3, 1)}, ValueError, r"window \(7, 3\).*dilation \(3, 1\).*image \(5, 7\)"),
    (fast.im2col, (X, 0), {}, ValueError, "kernel_size must be between 1 and .*got 0"),
    (fast.im2col, (X, -1), {}, ValueError, "kernel_size must be .*got -1"),
    (fast.im2col, (X, 2.0), {}, ValueError, "kernel_size must be an integer, got 2.0"),
    (fast.im2col, (X, True), {}, ValueError, "kernel_size must be an integer, got True"),
    (fast.im2col, (X, "2"), {}, ValueError, "kernel_size must be an integer, got '2'"),
    (fast.im2col, (X, None), {}, ValueError, "kernel_size must be an integer, got None"),
    (fast.im2col, (X, (2, 2, 2)), {}, ValueError, r"kernel_size must be .*got \(2, 2, 2\)"),
    (fast.im2col, (X, ()), {}, ValueError, r"kernel_size must be .*got \(\)"),
    (fast.im2col, (X, np.ones((3, 3))), {}, ValueError, "kernel_size must be"),
    (fast.im2col, (X, (2, 2.5)), {}, ValueError, "kernel_size must be an integer, got 2.5"),
    (fast.im2col, (X, 2), {"stride": 0}, ValueError, "stride must be between 1 .*got 0"),
    (fast.im2col, (X, 2), {"stride": 1.0}, ValueError, "stride must be an integer, got 1.0"),
    (fast.im2col, (X, 2), {"stride": True}, ValueError, "stride must be an integer, got True"),
    (fast.im2col, (X, 2), {"stride": np.float32(1)}, ValueError, "stride must be an integer"),
    (fast.im2col, (X, 2), {"stride": np.True_}, ValueError, "stride must be an integer"),
    (fast.im2col, (X, 2), {"stride": (1, -1)}, ValueError, "stride must be .*got -1"),
    (fast.im2col, (X, 2), {"stride": 2**40}, ValueError, f"stride must be .*got {2**40}"),
    (fast.im2col, (X, 2), {"stride": 10**30}, ValueError, "stride must be"),
    (fast.im2col, (X, 2), {"dilation": 0}, ValueError, "dilation must be .*got 0"),
    (fast.im2col, (X, 2), {"dilation": 2**40}, ValueError, "dilation must be"),
    (fast.im2col, (X, 2), {"dilation": 2**31 - 1}, ValueError, r"window \(2147483648, 2147483648\).*image \(5, 7\)"),
    (fast.im2col, (X, 2), {"padding": -1}, ValueError, "padding must be .*got -1"),
    (fast.im2col, (X, 2), {"padding": 0.0}, ValueError, "padding must be an integer, got 0.0"),
    (fast.im2col, (X, 2), {"padding": None}, ValueError, "padding must be .*got None"),
    (fast.im2col, (X, 2), {"padding": "SAME"}, ValueError, 'padding must be "valid", "same".*SAME'),
    (fast.im2col, (X, 2), {"padding": "full"}, ValueError, "full"),
    (fast.im2col, (X, 2), {"padding": "a\nb"}, ValueError, "padding must be"),
    (fast.im2col, (X, 2), {"padding": (1, 2, 3)}, ValueError, r"\(1, 2, 3\)"),
    (fast.im2col, (X, 2), {"padding": (1, 1, 1, 1)}, ValueError, r"\(1, 1, 1, 1\)"),
    (fast.im2col, (X, 2), {"padding": ((1, 1), 1)}, ValueError, r"\(top, bottom\), \(left, right\)"),
    (fast.im2col, (X, 2), {"padding": ((1, 1), (1, -1))}, ValueError, "padding must be .*got -1"),
    (fast.im2col, (X, 2), {"padding": np.zeros((2, 3), int)}, ValueError, "padding must be"),
    (fast.im2col, (X, 2), {"padding": 2**40}, ValueError, f"padding must be .*got {2**40}"),
    (fast.im2col, (X, 2), {"padding": 2**31 - 1}, ValueError, TOO_LARGE),
    (fast.im2col, (X, 2**31 - 1), {"padding": 2**31 - 1}, ValueError, TOO_LARGE),
    (fast.im2col, (X, 2**20), {"padding": 2**20}, ValueError, TOO_LARGE),
    (fast.im2col, (zeros(0, 1, 4, 4), 2**31 - 1), {"padding": 2**31 - 1}, ValueError, TOO_LARGE),
    (fast.im2col, (HUGE_IMAGES, 1), {}, ValueError, MEMORY),
    (fast.im2col, (zeros(1, 1, 0, 5), 1), {}, ValueError, r"image \(0, 5\)"),
    (fast.im2col, (X.astype(complex), 2), {}, TypeError, f"x {REAL}.*complex128"),
    (fast.im2col, (X.astype(object), 2), {}, TypeError, f"x {REAL}.*object"),
    (fast.im2col, (X.astype(str), 2), {}, TypeError, f"x {REAL}.*<U"),
    (fast.im2col, (X.astype(np.longdouble), 2), {}, TypeError, f"x {REAL}"),
    (fast.im2col, (None, 2), {}, TypeError, f"x {REAL}.*object"),
    # col2im
    (fast.col2im, (COLS[:, 1:], X.shape, (2, 3)), {}, ValueError, r"\(18, 39\), expected \(18, 40\).*\(2, 3, 5, 7\)"),
    (fast.col2im, (COLS[1:], X.shape, (2, 3)), {}, ValueError, r"\(17, 40\), expected \(18, 40\)"),
    (fast.col2im, (COLS.T, X.shape, (2, 3)), {}, ValueError, r"\(40, 18\), expected \(18, 40\)"),
    (fast.col2im, (COLS.ravel(), X.shape, (2, 3)), {}, ValueError, r"\(720,\), expected \(18, 40\)"),
    (fast.col2im, (COLS, X.shape, (2, 3)), {"stride": 2}, ValueError, r"\(18, 40\), expected \(18, 12\)"),
    (fast.col2im, (COLS, (3, 5, 7), (2, 3)), {}, ValueError, r"x_shape must be \(N, C, H, W\), got \(3, 5, 7\)"),
    (fast.col2im, (COLS, (2, 3, 5, -7), (2, 3)), {}, ValueError, "x_shape must be .*got -7"),
    (fast.col2im, (COLS, (2, 3, 5, 7.0), (2, 3)), {}, ValueError, "x_shape must be an integer, got 7.0"),
    (fast.col2im, (COLS, (2**31 - 1,) * 4, (2, 3)), {}, ValueError, r"\(18, 40\), expected \(12884901882, "),
    (fast.col2im, (COLS, (2**40, 3, 5, 7), (2, 3)), {}, ValueError, "x_shape must be"),
    (fast.col2im, (HUGE_ROWS, X.shape, (2, 3)), {}, ValueError, f"{MEMORY}|expected"),
    (fast.col2im, (COLS.astype(complex), X.shape, (2, 3)), {}, TypeError, f"cols {REAL}"),
    # conv2d_forward
    (fast.conv2d_forward, (X[0], W), {}, ValueError, r"\(3, 5, 7\).*x\[None\]"),
    (fast.conv2d_forward, (LAST, W), {}, ValueError, r"\(2, 5, 7, 3\).*\(4, 3, 2, 3\).*channels-last.*transpose\(0, 3, 1, 2\)"),
    (fast.conv2d_forward, (X, W[:, :2]), {}, ValueError, r"x \(2, 3, 5, 7\) has 3 channels, w \(4, 2, 2, 3\)"),
    (fast.conv2d_forward, (X, W[0]), {}, ValueError, r"w must be .*\(3, 2, 3\)"),
    (fast.conv2d_forward, (X, W[:0]), {}, ValueError, r"not empty.*\(0, 3, 2, 3\)"),
    (fast.conv2d_forward, (X, W[:, :, :0]), {}, ValueError, r"not empty.*\(4, 3, 0, 3\)"),
    (fast.conv2d_forward, (X[:, :0], W), {}, ValueError, r"x \(2, 0, 5, 7\) has 0 channels"),
    (fast.conv2d_forward, (X, zeros(4, 3, 6, 6)), {}, ValueError, r"window \(6, 6\).*image \(5, 7\)"),
    (fast.conv2d_forward, (X, W, B[:3]), {}, ValueError, r"b has shape \(3,\), expected \(4,\) for w \(4, 3, 2, 3\)"),
    (fast.conv2d_forward, (X, W, B[:, None]), {}, ValueError, r"b has shape \(4, 1\), expected \(4,\)"),
    (fast.conv2d_forward, (X, W, 1.0), {}, (ValueError, TypeError), r"b"),
    (fast.conv2d_forward, (X, W), {"groups": 0}, ValueError, "groups must be .*got 0"),
    (fast.conv2d_forward, (X, W), {"groups": 1.0}, ValueError, "groups must be an integer, got 1.0"),
    (fast.conv2d_forward, (X, W), {"groups": True}, ValueError, "groups must be an integer"),
    (fast.conv2d_forward, (X, W), {"groups": (1, 1)}, ValueError, "groups must be an integer"),
    (fast.conv2d_forward, (X, W), {"groups": 3}, ValueError, r"x \(2, 3, 5, 7\).*w \(4, 3, 2, 3\) with groups=3 takes 9"),
    (fast.conv2d_forward, (X, W[:, :1]), {"groups": 3}, ValueError,
     r"w \(4, 1, 2, 3\).*groups=3 does not divide.*\(2, 3, 5, 7\)"),
    (fast.conv2d_forward, (X, W), {"stride": False}, ValueError, "stride must be an integer, got False"),
    (fast.conv2d_forward, (X, W), {"stride": 0.5}, ValueError, "stride must be an integer, got 0.5"),
    (fast.conv2d_forward, (X, W), {"padding": 2**40}, ValueError, "padding must be"),
    (fast.conv2d_forward, (X, W), {"padding": 2**30}, ValueError, TOO_LARGE),
    (fast.conv2d_forward, (X, W), {"dilation": 2**31 - 1}, ValueError, r"does not fit the image \(5, 7\)"),
    (fast.conv2d_forward, (HUGE_IMAGES, W), {}, ValueError, MEMORY),
    (fast.conv2d_forward, (X, HUGE_IMAGES), {}, ValueError, MEMORY),
    (fast.conv2d_forward, (f32(X), W), {}, TypeError, f"{ONE_DTYPE} x float32, w float64"),
    (fast.conv2d_forward, (X, f32(W)), {}, TypeError, f"{ONE_DTYPE} x float64, w float32"),
    (fast.conv2d_forward, (X, W, f32(B)), {}, TypeError, f"{ONE_DTYPE} x float64, w float64, b float32"),
    (fast.conv2d_forward, (X.astype(int), W, f32(B)), {}, TypeError, f"{ONE_DTYPE} x float64, w float64, b float32"),
    (fast.conv2d_forward, (X, W.astype(np.complex64)), {}, TypeError, f"w {REAL}.*complex64"),
    (fast.conv2d_forward, (X, W, B.astype(object)), {}, TypeError, f"b {REAL}.*object"),
    (fast.conv2d_forward, (X, W.astype(np.longdouble)), {}, TypeError, f"w {REAL}"),
    (fast.conv2d_forward, (X.astype("S"), W), {}, TypeError, f"x {REAL}"),
    # conv2d_backward
    (fast.conv2d_backward, (zeros(2, 4, 4, 4), CONV), {}, ValueError, r"dy has shape \(2, 4, 4, 4\), expected \(2, 4, 4, 5\)"),
    (fast.conv2d_backward, (zeros(4, 4, 5), CONV), {}, ValueError, r"dy has shape \(4, 4, 5\), expected \(2, 4, 4, 5\)"),
    (fast.conv2d_backward, (1.0, CONV), {}, (ValueError, TypeError), "dy"),
    (fast.conv2d_backward, (zeros(2, 4, 5, 4), CONV), {"need_dx": False}, ValueError,
     r"\(2, 4, 5, 4\), expected \(2, 4, 4, 5\)"),
    (fast.conv2d_backward, (zeros(2, 4, 4, 5, dtype=np.float32), CONV), {}, TypeError, FORWARD_DTYPE),
    (fast.conv2d_backward, (zeros(2, 4, 4, 5, dtype=complex), CONV), {}, TypeError, f"dy {REAL}"),
    # max_pool2d
    (fast.max_pool2d_forward, (X[0], 2), {}, ValueError, r"\(3, 5, 7\).*x\[None\]"),
    (fast.max_pool2d_forward, (X, 6), {}, ValueError, r"window \(6, 6\).*image \(5, 7\)"),
    (fast.max_pool2d_forward, (X, 2), {"padding": 2}, ValueError, r"at most half the dilated window \(2, 2\)"),
    (fast.max_pool2d_forward, (X, 3), {"padding": ((0, 2), (0, 0))}, ValueError, r"at most half the dilated window \(3, 3\)"),
    (fast.max_pool2d_forward, (X, 2), {"stride": 0}, ValueError, "stride must be .*got 0"),
    (fast.max_pool2d_forward, (X, 2), {"stride": 2.0}, ValueError, "stride must be an integer, got 2.0"),
    (fast.max_pool2d_forward, (X, 2), {"stride": True}, ValueError, "stride must be an integer, got True"),
    (fast.max_pool2d_forward, (X, 2), {"stride": 2**40}, ValueError, "stride must be"),
    (fast.max_pool2d_forward, (X, 2), {"dilation": 5}, ValueError, r"window \(6, 6\).*image \(5, 7\)"),
    (fast.max_pool2d_forward, (X, None), {}, ValueError, "kernel_size must be .*got None"),
    (fast.max_pool2d_forward, (X, 2), {"padding": "full"}, ValueError, "padding must be"),
    (fast.max_pool2d_forward, (HUGE_IMAGES, 2), {}, ValueError, MEMORY),
    (fast.max_pool2d_forward, (X.astype(complex), 2), {}, TypeError, f"x {REAL}.*complex"),
    (fast.max_pool2d_backward, (zeros(2, 3, 3, 2), MAX), {}, ValueError, r"\(2, 3, 3, 2\), expected \(2, 3, 2, 3\)"),
    (fast.max_pool2d_backward, (f32(X)[:, :, :2, :3], MAX), {}, TypeError, FORWARD_DTYPE),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), moved(35)), {}, ValueError, r"argmax \(2, 3, 2, 3\).*outside.*\(5, 7\)"),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), moved(-2)), {}, ValueError, "outside"),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), moved(2**62)), {}, ValueError, "outside"),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), moved(-(2**62))), {}, ValueError, "outside"),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), bad_argmax(zeros(2, 3, 2, 3))), {}, TypeError, "argmax must be integers"),
    (fast.max_pool2d_backward, (zeros(2, 3, 2, 3), bad_argmax(zeros(2, 3, 2, 3, dtype=bool))), {}, TypeError,
     "argmax must be integers"),
    (fast.max_pool2d_backward, (zeros(3, 2, 2, 3), bad_argmax(zeros(3, 2, 2, 3, dtype=int))), {}, ValueError,
     r"argmax \(3, 2, 2, 3\).*\(2, 3, 5, 7\)"),
    (fast.max_pool2d_backward, (zeros(2, 3), bad_argmax(zeros(2, 3, dtype=int))), {}, ValueError,
     r"argmax \(2, 3\).*\(2, 3, 5, 7\)"),
    (fast.max_pool2d_backward, (zeros(2, 3, 6), bad_argmax(zeros(2, 3, 6, dtype=int))), {}, ValueError, r"argmax \(2, 3, 6\)"),
    # avg_pool2d
    (fast.avg_pool2d_forward, (X[0, 0], 2), {}, ValueError, r"\(5, 7\).*x\[None, None\]"),
    (fast.avg_pool2d_forward, (X, (6, 1)), {}, ValueError, r"window \(6, 1\).*image \(5, 7\)"),
    (fast.avg_pool2d_forward, (X, 2), {"padding": (0, 2)}, ValueError, r"at most half the dilated window \(2, 2\)"),
    (fast.avg_pool2d_forward, (X, 2), {"stride": (2, 0)}, ValueError, "stride must be .*got 0"),
    (fast.avg_pool2d_forward, (X, 2.0), {}, ValueError, "kernel_size must be an integer, got 2.0"),
    (fast.avg_pool2d_forward, (X, 2), {"padding": 2**40}, ValueError, "padding must be"),
    (fast.avg_pool2d_forward, (HUGE_IMAGES, 2), {}, ValueError, MEMORY),
    (fast.avg_pool2d_forward, (X.astype(np.longdouble), 2), {}, TypeError, f"x {REAL}"),
    (fast.avg_pool2d_backward, (zeros(2, 3, 2, 2), AVG), {}, ValueError, r"\(2, 3, 2, 2\), expected \(2, 3, 2, 3\)"),
    (fast.avg_pool2d_backward, (f32(X)[:, :, :2, :3], AVG), {}, TypeError, FORWARD_DTYPE),
    # elementwise
    (fast.relu_forward, (X.astype(complex),), {}, TypeError, f"x {REAL}"),
    (fast.relu_forward, (["a"],), {}, TypeError, f"x {REAL}.*<U1"),
    (fast.relu_forward, (np.zeros(3, "M8[s]"),), {}, TypeError, f"x {REAL}.*datetime64"),
    (fast.relu_forward, (HUGE,), {}, ValueError, MEMORY),
    (fast.relu_backward, (X[:1], RELU), {}, ValueError, r"\(1, 3, 5, 7\), expected \(2, 3, 5, 7\)"),
    (fast.relu_backward, (f32(X), RELU), {}, TypeError, FORWARD_DTYPE),
    (fast.relu_backward, (HUGE, RELU), {}, ValueError, f"{MEMORY}|expected"),
    *((fast.dropout_forward, (X, p), {"rng": GEN}, ValueError, r"p must be in \[0, 1\), got")
      for p in (1, 1.0, -0.1, 2, np.nan)),
    (fast.dropout_forward, (X, True), {"rng": GEN}, ValueError, "p must be .*got True"),
    (fast.dropout_forward, (X, "0.5"), {"rng": GEN}, ValueError, "p must be .*got '0.5'"),
    (fast.dropout_forward, (X, None), {"rng": GEN}, (TypeError, ValueError), "None"),
    (fast.dropout_forward, (X, 0.5), {"rng": None}, TypeError, "rng must be a numpy.random.Generator, got NoneType"),
    (fast.dropout_forward, (X, 0.5), {"rng": 0}, TypeError, "rng must be .*got int"),
    (fast.dropout_forward, (X.astype(object), 0.5), {"rng": GEN}, TypeError, f"x {REAL}"),
    (fast.dropout_forward, (HUGE, 0.5), {"rng": GEN}, ValueError, MEMORY),
    (fast.dropout_backward, (X[:, :2], DROP), {}, ValueError, r"\(2, 2, 5, 7\), expected \(2, 3, 5, 7\)"),
    (fast.dropout_backward, (f32(X), DROP), {}, TypeError, FORWARD_DTYPE),
    # the fully connected end
    (fast.flatten_forward, (ROWS,), {}, ValueError, r"4 dimensions.*\(5, 6\)"),
    (fast.flatten_forward, (X.astype(complex),), {}, TypeError, f"x {REAL}"),
    (fast.flatten_forward, (HUGE_IMAGES,), {}, ValueError, MEMORY),
    (fast.flatten_backward, (X, FLAT), {}, ValueError, r"\(2, 3, 5, 7\), expected \(2, 105\)"),
    (fast.flatten_backward, (f32(X).reshape(2, 105), FLAT), {}, TypeError, FORWARD_DTYPE),
    (fast.linear_forward, (X, V), {}, ValueError, r"x \(2, 3, 5, 7\) and w \(3, 6\).*flatten x"),
    (fast.linear_forward, (ROWS[:, :5], V), {}, ValueError, r"x \(5, 5\) and w \(3, 6\)"),
    (fast.linear_forward, (ROWS, V.T), {}, ValueError, r"x \(5, 6\) and w \(6, 3\)"),
    (fast.linear_forward, (ROWS[0], V), {}, ValueError, r"x \(6,\) and w \(3, 6\)"),
    (fast.linear_forward, (ROWS, V, C[:2]), {}, ValueError, r"b has shape \(2,\), expected \(3,\) for w \(3, 6\)"),
    (fast.linear_forward, (ROWS, V, C[None]), {}, ValueError, r"b has shape \(1, 3\), expected \(3,\)"),
    (fast.linear_forward, (f32(ROWS), V), {}, TypeError, f"{ONE_DTYPE} x float32, w float64"),
    (fast.linear_forward, (ROWS, V, f32(C)), {}, TypeError, f"{ONE_DTYPE} x float64, w float64, b float32"),
    (fast.linear_forward, (ROWS, V.astype(complex)), {}, TypeError, f"w {REAL}"),
    (fast.linear_forward, (HUGE_ROWS, V), {}, ValueError, MEMORY),
    (fast.linear_forward, (zeros(10**8, 0), zeros(10**8, 0)), {}, ValueError, MEMORY),
    (fast.linear_backward, (zeros(5, 2), LINEAR), {}, ValueError, r"\(5, 2\), expected \(5, 3\)"),
    (fast.linear_backward, (zeros(3, 5), LINEAR), {}, ValueError, r"\(3, 5\), expected \(5, 3\)"),
    (fast.linear_backward, (f32(LOGITS), LINEAR), {}, TypeError, FORWARD_DTYPE),
    # softmax and the losses
    (fast.softmax, (1.0,), {}, ValueError, r"at least one class, got shape \(\)"),
    (fast.softmax, (zeros(3, 0),), {}, ValueError, r"at least one class, got shape \(3, 0\)"),
    (fast.softmax, (LOGITS.astype(complex),), {}, TypeError, f"logits {REAL}"),
    (fast.softmax, (HUGE_ROWS,), {}, ValueError, MEMORY),
    (fast.cross_entropy_forward, (LOGITS[0], LABELS), {}, ValueError, r"logits must be \(N, K\).*\(3,\)"),
    (fast.cross_entropy_forward, (zeros(5, 0), LABELS), {}, ValueError, r"at least one class, got shape \(5, 0\)"),
    (fast.cross_entropy_forward, (LOGITS, LABELS[:4]), {}, ValueError, r"labels have shape \(4,\), expected \(5,\).*\(5, 3\)"),
    (fast.cross_entropy_forward, (LOGITS, LABELS[:, None]), {}, ValueError, r"labels have shape \(5, 1\), expected \(5,\)"),
    (fast.cross_entropy_forward, (LOGITS, 0), {}, ValueError, r"labels have shape \(\), expected \(5,\)"),
    (fast.cross_entropy_forward, (LOGITS, np.eye(5, 3, dtype=int)), {}, ValueError,
     r"labels have shape \(5, 3\), expected \(5,\)"),
    (fast.cross_entropy_forward, (LOGITS, LABELS + 1), {}, ValueError, r"labels must be in \[0, 3\), got 1 to 3"),
    (fast.cross_entropy_forward, (LOGITS, LABELS - 1), {}, ValueError, r"labels must be in \[0, 3\), got -1 to 1"),
    (fast.cross_entropy_forward, (LOGITS, np.full(5, 2**63, np.uint64)), {}, ValueError, r"labels must be in \[0, 3\)"),
    (fast.cross_entropy_forward, (LOGITS, LABELS.astype(float)), {}, TypeError, "labels must be integers, got float64"),
    (fast.cross_entropy_forward, (LOGITS, LABELS > 0), {}, TypeError, "labels must be integers, got bool"),
    (fast.cross_entropy_forward, (LOGITS, list("abcab")), {}, TypeError, "labels must be integers, got <U1"),
    (fast.cross_entropy_forward, (LOGITS, LABELS.astype(object)), {}, TypeError, "labels must be integers, got object"),
    (fast.cross_entropy_forward, (LOGITS, HUGE), {}, TypeError, "labels must be integers"),
    (fast.cross_entropy_forward, (LOGITS, np.broadcast_to(1, 10**12)), {}, ValueError, "labels have shape"),
    (fast.cross_entropy_forward, (LOGITS.astype(str), LABELS), {}, TypeError, f"logits {REAL}"),
    (fast.cross_entropy_forward, (HUGE_ROWS, LABELS), {}, ValueError, MEMORY),
    *(
        (loss, (LOGITS, other), {"sample_weight": weight}, error, message)
        for loss, other in ((fast.cross_entropy_forward, LABELS), (fast.mse_forward, LOGITS), (BINARY, (LOGITS > 0.5) * 1.0))
        for weight, error, message in [
            ([1, 1, 1, 1, -1], ValueError, "sample_weight must be finite and not negative"),
            ([1, 1, 1, 1, np.nan], ValueError, "sample_weight must be finite and not negative"),
            ([1, 1, 1, 1, np.inf], ValueError, "sample_weight must be finite and not negative"),
            ([1, 1], ValueError, r"sample_weight has shape \(2,\), expected \(5,\)"),
            (np.ones((5, 1)), ValueError, r"sample_weight has shape \(5, 1\), expected \(5,\)"),
            ("balanced", TypeError, f"sample_weight {REAL}"),
            (HUGE, ValueError, MEMORY),
        ]
    ),
    (fast.mse_forward, (1.0, 1.0), {}, ValueError, "y must be .*single number"),
    (fast.mse_forward, (LOGITS, LOGITS[:4]), {}, ValueError, r"target has shape \(4, 3\), expected \(5, 3\)"),
    (fast.mse_forward, (LOGITS, LOGITS[:, :1]), {}, ValueError, r"target has shape \(5, 1\), expected \(5, 3\)"),
    (fast.mse_forward, (LOGITS, LOGITS[:, 0]), {}, ValueError, r"target has shape \(5,\), expected \(5, 3\)"),
    (fast.mse_forward, (LOGITS[:, 0], LOGITS[:, :1]), {}, ValueError, r"target has shape \(5, 1\), expected \(5,\)"),
    (fast.mse_forward, (LOGITS, 0.0), {}, (ValueError, TypeError), "target"),
    (fast.mse_forward, (LOGITS, f32(LOGITS)), {}, TypeError, f"{ONE_DTYPE} y float64, target float32"),
    (fast.mse_forward, (LOGITS, LOGITS.astype(complex)), {}, TypeError, f"target {REAL}"),
    (fast.mse_forward, (HUGE_ROWS, HUGE_ROWS), {}, ValueError, MEMORY),
    (BINARY, (1.0, 1.0), {}, ValueError, "logits must be .*single number"),
    (BINARY, (LOGITS, np.zeros((4, 3))), {}, ValueError, r"target has shape \(4, 3\), expected \(5, 3\)"),
    (BINARY, (LOGITS, np.full((5, 3), 2.0)), {}, ValueError, r"target must be in \[0, 1\]"),
    (BINARY, (LOGITS, np.full((5, 3), np.nan)), {}, ValueError, r"target must be in \[0, 1\]"),
    (BINARY, (LOGITS, f32(LOGITS)), {}, TypeError, f"{ONE_DTYPE} logits float64, target float32"),
]  # fmt: skip


@pytest.mark.parametrize("function, args, options, error, message", CALLS, ids=[c[0].__name__ for c in CALLS])
def test_bad_call(function, args, options, error, message):
    start = time.perf_counter()
    with pytest.raises(error, match=message) as caught:
        function(*args, **options)
    assert time.perf_counter() - start < 2
    assert caught.type in (ValueError, TypeError)  # no subclass, as of Numba or NumPy
    assert "\n" not in str(caught.value)
    for given, copy in COPIES:
        np.testing.assert_array_equal(given, copy)


def test_every_function_is_called_badly():
    """All but those that take nothing but a cache."""
    functions = {name for name in fast.__all__ if name.islower()} - {f"{loss}_backward" for loss in LOSSES}
    assert functions == {call[0].__name__ for call in CALLS}


@pytest.mark.parametrize("kernel_size", [np.int64(2), np.array([2, 2]), [2, 2], np.array(2)], ids=repr)
def test_an_integer_of_any_kind_is_an_integer(kernel_size):
    """The refusals above must not hit what NumPy calls an integer."""
    np.testing.assert_array_equal(fast.im2col(X, kernel_size), fast.im2col(X, 2))


@pytest.mark.parametrize("shape", [(0, 1, 2**20, 2**20), (0, 1, 2**40, 1)])
def test_no_images_of_giant_size(shape):
    """An array without elements may have any shape: a result per pixel is refused or empty, not a MemoryError."""
    x = np.empty(shape)
    for forward in (fast.max_pool2d_forward, fast.avg_pool2d_forward):
        try:
            y, _ = forward(x, 1)
        except ValueError as error:
            assert "memory" in str(error) and "\n" not in str(error)
        else:
            assert y.shape == shape
