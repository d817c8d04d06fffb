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


@pytest.mark.filterwarnings("ignore:.*(learning rate|scale it)")
@pytest.mark.parametrize("backend", ["im2col", "compiled"])
@pytest.mark.parametrize("pace", [1, 7, 10**6])
def test_the_state_left_is_that_before_the_step_that_is_named(backend, pace, monkeypatch):
    """A learning rate under which weights grow step by step: training again for just so many steps gives the same bits."""
    from fastconv.engine import trainer

    monkeypatch.setattr(trainer, "_KEEP_EVERY", 0.0 if pace == 7 else 1.0)
    monkeypatch.setattr(trainer, "_PACE", pace)
    X, y = np.random.default_rng(0).random((40, 1, 4, 4), "f4"), np.random.default_rng(1).random((40, 2))
    layers = [Flatten(), Linear(2)]  # of one layer: weights grow by the same factor each step
    settings = {"batch_size": 8, "loss": "mse", "backend": backend, "shuffle": False, "random_state": 0}

    def fresh():
        return Sequential(layers, (1, 4, 4), random_state=0), SGD(2.0, momentum=0.5)

    net, optimizer = fresh()
    with pytest.raises(fastconv.DivergenceError) as caught:
        fastconv.train(net, X, y, epochs=100, optimizer=optimizer, **settings)
    done = caught.value.epoch * 5 + caught.value.step
    assert done > 7 and optimizer.state(net)["steps"] == done
    again, other = fresh()
    for first in range(done):
        batch = slice(first % 5 * 8, first % 5 * 8 + 8)
        fastconv.train(again, X[batch], y[batch], epochs=1, optimizer=other, **settings)
    np.testing.assert_array_equal(net.buffer, again.buffer)
    np.testing.assert_array_equal(optimizer.state(net)["velocity"], other.state(again)["velocity"])
    batch = slice(done % 5 * 8, done % 5 * 8 + 8)
    with pytest.raises(fastconv.DivergenceError, match="epoch 0, step 0: "):
        fastconv.train(again, X[batch], y[batch], epochs=1, optimizer=other, **settings)


def test_an_interrupt_on_the_way_to_a_divergence_leaves_what_was_kept(monkeypatch):
    from fastconv import engine

    def overflow(trainer, *_):
        trainer.memory.floats[:] = np.nan
        raise KeyboardInterrupt

    X, y = np.random.default_rng(0).random((12, 1, 4, 4), "f4"), np.arange(12) % 3
    net, optimizer = Sequential([Flatten(), Linear(3)], (1, 4, 4), random_state=0), SGD(0.1, momentum=0.9)
    before = net.buffer.copy()
    monkeypatch.setattr(engine.Trainer, "_run", overflow)
    with pytest.raises(KeyboardInterrupt):
        fastconv.train(net, X, y, epochs=1, batch_size=4, optimizer=optimizer)
    np.testing.assert_array_equal(net.buffer, before)
    assert optimizer.state(net)["steps"] == 0 and not optimizer.state(net)["velocity"].any()
