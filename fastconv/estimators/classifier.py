"""The classifier."""

import re

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight

from .. import functional
from ..files import ModelFileError
from . import hints
from .base import ConvNet
from .documentation import documented
from .saving import expect


@documented
class ConvNetClassifier(ClassifierMixin, ConvNet):
    """A convolutional network that classifies images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) classes or (n, K) of 0 and 1

    Parameters
    ----------
    {PARAMETERS}
    class_weight : dict, "balanced" or None
        Multiplies the samples' weights by class.

    Attributes
    ----------
    {ATTRIBUTES}
    classes_ : array (K,)

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = ConvNetClassifier(max_iter=10, random_state=0).fit(X_train, y_train)
    >>> classifier.score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints = ConvNet._parameter_constraints | {"class_weight": [StrOptions({"balanced"}), dict, list, None]}
    _y_checks = {"multi_output": True}

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, class_weight=None,
                 average=True, augment="auto", shuffle=True, warm_start=False, random_state=None, n_threads=None, verbose=False):  # fmt: skip
        super().__init__(
            layers, image_shape=image_shape, solver=solver, learning_rate=learning_rate, learning_rate_init=learning_rate_init,
            batch_size=batch_size, max_iter=max_iter, alpha=alpha, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, early_stopping=early_stopping,
            validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, tol=tol, average=average,
            augment=augment, shuffle=shuffle, warm_start=warm_start, random_state=random_state, n_threads=n_threads,
            verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Train on X and y.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X : array, sparse matrix or DataFrame
        y : array (n,) of classes, or (n, K) of 0 and 1 for several labels a sample
        sample_weight : array (n,), optional
        X_val, y_val : arrays, optional
            Measured after each epoch; with early_stopping they take the place of the held-out share. A Pipeline hands
            them over untransformed unless told otherwise (`transform_input`).

        Returns
        -------
        ConvNetClassifier

        Raises
        ------
        ValueError
            For parameters, shapes, labels and weights that do not fit.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val))

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on X and y, going on from where the last call ended.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array (K,)
            All classes, needed in the first call.

        Returns
        -------
        ConvNetClassifier

        Raises
        ------
        ValueError
            Also with early_stopping=True and class_weight="balanced", which need all the data.
        """
        if isinstance(self.class_weight, str):
            raise ValueError('class_weight="balanced" needs all the data at once; pass partial_fit a dict')
        return self._fit(X, y, sample_weight, (None, None), incremental=True, classes=classes)

    def predict(self, X):
        """The most probable class of each sample; for several labels, 1 where one is more probable than not.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n,) or (n, K)
        """
        return self._decided(self._predicted(X))

    def predict_proba(self, X):
        """The probability of each class, in the order of ``classes_``; for several labels, of each label.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K); rows add up to 1, unless there are several labels
        """
        logits = self._predicted(X).astype(np.float64)
        if self._loss == "cross_entropy":
            return functional.softmax(logits)
        return np.exp(-np.logaddexp(0, -logits))

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K)
        """
        logits = self._predicted(X).astype(np.float64)
        if self._loss == "cross_entropy":
            return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return -np.logaddexp(0, -logits)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def out_activation_(self):
        """What makes probabilities of the network's output."""
        return "softmax" if self._loss == "cross_entropy" else "logistic"

    @property
    def _loss(self):
        return "binary_cross_entropy_with_logits" if self._is_multilabel else "cross_entropy"

    def _encode(self, y, reset, classes):
        """y as the loss takes it; classes_ on the first call."""
        y = _as_labels(column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y)
        check_classification_targets(y)
        is_multilabel = type_of_target(y) == "multilabel-indicator"
        if y.ndim == 2 and not is_multilabel:
            raise ValueError(f"y must be (n,) classes or (n, K) of 0 and 1, got shape {y.shape} with other values")
        if is_multilabel:
            y = y.toarray() if hasattr(y, "toarray") else y  # sparse
        if reset:
            self._learn_classes(y, classes, is_multilabel)
        elif is_multilabel != self._is_multilabel:
            raise ValueError(f"y has shape {y.shape}, which is not what {type(self).__name__} was fitted to")
        elif classes is not None and not isinstance(classes, str):
            _check_partial_fit_first_call(self, classes)  # the same as in the first call
        if is_multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y has {y.shape[1]} labels, expected {len(self.classes_)}")
            return np.asarray(y, np.float64)
        found = np.unique(y)
        # By sorting: NumPy 2.0's table of integers overflows for unsigned ones above int64.
        unknown = found[np.isin(found, self.classes_, invert=True, kind="sort")]
        if len(unknown):
            raise ValueError(f"y contains classes {unknown.tolist()} that are not among {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y)

    def _learn_classes(self, y, classes, is_multilabel):
        """classes_ of the first call's y, or as partial_fit was given them."""
        self._is_multilabel = is_multilabel
        if is_multilabel:
            hints.at_one_hot(y)
            self.classes_ = np.arange(y.shape[1])
        elif isinstance(classes, str):
            self.classes_ = np.unique(y)
            hints.at_numbers(y, self.classes_)
        else:
            if hasattr(self, "classes_"):
                del self.classes_
            _check_partial_fit_first_call(self, None if classes is None else _as_labels(np.asarray(classes)))
        self.n_outputs_ = len(self.classes_)
        if not is_multilabel and self.n_outputs_ < 2:
            raise ValueError(f"y has one class, {self.classes_.tolist()}: a classifier needs samples of at least two classes")

    def _weights(self, sample_weight, rows, y):
        if sample_weight is None and self.class_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        if isinstance(self.class_weight, dict) and not self._is_multilabel:
            # All classes, of which this batch may lack some.
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
            weights = weights * of_class[np.searchsorted(self.classes_, y)]
        elif self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        if (weights < 0).any():
            raise ValueError(f"class_weight must not be negative, got {self.class_weight}")
        if not weights.any():
            raise ValueError("sample_weight and class_weight leave no sample a non-zero weight")
        return weights

    def _measure_target(self, target, weights):
        pass

    def _describe_target(self):
        kind = self.classes_.dtype.newbyteorder("<").str
        # Text no wider than it must be, whatever the labels' type was.
        kind = kind if self.classes_.dtype.kind != "U" else np.array(self.classes_.tolist()).dtype.newbyteorder("<").str
        return {"classes": self.classes_, "classes_dtype": kind, "is_multilabel": self._is_multilabel}

    def _restore_target(self, described):
        values, dtype = described["classes"], described["classes_dtype"]
        found = _CLASS_TYPE.fullmatch(dtype)
        kinds = {"b": bool, "f": float, "i": int, "u": int}
        if not found or not all(type(value) is kinds.get(found[1][0], str) for value in values):
            raise ModelFileError(f"classes of type {dtype!r}")
        widest = max((len(value) for value in values if isinstance(value, str)), default=1)
        if found[1][0] == "U" and int(found[1][1:]) > max(4, widest):
            raise ModelFileError(f"classes of type {dtype!r}, the longest has {widest} letters")
        self.classes_ = np.array(values, np.dtype(dtype).newbyteorder("="))
        if (
            len(values) == 0
            or self.classes_.tolist() != sorted(set(values))
            or found[1][0] == "f"
            and not np.isfinite(values).all()
        ):
            raise ModelFileError("the classes are not in order")
        self._is_multilabel = expect(described["is_multilabel"], bool)
        self.n_outputs_ = len(self.classes_)

    def _scaled_target(self, target):
        return target.astype(self._dtype) if self._is_multilabel else target

    def _decided(self, logits):
        if self._is_multilabel:
            return (logits > 0).astype(int)
        return self.classes_[logits.argmax(axis=1)]

    def _score(self, output, target, weights):
        decided = output > 0 if self._is_multilabel else output.argmax(axis=1)
        return accuracy_score(target, decided, sample_weight=weights)


_CLASS_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|O|U[0-9]{1,9})")
"""What `classes_` may be of, as NumPy writes it."""


def _as_labels(y):
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
