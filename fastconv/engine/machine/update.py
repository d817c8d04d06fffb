"""The optimizers' steps over the packed parameters."""

from math import sqrt

import numpy as np

from ...optim import SGD, Adam
from ..vector.lanes import kernel
from .jobs import Update

SGD_STEP, ADAM_STEP = range(2)
_BLOCK = 1024
"""Parameters of one round of an update: its gradients stay in the first-level cache while shards are added to them."""


def update_of(optimizer, biases):
    """The `Update` of an optimizer; `biases` are the intervals of parameters that it spares from decay, if it does."""
    if isinstance(optimizer, SGD):
        kind, numbers = SGD_STEP, [optimizer.lr, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay]
    elif isinstance(optimizer, Adam):
        beta1, beta2 = optimizer.betas  # two, whatever was assigned: machine code reads five numbers
        kind, numbers = ADAM_STEP, [optimizer.lr, beta1, beta2, optimizer.eps, optimizer.weight_decay]
    else:
        raise TypeError(f"the engine has no step for {type(optimizer).__name__}")
    return Update(kind, np.array(numbers, np.float64), biases[: 0 if optimizer.decay_biases else None])


@kernel
def update(memory, start, stop, n_shards, optimizer, steps):
    """One optimizer step on parameters [start, stop): the shards' gradients added in their order, then SGD or Adam."""
    mem, size, grads = memory.floats, memory.n_params, memory.grads
    kind, numbers, spared = optimizer.kind, optimizer.numbers, optimizer.spared
    decay = np.float32(numbers[3] if kind == SGD_STEP else numbers[4])
    for first in range(start, stop, _BLOCK):
        last = min(first + _BLOCK, stop)
        w, one, two = mem[first:last], mem[size + first : size + last], mem[2 * size + first : 2 * size + last]
        dw = mem[grads + first : grads + last]
        for s in range(1, n_shards):
            _add(mem[grads + s * size + first : grads + s * size + last], dw)
        _spare(w, dw, first, spared, decay)
        if kind == SGD_STEP:
            _sgd(w, dw, one, numbers)
        else:
            _adam(w, dw, one, two, numbers, steps)


@kernel
def _add(more, sums):
    for i in range(len(sums)):
        sums[i] += more[i]


@kernel
def _spare(w, dw, first, spared, decay):
    """Take the decay of biases off beforehand."""
    for k in range(len(spared)):
        for i in range(max(spared[k, 0] - first, 0), min(spared[k, 1] - first, len(w))):
            dw[i] -= decay * w[i]


@kernel
def _sgd(w, dw, velocity, numbers):
    lr, momentum, decay = np.float32(numbers[0]), np.float32(numbers[1]), np.float32(numbers[3])
    if momentum == 0:
        for i in range(len(w)):
            w[i] -= lr * (dw[i] + decay * w[i])
    elif numbers[2] != 0:  # Nesterov's
        for i in range(len(w)):
            d = dw[i] + decay * w[i]
            velocity[i] = momentum * velocity[i] + d
            w[i] -= lr * (d + momentum * velocity[i])
    else:
        for i in range(len(w)):
            velocity[i] = momentum * velocity[i] + (dw[i] + decay * w[i])
            w[i] -= lr * velocity[i]


@kernel
def _adam(w, dw, first, second, numbers, steps):
    beta1, beta2, eps, decay = (np.float32(numbers[1]), np.float32(numbers[2]), np.float32(numbers[3]), np.float32(numbers[4]))
    rest1, rest2 = np.float32(1 - numbers[1]), np.float32(1 - numbers[2])
    correct = np.float32(1 / sqrt(1 - numbers[2] ** steps))
    rate = np.float32(numbers[0] / (1 - numbers[1] ** steps))
    for i in range(len(w)):
        d = dw[i] + decay * w[i]
        m = beta1 * first[i] + rest1 * d
        v = beta2 * second[i] + rest2 * (d * d)
        first[i], second[i] = m, v
        w[i] -= rate * m / (np.sqrt(v) * correct + eps)
