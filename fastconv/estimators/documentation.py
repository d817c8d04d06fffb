"""What the docstrings of classifier and regressor share."""

PARAMETERS = """
layers : "auto" or list of layers
    Without the last `Linear`, which is added (after a `Flatten` where one is missing). "auto" chooses a network for the shape
    of a sample: convolutions for pictures of 6x6 pixels and more, with dropout unless it is regression; a hidden layer for
    tables. A table that happens to have a square number of columns is told from pictures by its neighbours, which do not
    vary together both ways; fewer than 20 flat rows are a table.
image_shape : (H, W) or (C, H, W), optional
    Of a flat row. Without it a square number of features is a square image of one channel, any other number one row.
solver : "adam" or "sgd"
learning_rate : "constant", "invscaling" or "adaptive"
    Of "sgd", as in MLPClassifier. Constant; divided by the square root of the samples seen; or divided by five whenever the loss (with early stopping: the
    validation score) has not improved for `n_iter_no_change` epochs.
learning_rate_init : float
batch_size : int or "auto"
    Samples a step. "auto" is 32, and all of them where there are fewer than 64.
max_iter : int, optional
    Epochs at most. Without it 24 for pictures, 40 for those from 12x12 pixels on and for regression, 200 for anything else
    and for pictures below 6x6.
alpha : float
    L2 penalty on the weights, not the biases; divided by the number of samples in a batch.
momentum, nesterovs_momentum
    Of "sgd".
beta_1, beta_2, epsilon
    Of "adam".
early_stopping : bool
    Stop when the score on held-out data has not improved by `tol` for `n_iter_no_change` epochs, and restore the best weights.
validation_fraction : float
    Share of the training data held out for early stopping, unless `fit` is given X_val and y_val.
n_iter_no_change : int
    Epochs without an improvement of `tol` after which training ends.
tol : float
average : bool
    The trained weights are the mean of those after each of the last quarter of `max_iter` epochs, which does what a falling
    learning rate would; not with early stopping, nor in partial_fit.
augment : "auto", int or None
    Pixels by which every training image is shifted at random, anew in each epoch. "auto" is 1 for pictures of 6x6 pixels
    and more, 2 from 16x16 on; none for anything else, nor for regression, where position may be what is asked.
shuffle : bool
    A new order each epoch.
warm_start : bool
    `fit` goes on from the last fit's weights.
random_state : None, int or RandomState
    Decides first weights, order, shifts, dropout and the held-out data.
n_threads : int, optional
    The results are the same bits for any number.
verbose : bool
    A progress bar on a terminal, a line an epoch elsewhere, on stderr."""

ATTRIBUTES = """
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
    Where X was a DataFrame."""


def documented(cls):
    """Write the shared parts into the class's docstring, in place of ``{PARAMETERS}`` and ``{ATTRIBUTES}``."""
    if cls.__doc__ is None:  # python -OO
        return cls
    for name, part in (("PARAMETERS", PARAMETERS), ("ATTRIBUTES", ATTRIBUTES)):
        cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", part.strip().replace("\n", "\n    "))
    return cls
