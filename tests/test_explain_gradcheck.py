"""The checker itself: its slopes against those of the loss in plain loops, its kinks, and a backward pass that is wrong."""

import numpy as np
import pytest
from examples import examples
from explain_cases import loss_of, random_network, slopes

import fastconv
from fastconv import Flatten, Linear, MaxPool2d, ReLU, Sequential, functional
from fastconv.explain import gradcheck, trace


@pytest.mark.parametrize("seed", range(examples(5, 10)))
def test_right_gradients_pass_and_kinks_are_undefined(seed):
    rng = np.random.default_rng(seed)
    net, x, labels = random_network(rng, depth=3, loss=loss_of(seed))
    report = gradcheck(net, x, labels, loss=loss_of(seed), rng=np.random.default_rng(seed))  # Dropout's mask is held fixed
    assert report.ok, str(report)
    assert len(report.entries) == x.size + sum(p.size for p in net.params.values())
    t = trace(net, x, labels, loss=loss_of(seed), rng=np.random.default_rng(seed))
    for k in rng.choice(len(report.entries), 20):
        row = report.entries[k]
        left, right = slopes(t, *t.parse(row.entry))
        if abs(left - right) > 1e-3:
            assert row.undefined, row.entry
        elif not row.undefined:
            assert row.numeric == pytest.approx((left + right) / 2, abs=1e-6), row.entry
            assert row.analytic == pytest.approx((left + right) / 2, abs=1e-6), row.entry


def test_kinks_and_ties_are_undefined_neither_passed_nor_failed():
    net = Sequential([ReLU(), MaxPool2d((1, 2)), Flatten(), Linear(2)], (1, 1, 6), random_state=0)
    # A ReLU at exactly 0, a tie of 2 and 2, and a clear winner.
    x = np.array([[[[0.0, -1, 2, 2, 3, 1]]]])
    report = gradcheck(net, x, [0])
    assert report["input"].undefined.ravel().tolist() == [True, False, True, True, False, False]
    assert report.ok and not report["3.weight"].undefined.any()
    assert report["d input"] is report["input"]
    tied = report.entries[[row.entry for row in report.entries].index("input[0,0,0,2]")]
    assert tied.undefined and tied.analytic != pytest.approx(tied.numeric)


def test_a_wrong_backward_pass_is_caught(monkeypatch):
    net, rng = fastconv.tiny_net(3, random_state=0), np.random.default_rng(0)
    right = functional.linear_backward
    monkeypatch.setattr(functional, "linear_backward", lambda dy, cache: (right(dy, cache)[0] * 1.00001, *right(dy, cache)[1:]))
    report = gradcheck(net, rng.normal(size=(2, 1, 5, 5)), [0, 2])
    assert not report.ok and "NOT ok" in str(report)
    assert (report["4.weight"].error <= 1e-6).all() and (report["0.weight"].error > 5e-6).any()
    with pytest.raises(ValueError, match="the names are"):
        report["nonsense"]


def test_neither_the_network_nor_the_input_is_changed():
    net, x = fastconv.tiny_net(3, random_state=0), np.ones((1, 1, 5, 5))
    before = net.buffer.copy()
    gradcheck(net, x, [0])
    assert np.array_equal(net.buffer, before) and (x == 1).all()
