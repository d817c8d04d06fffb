"""The same training in PyTorch and JAX, from the same weights, each in its own idiom and only where it is installed.

All contenders have `load(weights)`, `train(epochs, shuffle) -> the last epoch's mean loss` and `weights()`.
"""

import importlib.util
from functools import partial

import numpy as np

from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU

LR, MOMENTUM = 0.05, 0.9
"""SGD's settings on every side."""


class Torch:
    """PyTorch: forward, backward, SGD with momentum; eager, or with the forward pass and the loss through torch.compile."""

    def __init__(self, network, X, y, batch_size, *, compiled=False):
        import torch

        self.torch, self.batch_size = torch, batch_size
        self.model = torch.nn.Sequential(*_torch_modules(torch.nn, network.build()))
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.loss = torch.compile(self._loss, dynamic=False) if compiled else self._loss

    def _loss(self, x, y):
        return self.torch.nn.functional.cross_entropy(self.model(x), y)

    def load(self, weights):
        self.model.load_state_dict({name: self.torch.from_numpy(value) for name, value in weights.items()})
        # `fused` is PyTorch's fastest form on a CPU: one call for all parameters.
        self.optimizer = self.torch.optim.SGD(self.model.parameters(), lr=LR, momentum=MOMENTUM, fused=True)

    def train(self, epochs, shuffle):
        n = len(self.X)
        for _ in range(epochs):
            total = self.torch.zeros(())
            order = self.torch.randperm(n) if shuffle else self.torch.arange(n)
            for batch in order.split(self.batch_size):
                self.optimizer.zero_grad()
                loss = self.loss(self.X[batch], self.y[batch])
                loss.backward()
                self.optimizer.step()
                total += loss.detach() * len(batch)
        return total.item() / n

    def weights(self):
        return {name: value.numpy().copy() for name, value in self.model.state_dict().items()}


class Jax:
    """JAX: a jitted function is one step, or with `scan` a whole epoch."""

    def __init__(self, network, X, y, batch_size, *, scan=False):
        import jax

        self.jax, self.scan = jax, scan
        self.rng, self.n, self.steps = np.random.default_rng(0), len(X), len(X) // batch_size
        if self.steps * batch_size != len(X):
            raise ValueError(f"{len(X)} samples are not a multiple of {batch_size}")
        step = partial(_jax_step, jax, network.layers, jax.numpy.asarray(X), jax.numpy.asarray(y))
        self.compiled = jax.jit(partial(jax.lax.scan, step) if scan else step, donate_argnums=0)

    def load(self, weights):
        params = {name: self.jax.numpy.array(value) for name, value in weights.items()}
        self.state = params, self.jax.tree.map(self.jax.numpy.zeros_like, params)

    def train(self, epochs, shuffle):
        for _ in range(epochs):
            order = self.rng.permutation(self.n) if shuffle else np.arange(self.n)
            batches = order.reshape(self.steps, -1)
            if self.scan:
                self.state, losses = self.compiled(self.state, batches)
            else:
                losses = []
                for batch in batches:
                    self.state, loss = self.compiled(self.state, batch)
                    losses.append(loss)
        return float(np.mean([np.asarray(loss) for loss in losses]))

    def weights(self):
        return {name: np.array(value) for name, value in self.state[0].items()}


