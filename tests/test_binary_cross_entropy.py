"""Binary cross-entropy with logits: by hand, against loops, PyTorch, finite differences, and at the ends of the range."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, xlogy

from fastconv import functional as fast
from fastconv import reference as loops

forward, backward = fast.binary_cross_entropy_with_logits_forward, fast.binary_cross_entropy_with_logits_backward


@pytest.mark.parametrize("weights", [None, [0.0, 2.0, 1.0, 3.0]])
@pytest.mark.parametrize("outputs", [1, 3])
def test_it_is_the_definition(weights, outputs):
    rng = np.random.default_rng(0)
    z, t = 4 * rng.standard_normal((4, outputs)), rng.random((4, outputs))
    p, share = expit(z), np.full(4, 0.25) if weights is None else np.array(weights) / 6
    loss, cache = forward(z, t, sample_weight=weights)
    assert_allclose(loss, share @ (-xlogy(t, p) - xlogy(1 - t, 1 - p)).mean(axis=1), rtol=1e-13)
    assert_allclose(backward(cache), (p - t) * share[:, None] / outputs, rtol=1e-12, atol=1e-16)
    expected, loop_cache = loops.binary_cross_entropy_with_logits_forward(z, t, sample_weight=weights)
    assert_allclose(loss, expected, rtol=1e-13)
    assert_allclose(backward(cache), loops.binary_cross_entropy_with_logits_backward(loop_cache), rtol=1e-11, atol=1e-16)


def test_finite_differences():
    rng = np.random.default_rng(1)
    z, t, eps = rng.standard_normal((3, 2)), rng.integers(2, size=(3, 2)).astype(float), 1e-5
    gradient = backward(forward(z, t)[1])
    for at in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[at] = eps
        assert_allclose(gradient[at], (forward(z + step, t)[0] - forward(z - step, t)[0]) / (2 * eps), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("module", [fast, loops])
def test_the_ends_of_the_range_are_exact(module):
    z, t = np.array([[1000.0, -1000.0], [1000.0, -1000.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    loss, cache = module.binary_cross_entropy_with_logits_forward(z, t)
    assert loss == 500
    assert_array_equal(module.binary_cross_entropy_with_logits_backward(cache), [[0, 0], [0.25, -0.25]])
    assert np.isnan(module.binary_cross_entropy_with_logits_forward(np.array([[np.nan]]), np.array([[1.0]]))[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_agrees(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    z, t = rng.standard_normal((5, 3)).astype(dtype), rng.integers(2, size=(5, 3)).astype(dtype)
    leaf = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(leaf, torch.tensor(t))
    expected.backward()
    loss, cache = forward(z, t)
    assert_allclose(loss, expected.item(), rtol=1e-6)
    assert backward(cache).dtype == dtype
    assert_allclose(backward(cache), leaf.grad.numpy(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("module", [fast, loops])
def test_an_empty_batch_has_no_mean(module):
    loss, cache = module.binary_cross_entropy_with_logits_forward(np.zeros((0, 3)), np.zeros((0, 3)))
    assert np.isnan(loss) and module.binary_cross_entropy_with_logits_backward(cache).shape == (0, 3)
