"""Habits of other libraries meet a line that says what to write here."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from fastconv import SGD, Adam, Conv2d, ConvNetClassifier, Flatten, Linear, MaxPool2d, ReLU, Sequential

X, Y = load_digits(return_X_y=True)
SMALL = [Conv2d(4, 3), ReLU(), MaxPool2d(2)]


def quick(**settings):
    return ConvNetClassifier(SMALL, **{"max_iter": 1, "random_state": 0} | settings)


def refused(message, settings=None, **data):
    with pytest.raises(ValueError, match=message):
        quick(**settings or {}).fit(**{"X": X[:100], "y": Y[:100]} | data)


def test_layers_that_are_none_say_what_to_write():
    net = Sequential([Flatten(), Linear(3)], (1, 8, 8))
    for layers, message in {
        net: r"write layers=list\(net.layers\[:-1\]\)",
        Conv2d(4, 3): r"write layers=\[Conv2d\(out_channels=4",
        (Conv2d(4, 3), ReLU): r"layers\[1\] is the class ReLU, not a layer; write ReLU\(\)",
        (Conv2d,): r"layers\[0\] is the class Conv2d, not a layer; write Conv2d\(...\)",
        (100,): r"layers\[0\] is 100.*write Flatten\(\), Linear\(100\), ReLU\(\)",
        ("relu",): "layers.0. is 'relu', expected one of fastconv's layers",
    }.items():
        with pytest.raises(TypeError, match=message):
            ConvNetClassifier(layers, max_iter=1).fit(X[:100], Y[:100])
    with pytest.warns(UserWarning, match=r"layers ends in Linear\(.*a Linear\(10\) is added after it"):
        ConvNetClassifier([Flatten(), Linear(10)], max_iter=1).fit(X[:100], Y[:100])
    assert len(ConvNetClassifier([], max_iter=1).fit(X[:100], Y[:100]).network_.layers) == 2


def test_an_optimizer_is_named():
    for solver in (Adam(1e-3), SGD):
        name = "adam" if solver is not SGD else "sgd"
        with pytest.raises(TypeError, match=f'write solver="{name}"'):
            quick(solver=solver).fit(X[:100], Y[:100])


def colours(n=60, side=16):
    rng = np.random.default_rng(0)
    shapes = rng.integers(0, 200, (n, 3, side // 4, side // 4)).repeat(4, axis=2).repeat(4, axis=3)
    return (shapes + rng.integers(0, 30, (n, 3, side, side))).astype(np.uint8)


def test_flat_colours_are_noticed():
    images, labels = colours(), np.arange(60) % 2
    with pytest.warns(UserWarning, match=r"768 columns.*pass image_shape=\(3, 16, 16\)"):
        ConvNetClassifier(max_iter=1).fit(images.reshape(60, -1), labels)
    with pytest.warns(UserWarning, match=r"pass X.reshape\(-1, 16, 16, 3\).transpose\(0, 3, 1, 2\)"):
        ConvNetClassifier(max_iter=1).fit(images.transpose(0, 2, 3, 1).reshape(60, -1), labels)
    table = np.random.default_rng(0).normal(size=(60, 768))
    ConvNetClassifier(max_iter=1).fit(table, labels)
    ConvNetClassifier(max_iter=1, image_shape=(3, 16, 16)).fit(images.reshape(60, -1), labels)
    with pytest.raises(ValueError, match=r"\(60, 16, 16, 3\).*use X.transpose\(0, 3, 1, 2\)"):
        ConvNetClassifier(max_iter=1).fit(images.transpose(0, 2, 3, 1), labels)


def test_labels_that_are_something_else():
    for one_hot in (np.eye(10)[Y[:100]], np.eye(10, dtype=int)[Y[:100]], np.eye(10, dtype=bool)[Y[:100]]):
        with pytest.warns(UserWarning, match=r"\(100, 10\) has a single 1.*y.argmax\(axis=1\)"):
            quick().fit(X[:100], one_hot)
    refused(r"y has one class, \[3\]: a classifier needs samples of at least two", y=np.full(100, 3))
    with pytest.raises(ValueError, match="at least two classes"):
        quick().partial_fit(X[:5], [3] * 5, classes=[3])
    with pytest.warns(
        UserWarning, match="y has [0-9]+ different numbers in 100 samples; to predict quantities use ConvNetRegressor"
    ):
        quick().fit(X[:100], np.random.default_rng(0).integers(60, size=100) * 1000)
    quick().fit(X[:100], np.arange(100) // 3)  # rare classes are classes
    refused("datetime64.*pass y.astype", y=Y[:100].astype("M8[D]"))
    refused("labels of type int and str", y=np.array([1, "a"] * 50, object))


def test_what_a_model_goes_on_with_is_what_it_was_made_with():
    model = quick(warm_start=True).fit(X[:100], Y[:100])
    for settings, message in (
        ({"layers": [Conv2d(5, 3), ReLU(), MaxPool2d(2)]}, "layers is .*out_channels=5.*fitted with.*warm_start=False"),
        ({"layers": "auto"}, "layers is 'auto', the model was fitted with"),
        ({"image_shape": (4, 16)}, r"image_shape is \(1, 4, 16\), the model was fitted to \(1, 8, 8\)"),
    ):
        other = copy.deepcopy(model).set_params(**settings)
        for go_on in (other.fit, other.partial_fit):
            with pytest.raises(ValueError, match=message):
                go_on(X[:100], Y[:100])
        assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        other.set_params(warm_start=False).fit(X[:100], Y[:100])
    model.set_params(image_shape=[8, 8], layers=tuple(SMALL)).fit(X[:100], Y[:100])  # the same, said otherwise


def test_a_cell_beside_which_all_others_are_nothing_is_named():
    rows = X[:100].copy()
    rows[5, 3] = 1e35
    with pytest.warns(UserWarning, match=r"X has 1e\+35 in row 5, column 3"):
        quick().fit(rows, Y[:100])


def test_a_shift_out_of_sight_is_refused():
    refused("augment=1000000 shifts images of 8x8 pixels out of sight", {"augment": 10**6})
