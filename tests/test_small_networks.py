"""Networks of one layer, with parameters and without: everything that one does to a network works on them."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, functional, reference
from fastconv.support import portable

LAYERS = {
    "Flatten": [Flatten()],
    "ReLU": [ReLU()],
    "Dropout": [Dropout(0.5)],
    "MaxPool2d": [MaxPool2d(2)],
    "AvgPool2d": [AvgPool2d((2, 1), 1)],
    "Conv2d": [Conv2d(2, 2)],
    "Conv2d, pointwise": [Conv2d(3, 1, bias=False)],
    "Flatten, ReLU": [Flatten(), ReLU()],
    "ReLU, ReLU": [ReLU(), ReLU()],
    "Flatten, Linear": [Flatten(), Linear(2)],
    "Linear without bias": [Flatten(), Linear(1, bias=False)],
    "pool, Flatten": [MaxPool2d(2), Flatten()],
    "Linear first of all": [AvgPool2d(2), Flatten(), Linear(3)],
}
SHAPES = [(1, 2, 2), (2, 2, 3)]
networks = pytest.mark.parametrize("shape", SHAPES, ids=str)
by_name = pytest.mark.parametrize("name", LAYERS)


def _net(name, shape, dtype="float32"):
    return Sequential(LAYERS[name], shape, random_state=0, dtype=dtype)


def _x(shape, N=5):
    return np.random.default_rng(1).standard_normal((N, *shape)).astype("float32")


@by_name
@networks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_and_predict(name, shape, dtype):
    net, x = _net(name, shape, dtype), _x(shape)
    expected, _ = net.forward(x, ops=reference)
    assert expected.shape == (5, *net.output_shape)
    for ops in (functional, portable):
        assert_allclose(net.forward(x, ops=ops)[0], expected, rtol=1e-5, atol=1e-6)
    for N in (0, 1, 5):
        found = net.predict(x[:N])
        assert found.dtype == net.dtype
        assert_allclose(found, expected[:N], rtol=1e-5, atol=1e-6)


def _targets(net, x, loss):
    rng = np.random.default_rng(2)
    if loss == "cross_entropy":
        return rng.integers(0, net.output_shape[0], len(x))
    return rng.random((len(x), *net.output_shape)).round()


@by_name
@networks
@pytest.mark.parametrize(
    "loss, optimizer",
    [
        ("cross_entropy", fastconv.SGD(0.1, momentum=0.5, nesterov=True)),
        ("mse", fastconv.Adam(0.01, weight_decay=0.1)),
        ("binary_cross_entropy_with_logits", fastconv.SGD(0.1)),
    ],
)
def test_training_is_the_same_by_every_backend(name, shape, loss, optimizer):
    found = {}
    for backend in ("loop", "im2col", "compiled"):
        net, x = _net(name, shape), _x(shape)
        if loss == "cross_entropy" and len(net.output_shape) != 1:
            with pytest.raises(ValueError, match="end it with Flatten or Linear"):
                fastconv.train(
                    net, x, np.zeros(5, int), epochs=1, batch_size=2, optimizer=optimizer, loss=loss, backend=backend
                )
            continue
        y = _targets(net, x, loss)
        options = dict(epochs=2, batch_size=2, loss=loss, random_state=0, optimizer=copy.deepcopy(optimizer))
        weight = np.array([1.0, 0.0, 0.0, 2.0, 1.0])
        history = fastconv.train(net, x, y, backend=backend, sample_weight=weight, validation=(x, y), **options)
        found[backend] = np.array([*history.loss, *history.validation_loss, *net.buffer])
    for other in found.values():
        assert_allclose(other, found["loop"], rtol=1e-4, atol=1e-5)


@by_name
@networks
def test_saved_pickled_copied_and_told(name, shape, tmp_path):
    net, x = _net(name, shape), _x(shape)
    net.save(tmp_path / "net.safetensors")
    for twin in (Sequential.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert twin.layers == net.layers
        assert_array_equal(twin.buffer, net.buffer)
        assert_array_equal(twin.predict(x), net.predict(x))
        twin.load_state_dict(net.state_dict())
    assert net.summary().splitlines()[-1].split()[:2] == ["total", str(net.buffer.size)]


@by_name
@networks
def test_onnx(name, shape, tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    net, x = _net(name, shape), _x(shape)
    net.to_onnx(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert_allclose(session.run(None, {"X": x})[0], net.predict(x), rtol=1e-5, atol=1e-6)


def test_linear_takes_flat_rows():
    with pytest.raises(ValueError, match=r"layer 0, Linear.*put Flatten\(\) before it"):
        Sequential([Linear(2)], (1, 2, 2))
