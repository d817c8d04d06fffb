"""The losses of `fastconv.functional`, and what they are of: softmax cross-entropy, mean squared error, binary cross-entropy.

Each is a mean over the samples of a batch, ``sum(w*l) / sum(w)`` with `sample_weight`. What bad arguments raise is said in
`fastconv.functional`, for all operations.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from .support.arrays import as_float, as_floats, require_shape

LOSSES = ("cross_entropy", "mse", "binary_cross_entropy_with_logits")


class DivergenceError(ValueError):
    """The loss, the parameters or the optimizer's state stopped being finite; network and optimizer are as before that step.

    Attributes
    ----------
    epoch, step : int
        Counted from 0, the step within its epoch.
    """

    def __init__(self, message="", epoch=0, step=0):
        super().__init__(message)
        self.epoch, self.step = epoch, step


# --- one class of several ---


def softmax(logits):
    """Exponentials that sum to one over the last axis.

    logits (..., K) -> probabilities (..., K)

    Examples
    --------
    >>> softmax(np.log([[1.0, 2.0, 5.0]])).round(3)
    array([[0.125, 0.25 , 0.625]])
    """
    logits = as_float(logits, "logits")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must be (..., K) with at least one class, got shape {logits.shape}")
    with np.errstate(all="ignore"):
        # Less the maximum, or exp overflows.
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


class CrossEntropyCache(NamedTuple):
    """What `cross_entropy_backward` needs: probabilities, labels, and the samples' shares."""

    probabilities: np.ndarray  # (N, K), the softmax of the logits
    labels: np.ndarray  # int64 (N,)
    shares: np.ndarray  # (N, 1), what each sample counts for in the mean: 1/N unless weighted


def cross_entropy_forward(logits, labels, *, sample_weight=None):
    """The mean of -log softmax(logits)[label] over the batch: sum(w*l) / sum(w).

    logits (N, K), labels (N,) -> loss, a number in nats, and cache

    Parameters
    ----------
    labels : integer array (N,)
        In [0, K).
    sample_weight : array (N,), optional
        Not negative. If all are 0, so is the loss; that of an empty batch is NaN.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.log([[1.0, 3.0]]), [1])
    >>> round(loss, 4), cross_entropy_backward(cache)
    (0.2877, array([[ 0.25, -0.25]]))
    """
    logits = as_float(logits, "logits")
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must be (N, K) with at least one class, got shape {logits.shape}")
    labels = as_labels(labels, logits.shape)
    shares = _shares(sample_weight, len(logits), logits.dtype)
    rows = np.arange(len(logits))
    with np.errstate(all="ignore"):
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums = exponentials.sum(axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - shifted[rows, labels]
        return _mean(losses, shares), CrossEntropyCache(exponentials / sums, labels, shares)


def cross_entropy_backward(cache):
    """The probabilities less the one-hot labels, times each sample's share of the loss.

    cache -> dlogits (N, K)
    """
    dlogits = cache.probabilities.copy()
    dlogits[np.arange(len(dlogits)), cache.labels] -= 1
    with np.errstate(all="ignore"):
        dlogits *= cache.shares
    return dlogits


# --- numbers ---


class MSECache(NamedTuple):
    """What `mse_backward` needs: the error, and the samples' shares."""

    error: np.ndarray  # (N, K), y - target
    shares: np.ndarray  # (N, 1), what each sample counts for in the mean: 1/N unless weighted


def mse_forward(y, target, *, sample_weight=None):
    """The mean of (y - target)**2 over batch and outputs, each sample weighted alike in all its outputs.

    y (N, K), target (N, K) -> loss, a number, and cache

    Parameters
    ----------
    target : array (N, K)
        Or (N,), for an output (N, 1).
    sample_weight : array (N,), optional
        Not negative. If all are 0, so is the loss; that of an empty batch is NaN.

    Examples
    --------
    >>> loss, cache = mse_forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    >>> loss, mse_backward(cache)
    (2.5, array([[ 1., -2.]]))
    """
    y, target, shares = _compared(y, target, sample_weight, "y")
    with np.errstate(all="ignore"):
        error = y - target
        return _mean(_means(error * error), shares), MSECache(error, shares)


def mse_backward(cache):
    """Twice the error, times each sample's share of the loss, over the number of outputs.

    cache -> dy (N, K)
    """
    return _shared_out(cache.error, cache.shares, 2)


# --- a yes or no of each output ---


class BinaryCrossEntropyCache(NamedTuple):
    """What `binary_cross_entropy_with_logits_backward` needs: the error, and the samples' shares."""

    error: np.ndarray  # (N, K), probabilities less targets
    shares: np.ndarray  # (N, 1), what each sample counts for in the mean: 1/N unless weighted


def binary_cross_entropy_with_logits_forward(logits, target, *, sample_weight=None):
    """The mean over outputs of ``-t log p - (1 - t) log(1 - p)`` with p the logit's sigmoid, then over samples.

    logits (N, K), target (N, K) -> loss, a number in nats, and cache

    Parameters
    ----------
    target : array (N, K)
        In [0, 1]. Or (N,), for an output (N, 1).
    sample_weight : array (N,), optional
        Not negative. If all are 0, so is the loss; that of an empty batch is NaN.

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_with_logits_forward(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]))
    >>> round(loss, 4), binary_cross_entropy_with_logits_backward(cache)
    (0.6931, array([[ 0.25, -0.25]]))
    """
    logits, target, shares = _compared(logits, target, sample_weight, "logits")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError("target must be in [0, 1]")
    with np.errstate(all="ignore"):
        small = np.exp(-abs(logits))  # of the sign that does not overflow
        losses = np.maximum(logits, 0) - target * logits + np.log1p(small)
        error = np.where(logits >= 0, 1, small) / (1 + small) - target
        return _mean(_means(losses), shares), BinaryCrossEntropyCache(error, shares)


def binary_cross_entropy_with_logits_backward(cache):
    """The probability less the target, times each sample's share of the loss, over the number of outputs.

    cache -> dlogits (N, K)
    """
    return _shared_out(cache.error, cache.shares, 1)


# --- what is given, checked ---


def as_labels(labels, logits_shape, name="labels"):
    """A copy of `labels` as int64 (N,), checked against the logits' (N, K).

    A copy, because machine code indexes with them: whoever writes into the array that was given must not reach it.
    """
    labels = np.asarray(labels)
    N, K = logits_shape
    have, variable = "have" if name == "labels" else "has", name.rpartition(" ")[2]
    wrong_shape = f"{name} {have} shape {labels.shape}, expected {(N,)} for logits {logits_shape}"
    if labels.shape == (N, K) and K > 1:
        raise ValueError(f"{wrong_shape}; one-hot rows become labels by {variable}.argmax(axis=1)")
    column = f"{variable}[:, 0]" if labels.shape == (N, 1) else variable
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"{name} must be integers, got {labels.dtype}{_whole(labels, N, column)}")
    if labels.shape != (N,):
        raise ValueError(f"{wrong_shape}; use {column}" if column != variable else wrong_shape)
    found = labels.astype(np.int64)
    if N and (found.min() < 0 or found.max() >= K):
        raise ValueError(f"{name} must be in [0, {K}), got {labels.min()} to {labels.max()}")
    return found


