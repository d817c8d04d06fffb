"""`net.params`: what is assigned is copied into the network, whole and checked, or refused with nothing changed."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv
from fastconv import Conv2d, Flatten, Linear, Sequential

X = np.random.default_rng(0).random((3, 1, 5, 5)).astype("float32")


def _net(dtype="float32"):
    return fastconv.tiny_net(n_classes=3, channels=2, random_state=0, dtype=dtype)


def _by_view(net, name, value):
    """A twin of `net` with `value` written through the view, which always worked."""
    twin = pickle.loads(pickle.dumps(net))
    twin.params[name][...] = value
    return twin


WEIGHT = np.arange(8.0).reshape(2, 1, 2, 2) / 8
GIVEN = {
    "float32": WEIGHT.astype("float32"),
    "float64": WEIGHT,
    "float16": WEIGHT.astype("float16"),
    "big-endian": WEIGHT.astype(">f4"),
    "integers": np.arange(8).reshape(2, 1, 2, 2),
    "bool": np.arange(8).reshape(2, 1, 2, 2) > 3,
    "list": WEIGHT.tolist(),
    "Fortran order": np.asfortranarray(WEIGHT),
    "read-only": np.broadcast_to(WEIGHT[:1], WEIGHT.shape),
}
WAYS = {
    "assignment": lambda params, value: params.__setitem__("0.weight", value),
    "update": lambda params, value: params.update({"0.weight": value}),
    "update by pairs": lambda params, value: params.update([("0.weight", value)]),
    "|=": lambda params, value: params.__ior__({"0.weight": value}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_assignment_copies_in(given, way, dtype, tmp_path):
    net = _net(dtype)
    expected, view, value = _by_view(net, "0.weight", GIVEN[given]), net.params["0.weight"], GIVEN[given]
    WAYS[way](net.params, value)
    assert net.params["0.weight"] is view and np.shares_memory(view, net.buffer)
    if isinstance(value, np.ndarray):
        assert not np.shares_memory(view, value)
    assert_array_equal(net.buffer, expected.buffer)
    net.save(tmp_path / "net.safetensors")
    twins = [net, Sequential.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    for twin in twins:
        assert_array_equal(twin.predict(X), expected.predict(X))
        assert_array_equal(twin.state_dict()["0.weight"], expected.params["0.weight"])


def test_training_and_copies_go_on_from_what_was_assigned():
    net = _net()
    expected = _by_view(net, "4.weight", 0.5)
    net.params["4.weight"] = np.full(net.params["4.weight"].shape, 0.5)
    for twin in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        for one in (twin, again := copy.deepcopy(expected)):
            fastconv.train(one, X, [0, 1, 2], epochs=2, batch_size=2, optimizer=fastconv.SGD(0.1), random_state=0)
        assert_array_equal(twin.buffer, again.buffer)
    assert isinstance(copy.deepcopy(net).params, type(net.params))


def test_arithmetic_in_place_and_a_single_number():
    net = Sequential([Flatten(), Linear(1)], (1, 1, 1), random_state=0)
    before = net.buffer[0]
    net.params["1.weight"] *= 2
    net.params["1.bias"] = 3
    assert_array_equal(net.buffer, [2 * before, 3])
    assert net.params["1.bias"].shape == (1,)
    twin = copy.copy(net.params)
    twin["1.bias"] = [9]
    assert net.buffer[1] == 3


@pytest.mark.parametrize(
    "value, error, message",
    [
        (np.zeros((2, 2, 2)), ValueError, r"0.weight has shape \(2, 2, 2\), expected \(2, 1, 2, 2\)"),
        (np.zeros((1, 1, 2, 2)), ValueError, r"0.weight has shape \(1, 1, 2, 2\), expected \(2, 1, 2, 2\)"),
        (np.zeros(8), ValueError, r"0.weight has shape \(8,\)"),
        (0.5, ValueError, r"0.weight has shape \(\)"),
        ([], ValueError, r"0.weight has shape \(0,\)"),
        (WEIGHT.astype(complex), TypeError, "0.weight must be of a real number type .*complex128"),
        (WEIGHT.astype(str), TypeError, "0.weight must be of a real number type"),
        (None, TypeError, "0.weight must be of a real number type .*object"),
        (WEIGHT * 1e300, ValueError, "0.weight holds .* beyond float32"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_fit_changes_nothing(way, value, error, message):
    net = _net()
    before = net.buffer.copy()
    with pytest.raises(error, match=message) as caught:
        WAYS[way](net.params, value)
    assert "\n" not in str(caught.value)
    assert_array_equal(net.buffer, before)
    with pytest.raises(error):
        net.params.update({"4.bias": [7, 7, 7], "0.weight": value})
    assert_array_equal(net.buffer, before)


CHANGES = {
    "a new name": (lambda params: params.__setitem__("9.weight", [1]), KeyError, "no parameter '9.weight', there are 0.weight"),
    "no name": (lambda params: params.update(weight=[1]), KeyError, "no parameter 'weight'"),
    "setdefault": (lambda params: params.setdefault("9.weight", [1]), TypeError, "none can be added or removed"),
    "del": (lambda params: params.__delitem__("0.weight"), TypeError, "none can be added or removed"),
    "pop": (lambda params: params.pop("0.weight"), TypeError, "none can be added or removed"),
    "popitem": (lambda params: params.popitem(), TypeError, "none can be added or removed"),
    "clear": (lambda params: params.clear(), TypeError, "none can be added or removed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_name_comes_or_goes(change):
    call, error, message = CHANGES[change]
    net = _net()
    with pytest.raises(error, match=message):
        call(net.params)
    assert list(net.params) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    assert net.params.setdefault("0.bias", 5) is net.params["0.bias"]


@pytest.mark.parametrize("name, value", [("params", {}), ("buffer", np.zeros(8)), ("layers", ()), ("dtype", "float64")])
def test_the_network_keeps_its_parts(name, value):
    net = _net()
    with pytest.raises(AttributeError, match=f"net.{name} cannot be replaced"):
        setattr(net, name, value)


def test_state_of_another_network_is_refused_whole():
    other = Sequential([Conv2d(2, 2), Flatten(), Linear(3)], (1, 5, 5), random_state=1)
    net = _net()
    before = net.buffer.copy()
    with pytest.raises(KeyError, match="2.weight"):
        net.params.update(other.params)
    assert_array_equal(net.buffer, before)
