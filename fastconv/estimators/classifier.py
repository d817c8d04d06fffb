"""The classifier."""

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
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        check_classification_targets(y)
        is_multilabel = type_of_target(y) == "multilabel-indicator"
        if y.ndim == 2 and not is_multilabel:
            raise ValueError(f"y must be (n,) classes or (n, K) of 0 and 1, got shape {y.shape} with other values")
        if is_multilabel:
            y = y.toarray() if hasattr(y, "toarray") else y  # sparse
        if reset:
            self._is_multilabel = is_multilabel
            if is_multilabel:
                self.classes_ = np.arange(y.shape[1])
            elif isinstance(classes, str):
                self.classes_ = np.unique(y)
            else:
                if hasattr(self, "classes_"):
                    del self.classes_
                _check_partial_fit_first_call(self, classes)
            self.n_outputs_ = len(self.classes_)
        elif is_multilabel != self._is_multilabel:
            raise ValueError(f"y has shape {y.shape}, which is not what {type(self).__name__} was fitted to")
        elif classes is not None and not isinstance(classes, str):
            _check_partial_fit_first_call(self, classes)  # the same as in the first call
        if is_multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y has {y.shape[1]} labels, expected {len(self.classes_)}")
            return np.asarray(y, np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y contains classes {unknown.tolist()} that are not among {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y)

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
        # Text no wider than it must be, whatever the labels' type was.
        dtype = np.array(self.classes_.tolist()).dtype if self.classes_.dtype.kind == "U" else self.classes_.dtype
        if dtype.kind not in "biufUO" or not all(isinstance(c, (bool, int, float, str)) for c in self.classes_.tolist()):
            raise TypeError(f"classes of {self.classes_.dtype} cannot be saved, only numbers and text")
        return {
            "classes": self.classes_.tolist(),
            "classes_dtype": dtype.str,
            "is_multilabel": self._is_multilabel,
        }

    def _restore_target(self, described):
        values, dtype = described["classes"], described["classes_dtype"]
        if dtype.strip("<>|=")[:1] not in tuple("biufUO") or not all(isinstance(c, (bool, int, float, str)) for c in values):
            raise ModelFileError(f"classes of type {dtype!r}")
        widest = max((len(c) for c in values if isinstance(c, str)), default=1)
        if np.dtype(dtype).itemsize > max(16, 4 * widest):
            raise ModelFileError(f"classes of type {dtype!r}, the longest has {widest} letters")
        self.classes_ = np.array(values, np.dtype(dtype))
        if len(self.classes_) == 0 or list(self.classes_) != sorted(set(values)):
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
