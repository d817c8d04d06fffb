"""The first pass over a network: a place for every activation, gradient and weight, in the order of their use.

A gradient takes the place of its activation wherever nobody needs that any more.
"""

from math import ceil
from typing import NamedTuple

import numpy as np

from ...layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from ...support.geometry import Window, conv_window
from .lines import PARAMS, WORK
from .memory import Conv, Image, Regions, packed_order

_PRODUCT_LAYERS = Conv2d, Linear
_PASSES_A_MASK_ON = MaxPool2d, Dropout
"""What may stand between a ReLU and the product whose dx applies its mask: their y is 0 where the ReLU's was."""

_IN_PLACE = ReLU, Dropout
"""What writes dx over dy."""
_READ_Y = (ReLU,)
"""Whose backward pass reads y: the next layer must not write its dx over it."""


class Pool(NamedTuple):
    """A max pool's window, and where its winners' numbers lie."""

    window: Window
    argmax: int


class Dropped(NamedTuple):
    """A dropout's share, and which of the network's dropout layers it is."""

    p: float
    number: int


class Stage(NamedTuple):
    """A layer, and where it reads and writes; `kind` is Conv2d for a linear layer, too."""

    owner: int
    kind: type
    what: Conv | Pool | Window | Dropped | None
    x: Image
    y: Image
    has_relu: bool = False  # a ReLU is applied to y in passing
    is_masked: bool = False  # x came from such a ReLU, whose mask dx applies in passing
    dy: Image | None = None
    dx: Image | None = None


