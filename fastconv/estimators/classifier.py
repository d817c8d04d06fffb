"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin

from . import target_classes
from .base import ConvNet, learnt
from .parameters import CLASS_WEIGHT, CONSTRAINTS
from .samples import checked_weights


class ConvNetClassifier(ClassifierMixin, ConvNet):
    """A convolutional network that classifies images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) classes or (n, K) of 0 and 1

    Parameters
    ----------
    layers : "auto" or list of layers
        Without the last `Linear`, which is added (after a `Flatten` where one is missing). "auto" chooses a network for the
        shape of a sample: convolutions, pools and dropout for pictures of 6x6 pixels and more, a convolution and a hidden layer
        for small ones; a hidden layer for tables. A table that happens to have a square number of columns is told from pictures
        by its neighbours, which do not vary together both ways; fewer than 20 flat rows are a table.
    image_shape : (H, W) or (C, H, W), optional
        Of a flat row. Without it a square number of features is a square image of one channel, any other number one row.
    solver : "adam" or "sgd"
    learning_rate : "constant", "invscaling" or "adaptive"
        Of "sgd", as in MLPClassifier. Constant; divided by the square root of the samples seen; or divided by five whenever
        the loss (with early stopping: the validation score) has not improved for `n_iter_no_change` epochs.
    learning_rate_init : float
    batch_size : int or "auto"
        Samples a step. "auto" is 32, and all of them where there are fewer than 64.
    max_iter : int, optional
        Epochs at most. Without it 24 for pictures, 40 for those from 12x12 pixels on, 200 for anything else and for pictures
        below 6x6.
    alpha : float
        L2 penalty on the weights, not the biases; divided by the number of samples in a batch.
    momentum, nesterovs_momentum
        Of "sgd".
    beta_1, beta_2, epsilon
        Of "adam".
    early_stopping : bool
        Stop when the score on held-out data has not improved by `tol` for `n_iter_no_change` epochs, and restore the best
        weights.
    validation_fraction : float
        Share of the training data held out for early stopping, unless `fit` is given X_val and y_val.
    n_iter_no_change : int
        Epochs without an improvement of `tol` after which training ends.
    tol : float
    class_weight : dict, "balanced" or None
        Multiplies the samples' weights by class.
    average : bool
        The trained weights are the mean of those after each of the last quarter of `max_iter` epochs, which does what a falling
        learning rate would; not with early stopping, nor in partial_fit.
    augment : "auto", int or None
        Pixels by which every training image is shifted at random, anew in each epoch. "auto" is 1 for pictures of 6x6 pixels
        and more, 2 from 16x16 on; none for anything else.
    shuffle : bool
        A new order each epoch.
    warm_start : bool
        `fit` goes on from the last fit's weights.
    random_state : None, int or RandomState
        Decides first weights, order, shifts, dropout and the held-out data.
    n_threads : int, optional
        The results are the same bits for any number.
    verbose : bool
        A progress bar on a terminal, a line an epoch elsewhere, on stderr.

    Attributes
    ----------
    network_ : Sequential
        The trained network; it takes scaled images.
    image_shape_ : (C, H, W)
    mean_, scale_ : float or array (n_features,)
        Of all pixels of the training data for pictures, of each column for a table: the network sees ``(X - mean_) / scale_``.
    coefs_, intercepts_ : lists of arrays
        Weights and biases, layer by layer, in PyTorch's layout.
    loss_, best_loss_ : float
        Of the last epoch, and the lowest; ``best_loss_`` is None with early stopping.
    loss_curve_, validation_loss_curve_, validation_scores_ : lists of float
        One number an epoch; the last two with early stopping or a validation set.
    best_validation_score_ : float or None
    n_iter_, n_layers_, n_outputs_, t_ : int
        Epochs of the last fit, layers with the input, outputs, samples seen.
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X was a DataFrame.
    classes_ : array (K,)
        In the order of the network's outputs.

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

    _parameter_constraints = CONSTRAINTS | {"class_weight": CLASS_WEIGHT}
    _targets = target_classes

    classes_ = learnt("_target.classes")

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, class_weight=None,
                 average=True, augment="auto", shuffle=True, warm_start=False, random_state=None, n_threads=None,
                 verbose=False):  # fmt: skip
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
        return self._fit(X, y, sample_weight, validation=(X_val, y_val))

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on X and y, going on from where the last call ended.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X, y
            As for `fit`.
        classes : array (K,)
            All classes, needed in the first call.
        sample_weight
            As for `fit`.

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
        if classes is not None and hasattr(self, "network_"):
            self._target.require_same(classes)
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X):
        """The most probable class of each sample; for several labels, 1 where one is more probable than not.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n,) or (n, K)
        """
        output = self._output(X)
        return self._target.decode(output)

    def predict_proba(self, X):
        """The probability of each class, in the order of ``classes_``; for several labels, of each label.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K); rows add up to 1, unless there are several labels
        """
        logits = self._output(X).astype(np.float64)
        return self._target.probabilities(logits)

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K)
        """
        logits = self._output(X).astype(np.float64)
        return self._target.log_probabilities(logits)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _weights(self, sample_weight, rows, y, target):
        """The weight of each sample, that of its class included."""
        if sample_weight is None and self.class_weight is None:
            return None
        weights = checked_weights(sample_weight, rows)
        if self.class_weight is not None:
            weights = weights * self._target.weights(self.class_weight, y, target)
        if (weights < 0).any():
            raise ValueError(f"class_weight must not be negative, got {self.class_weight}")
        if not weights.any():
            raise ValueError("sample_weight and class_weight leave no sample a non-zero weight")
        return weights
