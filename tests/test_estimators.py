"""The estimators: scikit-learn's own checks, and what they promise beyond."""

import copy
import inspect
import io
import pickle

import numpy as np
import pytest
from examples import examples
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastconv import (
    Adam,
    Conv2d,
    ConvNetClassifier,
    ConvNetRegressor,
    DivergenceError,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    functional,
)
from fastconv.estimators.architecture import auto_layers
from fastconv.estimators.inputs import sample_shape
from fastconv.estimators.progress import progress
from fastconv.estimators.shifts import Shifts
from fastconv.network import Sequential
from fastconv.training import train

X, Y = load_digits(return_X_y=True)
SMALL = [Conv2d(4, 3), ReLU(), MaxPool2d(2)]


@parametrize_with_checks([cls(max_iter=examples(40, None)) for cls in (ConvNetClassifier, ConvNetRegressor)])
def test_scikit_learns_checks(estimator, check):
    with np.errstate(all="ignore"):
        check(estimator)


@pytest.mark.parametrize("ours, theirs", [(ConvNetClassifier, MLPClassifier), (ConvNetRegressor, MLPRegressor)])
def test_as_many_of_scikit_learns_checks_apply_as_to_its_own_networks(ours, theirs):
    def names(estimator):
        return {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)}

    assert names(ours()) >= names(theirs())


def quick(cls=ConvNetClassifier, **settings):
    return cls(SMALL, **{"max_iter": 3, "random_state": 0} | settings)


def test_the_digits_are_learnt():
    model = ConvNetClassifier(random_state=0, max_iter=15).fit(X[:1400], Y[:1400])
    assert model.score(X[1400:], Y[1400:]) > 0.93
    assert model.n_iter_ == len(model.loss_curve_) == 15 and model.loss_ == model.loss_curve_[-1] and model.t_ == 15 * 1400
    probabilities = model.predict_proba(X[1400:])
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert_allclose(np.exp(model.predict_log_proba(X[1400:])), probabilities, rtol=1e-5, atol=1e-30)
    assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X[1400:]))


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8)])
def test_rows_and_images_are_the_same_data(shape):
    images = X.reshape(-1, *shape)
    flat = quick().fit(X[:200], Y[:200])
    found = quick().fit(images[:200], Y[:200])
    assert found.image_shape_ == flat.image_shape_ == (1, 8, 8) and found.n_features_in_ == 64
    assert_array_equal(found.predict_proba(images), flat.predict_proba(X))
    assert_array_equal(found.predict_proba(X), flat.predict_proba(images))
    with pytest.raises(ValueError, match=r"images of shape \(1, 4, 16\).*\(1, 8, 8\)"):
        found.predict(X.reshape(-1, 4, 16))


def test_images_that_are_not_square_have_channels():
    rng = np.random.default_rng(0)
    images = rng.random((50, 3, 9, 7))
    model = quick(image_shape=(3, 9, 7)).fit(images.reshape(50, -1), np.arange(50) % 2)
    assert_array_equal(model.predict_proba(images), quick().fit(images, np.arange(50) % 2).predict_proba(images))
    with pytest.raises(ValueError, match=r"image_shape \(3, 9, 8\) has 216 pixels, X has 189 features"):
        quick(image_shape=(3, 9, 8)).fit(images.reshape(50, -1), np.arange(50) % 2)
    with pytest.raises(ValueError, match=r"images of shape \(3, 9, 7\), image_shape is \(3, 7, 9\)"):
        quick(image_shape=(3, 7, 9)).fit(images, np.arange(50) % 2)
    with pytest.raises(ValueError, match="image_shape must be"):
        quick(image_shape=(189,)).fit(images, np.arange(50) % 2)


def test_channels_last_are_refused_with_the_fix():
    images = np.random.default_rng(0).random((20, 7, 9, 4))
    with pytest.raises(ValueError, match=r"\(20, 7, 9, 4\), which looks like channels last; use X.transpose\(0, 3, 1, 2\)"):
        quick().fit(images, np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"image_shape is \(7, 9, 4\).*use X.reshape\(-1, 7, 9, 4\).transpose\(0, 3, 1, 2\)"):
        quick(image_shape=(7, 9, 4)).fit(images.reshape(20, -1), np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"image_shape is \(8, 8, 1\).*use image_shape=\(1, 8, 8\)"):
        quick(image_shape=(8, 8, 1)).fit(X[:100], Y[:100])
    assert quick().fit(images.swapaxes(2, 3), np.arange(20) % 2).image_shape_ == (7, 4, 9)  # its way out


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 7), (1, 2, 2), (1, 5, 5), (1, 6, 6), (3, 12, 10), (1, 28, 28), (3, 64, 100), (1, 1, 300)]
)
def test_an_automatic_network_suits_every_shape(shape):
    net = Sequential([*auto_layers(shape), Linear(3)], shape, random_state=0)
    assert net.predict(np.zeros((2, *shape), np.float32)).shape == (2, 3)
    assert len(net.buffer) < 2e6


