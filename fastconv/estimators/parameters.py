"""What an estimator's parameters may be, in scikit-learn's form of a declaration."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Hidden, Interval, Options, StrOptions

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
