"""One step worked by hand, to the last term, and the gradients of random networks against slopes of the loss in plain loops."""

import numpy as np
import pytest
from explain_cases import gradient_names, random_trace, slopes

from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fastconv.explain import diagnose, trace


@pytest.fixture
def by_hand():
    """A 3x3 image whose feature map is 2 -1 / 0 0, and logits 2 and -2, of which the second should win."""
    net = Sequential([Conv2d(1, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(2)], (1, 3, 3), dtype="float64")
    for name, value in {"0.weight": [[[[1, -1], [0, 1]]]], "0.bias": [0], "4.weight": [[1], [-1]], "4.bias": [0, 0]}.items():
        net.params[name] = np.array(value, float)
    return trace(net, np.array([[[[1.0, 0, 2], [0, 1, 1], [2, 1, 0]]]]), [1])


P = 1 / (1 + np.exp(-4))  # of the first class: the logits are 4 apart
WORKED = {
    "0.out": [[2, -1], [0, 0]],
    "1.out": [[2, 0], [0, 0]],
    "2.argmax": [[0]],
    "4.out": [2, -2],
    "probabilities": [P, 1 - P],
    "loss": 4 - np.log(P),
    "d 4.out": [P, -P],
    "d 4.weight": [[2 * P], [-2 * P]],
    "d 3.out": [2 * P],
    "d 0.out": [[2 * P, 0], [0, 0]],
    "d 0.bias": [2 * P],
    "d 0.weight": [[2 * P, 0], [0, 2 * P]],
    "d input": [[2 * P, -2 * P, 0], [0, 2 * P, 0], [0, 0, 0]],
}


@pytest.mark.parametrize("name", WORKED)
def test_a_step_worked_by_hand(by_hand, name):
    np.testing.assert_allclose(np.squeeze(by_hand[name]), np.squeeze(WORKED[name]), atol=1e-15)


SOURCES = {
    "0.out[0,0,0,1]": ["0.weight[0,0,0,0] input[0,0,0,1]", "0.weight[0,0,0,1] input[0,0,0,2]",
                       "0.weight[0,0,1,0] input[0,0,1,1]", "0.weight[0,0,1,1] input[0,0,1,2]", "0.bias[0]"],
    "d 0.weight[0,0,0,1]": ["input[0,0,0,1] d 0.out[0,0,0,0]", "input[0,0,0,2] d 0.out[0,0,0,1]",
                            "input[0,0,1,1] d 0.out[0,0,1,0]", "input[0,0,1,2] d 0.out[0,0,1,1]"],
    "d input[0,0,0,1]": ["0.weight[0,0,0,1] d 0.out[0,0,0,0]", "0.weight[0,0,0,0] d 0.out[0,0,0,1]"],
    "d 1.out[0,0,0,1]": ["d 2.out[0,0,0,0] lost"],
    "d 0.out[0,0,0,0]": ["d 1.out[0,0,0,0] 1.open[0,0,0,0]"],
    "d 2.out[0,0,0,0]": ["d 3.out[0,0]"],
    "d 3.out[0,0]": ["4.weight[0,0] d 4.out[0,0]", "4.weight[1,0] d 4.out[0,1]"],
    "d 4.weight[1,0]": ["3.out[0,0] d 4.out[0,1]"],
    "d 4.out[0,1]": ["probabilities[0,1] 1/N", "-1 onehot[0,1] 1/N"],
    "losses[0]": ["log(sums[0])", "-1 shifted[0,1]"],
}  # fmt: skip


@pytest.mark.parametrize("entry", SOURCES)
def test_the_terms_of_a_step_worked_by_hand(by_hand, entry):
    assert [" ".join(term.sources) for term in by_hand.why(entry).terms] == SOURCES[entry]


@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_slopes_of_the_loss(seed):
    t, rng, smooth = random_trace(seed), np.random.default_rng(seed), 0
    for name in gradient_names(t):
        for at in rng.choice(t[name].size, 3):
            index = np.unravel_index(at, t[name].shape)
            left, right = slopes(t, name, index)
            if abs(left - right) < 1e-4:
                assert t[f"d {name}"][index] == pytest.approx((left + right) / 2, abs=1e-6), name
                smooth += 1
    assert smooth > 2 * len(gradient_names(t))


def test_a_gradient_of_ones_own_is_told(by_hand):
    right = by_hand["d 0.weight"]
    assert diagnose(right.round(3), by_hand, "0.weight").mistake is None
    assert diagnose(right + np.eye(2) / 3, by_hand, "0.weight").mistake == "unknown"