def test_shapes_of_rows():
    assert [sample_shape(n) for n in (1, 9, 10, 64)] == [(1, 1, 1), (1, 3, 3), (1, 1, 10), (1, 8, 8)]
    assert sample_shape(12, (3, 4)) == (1, 3, 4) and sample_shape(24, [2, 3, 4]) == (2, 3, 4)


def test_a_data_frame_keeps_its_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:100], columns=[f"pixel {i}" for i in range(64)])
    model = quick().fit(frame, Y[:100])
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(0)
    rows, classes, weights = rng.random((20, 12)), rng.integers(3, size=20), rng.integers(3, size=20)
    a = ConvNetClassifier(random_state=0).fit(rows, classes, weights)
    b = ConvNetClassifier(random_state=0).fit(np.repeat(rows, weights, axis=0), np.repeat(classes, weights))
    assert_allclose(a.predict_proba(rows), b.predict_proba(rows), rtol=1e-9)
    assert a.score(rows, classes, weights) == pytest.approx(np.average(a.predict(rows) == classes, weights=weights))
    with pytest.raises(ValueError, match="non-zero"):
        ConvNetClassifier().fit(rows, classes, np.zeros(20))
    with pytest.raises(ValueError, match="[Nn]egative"):
        ConvNetClassifier().fit(rows, classes, -weights)


def test_class_weights_multiply_sample_weights():
    few = np.r_[0:150, np.flatnonzero(Y == 8)]
    weights = np.where(Y[few] == 8, 3.0, 1.0)
    a = quick(class_weight={8: 3}).fit(X[few], Y[few])
    b = quick().fit(X[few], Y[few], weights)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    count = np.bincount(Y[few])[Y[few]]
    c = quick(class_weight="balanced").fit(X[few], Y[few])
    assert_allclose(
        c.predict_proba(X), quick().fit(X[few], Y[few], len(few) / 10 / count).predict_proba(X), rtol=1e-4, atol=1e-7
    )


def test_early_stopping_restores_the_best_weights():
    model = quick(early_stopping=True, max_iter=30, n_iter_no_change=2, learning_rate_init=0.03)
    model.fit(X[:600], Y[:600], X_val=X[600:800], y_val=Y[600:800])
    assert model.n_iter_ < 30 and model.best_loss_ is None
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_) == model.score(X[600:800], Y[600:800])
    assert np.argmax(model.validation_scores_) < model.n_iter_ - 1  # the last weights are not the best
    held = quick(early_stopping=True, max_iter=2).fit(X[:200], Y[:200])
    assert len(held.validation_scores_) == 2 and held.t_ == 2 * 180
    with pytest.raises(ValueError, match="increase validation_fraction"):
        quick(ConvNetRegressor, early_stopping=True, validation_fraction=0.01).fit(X[:90], Y[:90])


def test_a_validation_set_is_measured_without_early_stopping():
    model = quick(average=False).fit(X[:200], Y[:200], X_val=X[200:300], y_val=Y[200:300])
    logits = model.network_.predict(model.as_trained(X[200:300], Y[200:300])[0])
    assert model.validation_loss_curve_[-1] == pytest.approx(functional.cross_entropy_forward(logits, Y[200:300])[0])
    assert model.validation_scores_[-1] == model.score(X[200:300], Y[200:300])
    plain = quick(average=False).fit(X[:200], Y[:200])
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="go together"):
        quick().fit(X[:200], Y[:200], X_val=X[:2])


def test_training_that_no_longer_improves_ends():
    assert quick(max_iter=50, tol=10.0, n_iter_no_change=4).fit(X[:100], Y[:100]).n_iter_ == 6
    adaptive = quick(max_iter=50, tol=10.0, n_iter_no_change=4, learning_rate="adaptive", solver="sgd").fit(X[:100], Y[:100])
    assert adaptive.n_iter_ > 20 and adaptive._training.rate < 1e-5


