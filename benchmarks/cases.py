"""What is measured: the networks A to E, and the operations at the shapes of their convolutions."""

from typing import NamedTuple

import numpy as np

from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

N_CLASSES = 10


class Network(NamedTuple):
    """A network by its letter, as a list of layers."""

    name: str
    text: str
    input_shape: tuple
    layers: list
    n_classes: int = N_CLASSES

    def build(self, dtype="float32"):
        """A `Sequential`, with the same first weights on every call."""
        return Sequential(self.layers, input_shape=self.input_shape, random_state=0, dtype=dtype)

    def data(self, batch):
        """Random images (batch, C, H, W) float32 and their labels."""
        rng = np.random.default_rng(1)
        return rng.random((batch, *self.input_shape), np.float32), rng.integers(self.n_classes, size=batch)


def _head(*sizes):
    """Linear layers of these many outputs, ReLU between them."""
    layers = [Flatten()]
    for size in sizes:
        layers += [Linear(size), ReLU()]
    return layers[:-1]


_NETWORKS = [
    Network("A", "5x5, Conv 2x2 x8, pool, Linear", (1, 5, 5), [Conv2d(8, 2), ReLU(), MaxPool2d(2), *_head(10)]),
    Network("B", "8x8, Conv 3x3 x16, pool, Linear", (1, 8, 8), [Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(2), *_head(10)]),
    Network(
        "C",
        "8x8, Conv 16 and 32, pool, Linear 64, 10",
        (1, 8, 8),
        [Conv2d(16, 3, padding=1), ReLU(), Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2), *_head(64, 10)],
    ),
    Network(
        "D",
        "28x28, LeNet-5",
        (1, 28, 28),
        [
            *(Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2)),
            *(Conv2d(16, 5), ReLU(), MaxPool2d(2)),
            *_head(120, 84, 10),
        ],
    ),
    Network(
        "E",
        "28x28, Conv 32 and 64, pool, Linear 128, 10",
        (1, 28, 28),
        [Conv2d(32, 3), ReLU(), Conv2d(64, 3), ReLU(), MaxPool2d(2), *_head(128, 10)],
    ),
    Network(
        "odd",
        "12x10 in 3 channels, Conv 12 stride 2, pool, Linear 7",
        (3, 12, 10),
        [Conv2d(12, 3, stride=2, padding=1), ReLU(), Conv2d(12, 3, padding=1), ReLU(), MaxPool2d(2), *_head(7)],
        7,
    ),
]
NETWORKS = {network.name: network for network in _NETWORKS}


class Images(NamedTuple):
    """Images (C, H, W) under a convolution to F filters of KxK, and a 2x2 max pool of what comes out."""

    C: int
    H: int
    W: int
    F: int
    K: int
    padding: int

    @property
    def text(self):
        return f"{self.C}x{self.H}x{self.W}, {self.F} of {self.K}x{self.K}"


IMAGES = [Images(1, 8, 8, 16, 3, 1), Images(16, 8, 8, 32, 3, 1), Images(1, 28, 28, 6, 5, 2)]


def operations(ops, images, batch):
    """name -> a call without arguments, for each operation of the module `ops`, on `batch` images."""
    C, H, W, F, K, padding = images
    rng = np.random.default_rng(2)
    x, w, b = (rng.standard_normal(shape, np.float32) for shape in ((batch, C, H, W), (F, C, K, K), (F,)))
    cols = ops.im2col(x, K, padding=padding)
    y, conv_cache = ops.conv2d_forward(x, w, b, padding=padding)
    pooled, pool_cache = ops.max_pool2d_forward(y, 2)
    dy, dpooled = rng.standard_normal(y.shape, np.float32), rng.standard_normal(pooled.shape, np.float32)
    return {
        "im2col": lambda: [ops.im2col(x, K, padding=padding)],
        "col2im": lambda: [ops.col2im(cols, x.shape, K, padding=padding)],
        "convolution": lambda: [ops.conv2d_forward(x, w, b, padding=padding)[0]],
        "convolution, backward": lambda: ops.conv2d_backward(dy, conv_cache),
        "max pool": lambda: [ops.max_pool2d_forward(y, 2)[0]],
        "max pool, backward": lambda: [ops.max_pool2d_backward(dpooled, pool_cache)],
    }
