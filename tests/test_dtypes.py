"""Arrays of two dtypes meet: `functional` and `reference` compute the same, in the same precision, or both refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastconv
from fastconv import functional, reference

DTYPES = ["bool", "uint8", "int64", "float16", "float32", "float64", "complex64", "object"]
NUMBERS = np.random.default_rng(0).integers(0, 2, 200)
"""Zeros and ones: every dtype holds them, and they are labels, targets and weights too."""


def _array(shape, dtype, start=0):
    return NUMBERS[start : start + int(np.prod(shape))].reshape(shape).astype(dtype)


def _backward(name, x_shape, *more, **options):
    """-> what runs `name` forward on arrays of one dtype, and backward on a dy of another"""

    def call(ops, first, second):
        settings = options | ({"rng": np.random.default_rng(0)} if name == "dropout" else {})
        others = [_array(a, first, 60) if isinstance(a, tuple) and name in ("conv2d", "linear") else a for a in more]
        y, cache = getattr(ops, f"{name}_forward")(_array(x_shape, first), *others, **settings)
        return getattr(ops, f"{name}_backward")(_array(y.shape, second, 30), cache)

    return call


def _loss(name, target="second", sample_weight=None):
    """-> what runs the loss `name`, and its gradient, with the second dtype for the targets or the weights"""

    def call(ops, first, second):
        target_dtype = {"labels": int, "second": second, "first": first}[target]
        aimed = _array((4,), target_dtype, 9) if name == "cross_entropy" else _array((4, 3), target_dtype, 9)
        weight = None if sample_weight is None else _array((4,), second, 3)
        loss, cache = getattr(ops, f"{name}_forward")(_array((4, 3), first), aimed, sample_weight=weight)
        return np.asarray(loss), getattr(ops, f"{name}_backward")(cache)

    return call


X, W = (2, 2, 4, 3), (3, 2, 2, 2)
MEET = {
    "conv2d x, w": lambda ops, a, b: ops.conv2d_forward(_array(X, a), _array(W, b, 60))[0],
    "conv2d x, b": lambda ops, a, b: ops.conv2d_forward(_array(X, a), _array(W, a, 60), _array((3,), b, 7))[0],
    "linear x, w": lambda ops, a, b: ops.linear_forward(_array((4, 5), a), _array((3, 5), b, 60))[0],
    "linear x, b": lambda ops, a, b: ops.linear_forward(_array((4, 5), a), _array((3, 5), a, 60), _array((3,), b, 7))[0],
    "mse": _loss("mse"),
    "binary cross-entropy": _loss("binary_cross_entropy_with_logits"),
    "conv2d dy": _backward("conv2d", X, W, (3,)),
    "linear dy": _backward("linear", (4, 5), (3, 5), (3,)),
    "max_pool2d dy": _backward("max_pool2d", X, 2),
    "avg_pool2d dy": _backward("avg_pool2d", X, 2),
    "relu dy": _backward("relu", X),
    "dropout dy": _backward("dropout", X, 0.5),
    "flatten dy": _backward("flatten", X),
}
LABELS = {"cross_entropy labels": _loss("cross_entropy")}
WEIGHTS = {
    "cross_entropy weights": _loss("cross_entropy", "labels", True),
    "mse weights": _loss("mse", "first", True),
    "binary cross-entropy weights": _loss("binary_cross_entropy_with_logits", "first", True),
}


def _expected(op, first, second):
    """The dtype of the result, or None for a TypeError."""
    if not {first, second}.isdisjoint({"complex64", "object"}):
        return None
    if op in LABELS and second not in ("uint8", "int64"):
        return None
    if op.endswith(" dy") and first != "float64":
        first = "float32"  # what the forward pass computed in
    if op in MEET and {first, second} == {"float32", "float64"}:
        return None
    decide = {first, second} if op in MEET else {first}
    return np.dtype("float64" if "float64" in decide else "float32")


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("op", [*MEET, *LABELS, *WEIGHTS])
def test_the_twins_agree_on_every_pair_of_dtypes(op, first):
    for second in DTYPES:
        assert_the_twins_agree(op, first, second)


def assert_the_twins_agree(op, first, second):
    call, dtype = (MEET | LABELS | WEIGHTS)[op], _expected(op, first, second)
    if dtype is None:
        for ops in (functional, reference):
            with pytest.raises(TypeError):
                call(ops, first, second)
        return
    found, expected = (call(ops, first, second) for ops in (functional, reference))
    found, expected = (r if isinstance(r, tuple) else (r,) for r in (found, expected))
    for one, other in zip(found, expected, strict=True):
        assert one.ndim == 0 or one.dtype == other.dtype == dtype
        assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ops", [functional, reference])
def test_whole_numbers_keep_every_digit_beside_float64(ops):
    """2**24 + 1 is no float32."""
    number = np.array([[2**24 + 1]])
    assert ops.linear_forward(number, np.ones((1, 1)))[0] == 2**24 + 1
    assert ops.mse_forward(np.zeros((1, 1)), number)[0] == (2**24 + 1) ** 2
    _, cache = ops.linear_forward(np.ones((1, 1)), np.ones((1, 1)))
    assert ops.linear_backward(number, cache)[0] == 2**24 + 1
    # Weights of 2**24 + 1 and 1, and losses of 0 and 1.
    loss, _ = ops.mse_forward(np.array([[0.0], [1.0]]), np.zeros((2, 1)), sample_weight=[2**24 + 1, 1])
    assert loss == 1 / (2**24 + 2)


@pytest.mark.filterwarnings("ignore:y holds numbers up to")
def test_a_network_of_float64_takes_whole_numbers_as_they_are():
    net = fastconv.Sequential([fastconv.Flatten(), fastconv.Linear(1)], (1, 1, 1), dtype="float64")
    net.params["1.weight"], net.params["1.bias"] = [[1]], [2**24 + 1]
    assert net.forward(np.full((1, 1, 1, 1), 2**24 + 1))[0] == net.predict(np.full((1, 1, 1, 1), 2**24 + 1)) == 2**25 + 2
    for backend in ("loop", "im2col"):
        history = fastconv.train(
            net,
            np.zeros((1, 1, 1, 1)),
            [[2**24 + 2]],
            epochs=1,
            batch_size=1,
            loss="mse",
            optimizer=fastconv.SGD(0),
            backend=backend,
        )
        assert history.loss == [1]
