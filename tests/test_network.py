"""Sequential: the chain rule over a list, judged by finite differences and by PyTorch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, functional, reference
from fastconv.support.streams import DropoutStream

NETWORKS = {
    "hand": ([Conv2d(2, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(3)], (1, 5, 5)),
    "strides": (
        [Conv2d(4, (2, 3), stride=(2, 1), padding=((0, 1), (2, 0)), groups=2), ReLU(), Flatten(), Linear(3)],
        (2, 5, 7),
    ),
    "same": (
        [Conv2d(3, (2, 4), padding="same", dilation=(2, 1), bias=False), AvgPool2d(3, 2, padding=1), Flatten(), Linear(2)],
        (1, 6, 5),
    ),
    "overlap": (
        [MaxPool2d((3, 2), 1, padding=1), Conv2d(2, 2), ReLU(), AvgPool2d((1, 2)), Flatten(), Dropout(0.3), Linear(4)],
        (2, 5, 6),
    ),
}


def _problem(name, dtype="float64"):
    layers, shape = NETWORKS[name]
    net = Sequential(layers, shape, random_state=1, dtype=dtype)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, *shape)).astype(dtype)
    return net, x, rng.integers(0, net.output_shape[0], 3)


def _loss_and_gradients(net, x, labels, ops=functional):
    logits, caches = net.forward(x, rng=DropoutStream(5, 0), ops=ops)
    loss, cache = ops.cross_entropy_forward(logits, labels, sample_weight=[1.0, 0.5, 2.0])
    return loss, net.backward(ops.cross_entropy_backward(cache), caches, ops=ops)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_finite_differences(name):
    """To 1e-6; entries whose difference quotients disagree between two steps stand at a kink and are left out."""
    net, x, labels = _problem(name)
    gradient = np.concatenate([g.ravel() for g in _loss_and_gradients(net, x, labels)[1].values()])

    def slope(i, h):
        before = net.buffer[i]
        losses = []
        for value in (before + h, before - h):
            net.buffer[i] = value
            losses.append(_loss_and_gradients(net, x, labels)[0])
        net.buffer[i] = before
        return (losses[0] - losses[1]) / (2 * h)

    smooth = 0
    for i in range(net.buffer.size):
        near, far = slope(i, 1e-5), slope(i, 2e-5)
        if abs(near - far) < 1e-8:
            smooth += 1
            assert abs(near - gradient[i]) <= 1e-6 * max(abs(gradient[i]), 1e-2)
    assert smooth > 0.9 * net.buffer.size


@pytest.mark.parametrize("name", NETWORKS)
def test_loops_and_im2col_agree(name):
    net, x, labels = _problem(name)
    loss, grads = _loss_and_gradients(net, x, labels)
    loop_loss, loop_grads = _loss_and_gradients(net, x, labels, reference)
    assert_allclose(loss, loop_loss, rtol=1e-13)
    for parameter, gradient in grads.items():
        assert_allclose(gradient, loop_grads[parameter], rtol=1e-10, atol=1e-14)


def test_the_tiny_network_has_pytorchs_gradients():
    torch = pytest.importorskip("torch")
    net, x, labels = _problem("hand")
    nn = torch.nn
    twin = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).double()
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in net.state_dict().items()})
    loss = nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(labels))
    loss.backward()
    logits, caches = net.forward(x)
    ours, cache = functional.cross_entropy_forward(logits, labels)
    assert_allclose(ours, loss.item(), rtol=1e-12)
    grads = net.backward(functional.cross_entropy_backward(cache), caches)
    for name, parameter in twin.named_parameters():
        assert_allclose(grads[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_parameters_are_views_of_one_buffer():
    net = fastconv.tiny_net(random_state=0)
    assert list(net.params) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    net.params["0.bias"][...] = 7
    assert net.buffer[4] == 7
    assert all(np.shares_memory(value, net.buffer) for value in net.params.values())


def test_first_weights_are_pytorchs_scheme():
    net = Sequential([Conv2d(64, 3), Flatten(), Linear(50)], (4, 5, 5), random_state=0)
    for name, fan_in in (("0.weight", 36), ("0.bias", 36), ("2.weight", 576), ("2.bias", 576)):
        largest = np.abs(net.params[name]).max()
        assert 0.8 / np.sqrt(fan_in) < largest <= 1 / np.sqrt(fan_in)
    again = Sequential(net.layers, (4, 5, 5), random_state=0)
    assert_array_equal(net.buffer, again.buffer)


def test_predict_is_the_forward_pass_without_dropout():
    net, _, _ = _problem("overlap", "float32")
    x = np.random.default_rng(0).standard_normal((300, 2, 5, 6)).astype("float32")
    assert_allclose(net.predict(x, n_threads=1), net.forward(x)[0], rtol=1e-5, atol=1e-6)
    assert net.predict(x[:0]).shape == (0, 4)


def test_a_state_dict_is_taken_whole_or_not_at_all():
    net = fastconv.tiny_net(random_state=0)
    state, before = net.state_dict(), net.buffer.copy()
    state["0.weight"] = state["0.weight"] + 1
    for broken in (state | {"4.bias": np.zeros(3)}, state | {"9.bias": np.zeros(3)}, {"0.weight": state["0.weight"]}):
        with pytest.raises(ValueError, match="bias"):
            net.load_state_dict(broken)
        assert_array_equal(net.buffer, before)
    net.load_state_dict(state)
    assert_array_equal(net.params["0.weight"], state["0.weight"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv2d(0, 2),
        lambda: Conv2d(2, 0),
        lambda: Conv2d(2, 2, stride=0),
        lambda: Conv2d(3, 2, groups=2),
        lambda: Conv2d(2, 2, padding="full"),
        lambda: MaxPool2d(2, padding=2),
        lambda: AvgPool2d((1, 2, 3)),
        lambda: Dropout(1.0),
        lambda: Linear(-1),
        lambda: Sequential([], (1, 5, 5)),
        lambda: Sequential([Linear(2)], (1, 5, 5)),
        lambda: Sequential([Conv2d(2, 9)], (1, 5, 5)),
        lambda: Sequential([Flatten(), Flatten()], (1, 5, 5)),
        lambda: Sequential([ReLU()], (5, 5)),
        lambda: fastconv.tiny_net().forward(np.zeros((2, 1, 4, 5))),
        lambda: fastconv.tiny_net().backward(np.zeros((2, 10), "f"), []),
        lambda: fastconv.tiny_net().predict(np.zeros((2, 1, 5, 5)), n_threads=0),
    ],
)
def test_what_cannot_be_is_one_clear_line(make):
    with pytest.raises(ValueError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_layers_are_values():
    for layer in [layer for layers, _ in NETWORKS.values() for layer in layers]:
        assert eval(repr(layer)) == layer and hash(eval(repr(layer))) == hash(layer)
        with pytest.raises(AttributeError):
            layer.anything = 1
    assert Conv2d(2, [2, 3]) == Conv2d(2, (2, 3))
