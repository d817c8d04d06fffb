"""A fit that is refused, diverges or is interrupted loses nothing; numbers of any size are scaled or refused."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from fastconv import Conv2d, ConvNetClassifier, ConvNetRegressor, DivergenceError, Flatten, Linear, MaxPool2d, ReLU
from fastconv.estimators import fitting
from fastconv.training import train

X, Y = load_digits(return_X_y=True)
SMALL = [Conv2d(4, 3), ReLU(), MaxPool2d(2)]


def quick(cls=ConvNetClassifier, **settings):
    return cls(SMALL, **{"max_iter": 3, "random_state": 0} | settings)


def deep(model):
    """What a model holds, as bytes: nothing of it may change."""
    return pickle.dumps(vars(model) | {"network_": model.network_.buffer.copy()})


class Interrupt:
    """`train` that ends in an error after it has changed the network, in the second epoch of a fit and the first of partial_fit."""

    def __init__(self, error, epochs):
        self.error, self.left = error, epochs

    def __call__(self, *args, **settings):
        history = train(*args, **settings)
        self.left -= 1
        if self.left < 0:
            raise self.error
        return history


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, DivergenceError, OSError])
@pytest.mark.parametrize("way", ["fit", "warm start", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("cls, n", [(ConvNetClassifier, 300), (ConvNetRegressor, 40)])
def test_a_fit_that_ends_in_an_error_leaves_the_last_model_whole(error, way, solver, cls, n, monkeypatch):
    model = cls([Flatten(), Linear(5), ReLU()], solver=solver, max_iter=3, random_state=0).fit(X[:n], Y[:n] % 3)
    control = copy.deepcopy(model)
    model.set_params(warm_start=way == "warm start")
    before, network = deep(model), model.network_
    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(fitting, "train", Interrupt(error, way != "partial_fit"))
        (model.partial_fit if way == "partial_fit" else model.fit)(X[300:600], Y[300:600] % 3)
    assert deep(model) == before and model.network_ is network
    model.set_params(warm_start=False)
    for m in (model, control):
        m.partial_fit(X[:n], Y[:n] % 3)
    assert_array_equal(model.predict(X), control.predict(X))


def test_a_first_fit_that_is_interrupted_fits_nothing(monkeypatch):
    model = quick()
    monkeypatch.setattr(fitting, "train", Interrupt(KeyboardInterrupt, 1))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:100], Y[:100])
    assert vars(model) == vars(quick()) | {"layers": SMALL}


@pytest.mark.parametrize("rate", [1e3, 1e5, 1e10, 1e15, 1e25, 1e300])
@pytest.mark.parametrize("way", ["fit", "partial_fit"])
def test_no_learning_rate_makes_a_model_that_predicts_nan(rate, way):
    model = ConvNetClassifier(max_iter=2, random_state=0).fit(X[:300], Y[:300])
    before = model.predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(learning_rate_init=rate)
        model._lr = rate
        try:
            (model.fit if way == "fit" else model.partial_fit)(X[:300], Y[:300])
        except DivergenceError as error:
            assert "learning_rate_init" in str(error)
            assert_array_equal(model.predict_proba(X), before)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1, 1e160, 1e300])
def test_targets_of_any_size_are_scaled(unit):
    y = X[:200, :32].mean(axis=1) - X[:200, 32:].mean(axis=1)
    model = ConvNetRegressor([Flatten(), Linear(20), ReLU()], max_iter=40, learning_rate_init=0.01, random_state=0)
    model.fit(X[:200], y * unit, X_val=X[:50], y_val=y[:50] * unit)
    assert np.corrcoef(model.predict(X[:200]) / unit, y)[0, 1] > 0.97 and model.validation_scores_[-1] > 0.9
    if unit < 1e200:
        with pytest.raises(ValueError, match=r"y has 1e\+308, too far from the numbers that the model is scaled to"):
            model.set_params(warm_start=True).fit(X[:200], np.where(np.arange(200) == 3, 1e308, y * unit))


def test_a_constant_target_is_predicted_as_it_is():
    assert_allclose(quick(ConvNetRegressor).fit(X[:70], np.full(70, 0.1)).y_scale_, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_before_the_first_step(bad, monkeypatch):
    monkeypatch.setattr(fitting, "train", None)
    images, numbers, weights = X[:60].copy(), Y[:60].astype(float), np.ones(60)
    images[7, 3] = numbers[7] = weights[7] = bad
    ours = {"X": X[:60], "y": Y[:60] % 2}
    for cls in (ConvNetClassifier, ConvNetRegressor):
        for given in (
            {"X": images}, {"y": numbers}, {"sample_weight": weights}, {"X_val": images, "y_val": Y[:60] % 2},
            {"X_val": X[:60], "y_val": numbers}, {"sample_weight": np.full(60, 1e308)}, {"sample_weight": np.full(60, 1e-320)},
        ):  # fmt: skip
            with pytest.raises(ValueError, match="NaN|infinity|infinite|negative|Negative|weights"):
                quick(cls).fit(**ours | given)