def test_partial_fit_goes_on_and_fit_begins_anew():
    a = quick(max_iter=4, shuffle=False, augment=None, average=False)
    b = clone(a).fit(X[:300], Y[:300])
    for k in range(4):
        a.partial_fit(X[:300], Y[:300], classes=np.arange(10) if k == 0 else None)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert a.n_iter_ == 4 and len(a.loss_curve_) == 4
    with pytest.raises(ValueError, match="classes"):
        quick().partial_fit(X[:300], Y[:300])
    with pytest.raises(ValueError, match=r"classes \[11\]"):
        a.partial_fit(X[:2], [3, 11])
    with pytest.raises(ValueError, match="early_stopping"):
        quick(early_stopping=True).partial_fit(X[:300], Y[:300], classes=np.arange(10))


@pytest.mark.parametrize("epochs", [3, 8])
def test_the_weights_are_averaged_over_the_last_quarter_of_the_epochs(epochs):
    model, steps = quick(max_iter=epochs).fit(X[:200], Y[:200]), quick()
    after = [steps.partial_fit(X[:200], Y[:200], classes=range(10)).network_.buffer.copy() for _ in range(epochs)]
    assert_allclose(model.network_.buffer, np.mean(after[-max(1, epochs // 4) :], axis=0), rtol=1e-6)
    assert not np.array_equal(after[-1], after[-2])


def test_warm_start_goes_on():
    settings = {"augment": None, "shuffle": False, "average": False}
    warm = quick(max_iter=2, warm_start=True, **settings).fit(X[:300], Y[:300]).fit(X[:300], Y[:300])
    assert_array_equal(warm.predict_proba(X), quick(max_iter=4, **settings).fit(X[:300], Y[:300]).predict_proba(X))
    assert warm.n_iter_ == 2 and len(warm.loss_curve_) == 4


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_copy_predicts_and_goes_on_alike(copied, solver):
    model = quick(solver=solver).partial_fit(X[:300], Y[:300], classes=np.arange(10))
    again = copied(model)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    for m in (model, again):
        m.partial_fit(X[:300], Y[:300])
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.network_.params["0.weight"][...] = 0
    assert not np.array_equal(again.predict_proba(X), model.predict_proba(X))  # views of its own


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_searches_in_processes_and_threads_are_bit_equal_to_serial_ones(backend):
    from joblib import parallel_backend

    def search(n_jobs):
        return GridSearchCV(quick(), {"learning_rate_init": [1e-3, 1e-2]}, cv=2, n_jobs=n_jobs).fit(X[:200], Y[:200])

    serial = search(1)
    with parallel_backend(backend):
        parallel = search(2)
    assert_array_equal(parallel.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"])
    assert_array_equal(parallel.predict_proba(X), serial.predict_proba(X))


def test_in_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), quick(max_iter=8, learning_rate_init=0.01, augment=None))
    assert cross_val_score(pipeline, X[:600], Y[:600], cv=2).mean() > 0.7


def test_several_labels():
    labels = np.stack([Y % 2, Y > 4, Y == 3], axis=1).astype(int)
    model = quick(max_iter=15, learning_rate_init=0.01).fit(X[:1000], labels[:1000])
    assert_array_equal(model.predict(X).shape, labels.shape)
    assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    assert (model.predict(X[1000:]) == labels[1000:]).mean() > 0.85 and model.out_activation_ == "logistic"
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-5)
    with pytest.raises(ValueError, match=r"y must be \(n,\) classes or \(n, K\)|not supported|Unknown label"):
        quick().fit(X[:10], np.arange(20).reshape(10, 2))


def test_the_penalty_is_on_weights_divided_by_the_batch():
    model = ConvNetClassifier(
        [Flatten(), Linear(5), ReLU()], alpha=3.0, max_iter=2, shuffle=False, average=False, random_state=0
    )
    model.fit(X[:100, :12], Y[:100] % 2, np.linspace(1, 2, 100))
    assert abs(model.network_.buffer).max() < 1
    net = Sequential(
        model.network_.layers, (1, 1, 12), random_state=np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1))
    )
    images, _, _ = model.as_trained(X[:100, :12], Y[:100] % 2)
    optimizer = Adam(1e-3, weight_decay=3.0 / (32 * 1.5), decay_biases=False)
    train(
        net,
        images,
        Y[:100] % 2,
        epochs=2,
        batch_size=32,
        optimizer=optimizer,
        shuffle=False,
        sample_weight=np.linspace(1, 2, 100),
    )
    assert_allclose(net.buffer, model.network_.buffer, rtol=1e-5, atol=1e-7)


