"""The regressor."""

from sklearn.base import RegressorMixin

from . import target_numbers
from .base import ConvNet, learnt


class ConvNetRegressor(RegressorMixin, ConvNet):
    """A convolutional network that predicts numbers from images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K)

    Parameters
    ----------
    layers : "auto" or list of layers
        Without the last `Linear`, which is added (after a `Flatten` where one is missing). "auto" chooses a network for the
        shape of a sample: convolutions for pictures of 6x6 pixels and more, a convolution and a hidden layer for small ones; a
        hidden layer for tables. A table that happens to have a square number of columns is told from pictures by its
        neighbours, which do not vary together both ways; fewer than 20 flat rows are a table.
    image_shape : (H, W) or (C, H, W), optional
        Of a flat row. Without it a square number of features is a square image of one channel, any other number one row.
    solver : "adam" or "sgd"
    learning_rate : "constant", "invscaling" or "adaptive"
        Of "sgd", as in MLPRegressor. Constant; divided by the square root of the samples seen; or divided by five whenever
        the loss (with early stopping: the validation score) has not improved for `n_iter_no_change` epochs.
    learning_rate_init : float
    batch_size : int or "auto"
        Samples a step. "auto" is 32, and all of them where there are fewer than 64.
    max_iter : int, optional
        Epochs at most. Without it 40 for pictures, 200 for anything else and for pictures below 6x6.
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
    average : bool
        The trained weights are the mean of those after each of the last quarter of `max_iter` epochs, which does what a falling
        learning rate would; not with early stopping, nor in partial_fit.
    augment : "auto", int or None
        Pixels by which every training image is shifted at random, anew in each epoch. "auto" is none: position may
        be what is asked.
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
    y_mean_, y_scale_ : arrays (K,)
        Of the training targets: the network predicts ``(y - y_mean_) / y_scale_``, and its loss is in these units.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((200, 8, 8))
    >>> y = X[:, :4].mean(axis=(1, 2)) - X[:, 4:].mean(axis=(1, 2))
    >>> regressor = ConvNetRegressor(augment=None, random_state=0).fit(X[:150], y[:150])
    >>> regressor.predict(X[150:]).shape
    (50,)
    """

    _targets = target_numbers

    y_mean_ = learnt("_target.mean")
    y_scale_ = learnt("_target.scale")

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Train on X and y.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X : array, sparse matrix or DataFrame
        y : array (n,) or (n, K)
        sample_weight : array (n,), optional
        X_val, y_val : arrays, optional
            Measured after each epoch; with early_stopping they take the place of the held-out share. A Pipeline hands
            them over untransformed unless told otherwise (`transform_input`).

        Returns
        -------
        ConvNetRegressor

        Raises
        ------
        ValueError
            For parameters, shapes and weights that do not fit.
        """
        return self._fit(X, y, sample_weight, validation=(X_val, y_val))

    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch on X and y, going on from where the last call ended.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        ConvNetRegressor

        Raises
        ------
        ValueError
            Also with early_stopping=True, which needs all the data.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """The predicted numbers.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n,) or (n, K), as y was
        """
        output = self._output(X)
        return self._target.decode(output)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