class Keras:
    """Keras on JAX, channels last as it likes them best."""

    def __init__(self, network, X, y, batch_size):
        import os

        os.environ.setdefault("KERAS_BACKEND", "jax")
        import keras

        self.net, self.batch_size, self.y = network.build(), batch_size, y
        self.X = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
        C, H, W = self.net.input_shape
        self.model = keras.Sequential([keras.Input((H, W, C)), *_keras_layers(keras.layers, self.net.layers)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.make = lambda: self.model.compile(optimizer=keras.optimizers.SGD(LR, momentum=MOMENTUM), loss=loss)

    def load(self, weights):
        values = [_channels_last(value, shape) for value, shape in zip(weights.values(), self._flattened())]
        self.model.set_weights(values)
        self.make()

    def train(self, epochs, shuffle):
        fitted = self.model.fit(self.X, self.y, batch_size=self.batch_size, epochs=epochs, shuffle=shuffle, verbose=0)
        return fitted.history["loss"][-1]

    def weights(self):
        shapes = [value.shape for value in self.net.params.values()]
        found = zip(self.net.params, self.model.get_weights(), shapes, self._flattened())
        return {name: _channels_first(value, shape, flattened) for name, value, shape, flattened in found}

    def _flattened(self):
        """For each parameter, the (C, H, W) whose flattened order its rows are in, or None."""
        flattened = []
        for index, (layer, names) in enumerate(zip(self.net.layers, self.net._names)):
            after = index and isinstance(self.net.layers[index - 1], Flatten) and isinstance(layer, Linear)
            flattened += [self.net.shapes[index - 1] if after and name.endswith("weight") else None for name in names]
        return flattened


def _keras_layers(layers, ours):
    for layer in ours:
        if isinstance(layer, Conv2d):
            yield layers.Conv2D(layer.out_channels, layer.kernel_size, padding="same" if layer.padding else "valid")
        elif isinstance(layer, Linear):
            yield layers.Dense(layer.out_features)
        elif isinstance(layer, MaxPool2d):
            yield layers.MaxPooling2D(layer.kernel_size)
        else:
            yield {ReLU: layers.ReLU, Flatten: layers.Flatten}[type(layer)]()


def _channels_last(value, flattened):
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if flattened:
        return value.reshape(-1, *flattened).transpose(2, 3, 1, 0).reshape(-1, len(value))
    return value.T


def _channels_first(value, shape, flattened):
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1).copy()
    if flattened:
        C, H, W = flattened
        return value.reshape(H, W, C, -1).transpose(3, 2, 0, 1).reshape(shape)
    return value.T.copy()


class Perceptron:
    """scikit-learn's MLPClassifier with its default hidden layer: another network, so only a footnote and never checked."""

    def __init__(self, network, X, y, batch_size):
        from sklearn.neural_network import MLPClassifier

        self.make = partial(MLPClassifier, solver="sgd", learning_rate_init=LR, momentum=MOMENTUM, batch_size=batch_size, tol=0)
        self.X, self.y = X.reshape(len(X), -1), y

    def train(self, epochs, shuffle):
        import warnings

        model = self.make(max_iter=epochs, shuffle=shuffle, n_iter_no_change=epochs + 1)
        with warnings.catch_warnings(action="ignore"):  # "not converged", as asked
            return model.fit(self.X, self.y).loss_


PEERS = {
    "PyTorch": ("torch", Torch, (1, 2)),
    "torch.compile": ("torch", partial(Torch, compiled=True), (1, 2)),
    "JAX": ("jax", Jax, (None,)),
    "JAX scan": ("jax", partial(Jax, scan=True), (None,)),
}


def installed():
    """name -> (class, the threads to run it with), for each peer that can be imported; JAX chooses its threads itself."""
    return {name: found[1:] for name, found in PEERS.items() if importlib.util.find_spec(found[0])}


def limit_torch(threads):
    """Hold PyTorch at so many threads from now on."""
    import torch

    torch.set_num_threads(threads)


def _torch_modules(nn, net):
    for layer, before in zip(net.layers, net.shapes):
        if isinstance(layer, Conv2d):
            yield nn.Conv2d(before[0], layer.out_channels, layer.kernel_size, stride=layer.stride, padding=layer.padding)
        elif isinstance(layer, Linear):
            yield nn.Linear(before[0], layer.out_features)
        elif isinstance(layer, MaxPool2d):
            yield nn.MaxPool2d(layer.kernel_size)
        else:
            yield {ReLU: nn.ReLU, Flatten: nn.Flatten}[type(layer)]()


def _jax_step(jax, layers, X, y, state, batch):
    """-> (params, velocity), loss"""
    params, velocity = state
    loss, grads = jax.value_and_grad(partial(_jax_loss, jax, layers))(params, X[batch], y[batch])
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, grads)
    return (jax.tree.map(lambda p, v: p - LR * v, params, velocity), velocity), loss


def _jax_loss(jax, layers, params, x, y):
    for index, layer in enumerate(layers):
        w, b = params.get(f"{index}.weight"), params.get(f"{index}.bias")
        if isinstance(layer, Conv2d):
            strides, pads = (layer.stride,) * 2, [(layer.padding, layer.padding)] * 2
            x = jax.lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=("NCHW", "OIHW", "NCHW")) + b[:, None, None]
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
