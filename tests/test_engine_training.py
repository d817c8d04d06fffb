"""The engine is judged by im2col: the same losses and weights to rounding, on networks drawn at random."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastconv import SGD, Adam, AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, train
from fastconv.engine.vector.lanes import USE_TWIN

EXAMPLES = 4 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else examples(30, 60)
few = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def draw_layer(draw, kind, C):
    small = st.integers(1, 3)
    if kind is Conv2d:
        groups = draw(st.sampled_from([g for g in (1, 2, 3) if C % g == 0]))
        padding = draw(st.sampled_from([0, 1, 2, (1, 0), ((0, 1), (2, 0)), "same"]))
        sizes = [(draw(small), draw(small)) for _ in range(3)]
        filters = groups * draw(st.sampled_from([1, 3, 7, 9, 17]))
        return Conv2d(
            filters, sizes[0], stride=sizes[1], padding=padding, dilation=sizes[2], groups=groups, bias=draw(st.booleans())
        )
    if kind in (MaxPool2d, AvgPool2d):
        return kind((draw(small), draw(small)), (draw(small), draw(small)), padding=draw(st.sampled_from([0, (1, 0), "same"])))
    return ReLU() if kind is ReLU else Dropout(draw(st.sampled_from([0.0, 0.3])))


@st.composite
def networks(draw):
    """(layers, input_shape): up to four layers of any kind before the last Linear."""
    C, H, W = draw(st.sampled_from([1, 2, 3, 4, 6, 18])), draw(st.integers(3, 9)), draw(st.integers(3, 9))
    layers, shape = [], (C, H, W)
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([Conv2d, Conv2d, ReLU, MaxPool2d, AvgPool2d, Dropout]))
        try:
            layer = draw_layer(draw, kind, shape[0])
            shape = layer.output_shape(shape)
        except ValueError:  # does not fit: leave it out
            continue
        layers.append(layer)
    layers.append(Flatten())
    if draw(st.booleans()):
        layers += [Linear(draw(st.sampled_from([5, 20]))), ReLU()]
    return [*layers, Linear(draw(st.sampled_from([1, 3, 10])), bias=draw(st.booleans()))], (C, H, W)


LOSSES = ["cross_entropy", "mse", "binary_cross_entropy_with_logits"]


def data(net, n, loss, rng):
    X = rng.normal(size=(n, *net.input_shape)).astype(np.float32)
    if loss == "binary_cross_entropy_with_logits":
        return X, rng.integers(2, size=(n, *net.output_shape)).astype(np.float32)
    if loss == "mse":
        return X, rng.normal(size=(n, *net.output_shape)).astype(np.float32)
    return X, rng.integers(net.output_shape[0], size=n)


def trained(layers, shape, backend, optimizer, n=37, loss="cross_entropy", weighted=False, **settings):
    rng = np.random.default_rng(7)
    net = Sequential(layers, shape, random_state=3)
    X, y = data(net, n, loss, rng)
    weights = np.append(1, rng.integers(3, size=n - 1)) if weighted else None
    settings = {"epochs": 2, "batch_size": 15, "random_state": 1} | settings
    with np.errstate(all="ignore"):
        history = train(net, X, y, optimizer=optimizer, loss=loss, sample_weight=weights, backend=backend, **settings)
    return net, history


def assert_same_training(layers, shape, make_optimizer, rtol=2e-4, **settings):
    (a, expected), (b, found) = (trained(layers, shape, name, make_optimizer(), **settings) for name in ("im2col", "compiled"))
    assert_allclose(found.loss, expected.loss, rtol=rtol, atol=1e-6)
    assert_allclose(b.buffer, a.buffer, rtol=rtol, atol=2e-5)


@few
@given(networks(), st.sampled_from(LOSSES), st.booleans(), st.sampled_from([1, 2, 3, 21]))
def test_gradients_are_those_of_im2col(drawn, loss, weighted, n):
    layers, shape = drawn
    # One step of size 1 without momentum: what the weights moved by is the gradient.
    assert_same_training(layers, shape, lambda: SGD(1.0), n=n, epochs=1, batch_size=n, loss=loss, weighted=weighted)


OPTIMIZERS = [
    lambda: SGD(0.05), lambda: SGD(0.02, momentum=0.9), lambda: SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda: Adam(0.002), lambda: Adam(0.002, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.01),
]  # fmt: skip
LENET = [Conv2d(6, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(20, 3), ReLU(), AvgPool2d(2, 1), Dropout(0.2), Flatten(),
         Linear(18), ReLU(), Linear(7)]  # fmt: skip


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n, batch_size", [(150, 15), (12, 1)])
def test_fifty_steps_are_those_of_im2col(make_optimizer, loss, n, batch_size):
    epochs = 2 if EXAMPLES < 10 else 5
    settings = {"loss": loss, "epochs": epochs, "weighted": loss == "mse", "n": n, "batch_size": batch_size}
    assert_same_training(LENET, (2, 9, 8), make_optimizer, rtol=2e-3, **settings)


def weights_hash(n_threads, layers=LENET, n=150):
    net, _ = trained(layers, (2, 9, 8), "compiled", Adam(0.01), n=n, batch_size=100, n_threads=n_threads, epochs=3)
    return hashlib.sha256(net.buffer.tobytes()).hexdigest()


def test_any_number_of_threads_gives_the_same_bits():
    assert len({weights_hash(n) for n in (1, 2, 3, 5, None, 1)}) == 1


def test_a_fresh_process_gives_the_same_bits():
    code = "import test_engine_training as t; print(t.weights_hash(2))"
    path = os.pathsep.join([os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert out.stdout.strip() == weights_hash(1), out.stderr


@few
@given(networks(), st.integers(0, 40))
def test_a_prediction_is_that_of_im2col_and_depends_on_no_neighbour(drawn, n):
    layers, shape = drawn
    net = Sequential(layers, shape, random_state=0)
    x = np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float32)
    found = net.predict(x, n_threads=2)
    assert_allclose(found, net.forward(x)[0], rtol=1e-4, atol=1e-5)
    for i in range(0, n, 7):
        assert_array_equal(net.predict(x[i : i + 1])[0], found[i])


def test_a_lane_of_nan_stays_where_it_is():
    net = Sequential(LENET, (2, 9, 8), random_state=0)
    x = np.random.default_rng(0).normal(size=(20, 2, 9, 8)).astype(np.float32)
    clean = net.predict(x)
    x[3] = np.nan
    found = net.predict(x)
    assert np.isnan(found[3]).all()
    assert_array_equal(np.delete(found, 3, 0), np.delete(clean, 3, 0))


def test_switching_backends_between_calls_continues():
    def run(backends):
        net, optimizer = Sequential(LENET, (2, 9, 8), random_state=0), Adam(0.01)
        X, y = data(net, 40, "cross_entropy", np.random.default_rng(0))
        for backend in backends:
            train(net, X, y, epochs=2, batch_size=16, optimizer=optimizer, shuffle=False, random_state=0, backend=backend)
        assert optimizer.state(net)["steps"] == 18
        return net.buffer

    expected = run(["im2col"] * 3)
    assert_allclose(run(["compiled", "im2col", "compiled"]), expected, rtol=1e-3, atol=1e-4)


def test_float64_goes_to_im2col_and_says_so_when_asked_for_the_engine():
    net = Sequential([Flatten(), Linear(2)], (1, 2, 2), dtype="float64")
    X, y = np.ones((3, 1, 2, 2)), [0, 1, 0]
    train(net, X, y, epochs=1, batch_size=2, optimizer=SGD(0.1))
    with pytest.raises(ValueError, match="float32"):
        train(net, X, y, epochs=1, batch_size=2, optimizer=SGD(0.1), backend="compiled")


def test_a_network_without_parameters_trains_to_nothing():
    net = Sequential([ReLU(), Flatten()], (1, 2, 2))
    history = train(net, np.ones((3, 1, 2, 2)), [0, 1, 2], epochs=1, batch_size=2, optimizer=SGD(0.1))
    assert_allclose(history.loss, np.log(4), rtol=1e-6)


def test_an_image_as_output_is_compared_channel_by_channel():
    assert_same_training([Conv2d(3, 2), ReLU()], (2, 4, 3), lambda: SGD(0.5), loss="mse")
    assert_same_training([Conv2d(3, 2), Flatten()], (2, 4, 3), lambda: SGD(0.5))


@pytest.mark.skipif(USE_TWIN, reason="the twin keeps the mode")
def test_tiny_numbers_are_zeros_in_the_engine_and_numbers_outside():
    net = Sequential([Flatten(), Linear(1, bias=False)], (1, 1, 1), random_state=0)
    net.params["1.weight"][...] = 1
    assert net.predict(np.full((1, 1, 1, 1), 1e-40, np.float32))[0, 0] == 0
    assert np.float32(1e-40) * np.float32(0.5) > 0
