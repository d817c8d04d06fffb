"""The parameters of an estimator, and what they may be, in scikit-learn's form of a declaration."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Hidden, Interval, Options, StrOptions

from ..support.geometry import integer
from . import hints

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_BELOW_1 = Interval(Real, 0, 1, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "layers": [StrOptions({"auto"}), list, tuple],
    "image_shape": [None, tuple, list],
    "solver": [StrOptions({"adam", "sgd"})],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [_POSITIVE],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "max_iter": [_COUNT, None],
    "average": ["boolean"],
    "alpha": [_NOT_NEGATIVE],
    "momentum": [_BELOW_1],
    "nesterovs_momentum": ["boolean"],
    "beta_1": [_BELOW_1],
    "beta_2": [_BELOW_1],
    "epsilon": [_POSITIVE],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "tol": [_NOT_NEGATIVE],
    "augment": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left"), None, Hidden(bool)],
    "shuffle": ["boolean"],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "n_threads": [_COUNT, None],
    "verbose": ["verbose"],
}
"""Of either estimator."""

CLASS_WEIGHT = [StrOptions({"balanced"}), dict, list, None]
"""Of the classifier."""


class Parameters(BaseEstimator):
    """An estimator that has parameters, and nothing else yet."""

    _parameter_constraints = CONSTRAINTS

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, average=True,
                 augment="auto", shuffle=True, warm_start=False, random_state=None, n_threads=None, verbose=False):  # fmt: skip
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

    def _check_params(self):
        """Raise ValueError or TypeError for parameters that cannot be meant."""
        hints.require_layers(self.layers)
        hints.require_solver(self.solver)
        self._validate_params()
        if self.n_threads is not None:
            integer(self.n_threads, "n_threads", 1)
