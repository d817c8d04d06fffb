"""What each layer does to whole numbers, as loops over outputs and taps: what programs are judged by in `test_engine_plans`.

Forward takes (layer, number, x, *parameters) and returns y; backward takes (layer, number, dy, x, y, *parameters) and
returns dx and the parameters' gradients. `number` says which of the network's dropout layers it is.
"""

import numpy as np

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU

UNIT = 36
"""A mean is 36 times as much here: a whole number for windows of up to 3 x 3."""


def kept(number, sample, unit):
    """What dropout layer `number` multiplies a unit of a sample by, drawn without a stream: 0 or 2."""
    return 2 * ((7 * number + 5 * sample + unit) % 3 > 0)


def windows(layer, shape):
    """(output, its taps) for each output; both are indices into (N, C, H, W), with (u, v) before that of a tap's pixel."""
    K = layer.window(shape)
    for i, j in np.ndindex(K.OH, K.OW):
        places = [(u, v, i * K.SH - K.PT + u * K.DH, j * K.SW - K.PL + v * K.DW) for u, v in np.ndindex(K.KH, K.KW)]
        yield (..., i, j), [((u, v), (..., h, w)) for u, v, h, w in places if 0 <= h < K.H and 0 <= w < K.W]


def groups(layer, C):
    """(channels, filters) of each group: slices"""
    Cg, Fg = C // layer.groups, layer.out_channels // layer.groups
    return [(slice(g * Cg, (g + 1) * Cg), slice(g * Fg, (g + 1) * Fg)) for g in range(layer.groups)]


def outputs(layer, x):
    return np.zeros((len(x), *layer.output_shape(x.shape[1:])))


def conv(layer, number, x, w, b=0):
    y = outputs(layer, x) + np.reshape(b, (-1, 1, 1))
    for out, taps in windows(layer, x.shape[1:]):
        for (u, v), pixel in taps:
            for c, f in groups(layer, x.shape[1]):
                y[out][:, f] += x[pixel][:, c] @ w[f, :, u, v].T
    return y


def conv_back(layer, number, dy, x, y, w, *b):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for out, taps in windows(layer, x.shape[1:]):
        for (u, v), pixel in taps:
            for c, f in groups(layer, x.shape[1]):
                dx[pixel][:, c] += dy[out][:, f] @ w[f, :, u, v]
                dw[f, :, u, v] += dy[out][:, f].T @ x[pixel][:, c]
    return dx, [dw, *(dy.sum((0, 2, 3)) for _ in b)]


def linear(layer, number, x, w, b=0):
    return x @ w.T + b


def linear_back(layer, number, dy, x, y, w, *b):
    return dy @ w, [dy.T @ x, *(dy.sum(0) for _ in b)]


def max_pool(layer, number, x):
    y = outputs(layer, x)
    for out, taps in windows(layer, x.shape[1:]):
        y[out] = np.max([x[pixel] for _, pixel in taps], axis=0)
    return y


def max_pool_back(layer, number, dy, x, y):
    dx = np.zeros(x.shape)
    for out, taps in windows(layer, x.shape[1:]):
        is_open = np.ones(y[out].shape, bool)
        for _, pixel in taps:  # the first of equals wins
            wins = is_open & (x[pixel] == y[out])
            dx[pixel] += wins * dy[out]
            is_open &= ~wins
    return dx, []


def of_a_window(layer, x):
    """What each pixel counts for in a mean."""
    K = layer.window(x.shape[1:])
    return UNIT // (K.KH * K.KW)


def avg_pool(layer, number, x):
    y = outputs(layer, x)
    for out, taps in windows(layer, x.shape[1:]):
        y[out] = sum(x[pixel] for _, pixel in taps) * of_a_window(layer, x)
    return y


def avg_pool_back(layer, number, dy, x, y):
    dx = np.zeros(x.shape)
    for out, taps in windows(layer, x.shape[1:]):
        for _, pixel in taps:
            dx[pixel] += dy[out] * of_a_window(layer, x)
    return dx, []


def relu(layer, number, x):
    return np.maximum(x, 0)


def relu_back(layer, number, dy, x, y):
    return dy * (x > 0), []


def dropout(layer, number, x):
    sample, unit = np.ogrid[: len(x), : x[0].size]
    return x * kept(number, sample, unit).reshape(x.shape)


def dropout_back(layer, number, dy, x, y):
    return dropout(layer, number, dy), []


def flatten(layer, number, x):
    return x.reshape(len(x), -1)


def flatten_back(layer, number, dy, x, y):
    return dy.reshape(x.shape), []


PAIRS = {
    Conv2d: (conv, conv_back), Linear: (linear, linear_back), MaxPool2d: (max_pool, max_pool_back), ReLU: (relu, relu_back),
    AvgPool2d: (avg_pool, avg_pool_back), Dropout: (dropout, dropout_back), Flatten: (flatten, flatten_back),
}  # fmt: skip


class Definition:
    """A network by its layers' definitions, with small whole numbers as parameters."""

    def __init__(self, net, rng):
        self.layers = net.layers
        self.params = {name: rng.choice([-2, -1, 1, 2], size=value.shape) for name, value in net.params.items()}
        self.flat = np.concatenate([np.zeros(0), *map(np.ravel, self.params.values())])

    def forward(self, x):
        self.images = [x]
        for k, layer in enumerate(self.layers):
            self.images.append(PAIRS[type(layer)][0](layer, self._number(k), self.images[-1], *self._params(k)))
        return self.images[-1]

    def backward(self, dy):
        """-> the gradient to `flat`"""
        gradients = []
        for k, layer in reversed([*enumerate(self.layers)]):
            dy, found = PAIRS[type(layer)][1](layer, self._number(k), dy, *self.images[k : k + 2], *self._params(k))
            gradients = found + gradients
        return np.concatenate([np.zeros(0), *map(np.ravel, gradients)])

    def _params(self, k):
        return [value for name, value in self.params.items() if name.startswith(f"{k}.")]

    def _number(self, k):
        return sum(isinstance(layer, Dropout) for layer in self.layers[: k + 1])
