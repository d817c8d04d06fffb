"""A layer typed from memory of another library is right, or says in one line how it is typed here."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential
from fastconv.layers import LAYERS, Layer

MISTYPED = [
    (lambda: Conv2d(1, 8, 3), TypeError, r"Conv2d\(1, 8, 3\): .*input channels is inferred: write Conv2d\(8, 3\)"),
    (lambda: Conv2d(16, 32, 3, 2), TypeError, r"write Conv2d\(32, 3, stride=2\)"),
    (lambda: Conv2d(1, 8, 3, 1, 1), TypeError, r"write Conv2d\(8, 3, stride=1, padding=1\)"),
    (lambda: Conv2d(1, 8, 3, padding=1), TypeError, r"write Conv2d\(8, 3, padding=1\)"),
    (lambda: Conv2d(1, 8, kernel_size=3), TypeError, "kernel_size"),
    (
        lambda: Conv2d(in_channels=1, out_channels=8, kernel_size=3),
        TypeError,
        "takes no in_channels: .* inferred, leave it out",
    ),
    (lambda: Conv2d(8, 3, in_channels=1), TypeError, "takes no in_channels"),
    (lambda: Linear(64, 10), TypeError, r"Linear\(64, 10\): the number of input features is inferred: write Linear\(10\)"),
    (lambda: Linear(64, 10, bias=False), TypeError, r"write Linear\(10, bias=False\)"),
    (lambda: Linear(in_features=64, out_features=10), TypeError, "takes no in_features: .* inferred, leave it out"),
    (
        lambda: MaxPool2d(3, 2, 1),
        TypeError,
        r"only kernel_size and stride go without a name: write MaxPool2d\(3, 2, padding=1\)",
    ),
    (lambda: AvgPool2d(3, 2, 1), TypeError, r"write AvgPool2d\(3, 2, padding=1\)"),
    (lambda: Linear(10, bias=10), ValueError, "bias must be True or False, got 10"),
    (lambda: Linear(10, bias=0), ValueError, "bias must be True or False, got 0"),
    (lambda: Linear(10, bias="no"), ValueError, "bias must be True or False, got 'no'"),
    (lambda: Conv2d(8, 3, bias=None), ValueError, "bias must be True or False, got None"),
    (lambda: Conv2d(8.0, 3), ValueError, "out_channels must be an integer, got 8.0"),
    (lambda: Conv2d(8, "3"), ValueError, "kernel_size must be an integer, got '3'"),
    (lambda: Conv2d(8, 3, stride=True), ValueError, "stride must be an integer, got True"),
    (lambda: Linear(True), ValueError, "out_features must be an integer, got True"),
    (lambda: Dropout(True), ValueError, "p must be in .*got True"),
    (lambda: Dropout("0.5"), ValueError, "p must be in .*got '0.5'"),
    (lambda: Dropout(50), ValueError, "p must be in .*got 50"),
    (lambda: Conv2d(), TypeError, "out_channels"),
]


@pytest.mark.parametrize("make, error, message", MISTYPED)
def test_a_mistyped_layer(make, error, message):
    with pytest.raises(error, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", [Conv2d, Linear, Dropout(0.5).forward, "Flatten()", None, [Flatten()]])
def test_what_is_no_layer(layer):
    with pytest.raises(TypeError, match="layer 0 is .*expected one of fastconv's layers"):
        Sequential([layer], (1, 5, 5))


def _kinds(number):
    """A size as people have it."""
    return [np.int64(number), np.uint8(number), np.array(number)]


def _pairs(a, b):
    return [(a, b), [a, b], np.array([a, b]), (np.int32(a), np.int64(b))]


SAME = [
    *((Conv2d(k, 2), Conv2d(2, 2)) for k in _kinds(2)),
    *((Conv2d(2, k), Conv2d(2, 2)) for k in _kinds(2)),
    *((Conv2d(2, k), Conv2d(2, (2, 3))) for k in _pairs(2, 3)),
    *((Conv2d(2, 2, stride=s), Conv2d(2, 2, stride=(1, 2))) for s in _pairs(1, 2)),
    *((Conv2d(2, 2, dilation=d), Conv2d(2, 2, dilation=(1, 2))) for d in _pairs(1, 2)),
    *((Conv2d(2, 2, padding=p), Conv2d(2, 2, padding=(1, 0))) for p in _pairs(1, 0)),
    *(
        (Conv2d(2, 2, padding=p), Conv2d(2, 2, padding=((1, 0), (2, 1))))
        for p in ([[1, 0], [2, 1]], np.array([[1, 0], [2, 1]]))
    ),
    (Conv2d(2, 2, padding=np.str_("same")), Conv2d(2, 2, padding="same")),
    *((Conv2d(2, 2, groups=g), Conv2d(2, 2, groups=2)) for g in _kinds(2)),
    (Conv2d(2, 2, bias=np.False_), Conv2d(2, 2, bias=False)),
    *(
        (MaxPool2d(k, s, padding=p), MaxPool2d((2, 3), (1, 2), padding=(1, 0)))
        for k, s, p in zip(*map(_pairs, (2, 1, 1), (3, 2, 0)))
    ),
    *((AvgPool2d(k), AvgPool2d(2)) for k in _kinds(2)),
    *((Linear(k), Linear(4)) for k in _kinds(4)),
    (Linear(4, bias=np.False_), Linear(4, bias=False)),
    *((Dropout(p), Dropout(0.5)) for p in (np.float32(0.5), np.float64(0.5))),
    (Dropout(np.int64(0)), Dropout(0.0)),
]


@pytest.mark.parametrize("layer, plain", SAME, ids=repr)
def test_a_field_of_any_kind_is_saved_as_a_plain_one(layer, plain, tmp_path):
    assert layer == plain and hash(layer) == hash(plain) and repr(layer) == repr(plain)
    assert eval(repr(layer)) == pickle.loads(pickle.dumps(layer)) == plain
    flat = [Flatten()] if isinstance(layer, Linear) else []
    net = Sequential([*flat, layer], np.array([2, 6, 7]), random_state=0)
    net.save(tmp_path / "net.safetensors")
    again = Sequential.load(tmp_path / "net.safetensors")
    assert again.layers == net.layers and again.input_shape == (2, 6, 7)
    assert all(type(value) in (int, float, bool, str, tuple, type(None)) for value in vars(layer).values())
    x = np.random.default_rng(0).random((2, 2, 6, 7))
    assert_array_equal(again.predict(x), Sequential([*flat, plain], (2, 6, 7), random_state=0).predict(x))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_known_wherever_layers_are_listed(name):
    """What CONTRIBUTING's steps leave to be remembered."""
    from test_small_networks import LAYERS as SMALL

    from fastconv import explain, layers
    from fastconv.engine.program import layout, operations
    from fastconv.files import onnx

    docs, kind = Path(fastconv.__file__).parents[1] / "docs", LAYERS[name]
    assert getattr(fastconv, name) is kind and name in fastconv.__all__, "fastconv/__init__.py"
    assert any(isinstance(layer, kind) for network in SMALL.values() for layer in network), "tests/test_small_networks.py"
    assert kind in onnx._NODES or kind is layers.Dropout, "fastconv/files/onnx.py"
    assert kind in explain.operations.OPERATIONS, "fastconv/explain/operations"
    assert kind in layout._PLACES or kind is layers.Flatten, "fastconv/engine/program/layout.py"
    lines = operations.FORWARD.keys() & operations.BACKWARD.keys()
    assert kind in lines or kind in (layers.Flatten, layers.Linear), "fastconv/engine/program/operations.py"
    assert re.search(rf"^   {name}$", (docs / "api.rst").read_text(), re.M), "docs/api.rst"
    assert re.search(rf"\b{name}\b", (docs / "networks.md").read_text()), "docs/networks.md"