def test_numbers_from_images():
    rng = np.random.default_rng(0)
    images = rng.random((400, 8, 8))
    y = np.stack([images[:, :4].sum(axis=(1, 2)), 100 - images[:, :, :4].sum(axis=(1, 2))], axis=1)
    model = ConvNetRegressor([Conv2d(4, 3), ReLU()], augment=None, max_iter=60, learning_rate_init=0.005, random_state=0)
    model.fit(images[:300], y[:300], X_val=images[300:], y_val=y[300:])
    assert model.predict(images[300:]).shape == (100, 2) and model.score(images[300:], y[300:]) > 0.9
    assert model.validation_scores_[0] < model.validation_scores_[-1]
    one = clone(model).fit(images[:300], y[:300, 0])
    assert one.predict(images).shape == (400,) and one.score(images[300:], y[300:, 0]) > 0.9


def test_shifts_move_images_over_background():
    images = np.zeros((300, 2, 5, 4), np.float32)
    images[:, :, 2, 1] = 1 + np.arange(300)[:, None]
    shifted = Shifts(images, 1).draw(np.random.default_rng(0))
    assert_array_equal(shifted.sum(axis=(2, 3)), images.sum(axis=(2, 3)))
    rows, columns = np.nonzero(shifted[:, 0].any(axis=0))
    assert set(rows) == {1, 2, 3} and set(columns) == {0, 1, 2}
    assert_array_equal(shifted[:, 0] > 0, shifted[:, 1] > 0)  # all channels together


def test_unfitted_and_wrong_parameters_say_so():
    with pytest.raises(NotFittedError):
        quick().predict(X)
    with pytest.raises(ValueError, match="solver"):
        quick(solver="lbfgs").fit(X, Y)
    with pytest.raises(ValueError, match="layers"):
        ConvNetClassifier("deep").fit(X, Y)
    with pytest.raises(ValueError, match="Flatten"):
        ConvNetClassifier([Linear(3)]).fit(X, Y)


@pytest.mark.parametrize(
    "bad",
    [
        dict(y=Y[:50] + 0.5),
        dict(sample_weight=-np.ones(50)),
        dict(X_val=X[:5], y_val=[77] * 5),
        dict(X_val=X[:5, :9], y_val=Y[:5]),
    ],
)
def test_a_fit_that_is_refused_leaves_the_last_one_as_it_was(bad):
    model = quick().fit(X[:200], Y[:200])
    before, known = model.predict_proba(X), dict(vars(model))
    with pytest.raises(ValueError):
        model.fit(**{"X": X[:50], "y": np.repeat("ab", 25)} | bad)
    assert vars(model) == known
    assert_array_equal(model.predict_proba(X), before)


def test_the_html_shows_the_network():
    model = quick().fit(X[:100], Y[:100])
    assert "(4, 6, 6)" in model._repr_html_()
    assert "<details><summary>Network" not in quick()._repr_html_()


def test_progress_is_lines_elsewhere_and_a_bar_on_a_terminal(capsys):
    quick(verbose=True).fit(X[:100], Y[:100], X_val=X[:10], y_val=Y[:10])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[2].startswith("epoch 3/3  loss") and "score" in lines[0]

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with progress(2, file=terminal) as report:
        report("loss 1.0")
        report("loss 0.5")
    assert "2/2" in terminal.getvalue() and "loss 0.5" in terminal.getvalue()


def test_training_that_diverges_says_so():
    with (
        pytest.warns(UserWarning, match="100000000.0"),
        pytest.raises(DivergenceError, match=r"in epoch \d, step \d.* is not finite; lower learning_rate_init \(1e\+08\)"),
    ):
        quick(solver="sgd", learning_rate_init=1e8, max_iter=5).fit(X[:300], Y[:300])


@pytest.mark.parametrize("first, second", [("sgd", "adam"), ("adam", "sgd")])
@pytest.mark.parametrize("n", [40, 300])
def test_another_solver_begins_with_nothing_remembered(first, second, n):
    model = ConvNetClassifier([Flatten()], warm_start=True, solver=first, max_iter=2, random_state=0).fit(X[:n, :20], Y[:n] % 2)
    model.set_params(solver=second).fit(X[:n, :20], Y[:n] % 2)
    assert np.isfinite(model.predict_proba(X[:, :20])).all()


