"""What the estimators do unless they are told otherwise: scaling, pictures and tables, shifts."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from fastconv import ConvNetClassifier, ConvNetRegressor

WINE, CULTIVAR = load_wine(return_X_y=True)


def test_columns_of_any_units_need_no_scaler():
    assert cross_val_score(ConvNetClassifier(random_state=0), WINE, CULTIVAR, cv=5).mean() >= 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_are_scaled_as_by_a_standard_scaler(dtype):
    model = ConvNetClassifier(max_iter=1).fit(WINE.astype(dtype), CULTIVAR)
    assert model.mean_.shape == model.scale_.shape == (13,) and model.mean_.dtype == np.float64
    expected = StandardScaler().fit_transform(WINE.astype(dtype).astype(np.float64))
    assert_allclose(model.as_trained(WINE.astype(dtype), CULTIVAR)[0].reshape(-1, 13), expected, atol=1e-6)


def test_pictures_are_scaled_by_one_mean_and_deviation():
    X, y = load_digits(return_X_y=True)
    model = ConvNetClassifier(max_iter=1).fit(X[:300], y[:300])
    assert (model.mean_, model.scale_) == pytest.approx((X[:300].mean(), X[:300].std()), rel=1e-12)


@pytest.mark.filterwarnings("ignore:X has")
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-30, 1e30, 1e200, 1e300])
def test_units_are_no_matter(unit):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    y = rows[:, 0] > 0
    rows[:, 2] = 5
    expected = ConvNetClassifier(max_iter=3, random_state=0).fit(rows, y)
    found = ConvNetClassifier(max_iter=3, random_state=0).fit(rows * [unit, 1, unit], y)
    assert_allclose(found.predict_proba(rows * [unit, 1, unit]), expected.predict_proba(rows), atol=1e-5)
    assert found.scale_[2] == 1


def test_digits_far_from_zero_are_not_lost():
    rows = np.random.default_rng(0).normal(size=(80, 2))
    y = rows[:, 0] > 0
    expected = ConvNetClassifier(max_iter=3, random_state=0).fit(rows, y).predict_proba(rows)
    assert_allclose(
        ConvNetClassifier(max_iter=3, random_state=0).fit(rows + 1e9, y).predict_proba(rows + 1e9), expected, atol=1e-5
    )


def test_pictures_of_huge_and_tiny_pixels():
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)
    expected = ConvNetClassifier(max_iter=1, random_state=0).fit(X[:200], y[:200]).predict_proba(X[:50])
    for power in (-700, 900):  # of two, which change no digit
        unit = 2.0**power
        model = ConvNetClassifier(max_iter=1, random_state=0).fit(X[:200] * unit, y[:200])
        assert_array_equal(model.predict_proba(X[:50] * unit), expected)


@pytest.mark.filterwarnings("ignore:X has")
def test_a_weight_of_two_is_a_row_twice_and_of_zero_none():
    rows = np.random.default_rng(0).normal(size=(30, 4)) * [1, 1e5, 1e-200, 1e200]
    weights = np.arange(30) % 3
    a = ConvNetRegressor(max_iter=1).fit(rows, np.arange(30.0), sample_weight=weights)
    b = ConvNetRegressor(max_iter=1).fit(rows.repeat(weights, 0), np.arange(30.0).repeat(weights))
    assert_allclose(a.mean_, b.mean_, rtol=1e-12)
    assert_allclose(a.scale_, b.scale_, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:X has")
@pytest.mark.parametrize("X", [WINE, np.random.default_rng(0).normal(size=(178, 6, 6))])
def test_what_the_network_cannot_hold_is_refused(X):
    model = ConvNetClassifier(max_iter=1, random_state=0).fit(X, CULTIVAR)
    with pytest.raises(ValueError, match="X has 1e\\+200, too far from"):
        model.predict(np.where(X.flat[0] == X, 1e200, X))
    outlier = np.where(X.flat[0] == X, 1.7e308, X)
    before = model.predict(X)
    with pytest.raises(ValueError, match="too far from"):
        model.partial_fit(outlier, CULTIVAR)
    assert_array_equal(model.predict(X), before)


def test_a_scaled_table_goes_everywhere(tmp_path):
    model = ConvNetClassifier(max_iter=20, random_state=0).fit(WINE, CULTIVAR)
    expected = model.predict_proba(WINE)
    model.save(tmp_path / "wine.safetensors")
    loaded = ConvNetClassifier.load(tmp_path / "wine.safetensors")
    assert_array_equal(loaded.predict_proba(WINE), expected)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(WINE), expected)
    assert_array_equal(loaded.partial_fit(WINE, CULTIVAR).mean_, model.mean_)


def test_a_scaled_table_in_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    rows = (WINE + [1e6] + np.zeros(13)).astype(np.float32)  # digits that float32 would lose
    model = ConvNetRegressor(max_iter=20, random_state=0).fit(rows, CULTIVAR)
    model.to_onnx(tmp_path / "wine.onnx")
    (found,) = runtime.InferenceSession(str(tmp_path / "wine.onnx")).run(None, {"X": rows})
    assert_allclose(found, model.predict(rows), atol=1e-5)
