"""SGD and Adam, as PyTorch's, on a network's flat buffer."""

import warnings
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np

MOST_STEPS = 2**62
"""A count beyond it is no count: int64 would overflow soon."""


def _memory():
    return field(default_factory=WeakKeyDictionary, init=False, repr=False, compare=False)


class _Optimizer:
    """State lives in `_state`, by network: flat arrays laid out as the network's buffer, and plain numbers."""

    def step(self, net, grads):
        """Move `net`'s parameters one step against `grads`.

        Parameters
        ----------
        net : Sequential
        grads : dict of str to array
            From ``net.backward``.

        Raises
        ------
        ValueError
            If a gradient is missing or has not its parameter's shape.
        """
        for name, param in net.params.items():
            if name not in grads or np.shape(grads[name]) != param.shape:
                raise ValueError(f"the gradient of {name} has shape {np.shape(grads.get(name))}, expected {param.shape}")
        flat = np.concatenate([np.ravel(grads[name]) for name in net.params]) if net.params else net.buffer.copy()
        flat = flat.astype(net.dtype, copy=False)
        with np.errstate(all="ignore"):
            if self.weight_decay and not self.decay_biases:
                for name, place, _ in net._places:
                    if name.endswith(".bias"):
                        flat[place] -= self.weight_decay * net.buffer[place]
            self.update(net.buffer, flat, self.state(net))

    def state(self, net):
        """This optimizer's state for `net`, made on the first call and kept as long as the network lives."""
        if net not in self._state:
            self._state[net] = self.first_state(net.buffer)
        # Machine code writes into these arrays, and whoever called this before may have exchanged them.
        self._check(net, self._state[net])
        return self._state[net]

    def arrays(self, state):
        """The arrays of `state`, in the order that the engine keeps them."""
        return [state[name] for name in self.moments]

    def restore(self, net, state):
        """Go on from a copy of `state`, which `state(net)` returned earlier, for this optimizer or for one of its kind.

        Parameters
        ----------
        net : Sequential
        state : dict
            Its arrays may be read-only.

        Raises
        ------
        ValueError
            If a name is missing or unknown, an array has not the size of the network, a number is not finite, or the steps
            are no count.
        TypeError
            If an array has not the network's dtype.
        """
        if isinstance(state, dict):
            state = {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}
        self._check(net, state)
        for name in self.moments:
            if not np.isfinite(state[name]).all():
                raise ValueError(f"the state's {name!r} holds numbers that are not finite")
        self._state[net] = {name: state[name] for name in ("steps", *self.moments)}

    def _check(self, net, state):
        kind, names = type(self).__name__, ("steps", *self.moments)
        if not isinstance(state, dict) or state.keys() != set(names):
            found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise ValueError(f"the state of {kind} is a dict of {sorted(names)}, got {found}")
        steps = state["steps"]
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 0 <= steps < MOST_STEPS:
            raise ValueError(f"the state's steps must be a count of at least 0, got {steps!r}")
        for name in self.moments:
            value, size = state[name], net.buffer.shape
            if np.shape(value) != size:
                raise ValueError(f"the state's {name!r} has shape {np.shape(value)}, the network's parameters {size}")
            if not isinstance(value, np.ndarray) or value.dtype != net.dtype:
                raise TypeError(f"the state's {name!r} is {np.asarray(value).dtype}, the network's parameters {net.dtype}")
            if not value.flags.carray:
                raise ValueError(f"the state's {name!r} must be contiguous and writable; restore() copies it")

    def __getstate__(self):
        """Settings only: the state belongs to networks that are elsewhere."""
        return vars(self) | {"_state": WeakKeyDictionary()}

    def __deepcopy__(self, memo):
        return replace(self)


@dataclass(eq=False)
class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum and coupled weight decay on all parameters, as torch.optim.SGD.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0.
    momentum : float
        In [0, 1).
    nesterov : bool
        Look ahead along the momentum, which must be above 0.
    weight_decay : float
        Times the parameter is added to its gradient.
    decay_biases : bool
        False: biases do not decay.

    Raises
    ------
    ValueError
        If a number is outside its range.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_biases: bool = field(default=True, repr=False)
    _state: WeakKeyDictionary = _memory()

    moments = ("velocity",)

    def __post_init__(self):
        _require(self, "lr", "weight_decay")
        _doubt(self, most=10)
        _require(self, "momentum", below=1)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def first_state(self, buffer):
        """No velocity; `steps` counts the updates."""
        return {"steps": 0, "velocity": np.zeros_like(buffer)}

    def update(self, w, dw, state):
        """One step on flat arrays, in place; `dw` is used up."""
        if self.weight_decay:
            dw += self.weight_decay * w
        if self.momentum:
            velocity = state["velocity"]
            velocity *= self.momentum
            velocity += dw
            dw = dw + self.momentum * velocity if self.nesterov else velocity
        w -= self.lr * dw
        state["steps"] += 1


@dataclass(eq=False)
class Adam(_Optimizer):
    """Adam with coupled weight decay on all parameters, as torch.optim.Adam.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0.
    betas : (float, float)
        Decay of the gradient's first and second moment, in [0, 1).
    eps : float
    weight_decay : float
        Times the parameter is added to its gradient.
    decay_biases : bool
        False: biases do not decay.

    Raises
    ------
    ValueError
        If a number is outside its range.

    References
    ----------
    D. P. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015.

    Examples
    --------
    >>> Adam(lr=0.01)
    Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
    """

    lr: float = 1e-3
    betas: tuple = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay_biases: bool = field(default=True, repr=False)
    _state: WeakKeyDictionary = _memory()

    moments = ("mean", "square")

    def __post_init__(self):
        _require(self, "lr", "eps", "weight_decay")
        _doubt(self, most=1)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas!r}")

    def first_state(self, buffer):
        """Moments of zero; `steps` corrects their bias."""
        return {"steps": 0, "mean": np.zeros_like(buffer), "square": np.zeros_like(buffer)}

    def update(self, w, dw, state):
        """One step on flat arrays, in place; `dw` is used up."""
        state["steps"] += 1
        (beta1, beta2), steps = self.betas, state["steps"]
        mean, square = state["mean"], state["square"]
        if self.weight_decay:
            dw += self.weight_decay * w
        mean *= beta1
        mean += (1 - beta1) * dw
        square *= beta2
        dw *= dw
        square += (1 - beta2) * dw
        root = np.sqrt(square)
        root /= np.sqrt(1 - beta2**steps)
        root += self.eps
        w -= (self.lr / (1 - beta1**steps)) * mean / root


def _doubt(optimizer, most):
    """Warn of a rate with which nothing is learnt: Adam moves every number by about `lr` a step, and weights are below 1."""
    if optimizer.lr > most:
        name = type(optimizer).__name__
        warnings.warn(
            f"{name}(lr={optimizer.lr!r}): a learning rate above {most} hardly ever trains", UserWarning, stacklevel=4
        )


def _require(optimizer, *names, below=np.inf):
    for name in names:
        value = getattr(optimizer, name)
        if isinstance(value, (str, bool)) or not 0 <= value < below:
            raise ValueError(f"{name} must be in [0, {below}), got {value!r}")
