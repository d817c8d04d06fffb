"""ONNX models: valid, and answering as the network does, for every layer and form of padding."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastconv import (
    AvgPool2d,
    Conv2d,
    ConvNetClassifier,
    ConvNetRegressor,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

NETWORKS = {
    "asymmetric": [Conv2d(4, (2, 3), padding=((0, 1), (2, 1)))],
    "same, even kernel, stride": [Conv2d(4, (2, 4), stride=(2, 3), padding="same")],
    "stride above the kernel": [Conv2d(3, (2, 1), stride=(3, 4))],
    "valid, dilation": [Conv2d(4, (2, 3), padding="valid", dilation=(2, 1))],
    "groups": [Conv2d(4, 2, groups=2, bias=False), ReLU(), Conv2d(8, (1, 2), padding=1, groups=4)],
    "overlapping padded pools": [MaxPool2d((3, 2), 1, padding=1), AvgPool2d((2, 3), (1, 2), padding=((1, 0), (1, 1)))],
    "same pools": [MaxPool2d((2, 3), padding="same"), AvgPool2d(2, 1, padding="same")],
    "head": [Conv2d(3, 2), ReLU(), Dropout(0.5), Flatten(), Linear(5), ReLU(), Linear(2, bias=False)],
}


def run(path, X):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {"X": X})))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_answers_alike(name, dtype, tmp_path):
    net = Sequential(NETWORKS[name], (2, 6, 7), random_state=0, dtype=dtype)
    net.to_onnx(tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    for n in (1, 5):
        x = np.random.default_rng(n).standard_normal((n, 2, 6, 7)).astype(np.float32)
        assert_allclose(run(tmp_path / "net.onnx", x)["Y"], net.predict(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [[3, 5, 8], ["a", "bb", "ccc"], [1.0, 2.0, 4.0]], ids=["int", "str", "float"])
def test_a_classifier_keeps_its_labels(classes, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(5, 3, (60, 48)).astype(np.float32)
    model = ConvNetClassifier(image_shape=(2, 4, 6), max_iter=5, random_state=0).fit(X, np.array(classes)[np.arange(60) % 3])
    model.to_onnx(tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", X)
    assert list(found["label"]) == list(model.predict(X))
    assert_allclose(found["probabilities"], model.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_several_labels_and_regression(tmp_path):
    rng = np.random.default_rng(0)
    X, labels = rng.random((70, 30), np.float32), rng.integers(2, size=(70, 3))
    model = ConvNetClassifier(max_iter=3, random_state=0).fit(X, labels)
    model.to_onnx(tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", X)
    assert_array_equal(found["label"], model.predict(X))
    assert_allclose(found["probabilities"], model.predict_proba(X), rtol=1e-4)
    for y in (rng.normal(9, 2, 70), rng.normal(9, 2, (70, 2))):
        regressor = ConvNetRegressor(max_iter=3, random_state=0).fit(X, y)
        regressor.to_onnx(tmp_path / "model.onnx")
        found = run(tmp_path / "model.onnx", X)["variable"]
        assert found.shape == y.shape
        assert_allclose(found, regressor.predict(X), rtol=1e-4)


def test_without_onnx_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx$"):
        Sequential([Flatten()], (1, 2, 2)).to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
