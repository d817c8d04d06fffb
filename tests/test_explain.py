"""The explainer: terms add up to the entries, gradients are judged by difference quotients, planted mistakes are named."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastconv import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, functional
from fastconv.explain import diagnose, gradcheck, trace

NETWORKS = {
    "hand": ([Conv2d(1, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(3)], (1, 5, 5)),
    "strides": (
        [Conv2d(2, (2, 3), stride=(2, 1), padding=((0, 1), (2, 0)), groups=2), ReLU(), Flatten(), Linear(2)],
        (2, 4, 5),
    ),
    "pools": (
        [Conv2d(2, 2, dilation=(1, 2)), MaxPool2d((2, 3), 1, padding=1), AvgPool2d(2, 1), Flatten(), Linear(2)],
        (1, 4, 5),
    ),
}


def _traced(name):
    layers, shape = NETWORKS[name]
    net = Sequential(layers, shape, random_state=3, dtype="float64")
    rng = np.random.default_rng(4)
    x, labels = rng.standard_normal((2, *shape)), rng.integers(0, net.output_shape[0], 2)
    return net, x, labels, trace(net, x, labels)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_entrys_terms_add_up(name):
    net, x, labels, traced = _traced(name)
    names = [*net.params, *(f"{i}.out" for i in range(len(net.layers)))]
    for key in [*names, *(f"d {key}" for key in names), "d input"]:
        array = traced[key]
        for index in np.ndindex(array.shape):
            if key in net.params:
                break
            ledger = traced.why(f"{key}[{','.join(map(str, index))}]")
            assert_allclose(ledger.total, array[index], rtol=1e-9, atol=1e-12)
            assert_allclose(sum(term.value for term in ledger.terms), array[index], rtol=1e-9, atol=1e-12)
            for term in ledger.terms:
                assert_allclose(np.prod(term.factors), term.value, rtol=1e-9, atol=1e-13)
                assert len(term.factors) == len(term.sources)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_convolutions_weight_has_a_term_for_every_position_of_every_sample(name):
    net, x, labels, traced = _traced(name)
    N, _, OH, OW = traced["0.out"].shape
    assert len(traced.why("d 0.weight[0,0,1,1]").terms) == N * OH * OW


@pytest.mark.parametrize("name", NETWORKS)
def test_the_traced_gradients_are_those_of_training(name):
    net, x, labels, traced = _traced(name)
    logits, caches = net.forward(x)
    loss, cache = functional.cross_entropy_forward(logits, labels)
    assert_allclose(traced["loss"], loss)
    for parameter, gradient in net.backward(functional.cross_entropy_backward(cache), caches).items():
        assert_allclose(traced[f"d {parameter}"], gradient)
    assert gradcheck(net, x, labels).ok


@pytest.mark.parametrize("name", NETWORKS)
def test_right_gradients_are_right_and_planted_mistakes_are_named(name):
    net, x, labels, traced = _traced(name)
    gradient = traced["d 0.weight"]
    assert diagnose(gradient, traced, "0.weight").mistake is None
    assert diagnose(gradient.round(3), traced, "0.weight").mistake is None
    assert diagnose(gradient * len(x), traced, "0.weight").mistake == "mean_missing"
    assert diagnose(gradient / len(x), traced, "0.weight").mistake == "mean_twice"
    assert diagnose(gradient[:, :, ::-1, ::-1], traced, "0.weight").mistake == "kernel_rotated"
    nonsense = np.random.default_rng(0).standard_normal(gradient.shape)
    assert diagnose(nonsense, traced, "0.weight").mistake == "unknown"
    with pytest.raises(ValueError, match="shape"):
        diagnose(np.zeros(7), traced, "0.weight")