def test_a_warm_start_takes_the_new_learning_rate():
    model = quick(warm_start=True, average=False).fit(X[:300], Y[:300])
    before = model.predict_proba(X)
    model.set_params(learning_rate_init=1e-12).fit(X[:300], Y[:300])
    assert_allclose(model.predict_proba(X), before, atol=1e-5)


def test_a_warm_start_need_not_stop_early_as_the_fit_before_it():
    model = quick(early_stopping=True, warm_start=True).fit(X[:200], Y[:200])
    model.set_params(early_stopping=False).fit(X[:200], Y[:200])
    assert model.best_loss_ == min(model.loss_curve_[3:]) and len(model.loss_curve_) == 6


def test_early_stopping_holds_out_what_there_is():
    few = quick(early_stopping=True, max_iter=2).fit(X[:80], Y[:80])  # 8 held out, 10 classes
    assert len(few.validation_scores_) == 2
    lonely = np.where(np.arange(100) == 7, 99, Y[:100])
    assert 99 in quick(early_stopping=True, max_iter=2).fit(X[:100], lonely).classes_


def test_class_weights_of_classes_that_a_batch_lacks():
    settings = {"class_weight": {3: 2.0, 4: 3.0}, "shuffle": False, "augment": None}
    some = Y[:300] != 3
    model = quick(**settings).partial_fit(X[:300][some], Y[:300][some], classes=range(10))
    plain = quick(shuffle=False, augment=None)
    plain.partial_fit(X[:300][some], Y[:300][some], classes=range(10), sample_weight=np.where(Y[:300][some] == 4, 3.0, 1.0))
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="class_weight.*negative"):
        quick(class_weight={3: -1.0}).fit(X[:300], Y[:300])


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_class_weights_of_a_column_and_of_several_labels(tmp_path):
    column, flat = (quick(class_weight={3: 2.0}).fit(X[:200], y) for y in (Y[:200, None], Y[:200]))
    assert_array_equal(column.predict_proba(X), flat.predict_proba(X))
    labels = np.stack([Y % 2, Y > 4], axis=1).astype(int)[:200]
    several = quick(class_weight=[{0: 1, 1: 2}, {0: 1.5, 1: 1}]).fit(X[:200], labels)
    weights = np.where(labels[:, 0] == 1, 2, 1) * np.where(labels[:, 1] == 1, 1, 1.5)
    assert_array_equal(several.predict_proba(X), quick().fit(X[:200], labels, weights).predict_proba(X))
    several.save(tmp_path / "m.safetensors")
    assert ConvNetClassifier.load(tmp_path / "m.safetensors").class_weight == several.class_weight


def documented(cls, section):
    """The names in a section of a class's docstring, as an editor shows it."""
    text = inspect.getdoc(cls).split(f"\n{section}\n{'-' * len(section)}\n")[1].split("\n\n")[0]
    return [name for line in text.splitlines() if line[0] != " " for name in line.split(" : ")[0].split(", ")]


@pytest.mark.parametrize("cls", [ConvNetClassifier, ConvNetRegressor])
def test_every_parameter_and_attribute_is_documented(cls):
    assert documented(cls, "Parameters") == [*inspect.signature(cls).parameters]
    frame = pytest.importorskip("pandas").DataFrame(X[:70]).rename(columns=str)
    public = {name for name in dir(quick(cls).fit(frame, Y[:70])) if name.endswith("_") and name[0] != "_"}
    assert {*documented(cls, "Attributes")} == public


def test_schedules_are_for_sgd_as_in_scikit_learn():
    a = quick(learning_rate="invscaling").fit(X[:300], Y[:300])
    assert_array_equal(a.predict_proba(X), quick().fit(X[:300], Y[:300]).predict_proba(X))
    b = quick(learning_rate="invscaling", solver="sgd").fit(X[:300], Y[:300])
    assert not np.array_equal(b.predict_proba(X), quick(solver="sgd").fit(X[:300], Y[:300]).predict_proba(X))


