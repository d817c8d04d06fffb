"""Training that stops being finite ends in one line, with the last finite state."""

import numpy as np
import pytest

import fastconv
from fastconv import SGD, Conv2d, Flatten, Linear, Sequential


@pytest.mark.filterwarnings("ignore:.*(learning rate|scale it)")
@pytest.mark.parametrize("backend", ["loop", "im2col", "compiled"])
@pytest.mark.parametrize("lr, scale", [(1e30, 1), (0.1, 1e30)])
def test_divergence_restores_and_names(backend, lr, scale):
    X, y = np.random.default_rng(0).random((12, 1, 4, 4)) * scale, np.arange(12) % 3
    net = Sequential([Conv2d(2, 2), Conv2d(2, 2), Flatten(), Linear(3)], (1, 4, 4), random_state=0)
    optimizer = SGD(lr, momentum=0.9)
    with pytest.raises(fastconv.DivergenceError, match=r"epoch \d+, step \d+: .*lower the learning rate") as caught:
        fastconv.train(net, X, y, epochs=5, batch_size=4, optimizer=optimizer, backend=backend, random_state=0)
    assert "\n" not in str(caught.value)
    assert np.isfinite(net.buffer).all() and np.isfinite(optimizer.state(net)["velocity"]).all()


@pytest.mark.parametrize("backend", ["im2col", "compiled"])
def test_labels_changed_while_training_are_not_heard(backend):
    X, y = np.random.default_rng(0).random((12, 1, 4, 4)), np.arange(12) % 3
    net = Sequential([Conv2d(2, 2), Flatten(), Linear(3)], (1, 4, 4), random_state=0)
    fastconv.train(net, X, y, epochs=3, batch_size=4, optimizer=SGD(0.1), backend=backend, callback=lambda e, h: y.fill(10**12))
    assert np.isfinite(net.buffer).all()
