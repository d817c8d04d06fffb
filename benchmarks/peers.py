"""The same training step in PyTorch and JAX, from the same weights; each only where it is installed."""

import importlib.util
from functools import partial

import numpy as np

from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU


class Torch:
    """PyTorch, eager: forward, backward, SGD with momentum."""

    def __init__(self, network, X, y, *, lr, momentum):
        import torch

        self.torch, self.lr, self.momentum = torch, lr, momentum
        self.model = torch.nn.Sequential(*_torch_modules(torch.nn, network.build()))
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.cross_entropy = torch.nn.functional.cross_entropy

    def load(self, weights):
        self.model.load_state_dict({name: self.torch.from_numpy(value) for name, value in weights.items()})
        self.optimizer = self.torch.optim.SGD(self.model.parameters(), lr=self.lr, momentum=self.momentum)

    def step(self):
        """One step on the whole batch; -> the loss before it."""
        self.optimizer.zero_grad()
        loss = self.cross_entropy(self.model(self.X), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def weights(self):
        return {name: value.numpy().copy() for name, value in self.model.state_dict().items()}


class Jax:
    """JAX: the whole step is one jitted function."""

    def __init__(self, network, X, y, *, lr, momentum):
        import jax

        self.numpy = jax.numpy
        self.X, self.y = jax.numpy.asarray(X), jax.numpy.asarray(y)
        self.compiled = jax.jit(partial(_jax_step, jax, network.layers, lr, momentum), donate_argnums=(0, 1))

    def load(self, weights):
        self.params = {name: self.numpy.array(value) for name, value in weights.items()}
        self.velocity = {name: self.numpy.zeros_like(value) for name, value in self.params.items()}

    def step(self):
        """One step on the whole batch; -> the loss before it."""
        loss, self.params, self.velocity = self.compiled(self.params, self.velocity, self.X, self.y)
        return float(loss)

    def weights(self):
        return {name: np.array(value) for name, value in self.params.items()}


def installed():
    """name -> (class, the threads to run it with), for each peer that can be imported; JAX chooses its threads itself."""
    peers = {"PyTorch": ("torch", Torch, (1, 2)), "JAX": ("jax", Jax, (None,))}
    return {name: found[1:] for name, found in peers.items() if importlib.util.find_spec(found[0])}


def limit_torch(threads):
    """Hold PyTorch at so many threads from now on."""
    import torch

    torch.set_num_threads(threads)


def _torch_modules(nn, net):
    for layer, before in zip(net.layers, net.shapes):
        if isinstance(layer, Conv2d):
            yield nn.Conv2d(before[0], layer.out_channels, layer.kernel_size, padding=layer.padding)
        elif isinstance(layer, Linear):
            yield nn.Linear(before[0], layer.out_features)
        elif isinstance(layer, MaxPool2d):
            yield nn.MaxPool2d(layer.kernel_size)
        else:
            yield {ReLU: nn.ReLU, Flatten: nn.Flatten}[type(layer)]()


def _jax_step(jax, layers, lr, momentum, params, velocity, X, y):
    """-> loss, params, velocity"""
    loss, grads = jax.value_and_grad(partial(_jax_loss, jax, layers))(params, X, y)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
    return loss, jax.tree.map(lambda p, v: p - lr * v, params, velocity), velocity


def _jax_loss(jax, layers, params, x, y):
    for index, layer in enumerate(layers):
        w, b = params.get(f"{index}.weight"), params.get(f"{index}.bias")
        if isinstance(layer, Conv2d):
            pads = [(layer.padding, layer.padding)] * 2
            x = jax.lax.conv_general_dilated(x, w, (1, 1), pads, dimension_numbers=("NCHW", "OIHW", "NCHW")) + b[:, None, None]
        elif isinstance(layer, Linear):
            x = x @ w.T + b
        elif isinstance(layer, MaxPool2d):
            window = (1, 1, layer.kernel_size, layer.kernel_size)
            x = jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, window, window, "VALID")
        elif isinstance(layer, Flatten):
            x = x.reshape(len(x), -1)
        else:
            x = jax.nn.relu(x)
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1).mean()