def _whole(labels, N, column):
    """What makes integers of labels that are whole numbers."""
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and len(labels) == N and (labels == np.floor(labels)).all()):
        return f"; use {column}.astype(int)"
    return ""


def as_weights(sample_weight, N, dtype):
    """A copy of `sample_weight` as (N,) of `dtype`, checked: a sum over weights that change later may be zero."""
    with np.errstate(over="ignore"):  # an overflow is infinite, and refused below
        weights = as_float(sample_weight, "sample_weight", dtype).astype(dtype)
    require_shape(weights, (N,), "sample_weight", f"for a batch of {N}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("sample_weight must be finite and not negative")
    return weights


def _compared(y, target, sample_weight, name):
    """Outputs, targets of their shape, and each sample's share of the mean."""
    y, target = as_floats(**{name: y, "target": target})
    if y.ndim == 2 and target.shape == y.shape[:1] and y.shape[1] == 1:
        target = target[:, None]
    if y.ndim == 0:
        raise ValueError(f"{name} must be (N, ...), got a single number")
    require_shape(target, y.shape, "target", f"as {name} {y.shape}")
    return y, target, _shares(sample_weight, len(y), y.dtype)


# --- means ---


def _shares(sample_weight, N, dtype):
    """Each sample's share of the mean (N, 1): its weight over the sum of weights."""
    if sample_weight is None:
        return np.full((N, 1), 1 / max(N, 1), dtype)
    weights = as_weights(sample_weight, N, np.float64)  # a sum in float32 may overflow
    total = weights.sum()
    return (weights / total if total > 0 else weights)[:, None].astype(dtype)


def _means(losses):
    """(N, ...) -> (N,): the mean over each sample's outputs."""
    outputs = prod(losses.shape[1:])
    return losses.reshape(len(losses), outputs).sum(axis=1) / outputs


def _mean(losses, shares):
    """The loss as a Python number; a weightless sample does not count even if its loss is infinite."""
    if len(losses) == 0:
        return float("nan")
    shares = shares[:, 0]
    return float(np.where(shares > 0, losses * shares, 0).sum())


def _shared_out(error, shares, factor):
    """`error` times `factor`, each sample's share and that of an output."""
    outputs = error[0].size if len(error) else 1
    with np.errstate(all="ignore"):
        return error * (factor * shares / outputs).reshape((-1,) + (1,) * (error.ndim - 1)).astype(error.dtype)
