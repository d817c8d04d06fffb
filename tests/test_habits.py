"""What people bring to `train`: refused in one line that says what to do, before any work, or warned of by its number."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv
from fastconv import SGD, Adam, Flatten, Linear, Sequential

X = np.random.default_rng(0).random((6, 2, 3, 4)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2])
BACKENDS = pytest.mark.parametrize("backend", ["loop", "im2col", "compiled"])


def _net(shape=(2, 3, 4), units=3, dtype="float32"):
    return Sequential([Flatten(), Linear(units)], shape, random_state=0, dtype=dtype)


def _train(net, X=X, y=LABELS, **options):
    return fastconv.train(net, X, y, **dict(dict(epochs=2, batch_size=4, optimizer=SGD(0.1), random_state=0) | options))


def _with(array, place, value):
    array = np.array(array, float)
    array[place] = value
    return array


def _refused(message, error=ValueError, net=None, **call):
    net = net or _net()
    before = net.buffer.copy()
    with pytest.raises(error, match=message) as caught:
        _train(net, **call)
    assert "\n" not in str(caught.value)
    assert_array_equal(net.buffer, before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@BACKENDS
def test_data_that_is_not_finite(value, backend):
    place = (3, 1, 2, 3)
    wrong = _with(X, place, value)
    wrong[5, 0, 0, 0] = np.nan
    _refused(rf"X must be finite: 2 numbers are not, the first is X\[3, 1, 2, 3\] = {value}", X=wrong, backend=backend)
    _refused(r"validation X must be finite: 2 numbers", validation=(wrong, LABELS), backend=backend)
    for loss in ("mse", "binary_cross_entropy_with_logits"):
        y = np.ones((6, 3))
        wrong = _with(y, (4, 2), value)
        _refused(rf"y must be finite: 1 numbers? .*y\[4, 2\] = {value}", y=wrong, loss=loss, backend=backend)
        _refused(r"validation y must be finite", y=y, validation=(X, wrong), loss=loss, backend=backend)
    _refused("sample_weight must be finite", sample_weight=_with(np.ones(6), 2, value), backend=backend)
    net = _net()
    net.params["1.bias"][1] = value
    with pytest.raises(ValueError, match=r"net.buffer must be finite: 1 number"):
        _train(net, backend=backend)


def test_numbers_beyond_the_networks_precision():
    _refused("X holds 1e\\+200, which is beyond float32; scale it", X=_with(X, (1, 1, 1, 1), 1e200))
    _refused("y holds 1e\\+160, which is beyond float32", y=_with(np.ones((6, 3)), (1, 1), 1e160), loss="mse")
    _refused("sample_weight must be finite", sample_weight=_with(np.ones(6), 1, 1e300))


LABEL_HINTS = [
    (np.eye(3, dtype=int)[LABELS], ValueError, r"one-hot rows become labels by y.argmax\(axis=1\)"),
    (np.eye(3)[LABELS], ValueError, r"one-hot rows become labels by y.argmax\(axis=1\)"),
    (LABELS.astype(float), TypeError, r"y must be integers, got float64; use y.astype\(int\)"),
    (LABELS[:, None], ValueError, r"y has shape \(6, 1\), expected \(6,\).*; use y\[:, 0\]"),
    (LABELS[:, None].astype("float32"), TypeError, r"y must be integers, got float32; use y\[:, 0\].astype\(int\)"),
    (LABELS > 0, TypeError, r"y must be integers, got bool; use y.astype\(int\)"),
    (LABELS + 0.5, TypeError, r"y must be integers, got float64$"),
    (LABELS + 1, ValueError, r"y must be in \[0, 3\), got 1 to 3"),
    (LABELS.astype(str), TypeError, "y must be integers, got <U"),
]


@pytest.mark.parametrize("y, error, message", LABEL_HINTS)
def test_labels_in_another_form(y, error, message):
    _refused(message, error, y=y)
    _refused(message if message.startswith("one") else f"validation {message}", error, validation=(X, y))


@pytest.mark.parametrize(
    "given, shape, message",
    [
        ((6, 3, 4, 2), (2, 3, 4), r"channels come first, use X.transpose\(0, 3, 1, 2\)"),
        ((6, 3, 4), (1, 3, 4), r"for images of one channel use X\[:, None\]"),
        ((2, 3, 4), (2, 3, 4), r"for one image use X\[None\]"),
        ((6, 24), (2, 3, 4), r"for flat rows use X.reshape\(-1, 2, 3, 4\)"),
        ((6, 5, 5, 5), (2, 3, 4), r"X has shape \(6, 5, 5, 5\), expected \(6, 2, 3, 4\) for input_shape \(2, 3, 4\)$"),
    ],
)
def test_images_in_another_layout(given, shape, message):
    """The remedy is meant to be pasted: after it, the call works."""
    net, images = _net(shape), np.random.default_rng(0).random(given)
    _refused(message, net=net, X=images)
    _refused(
        f"validation {message}" if message.startswith("X") else message,
        net=net,
        X=np.ones((6, *shape)),
        validation=(images, LABELS),
    )
    hint = message.partition("use ")[2]
    if hint:
        found = eval(hint.replace("\\", ""), {"X": images})
        assert found.shape[1:] == shape
        with pytest.raises(ValueError, match="use x" + hint[1:]):
            net.predict(images)
        _train(net, found, LABELS[: len(found)])


@pytest.mark.parametrize(
    "optimizer, named", [("adam", "'adam'"), (SGD, "SGD"), (None, "NoneType"), (0.1, "float"), (lambda net: None, "function")]
)
def test_an_optimizer_that_is_none(optimizer, named):
    _refused(rf"optimizer must be fastconv.SGD\(lr\) or fastconv.Adam\(lr\).*{named}", TypeError, optimizer=optimizer)


@pytest.mark.parametrize("make, least", [(SGD, 10), (Adam, 1)])
def test_a_learning_rate_that_hardly_trains_is_warned_of(make, least):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(least)
    with pytest.warns(UserWarning, match=rf"{make.__name__}\(lr=100\): a learning rate above {least}") as caught:
        make(100)
    assert caught[0].filename == __file__


def test_large_numbers_are_warned_of():
    with pytest.warns(UserWarning, match=r"X holds numbers up to 2e\+06; scale it"):
        _train(_net(), X=X * 0 + 2e6, epochs=0)
    with pytest.warns(UserWarning, match=r"y holds numbers up to 3e\+06; scale it"):
        _train(_net(), y=np.full((6, 3), -3e6), loss="mse", epochs=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _train(_net(), X=(X * 65535).astype("uint16"), epochs=1)  # pictures of 16 bits


@BACKENDS
@pytest.mark.parametrize("what", ["labels", "weights"])
def test_what_a_callback_writes_is_not_heard(backend, what):
    """Labels are indices in machine code, and weights a divisor."""
    expected, found = _net(), _net()
    y, weight = LABELS.copy(), np.array([1.0, 2, 0, 1, 1, 3], "float32")

    def spoil(epoch, history):
        (y if what == "labels" else weight)[...] = 10**12 if what == "labels" else 0

    _train(expected, y=y.copy(), sample_weight=weight.copy(), backend=backend, epochs=3, callback=lambda *_: None)
    history = _train(found, y=y, sample_weight=weight, backend=backend, epochs=3, callback=spoil)
    assert_array_equal(found.buffer, expected.buffer)
    assert np.isfinite(history.loss).all()
