"""train(), the optimizers and the digits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastconv
from fastconv import SGD, Adam, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential
from fastconv.support.streams import DropoutStream

OPTIMIZERS = {
    "sgd": (lambda: SGD(0.1), lambda torch, p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        lambda: SGD(0.05, momentum=0.9, weight_decay=0.01),
        lambda torch, p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov": (
        lambda: SGD(0.05, momentum=0.9, nesterov=True),
        lambda torch, p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: Adam(0.01, weight_decay=0.1), lambda torch, p: torch.optim.Adam(p, 0.01, weight_decay=0.1)),
}


def _data(n=25):
    rng = np.random.default_rng(0)
    return rng.random((n, 2, 4, 5)), rng.integers(0, 3, n)


def _net(dtype="float64"):
    layers = [Conv2d(3, 2, padding="same"), ReLU(), Dropout(0.25), Flatten(), Linear(3)]
    return Sequential(layers, (2, 4, 5), random_state=0, dtype=dtype)


def _train(net, X, y, **options):
    options = {"epochs": 2, "batch_size": 8, "optimizer": SGD(0.1, momentum=0.5), "random_state": 3} | options
    return fastconv.train(net, X, y, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_loop_and_im2col_train_alike(optimizer):
    """With dropout, sample weights and a short last batch."""
    X, y = _data(11)
    weights = np.arange(11) / 7
    nets, losses = [_net(), _net()], []
    for net, backend in zip(nets, ("loop", "im2col")):
        history = _train(net, X, y, backend=backend, optimizer=OPTIMIZERS[optimizer][0](), sample_weight=weights)
        losses.append(history.loss)
    assert_allclose(losses[0], losses[1], rtol=1e-12)
    assert_allclose(nets[0].buffer, nets[1].buffer, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_follow_pytorch(optimizer):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    X, y = _data(20)
    net = Sequential([Conv2d(3, 2), ReLU(), Flatten(), Linear(3)], (2, 4, 5), random_state=0, dtype="float64")
    twin = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).double()
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in net.state_dict().items()})
    ours, make = OPTIMIZERS[optimizer]
    theirs = make(torch, twin.parameters())
    _train(net, X, y, epochs=25, batch_size=10, optimizer=ours(), shuffle=False)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for step in range(50):
        part = slice(step % 2 * 10, step % 2 * 10 + 10)
        theirs.zero_grad()
        nn.functional.cross_entropy(twin(X[part]), y[part]).backward()
        theirs.step()
    for name, parameter in twin.named_parameters():
        assert_allclose(net.params[name], parameter.detach().numpy(), rtol=1e-8, atol=1e-10)


def test_the_optimizers_state_stays_between_calls():
    X, y = _data()
    once, twice, optimizer = _net(), _net(), Adam()
    _train(once, X, y, epochs=2, shuffle=False, optimizer=Adam(), batch_size=100)
    for net in (twice, twice):
        _train(net, X, y, epochs=1, shuffle=False, optimizer=optimizer, batch_size=100)
    assert optimizer.state(twice)["steps"] == 2
    first = OPTIMIZERS["momentum"][0]()
    assert first.state(once)["steps"] == 0


def test_history_validation_callback_and_repetition():
    X, y = _data()
    seen = []
    history = _train(_net("float32"), X, y, epochs=9, validation=(X, y), callback=lambda e, h: seen.append(e) or e == 3)
    assert seen == [0, 1, 2, 3]
    assert len(history.loss) == len(history.validation_loss) == len(history.validation_accuracy) == 4
    again = _train(_net("float32"), X, y, epochs=4, validation=(X, y), n_threads=1)
    assert_allclose(again.loss, history.loss, rtol=1e-5)
    assert _train(_net(), X, y, epochs=0).loss == []


def test_mean_squared_error_takes_one_target_a_sample():
    X, _ = _data()
    net = Sequential([Flatten(), Linear(1)], (2, 4, 5), random_state=0, dtype="float64")
    history = _train(net, X, X.mean(axis=(1, 2, 3)), loss="mse", epochs=30, optimizer=SGD(0.02))
    assert history.loss[-1] < history.loss[0] / 5


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"loss": "hinge"},
        {"backend": "gpu"},
        {"n_threads": 0},
        {"sample_weight": np.ones(3)},
        {"sample_weight": -np.ones(25)},
        {"sample_weight": np.zeros(25)},
        {"validation": 3},
        {"validation": (np.zeros((2, 2, 4, 4)), np.zeros(2, int))},
        {"X": np.zeros((25, 2, 5, 4))},
        {"X": np.zeros((0, 2, 4, 5)), "y": np.zeros(0, int)},
        {"y": np.full(25, 3)},
        {"y": np.zeros(24, int)},
    ],
)
def test_bad_calls_leave_the_network_as_it_was(change):
    X, y = _data()
    net = _net()
    before = net.buffer.copy()
    with pytest.raises(ValueError) as caught:
        _train(net, **({"X": X, "y": y} | change))
    assert "\n" not in str(caught.value)
    assert_array_equal(net.buffer, before)


@pytest.mark.parametrize(
    "make", [lambda: SGD(-1), lambda: SGD(1, momentum=1), lambda: SGD(1, nesterov=True), lambda: Adam(betas=(1, 0))]
)
def test_bad_optimizers(make):
    with pytest.raises(ValueError):
        make()


def test_float_labels_are_a_type_error():
    X, y = _data()
    with pytest.raises(TypeError, match="integers"):
        _train(_net(), X, y.astype(float))


@pytest.mark.parametrize("size", range(1, 9))
def test_digits_are_averaged_by_exact_area(size):
    """Each pixel repeated `size` times, then means over blocks of 8: another way to the same areas."""
    from sklearn.datasets import load_digits

    X, y = fastconv.load_digits(size)
    fine = np.repeat(np.repeat(load_digits().images / 16, size, axis=1), size, axis=2)
    expected = fine.reshape(-1, size, 8, size, 8).mean(axis=(2, 4))
    assert X.shape == (1797, 1, size, size) and X.dtype == np.float32 and y.dtype == np.int64
    assert_allclose(X[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [0, 9, 2.5, "8"])
def test_digits_of_no_such_size(size):
    with pytest.raises(ValueError, match="size"):
        fastconv.load_digits(size)


def test_a_dropout_mask_depends_on_place_alone():
    draws = DropoutStream(1, 2).random((50, 40))
    assert_array_equal(DropoutStream(1, 2).random((30, 40)), draws[:30])
    for other in (DropoutStream(1, 3), DropoutStream(2, 2)):
        assert (other.random((50, 40)) != draws).mean() > 0.99
    assert draws.min() >= 0 and draws.max() < 1 and abs(draws.mean() - 0.5) < 0.03


def test_a_weight_beyond_float32_is_refused():
    X, y = _data()
    with pytest.raises(ValueError, match="finite"):
        _train(_net("float32"), X, y, sample_weight=np.full(25, 1e300))
