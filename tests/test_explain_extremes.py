"""Ledgers where numbers or windows are huge, tiny, equal or of both zeros: finite where the loss is, and the computed sums."""

import math

import numpy as np
import pytest
from explain_cases import BINARY, entries, loss_of, random_network
from scipy.special import expit, log_expit, log_softmax, softmax

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fastconv.explain import diagnose, gradcheck, trace

LOGITS = [0.0, -0.0, 5e-324, 1e-45, 1e-20, 1e-7, 0.5, 3.0, 17.0, 36.8, 88.8, 104.0, 710.0, 745.2, 800.0, 1e3, 1e6, 1e30]
SIGNED = [sign * value for value in LOGITS for sign in (1, -1)]


def direct(K, dtype):
    """A network whose logits are its input."""
    return Sequential([AvgPool2d(1), Flatten()], (1, 1, K), dtype=dtype)


def assert_ledgers_are_the_numbers(t, finite=True):
    """Every entry is finite and the sum of its terms; a term is the product of its factors."""
    limits = np.finfo(t["input"].dtype)
    for name in t:
        for entry in entries(t, name):
            ledger = t.why(entry)
            assert math.isfinite(ledger.value) or not finite, entry
            size = max(sum(abs(term.value) for term in ledger.terms), abs(ledger.value))
            near = max(32 * limits.eps * size, float(limits.smallest_normal))
            same = ledger.total == ledger.value or abs(ledger.total - ledger.value) <= near
            assert same or (math.isnan(ledger.total) and math.isnan(ledger.value)) or "does not fit" in str(ledger), str(ledger)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_binary_cross_entropy_at_every_size_of_logit(target, dtype):
    x = np.array(SIGNED, dtype)
    t = trace(direct(len(x), dtype), x[None, None, None], np.full((1, len(x)), target), loss=BINARY)
    assert_ledgers_are_the_numbers(t)
    logits, eps = x.astype(float), np.finfo(dtype).eps
    np.testing.assert_allclose(t["probabilities"][0], expit(logits), rtol=8 * eps, atol=np.finfo(dtype).smallest_normal)
    losses = -target * log_expit(logits) - (1 - target) * log_expit(-logits)
    slack = 8 * eps * abs(logits)  # of the difference of the larger logit and the target's share of it
    assert (abs(t["losses"][0] - losses) <= slack + 1e-6 * abs(losses)).all()
    np.testing.assert_allclose(
        t[f"d {len(t.layers) - 1}.out"][0], (expit(logits) - target) / len(x), rtol=8 * eps, atol=eps / 8
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_softmax_cross_entropy_at_every_size_of_logit(seed, dtype):
    rng = np.random.default_rng(seed)
    x = rng.choice(SIGNED, size=(6, 5)).astype(dtype)
    labels = rng.integers(0, 5, 6)
    t = trace(direct(5, dtype), x[:, None, None], labels)
    assert_ledgers_are_the_numbers(t)
    logits, eps = x.astype(float), np.finfo(dtype).eps
    np.testing.assert_allclose(
        t["probabilities"], softmax(logits, axis=1), rtol=100 * eps, atol=np.finfo(dtype).smallest_normal
    )
    losses = -log_softmax(logits, axis=1)[np.arange(6), labels]
    np.testing.assert_allclose(t["losses"], losses, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype, huge", [("float32", 1e18), ("float64", 1e150)])
def test_squared_errors_of_huge_and_tiny_numbers(dtype, huge):
    x = np.array([[huge, -huge, 0.0, -0.0, 1e-30, np.finfo(dtype).tiny / 4]], dtype)
    t = trace(direct(6, dtype), x[:, None, None], np.array([[-huge, 1.0, -0.0, 0.0, 0.0, 0.0]]), loss="mse")
    assert_ledgers_are_the_numbers(t)
    assert float(t["loss"]) == pytest.approx(5 * huge**2 / 6, rel=1e-6)
    np.testing.assert_allclose(t["d 1.out"][0], 2 / 6 * (x[0] - [-huge, 1, 0, 0, 0, 0]), rtol=1e-6)


@pytest.mark.parametrize("dtype, huge", [("float32", 1e30), ("float64", 1e200)])
def test_a_sum_that_does_not_fit_says_so(dtype, huge):
    t = trace(direct(2, dtype), np.full((1, 1, 1, 2), huge), np.full((1, 2), -huge), loss="mse")
    assert float(t["loss"]) == math.inf and np.isfinite(t["d 1.out"]).all()
    assert_ledgers_are_the_numbers(t, finite=False)
    ledger = t.why("loss")
    assert ledger.total == math.inf or "does not fit into float32, whose largest number is 3.4e+38" in str(ledger)


def test_sums_of_numbers_near_the_largest_and_of_both_infinities_are_not_errors():
    net = Sequential([Flatten(), Linear(2)], (1, 1, 2), dtype="float64")
    net.params["1.weight"][...] = 1e308
    assert trace(net, np.ones((1, 1, 1, 2)), [0]).why("1.out[0,0]").total == math.inf
    net.params["1.weight"][...] = [[np.inf, -np.inf], [1, 1]]
    ledger = trace(net, np.ones((1, 1, 1, 2)), [0]).why("1.out[0,0]")
    assert math.isnan(ledger.total) and math.isnan(ledger.value)


def test_a_shut_gate_stops_infinity():
    net = Sequential(
        [ReLU(), Dropout(0.5), MaxPool2d((1, 2)), Flatten(), Linear(2)], (1, 1, 4), random_state=0, dtype="float64"
    )
    x = np.array([[[[-np.inf, 1.0, 2.0, -1.0]]]])
    t = trace(net, x, [0], rng=np.random.default_rng(1))
    assert t["0.out"][0, 0, 0, 0] == 0 and t.why("0.out[0,0,0,0]").total == 0
    net.params["4.weight"][...] = np.inf
    t = trace(net, abs(x), [0], rng=np.random.default_rng(1))
    for name in ("d 1.out", "d 0.out", "0.out", "1.out", "d input"):
        for entry in entries(t, name):
            ledger = t.why(entry)
            assert ledger.total == ledger.value or math.isnan(ledger.total) == math.isnan(ledger.value), str(ledger)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-30, 1e3, 1e8])
