"""train(): epochs, batches, validation, history and callbacks over the backend of choice."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from . import functional
from .losses import LOSSES, DivergenceError, as_labels, as_weights
from .optim import SGD, Adam
from .support.arrays import as_float, is_finite, layout_hint, require_finite, require_shape, within
from .support.geometry import integer
from .support.jit import require_numba
from .support.streams import SEEDS, DropoutStream
from .support.threads import limit_threads

EXTREME = 1e6
"""Above any picture's numbers, those of 16 bits included."""
SAMPLES_A_CALL = 2**20
"""Epochs that nobody looks between are trained together, up to so many samples: the less time goes by outside the backend."""
BACKENDS = ("loop", "im2col", "compiled")


@dataclass
class History:
    """What training recorded, one number an epoch.

    Attributes
    ----------
    loss : list of float
        The mean loss over the epoch's samples while the parameters moved.
    validation_loss : list of float
        After each epoch; empty without validation data.
    validation_accuracy : list of float
        Share of right answers; empty without validation data or labels.
    """

    loss: list = field(default_factory=list)
    validation_loss: list = field(default_factory=list)
    validation_accuracy: list = field(default_factory=list)


def train(
    net,
    X,
    y,
    *,
    epochs,
    batch_size,
    optimizer,
    loss="cross_entropy",
    sample_weight=None,
    validation=None,
    shuffle=True,
    random_state=None,
    backend=None,
    n_threads=None,
    callback=None,
):
    """Train `net` on mini-batches; its parameters change in place.

    X (n, C, H, W), y (n,) labels or (n, K) targets -> History

    Parameters
    ----------
    net : Sequential
    X : array (n, C, H, W)
    y : integer array (n,) for "cross_entropy", real array (n, K) or (n,) for the other losses
    epochs : int
        Passes over the data, at least 0.
    batch_size : int
        Samples a step, at least 1. Above n it is one batch; a last short batch is trained too.
    optimizer : SGD or Adam
        Its state stays from call to call for the same network.
    loss : "cross_entropy", "mse" or "binary_cross_entropy_with_logits"
    sample_weight : array (n,), optional
        Not negative, not all zero.
    validation : (X, y), optional
        Measured after each epoch.
    shuffle : bool
        A new order each epoch.
    random_state : None, int or numpy.random.Generator
        Decides order and dropout.
    backend : "loop", "im2col", "compiled" or None
        `fastconv.reference`, `fastconv.functional` or `fastconv.engine`; None is "compiled" for a float32 network and "im2col"
        for a float64 one. They agree to rounding.
    n_threads : int, optional
        At least 1. The compiled backend's weights are the same bits for any number.
    callback : callable, optional
        ``callback(epoch, history)`` after each epoch, counted from 0; returning True stops.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        For shapes, labels and settings that do not fit; the network is then as it was.
    TypeError
        For arrays that are not real numbers, or labels that are not integers.
    DivergenceError
        When the loss, the parameters or the optimizer's state stop being finite; network and optimizer are then as before that
        step.

    Examples
    --------
    >>> import fastconv
    >>> X, y = fastconv.load_digits(5)
    >>> net = fastconv.tiny_net(random_state=0)
    >>> history = train(net, X, y, epochs=2, batch_size=32, optimizer=fastconv.SGD(0.1), random_state=0)
    >>> history.loss[1] < history.loss[0]
    True
    """
    epochs, batch_size = integer(epochs, "epochs", 0), integer(batch_size, "batch_size", 1)
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {LOSSES}, got {loss!r}")
    _require_optimizer(optimizer)
    data, validation = _data(net, X, y, sample_weight, validation, loss)
    ops = _operations(backend, net.dtype)
    n_threads = None if n_threads is None else integer(n_threads, "n_threads", 1)
    rng = np.random.default_rng(random_state)
    seed = int(rng.integers(SEEDS))
    if ops is None:
        from .engine import Trainer

        run_epochs = Trainer(net, data, loss, optimizer, seed=seed, n_threads=n_threads, batch_size=batch_size)
    else:
        run_epochs = Steps(net, data, loss, optimizer, ops, seed)
    history, n = History(), len(data[0])
    together = SAMPLES_A_CALL // n if validation is None and callback is None else 1
    with limit_threads(None if ops is None else n_threads):
        for epoch, orders in _orders(epochs, max(1, together), n, rng if shuffle else None):
            try:
                history.loss += run_epochs(orders, batch_size)
            except DivergenceError as found:
                seen = Steps(net, data, loss, optimizer, ops or functional, seed)
                raise _explained(found, seen, orders[found.epoch], batch_size, epoch + found.epoch) from None
            if validation is not None:
                _validate(net, *validation, loss, history)
            if callback is not None and callback(epoch, history) is True:
                break
    return history