def test_pixels_of_any_size_and_constant_ones_are_scaled():
    settings = {"augment": None, "max_iter": 6}
    expected = quick(**settings).fit(X[:300], Y[:300]).score(X[300:600], Y[300:600])
    huge = (X * 1e25).astype(np.float32)
    assert quick(**settings).fit(huge[:300], Y[:300]).score(huge[300:600], Y[300:600]) == pytest.approx(expected, abs=0.1)
    assert quick().fit(np.full((70, 8, 8), 0.1), Y[:70]).scale_ == 1.0
    assert_array_equal(quick().fit(np.full((70, 64), 0.1), Y[:70]).scale_, np.ones(64))


def test_a_table_of_a_square_number_of_columns_is_no_picture():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 36))
    labels = (rows @ rng.normal(size=36) > 0).astype(int)
    table = ConvNetClassifier(max_iter=1, random_state=0).fit(rows, labels)
    assert table.image_shape_ == (1, 6, 6) and not any(isinstance(layer, Conv2d) for layer in table.network_.layers)
    shown = ConvNetClassifier(max_iter=1, image_shape=(6, 6), random_state=0).fit(rows, labels)
    assert any(isinstance(layer, Conv2d) for layer in shown.network_.layers)
    digits = ConvNetClassifier(max_iter=1, random_state=0).fit(X[:100], Y[:100])
    assert any(isinstance(layer, Conv2d) for layer in digits.network_.layers)


def test_classes_of_a_later_call_must_be_the_first_ones():
    model = quick().partial_fit(X[:100], Y[:100], classes=range(10))
    model.partial_fit(X[:100], Y[:100], classes=range(10))
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X[:100], Y[:100], classes=range(11))


def test_labels_may_be_sparse():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    labels = np.stack([Y % 2, Y > 4], axis=1).astype(int)
    dense = quick().fit(X[:200], labels[:200])
    assert_array_equal(quick().fit(X[:200], scipy_sparse.csr_matrix(labels[:200])).predict_proba(X), dense.predict_proba(X))


def test_the_digits_model_of_the_readme_is_saved(tmp_path):
    model = ConvNetClassifier(max_iter=1).fit(X[:200], Y[:200])
    model.save(tmp_path / "m.safetensors")
    assert_array_equal(ConvNetClassifier.load(tmp_path / "m.safetensors").predict_proba(X), model.predict_proba(X))


def test_labels_of_every_type_come_back(tmp_path):
    for labels in (Y.astype(np.dtypes.StringDType()), Y.astype(object), (Y > 4).astype(object), Y.astype(np.float16),
                   Y.astype("U300"), Y.astype(np.uint64) + np.uint64(2**63), np.array(["\ud800", "é"])[Y % 2]):  # fmt: skip
        model = quick(max_iter=1).fit(X[:100], labels[:100])
        model.save(tmp_path / "m.safetensors")
        again = ConvNetClassifier.load(tmp_path / "m.safetensors")
        assert_array_equal(again.predict(X), model.predict(X))
        assert again.classes_.dtype.kind == model.classes_.dtype.kind
        again.partial_fit(X[:100], labels[:100])


def test_numbers_beyond_float32_are_not_exported(tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match="beyond the float32 of ONNX"):
        quick(ConvNetRegressor, max_iter=1).fit(X[:100], Y[:100] * 1e160).to_onnx(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="int64"):
        quick(max_iter=1).fit(X[:100], Y[:100].astype(np.uint64) + np.uint64(2**63)).to_onnx(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_parameters_that_fit_refuses_are_not_saved(tmp_path):
    model = quick(max_iter=1).fit(X[:100], Y[:100])
    for bad in ({"solver": "lbfgs"}, {"n_threads": 2**40}, {"alpha": np.nan}, {"layers": [ReLU]}):
        with pytest.raises((ValueError, TypeError)):
            copy.deepcopy(model).set_params(**bad).save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_half_precision_settings_of_a_search_are_numbers_like_any_other(solver):
    settings = {
        "tol": 2.0**-10,
        "alpha": 2.0**-12,
        "learning_rate_init": 2.0**-8,
        "momentum": 0.875,
        "beta_1": 0.75,
        "beta_2": 0.96875,
    }
    models = []
    for kind in (float, np.float16):
        given = {name: kind(value) for name, value in settings.items()}
        models.append(ConvNetRegressor([Flatten()], solver=solver, max_iter=3, random_state=0, **given))
        models[-1].fit(X[:300, :20], Y[:300])
    assert_array_equal(models[0].predict(X[:, :20]), models[1].predict(X[:, :20]))
