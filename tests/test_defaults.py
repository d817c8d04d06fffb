"""What the estimators do unless they are told otherwise: scaling, pictures and tables, shifts."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_classification
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from fastconv import ConvNetClassifier, ConvNetRegressor
from fastconv.estimators.pictures import look_like_pictures
from fastconv.layers import Conv2d, Dropout, MaxPool2d

WINE, CULTIVAR = load_wine(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)


def test_columns_of_any_units_need_no_scaler():
    assert cross_val_score(ConvNetClassifier(random_state=0), WINE, CULTIVAR, cv=5).mean() >= 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_are_scaled_as_by_a_standard_scaler(dtype):
    model = ConvNetClassifier(max_iter=1).fit(WINE.astype(dtype), CULTIVAR)
    assert model.mean_.shape == model.scale_.shape == (13,) and model.mean_.dtype == np.float64
    expected = StandardScaler().fit_transform(WINE.astype(dtype).astype(np.float64))
    assert_allclose(model.as_trained(WINE.astype(dtype), CULTIVAR)[0].reshape(-1, 13), expected, atol=1e-6)


def test_pictures_are_scaled_by_one_mean_and_deviation():
    model = ConvNetClassifier(max_iter=1).fit(DIGITS[:300], DIGIT[:300])
    assert (model.mean_, model.scale_) == pytest.approx((DIGITS[:300].mean(), DIGITS[:300].std()), rel=1e-12)


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
    X, y = DIGITS, DIGIT
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


def resized(images, side):
    """Images (n, H, W) as rows (n, side*side), each pixel the mean of the area that it covers."""
    edges = np.arange(images.shape[1] + 1)
    cut = np.linspace(0, images.shape[1], side + 1)
    share = np.clip(np.minimum(edges[1:], cut[1:, None]) - np.maximum(edges[:-1], cut[:-1, None]), 0, None)
    share /= share.sum(axis=1, keepdims=True)
    return np.einsum("ah,nhw,bw->nab", share, images, share).reshape(len(images), -1)


def has_convolution(rows):
    """Whether an estimator's own network for `rows` has a convolution."""
    model = ConvNetRegressor(max_iter=1, random_state=0, n_threads=1).fit(rows, np.arange(len(rows)))
    return any(isinstance(layer, Conv2d) for layer in model.network_.layers)


@pytest.mark.parametrize("side", [4, 5, 6, 7, 8, 16])
def test_flat_pictures_get_convolutions(side):
    rows = resized(DIGITS.reshape(-1, 8, 8), side)
    by_class = rows[np.argsort(DIGIT, kind="stable")]
    for some in (rows, by_class, 16 - rows, rows * 1e200, rows[:300].astype(np.float32)):
        assert look_like_pictures(some, (1, side, side))
    assert has_convolution(rows[:300])


def test_nine_pixels_are_scaled_as_a_picture():
    rows = resized(DIGITS.reshape(-1, 8, 8), 3)
    assert np.ndim(ConvNetClassifier(max_iter=1).fit(rows, DIGIT).mean_) == 0


def tables(rng, n, side):
    """Name and rows (n, side*side) of tables that have an order, groups or a time."""
    p = side * side
    noise = rng.normal(size=(n, p))
    yield "independent", noise
    yield "one factor", noise + rng.normal(size=(n, 1))
    yield "groups", 0.6 * noise + rng.normal(size=(n, side)).repeat(side, axis=1)
    yield "repeated measurements", 0.6 * noise + np.tile(rng.normal(size=(n, side)), side)
    yield "walk", noise.cumsum(axis=1)
    yield "seasons", 0.3 * noise.cumsum(axis=1) + np.tile(rng.normal(size=(n, side)), side)
    yield "pulse", np.exp(-np.square((np.arange(p) - rng.uniform(0, p, (n, 1))) / side)) + 0.01 * noise
    yield "classes", make_classification(n, p, n_informative=p // 2, n_redundant=p // 4, shuffle=False, random_state=0)[0]
    yield "categories", np.eye(side)[rng.integers(side, size=(n, side))].reshape(n, p)
    yield "polynomial", PolynomialFeatures(2).fit_transform(rng.uniform(size=(n, side + side)))[:, :p]
    units = 10.0 ** rng.uniform(-4, 4, p)
    yield "pictures in many units", units * ndimage.gaussian_filter(rng.normal(size=(n, side, side)), (0, 1, 1)).reshape(n, p)
    yield "shuffled pixels", resized(DIGITS[:n].reshape(-1, 8, 8), side)[:, rng.permutation(p)]


@pytest.mark.parametrize("n", [19, 60, 500])
@pytest.mark.parametrize("side", [3, 4, 5, 6, 8, 12])
def test_tables_of_a_square_number_of_columns_get_none(side, n):
    for name, rows in tables(np.random.default_rng(0), n, side):
        assert not look_like_pictures(rows, (1, side, side)), name
    assert not has_convolution(rows[:60])


@pytest.mark.parametrize("n", [9, 16, 25])
def test_real_tables_of_a_square_number_of_columns_get_none(n):
    for table in (load_breast_cancer().data, WINE, load_diabetes().data):
        for first in range(table.shape[1] - n + 1):
            assert not has_convolution(table[::4, first : first + n])


def test_declared_shapes_settle_it():
    rows = np.random.default_rng(0).normal(size=(30, 16))
    shown = ConvNetRegressor(max_iter=1, image_shape=(4, 4)).fit(rows, rows[:, 0])
    assert any(isinstance(layer, Conv2d) for layer in shown.network_.layers) and np.ndim(shown.mean_) == 0
    assert ConvNetRegressor(max_iter=1).fit(rows.reshape(30, 2, 8), rows[:, 0]).mean_.shape == (16,)


def rotated_digits():
    """The digits, each turned, as flat rows; the angles."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(-45, 45, len(DIGITS))
    images = rng.permutation(DIGITS).reshape(-1, 8, 8)
    turned = [ndimage.rotate(image, angle, reshape=False, order=1) for image, angle in zip(images, angles)]
    return np.reshape(turned, (-1, 64)), angles


def test_an_angle_is_learnt_from_pictures_as_well_as_by_trees():
    X, y = rotated_digits()
    model = ConvNetRegressor(random_state=0).fit(X[:1300], y[:1300])
    # Random forest 0.975, boosted trees 0.967; with shifts and dropout 0.960.
    assert model.score(X[1300:], y[1300:]) > 0.98


def test_a_regressor_neither_shifts_nor_drops_pixels():
    X, y = rotated_digits()
    auto, none = (
        ConvNetRegressor(max_iter=1, augment=augment, random_state=0).fit(X[:100], y[:100]) for augment in ("auto", None)
    )
    assert_array_equal(auto.predict(X[:50]), none.predict(X[:50]))
    assert not any(isinstance(layer, (Dropout, MaxPool2d)) for layer in auto.network_.layers)
    shifted = ConvNetRegressor(max_iter=1, augment=1, random_state=0).fit(X[:100], y[:100])
    assert not np.array_equal(shifted.predict(X[:50]), none.predict(X[:50]))