def _orders(epochs, together, n, rng):
    """For each call of the backend its first epoch's number, and its epochs' orders (`together`, n), shuffled with an `rng`."""
    for epoch in range(0, epochs, together):
        number = min(together, epochs - epoch)
        yield epoch, np.array([np.arange(n) if rng is None else rng.permutation(n) for _ in range(number)])


def _explained(found, seen, order, batch_size, epoch):
    """The error of a step that diverged, with the first layer to blame; `seen` trains the batch on from the state before it."""
    batch = order[found.step * batch_size : (found.step + 1) * batch_size]
    seen.steps = epoch * -(-len(order) // batch_size) + found.step
    optimizer = seen.optimizer
    advice = f"lower the learning rate ({optimizer.lr:g}) or scale the data"
    return DivergenceError(
        f"training diverged in epoch {epoch}, step {found.step}: {seen.blame(batch)} is not finite; {advice}", epoch, found.step
    )


class Steps:
    """Epochs of forward, backward and optimizer steps with a module of operations."""

    def __init__(self, net, data, loss, optimizer, ops, seed):
        self.net = net
        self.X, self.y, self.weights = data
        self.optimizer, self.ops, self.seed = optimizer, ops, seed
        self.loss_forward = getattr(ops, f"{loss}_forward")
        self.loss_backward = getattr(ops, f"{loss}_backward")
        self.steps = 0

    def __call__(self, orders, batch_size):
        """Train an epoch on the samples of each row of `orders` (epochs, n) in turn; -> the mean loss over each.

        Raises
        ------
        DivergenceError
            With the epoch of this call and the step; network and optimizer are as before it.
        """
        losses = []
        for epoch, order in enumerate(orders):
            before, steps = self._state(), self.steps
            losses.append(self._epoch(order, batch_size))
            if not self._is_finite(losses[-1]):
                # The same steps again, one at a time: looking at every step would cost all the others.
                self._restore(before)
                self.steps = steps
                raise DivergenceError("", epoch, self._last_finite(order, batch_size))
        return losses

    def _epoch(self, order, batch_size):
        total = weight = 0.0
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            share = len(batch) if self.weights is None else float(self.weights[batch].sum())
            loss = self.step(batch)
            if not np.isfinite(loss):
                return loss
            # A weightless batch says nothing: PyTorch would divide by zero here.
            total += share * loss
            weight += share
        return total / weight

    def _last_finite(self, order, batch_size):
        """Train until just before the step that is not finite; -> its number"""
        step, finite = -1, True
        while finite:
            step, before = step + 1, self._state()
            finite = self._is_finite(self.step(order[step * batch_size : (step + 1) * batch_size]))
        self._restore(before)
        return step

    def _state(self):
        """-> copies of the parameters and the optimizer's arrays, and its count of steps"""
        state = self.optimizer.state(self.net)
        return [a.copy() for a in (self.net.buffer, *self.optimizer.arrays(state))], state["steps"]

    def _restore(self, before):
        state = self.optimizer.state(self.net)
        for array, copy in zip((self.net.buffer, *self.optimizer.arrays(state)), before[0]):
            array[...] = copy
        state["steps"] = before[1]

    def _is_finite(self, loss):
        arrays = self.net.buffer, *self.optimizer.arrays(self.optimizer.state(self.net))
        return np.isfinite(loss) and all(map(is_finite, arrays))

    def blame(self, batch):
        """What first stops being finite in the step on `batch`; network and optimizer stay as they are."""
        net, before, steps = self.net, self._state(), self.steps
        with np.errstate(all="ignore"):
            x, rng = self.X[batch], DropoutStream(self.seed, steps)
            for index, (layer, params) in enumerate(zip(net.layers, net._layer_params)):
                x = layer.forward(self.ops, x, params, rng)[0]
                if not np.isfinite(x).all():
                    return f"the output of layer {index}, {layer!r},"
            loss = self.step(batch)
        wrong = next((name for name, value in net.params.items() if not is_finite(value)), None)
        self._restore(before)
        if not np.isfinite(loss):
            return "the loss"
        return f"the new {wrong} of layer {wrong.split('.')[0]}" if wrong else "a parameter or the optimizer's state"

    def step(self, batch):
        """One step on the samples `batch`; -> their loss before it."""
        net, ops = self.net, self.ops
        weights = None if self.weights is None else self.weights[batch]
        logits, caches = net.forward(self.X[batch], rng=DropoutStream(self.seed, self.steps), ops=ops)
        loss, cache = self.loss_forward(logits, self.y[batch], sample_weight=weights)
        grads = net.backward(self.loss_backward(cache), caches, ops=ops)
        self.optimizer.step(net, grads)
        self.steps += 1
        return loss


def _operations(backend, dtype):
    """The module of operations, or None for the engine."""
    if backend == "compiled" and dtype != np.float32:
        raise ValueError(
            f'backend="compiled" trains float32 networks, this one is {dtype}; use backend="im2col" or dtype="float32"'
        )
    if backend in (None, "im2col", "compiled"):
        require_numba()
    if backend == "compiled" or (backend is None and dtype == np.float32):
        return None
    if backend in (None, "im2col"):
        return functional
    if backend == "loop":
        from . import reference

        return reference
    raise ValueError(f"backend must be one of {BACKENDS} or None, got {backend!r}")


def _two(validation):
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ValueError("validation must be (X, y)")
    return validation


def _data(net, X, y, sample_weight, validation, loss):
    """-> (X, y, weights or None), (validation X, validation y) or None: checked in full before the first step."""
    X, y = _samples(net, X, y, loss, "X", "y")
    require_finite(net.buffer, "net.buffer")
    if validation is not None:
        validation = _samples(net, *_two(validation), loss, "validation X", "validation y")
    weights = None if sample_weight is None else as_weights(sample_weight, len(X), net.dtype)
    if weights is not None and not weights.any():
        raise ValueError("sample_weight must not be all zero")
    return (X, y, weights), validation


def _samples(net, X, y, loss, X_name, y_name):
    """X as the network's input and y as what its loss compares."""
    X = as_float(X, X_name, net.dtype)
    hint = layout_hint(X.shape, net.input_shape, X_name.rpartition(" ")[2])
    require_shape(X, (len(X) if X.ndim else 0, *net.input_shape), X_name, f"for input_shape {net.input_shape}{hint}")
    if not len(X):
        raise ValueError(f"{X_name} has shape {X.shape}, expected at least one sample")
    X = _finite(X, net.dtype, X_name)
    shape = (len(X), *net.output_shape)
    if loss == "cross_entropy":
        if len(shape) != 2:
            raise ValueError(f"cross_entropy takes logits (N, K), the network returns {shape}; end it with Flatten or Linear")
        return X, as_labels(y, shape, y_name)
    y = as_float(y, y_name, net.dtype)
    if y.shape == shape[:1] and shape[1:] == (1,):
        y = y[:, None]
    require_shape(y, shape, y_name, "as the network's output")
    y = _finite(y, net.dtype, y_name)
    if loss == "binary_cross_entropy_with_logits" and not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"{y_name} must be in [0, 1] for {loss}")
    return X, y


def _finite(x, dtype, name):
    """`x` in the network's `dtype`, checked. Not copied: nothing is indexed by it, who writes into it changes numbers only."""
    require_finite(x, name)
    x = within(x, dtype, name)
    largest = max(-float(x.min()), float(x.max())) if x.size else 0
    if largest > EXTREME:
        warnings.warn(
            f"{name} holds numbers up to {largest:g}; scale it to about 1, or training diverges", UserWarning, stacklevel=5
        )
    return x


def _require_optimizer(optimizer):
    if not isinstance(optimizer, (SGD, Adam)):
        what = repr(optimizer) if isinstance(optimizer, (str, type)) else type(optimizer).__name__
        raise TypeError(
            f"optimizer must be fastconv.SGD(lr) or fastconv.Adam(lr), such as optimizer=fastconv.Adam(), got {what}"
        )


def _validate(net, X, y, loss, history):
    output = net.predict(X)
    history.validation_loss.append(getattr(functional, f"{loss}_forward")(output, y)[0])
    if loss == "cross_entropy":
        history.validation_accuracy.append(float((output.argmax(axis=1) == y).mean()))
