"""Machine code writes into an optimizer's arrays: whatever state comes back is checked and copied first."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv
from fastconv import SGD, Adam, Flatten, Linear, Sequential

X, Y = np.random.default_rng(0).random((6, 1, 2, 2)).astype("float32"), [0, 1, 0, 1, 0, 1]
KINDS = {"SGD": lambda: SGD(0.1, momentum=0.9), "Adam": lambda: Adam(0.01)}
each_kind = pytest.mark.parametrize("kind", KINDS)


def _net(units=2, dtype="float32"):
    return Sequential([Flatten(), Linear(units)], (1, 2, 2), random_state=0, dtype=dtype)


def _train(net, optimizer, backend="compiled", epochs=2):
    fastconv.train(net, X, Y, epochs=epochs, batch_size=2, optimizer=optimizer, shuffle=False, backend=backend)


@each_kind
@pytest.mark.parametrize("backend", ["loop", "im2col", "compiled"])
@pytest.mark.parametrize("keep", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_restored_state_goes_on(kind, backend, keep):
    through, optimizer = _net(), KINDS[kind]()
    _train(through, optimizer, backend, epochs=2)
    state, net = keep(optimizer.state(through)), pickle.loads(pickle.dumps(through))
    _train(through, optimizer, backend, epochs=2)
    later = KINDS[kind]()
    for value in state.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    later.restore(net, state)
    kept = copy.deepcopy(state)
    _train(net, later, backend, epochs=2)
    assert_array_equal(net.buffer, through.buffer)
    for name, value in state.items():
        assert_array_equal(value, kept[name])


def _bad_states(kind):
    """How a state may be wrong: (change, exception, message)."""
    name = {"SGD": "velocity", "Adam": "square"}[kind]
    other = {"SGD": Adam(), "Adam": SGD(0.1)}[kind]
    return [
        (lambda s: KINDS[kind]().state(_net(1)), ValueError, r"has shape \(5,\), the network's parameters \(10,\)"),
        (lambda s: KINDS[kind]().state(_net(50)), ValueError, r"has shape \(250,\), the network's parameters \(10,\)"),
        (lambda s: KINDS[kind]().state(_net(dtype="float64")), TypeError, "is float64, the network's parameters float32"),
        (lambda s: other.state(_net()), ValueError, f"the state of {kind} is a dict of"),
        (lambda s: s | {"steps": -1}, ValueError, "steps must be a count of at least 0, got -1"),
        (lambda s: s | {"steps": 1.5}, ValueError, "steps must be a count"),
        (lambda s: s | {"steps": True}, ValueError, "steps must be a count"),
        (lambda s: s | {"steps": 2**70}, ValueError, "steps must be a count"),
        (lambda s: s | {"more": 1}, ValueError, "is a dict of"),
        (lambda s: {"steps": 0}, ValueError, "is a dict of"),
        (lambda s: None, ValueError, "is a dict of .*got NoneType"),
        (lambda s: s | {name: s[name].astype(int)}, TypeError, "is int64"),
        (lambda s: s | {name: s[name].tolist()}, TypeError, "is float64"),
        (lambda s: s | {name: s[name][:, None]}, ValueError, r"has shape \(10, 1\)"),
        (lambda s: s | {name: s[name] * np.nan}, ValueError, f"{name}.* not finite"),
    ]


@pytest.mark.parametrize("kind, case", [(kind, case) for kind in KINDS for case in range(15)])
def test_a_state_that_does_not_fit_changes_nothing(kind, case):
    net, optimizer = _net(), KINDS[kind]()
    _train(net, optimizer, epochs=1)
    change, error, message = _bad_states(kind)[case]
    before = copy.deepcopy(optimizer.state(net))
    with pytest.raises(error, match=message) as caught:
        optimizer.restore(net, change(copy.deepcopy(before)))
    assert "\n" not in str(caught.value)
    assert optimizer.state(net).keys() == before.keys()
    for name, value in before.items():
        assert_array_equal(optimizer.state(net)[name], value)


@each_kind
@pytest.mark.parametrize("exchange", [np.zeros(3, "float32"), np.zeros(10), np.broadcast_to(np.float32(0), 10)])
def test_arrays_exchanged_in_the_live_state_never_reach_machine_code(kind, exchange):
    net, optimizer = _net(), KINDS[kind]()
    _train(net, optimizer, epochs=1)
    optimizer.state(net)[optimizer.moments[0]] = exchange
    before = net.buffer.copy()
    with pytest.raises((ValueError, TypeError), match="the state's"):
        _train(net, optimizer, epochs=1)
    assert_array_equal(net.buffer, before)
