"""What classifier and regressor share: parameters, and what goes into the network."""

from html import escape
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr
from sklearn.utils._param_validation import Hidden, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ..support.geometry import integer
from . import hints, scaling
from .architecture import is_picture, sample_shape
from .fitting import Fitting
from .pictures import look_like_pictures
from .saving import Saving


class ConvNet(Fitting, Saving, BaseEstimator):
    """What classifier and regressor share."""

    _parameter_constraints = {
        "layers": [StrOptions({"auto"}), list, tuple],
        "image_shape": [None, tuple, list],
        "solver": [StrOptions({"adam", "sgd"})],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "average": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "augment": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left"), None, Hidden(bool)],
        "shuffle": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, average=True, augment="auto",
                 shuffle=True, warm_start=False, random_state=None, n_threads=None, verbose=False):  # fmt: skip
        self.layers = layers
        self.image_shape = image_shape
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.average = average
        self.augment = augment
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @property
    def coefs_(self):
        """The weights, layer by layer."""
        return [value for name, value in self.network_.params.items() if name.endswith("weight")]

    @property
    def intercepts_(self):
        """The biases, layer by layer."""
        return [value for name, value in self.network_.params.items() if name.endswith("bias")]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.sparse = True
        return tags

    def _html_repr(self):
        html = estimator_html_repr(self)
        if hasattr(self, "network_"):
            html += f"<details><summary>Network</summary><pre>{escape(self.network_.summary())}</pre></details>"
        return html

    def _check_params(self):
        """Raise ValueError or TypeError for parameters that cannot be meant."""
        hints.require_layers(self.layers)
        hints.require_solver(self.solver)
        self._validate_params()
        if self.n_threads is not None:
            integer(self.n_threads, "n_threads", 1)

    # --- data ---

    def _rows(self, X, y="no_validation", reset=False):
        """X as rows (n, features) of real numbers, checked by scikit-learn, and y if it is given; image_shape_ where X shows it."""
        X, shape = self._flat(X)
        is_alone = isinstance(y, str)
        if getattr(getattr(y, "dtype", None), "kind", None) == "T":  # NumPy's new text, which scikit-learn does not take
            y = y.astype(object)
        checks = {} if is_alone or y is None else self._y_checks
        found = validate_data(self, X, y, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], **checks)
        rows = found if is_alone else found[0]
        rows = rows.toarray() if hasattr(rows, "toarray") else rows  # sparse
        if reset:
            wanted = sample_shape(rows.shape[1], self.image_shape) if shape is None or self.image_shape is not None else shape
            if shape not in (None, wanted):
                raise ValueError(f"X has images of shape {shape}, image_shape is {wanted}")
            hints.require_channels_first(wanted)
            if shape is None and self.image_shape is None:
                hints.at_colours(rows)
            self.image_shape_ = wanted
            is_shown = shape is not None or self.image_shape is not None
            self._is_picture = is_picture(wanted) if is_shown else bool(look_like_pictures(rows, wanted))
        elif shape not in (None, self.image_shape_):
            raise ValueError(f"X has images of shape {shape}, {type(self).__name__} was fitted to {self.image_shape_}")
        return rows if is_alone else (rows, found[1])

    def _flat(self, X):
        """-> X, its images flat; their shape (C, H, W), None where X is rows already"""
        ndim = X.ndim if hasattr(X, "ndim") else np.ndim(X) if isinstance(X, (list, tuple)) else 2
        if ndim not in (3, 4):
            return X, None
        X = np.asarray(X)
        shape = (1, *X.shape[1:]) if ndim == 3 else X.shape[1:]
        hints.require_channels_first(shape, len(X))
        return X.reshape(len(X), int(np.prod(shape))), shape

    def _images(self, rows):
        """Rows as the network's input (n, C, H, W)."""
        scaled = scaling.scaled(rows, self.mean_, self.scale_, self._dtype)
        return scaled.reshape(len(rows), *self.image_shape_)

    def _measure(self, rows, weights):
        """mean_ and scale_: a sample counts as often as its weight says."""
        measure = scaling.of_pixels if self._is_picture else scaling.of_columns
        self.mean_, self.scale_ = measure(rows, weights)

    def as_trained(self, X, y):
        """Samples as the network sees them, to trace a training step of ``network_``.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K) -> images (n, C, H, W), labels or scaled targets, the loss's name

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        images : array (n, C, H, W)
        targets : array
        loss : str
            For `fastconv.train` and `fastconv.explain.trace`.
        """
        check_is_fitted(self, "network_")
        rows, y = self._rows(X, y)
        return self._images(rows), self._scaled_target(self._encode(y, reset=False, classes=None)), self._loss

    def _predicted(self, X):
        """The network's output for X, before anything is made of it."""
        check_is_fitted(self, "network_")
        return self.network_.predict(self._images(self._rows(X)), n_threads=self.n_threads)