@pytest.mark.parametrize("seed", range(5))
def test_random_networks_far_from_one(seed, scale, dtype):
    rng = np.random.default_rng(seed)
    net, x, labels = random_network(rng, depth=2, loss=loss_of(seed))
    net = Sequential(net.layers, net.input_shape, random_state=seed, dtype=dtype)
    t = trace(net, x[:1] * scale, labels[:1], loss=loss_of(seed), rng=rng)
    assert_ledgers_are_the_numbers(t)
    assert diagnose(t["d input"], t, "input").mistake is None


@pytest.mark.parametrize("pool", [MaxPool2d, AvgPool2d])
def test_a_window_far_larger_than_its_image(pool):
    net = Sequential([pool(2**30, stride=1, padding=2**29), Flatten(), Linear(2)], (1, 3, 4), random_state=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    t = trace(net, x, [0, 1])
    assert diagnose(t["d input"], t, "input").mistake is None
    assert diagnose(2 * t["d input"], t, "input").mistake == "mean_missing"
    assert t.why("d input[1,0,2,3]").total == pytest.approx(t["d input"][1, 0, 2, 3])
    assert gradcheck(net, x, [0, 1]).ok


@pytest.mark.parametrize("call", [
    lambda net: trace(net, np.full((1, 1, 2, 2), 1e60), [0]),
    lambda net: trace(net, np.ones((1, 1, 2, 2)), np.full((1, 2), -1e60), loss="mse"),
])  # fmt: skip
def test_what_the_precision_cannot_hold_is_refused(call):
    net = Sequential([Conv2d(1, 1), Flatten(), Linear(2)], (1, 2, 2), random_state=0)
    with pytest.raises(ValueError, match=r"(x|target) holds 1e\+60, too large for the network's float32; scale it"):
        call(net)