class Doubled(Layer):
    """A layer that nothing knows."""

    def forward(self, ops, x, params, rng):
        return 2 * x, None

    def backward(self, ops, dy, cache, need_dx):
        return 2 * dy, ()


def test_a_layer_of_ones_own_is_refused_in_one_line_where_it_is_not_known(tmp_path):
    net, x = Sequential([Doubled(), Flatten(), Linear(2)], (1, 2, 2), random_state=0), np.ones((3, 1, 2, 2), "f4")
    assert_array_equal(net.forward(x)[0], 2 * x.reshape(3, 4) @ net.params["2.weight"].T + net.params["2.bias"])
    settings = {"epochs": 1, "batch_size": 3, "optimizer": fastconv.SGD(0.1)}
    fastconv.train(net, x, np.array([0, 1, 1]), **settings, backend="im2col")
    for refused in (
        lambda: net.save(tmp_path / "net.safetensors"),
        lambda: net.to_onnx(tmp_path / "net.onnx"),
        lambda: net.predict(x),
        lambda: fastconv.train(net, x, np.array([0, 1, 1]), **settings),
    ):
        with pytest.raises(TypeError, match="Doubled object"):
            refused()
    with pytest.raises(ValueError, match="no script for"):
        fastconv.explain.trace(net, x, np.array([0, 1, 1])).to_html(tmp_path / "page.html")
    assert not [*tmp_path.iterdir()]
