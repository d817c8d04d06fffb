"""What y is for a classifier: one class a sample (`Classes`), or several labels, each a yes or no (`Labels`)."""

import re
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .. import functional
from ..files import ModelFileError
from . import hints
from .description import expect

CHECKS = {"multi_output": True}
"""What scikit-learn is to check of y."""

CLASS_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|O|U[0-9]{1,9})")
"""What classes may be of in a file, as NumPy writes it."""

SHORTEST_TEXT = 4
"""Letters that a file's type of text may have even where no class has as many."""


def _tidy(y):
    """y as (n,) labels, or as (n, K) of 0 and 1."""
    y = _plain_labels(column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y)
    check_classification_targets(y)
    is_multilabel = type_of_target(y) == "multilabel-indicator"
    if y.ndim == 2 and not is_multilabel:
        raise ValueError(f"y must be (n,) classes or (n, K) of 0 and 1, got shape {y.shape} with other values")
    return y.toarray() if is_multilabel and hasattr(y, "toarray") else y  # sparse


def learn(y, classes=None, incremental=False):
    """What y is in a first fit; `partial_fit`, which is `incremental`, is told all classes. -> Classes or Labels, y encoded"""
    y = _tidy(y)
    target = _first_labels(y) if y.ndim == 2 else _first_classes(y, classes, incremental)
    return target, target._encode(y)


def _first_labels(y):
    hints.at_one_hot(y)
    return Labels(np.arange(y.shape[1]))


def _first_classes(y, classes, incremental):
    if not incremental:
        classes = np.unique(y)
        hints.at_numbers(y, classes)
    elif classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    else:
        classes = unique_labels(_plain_labels(np.asarray(classes)))
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes.tolist()}: a classifier needs samples of at least two classes")
    return Classes(classes)


@dataclass(frozen=True, eq=False)
class _Target:
    """What either has in common."""

    classes: np.ndarray  # (K,), or the labels' places

    @property
    def n_outputs(self):
        return len(self.classes)

    def measured(self, target, weights):
        """The same: classes are not scaled."""
        return self

    def encode(self, y):
        """y of a later call, as what the first one was."""
        y = _tidy(y)
        if y.ndim != self.ndim:
            raise ValueError(f"y has shape {y.shape}, which is not what ConvNetClassifier was fitted to")
        return self._encode(y)

    def weights(self, class_weight, y, target):
        """The factor of each sample's weight."""
        return compute_sample_weight(class_weight, y)

    def require_same(self, classes):
        """Raise ValueError unless `classes`, of a later call of `partial_fit`, are the first call's."""
        if not np.array_equal(self.classes, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes!r}")

    def describe(self):
        """What a file says of y."""
        # Text no wider than it must be, whatever the labels' type was.
        classes = self.classes if self.classes.dtype.kind != "U" else np.array(self.classes.tolist())
        dtype = classes.dtype.newbyteorder("<").str
        return {"classes": self.classes, "classes_dtype": dtype, "is_multilabel": isinstance(self, Labels)}


class Classes(_Target):
    """One class a sample: the network returns logits (n, K), whose softmax are probabilities."""

    loss, activation, is_stratified, ndim = "cross_entropy", "softmax", True, 1

    def _encode(self, y):
        """y (n,) -> each sample's place in `classes` (n,)"""
        found = np.unique(y)
        # By sorting: NumPy 2.0's table of integers overflows for unsigned ones above int64.
        unknown = found[np.isin(found, self.classes, invert=True, kind="sort")]
        if len(unknown):
            raise ValueError(f"y contains classes {unknown.tolist()} that are not among {self.classes.tolist()}")
        return np.searchsorted(self.classes, y)

    def for_loss(self, target, dtype):
        """What the loss compares with the network's output."""
        return target

    def weights(self, class_weight, y, target):
        """The factor of each sample's weight; `target` is y encoded."""
        if isinstance(class_weight, dict):
            # All classes, of which this batch may lack some.
            return compute_class_weight(class_weight, classes=self.classes, y=self.classes)[target]
        return super().weights(class_weight, y, target)

    def decode(self, output):
        """The most probable class of each sample."""
        return self.classes[output.argmax(axis=1)]

    def probabilities(self, logits):
        return functional.softmax(logits)

    def log_probabilities(self, logits):
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def score(self, output, target, weights):
        """The share of right answers."""
        return accuracy_score(target, output.argmax(axis=1), sample_weight=weights)


class Labels(_Target):
    """Several labels a sample: the network returns a logit for each (n, K), whose sigmoid is its probability."""

    loss, activation, is_stratified, ndim = "binary_cross_entropy_with_logits", "logistic", False, 2

    def _encode(self, y):
        """y (n, K) of 0 and 1 -> the same numbers as floats"""
        if y.shape[1] != self.n_outputs:
            raise ValueError(f"y has {y.shape[1]} labels, expected {self.n_outputs}")
        return np.asarray(y, np.float64)

    def for_loss(self, target, dtype):
        """What the loss compares with the network's output."""
        return target.astype(dtype)

    def decode(self, output):
        """1 where a label is more probable than not."""
        return (output > 0).astype(int)

    def probabilities(self, logits):
        return np.exp(-np.logaddexp(0, -logits))

    def log_probabilities(self, logits):
        return -np.logaddexp(0, -logits)

    def score(self, output, target, weights):
        """The share of samples that are right in all their labels."""
        return accuracy_score(target, output > 0, sample_weight=weights)


def restored(described):
    """What `describe` described."""
    values, dtype = described["classes"], described["classes_dtype"]
    found = CLASS_TYPE.fullmatch(dtype)
    kinds = {"b": bool, "f": float, "i": int, "u": int}
    if not found or not all(type(value) is kinds.get(found[1][0], str) for value in values):
        raise ModelFileError(f"classes of type {dtype!r}")
    widest = max((len(value) for value in values if isinstance(value, str)), default=1)
    if found[1][0] == "U" and int(found[1][1:]) > max(SHORTEST_TEXT, widest):
        raise ModelFileError(f"classes of type {dtype!r}, the longest has {widest} letters")
    classes = np.array(values, np.dtype(dtype).newbyteorder("="))
    is_finite = classes.dtype.kind != "f" or np.isfinite(values).all()
    if len(values) == 0 or classes.tolist() != sorted(set(values)) or not is_finite:
        raise ModelFileError("the classes are not in order")
    return (Labels if expect(described["is_multilabel"], bool) else Classes)(classes)


def _plain_labels(y):
    """Labels as an array of a type that models are saved with: bools, numbers and text.

    Raises
    ------
    ValueError
        For labels of any other type, and of several.
    """
    if y.dtype.kind == "O":
        kinds = {type(label) for label in np.ravel(y).tolist()}
        if len(kinds) == 1 and kinds <= {bool, int, float}:
            return np.array(y.tolist())
        if not all(issubclass(kind, str) for kind in kinds):
            names = " and ".join(sorted(kind.__name__ for kind in kinds))
            raise ValueError(f"y holds labels of type {names}: classes are all text, all bools or all numbers")
    elif y.dtype.kind not in "biufU" or y.dtype.itemsize > 8 and y.dtype.kind == "f":
        raise ValueError(f"y is of type {y.dtype}: classes are text, bools or numbers; pass y.astype(str)")
    return y