class Layout:
    """Where everything lies.

    Attributes
    ----------
    T : int
        Lanes.
    products : Products
    stages : list of Stage
    regions : Regions
    input, output : Image
    packed : int64 array (parameters,)
        Where each number of the network's flat buffer lies among the packed parameters.
    biases : int64 array (layers, 2)
        Where the biases of each layer begin and end there.
    n_packed, n_work : int
        Floats of the packed parameters, and of one thread's workspace.
    """

    def __init__(self, net, T, products):
        self.T, self.products, self.regions = T, products, Regions()
        self._packed, self._biases, self._dropouts = [np.zeros(0, np.int64)], [], 0
        self.input = self._image(-1, *net.input_shape, is_input=True)
        stages = [*self._walk(net)]
        self.output = stages[-1].y if stages else self.input
        for name, size in products.scratch_sizes([stage for stage in stages if stage.kind is Conv2d]).items():
            products.scratch[name] = self.regions.reserve_work(-1, name, size)
        self.gradient = self.output._replace(at=self.regions.reserve_work(-1, "d output", self.output.size))
        self.stages = self._walk_back(stages)
        self.packed = np.concatenate(self._packed)
        self.biases = np.array(self._biases, np.int64).reshape(-1, 2)
        self.n_packed, self.n_work = self.regions.size(PARAMS), self.regions.size(WORK)

    def _image(self, owner, C, H, W, is_input=False):
        step, lane = self.products.strides(C, is_input)
        return Image(self.regions.reserve_work(owner, "image", H * W * step), C, H, W, step, lane)

    def _walk(self, net):
        """The stages forward, without the places of gradients."""
        x, is_masked, folded = self.input, False, _folded_relus(net.layers)
        for owner, (layer, shape) in enumerate(zip(net.layers, net.shapes)):
            if isinstance(layer, Flatten) or owner in folded:
                continue
            if type(layer) not in _PLACES:
                raise TypeError(f'the engine has no program for layer {owner}, {layer!r}; backend="im2col" trains it')
            has_relu = _after(net.layers, owner) in folded
            stage = _PLACES[type(layer)](self, owner, layer, shape, x)._replace(is_masked=is_masked, has_relu=has_relu)
            is_masked = has_relu if stage.kind is Conv2d else is_masked and stage.kind in _PASSES_A_MASK_ON
            x = stage.y
            yield stage

    def _conv(self, owner, layer, shape, x):
        window = layer.window(shape)
        conv = self._weights(owner, layer, x, Conv(window, layer.groups, x.C, layer.out_channels, self.T))
        return Stage(owner, Conv2d, conv, x, self._image(owner, conv.F, window.OH, window.OW))

    def _linear(self, owner, layer, shape, x):
        seen = self.products.seen_by_linear(x)
        window = conv_window(seen.H, seen.W, (seen.H, seen.W), 1, 0, 1)
        conv = self._weights(owner, layer, x, Conv(window, 1, seen.C, layer.out_features, self.T))
        return Stage(owner, Conv2d, conv, seen, self._image(owner, conv.F, 1, 1))

    def _weights(self, owner, layer, x, conv):
        """`conv` with its parameters placed and packed."""
        sizes = {"weight": conv.groups * conv.n_blocks * conv.block} | (
            {"bias": ceil(conv.F / self.T) * self.T} if layer.bias else {}
        )
        weight, *bias = self.regions.reserve(PARAMS, owner, sizes)
        self._packed.append(weight + packed_order(layer, x, conv))
        for at in bias:
            self._packed.append(at + np.arange(conv.F))
            self._biases.append((at, at + conv.F))
        return conv._replace(weight=weight, bias=bias[0] if bias else -1)

    def _max_pool(self, owner, layer, shape, x):
        window = layer.window(shape)
        y = self._image(owner, x.C, window.OH, window.OW)
        return Stage(owner, MaxPool2d, Pool(window, self.regions.reserve_work(owner, "argmax", y.size)), x, y)

    def _avg_pool(self, owner, layer, shape, x):
        window = layer.window(shape)
        return Stage(owner, AvgPool2d, window, x, self._image(owner, x.C, window.OH, window.OW))

    def _relu(self, owner, layer, shape, x):
        return Stage(owner, ReLU, None, x, self._image(owner, x.C, x.H, x.W))

    def _dropout(self, owner, layer, shape, x):
        self._dropouts += 1
        return Stage(owner, Dropout, Dropped(layer.p, self._dropouts), x, self._image(owner, x.C, x.H, x.W))

    def _walk_back(self, stages):
        """The stages with the places of gradients, down to the first layer that has parameters."""
        first = next((i for i, stage in enumerate(stages) if stage.kind is Conv2d), len(stages))
        at = self.gradient.at
        for i in range(len(stages) - 1, first - 1, -1):
            dy = stages[i].y._replace(at=at)
            dx = self._dx(stages[i], stages[i - 1].kind in _READ_Y, dy) if i > first else None
            stages[i] = stages[i]._replace(dy=dy, dx=dx)
            at = dx.at if dx else -1
        return stages

    def _dx(self, stage, keeps_x, dy):
        """Where the gradient to a stage's x lies."""
        if stage.kind in _IN_PLACE:
            return stage.x._replace(at=dy.at)
        keeps_x = keeps_x or stage.kind is Conv2d and self.products.writes_dx_twice(stage.what)
        return stage.x._replace(at=self.regions.reserve_work(stage.owner, "dx", stage.x.size)) if keeps_x else stage.x


_PLACES = {
    Conv2d: Layout._conv,
    Linear: Layout._linear,
    MaxPool2d: Layout._max_pool,
    AvgPool2d: Layout._avg_pool,
    ReLU: Layout._relu,
    Dropout: Layout._dropout,
}
"""Layer -> the stage that it becomes."""


def _after(layers, index):
    """The number of the next layer that does anything, or None."""
    return next((i for i in range(index + 1, len(layers)) if not isinstance(layers[i], Flatten)), None)


def _folded_relus(layers):
    """The numbers of the ReLUs that go with the product before them: a product's dx must apply the mask in passing, too."""
    folded = set()
    for i, layer in enumerate(layers):
        relu = _after(layers, i)
        if isinstance(layer, _PRODUCT_LAYERS) and relu is not None and isinstance(layers[relu], ReLU):
            later = _after(layers, relu)
            while later is not None and isinstance(layers[later], _PASSES_A_MASK_ON):
                later = _after(layers, later)
            if later is not None and isinstance(layers[later], _PRODUCT_LAYERS):
                folded.add(relu)
    return folded
