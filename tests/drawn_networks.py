"""Networks drawn at random, with windows of every kind: wider than the image, in its padding, dilated past it, of one pixel."""

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fastconv.engine.program.narrow import Narrow, is_narrow
from fastconv.engine.program.plan import Plan
from fastconv.engine.program.wide import Wide


def plans_of(layers, shape, T):
    """The plans of a network for T lanes, of every kind that there is for it; -> (network, plan) pairs"""
    net = Sequential(layers, shape, random_state=0)
    return [(net, Plan(net, T, products)) for products in (Wide, *[Narrow] * is_narrow(net))]


def draw_plans(rng, n, T):
    """The same of n networks."""
    for _ in range(n):
        yield from plans_of(*draw_network(rng), T)


def draw_network(rng):
    """-> layers, input shape; `rng` is a random.Random"""
    shape = first = rng.choice([1, 2, 3, 4, 6, 17, 18, 33]), rng.randint(1, 9), rng.randint(1, 9)
    layers = []
    for _ in range(rng.randint(0, 4)):
        try:
            layer = _draw_layer(rng, rng.choice([Conv2d, Conv2d, Conv2d, ReLU, MaxPool2d, AvgPool2d, Dropout]), shape)
            shape = layer.output_shape(shape)
        except ValueError:  # does not fit: leave it out
            continue
        layers.append(layer)
    layers.append(Flatten())
    if rng.random() < 0.5:
        layers += [Linear(rng.choice([5, 20])), ReLU()]
    if rng.random() < 0.9:
        layers.append(Linear(rng.choice([1, 3, 10, 40]), bias=rng.random() < 0.8))
    return layers, first


def _draw_layer(rng, kind, shape):
    def sizes(most):
        return rng.randint(1, most), rng.randint(1, most)

    if kind is Conv2d:
        groups = rng.choice([g for g in (1, 1, 2, 3) if shape[0] % g == 0])
        filters = groups * rng.choice([1, 3, 7, 9, 17, 33])
        kernel_size = shape[1:] if rng.random() < 0.2 else sizes(4)
        padding = rng.choice([0, 1, 2, (1, 0), ((0, 3), (2, 0)), "same"])
        # Half of them plain: otherwise pixels that several outputs see would be rare above the first layer.
        stride, dilation = (1, 1) if rng.random() < 0.5 else (sizes(4), sizes(3))
        bias = rng.random() < 0.7
        return Conv2d(filters, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias)
    if kind in (MaxPool2d, AvgPool2d):
        return kind(sizes(3), sizes(4), padding=rng.choice([0, (1, 0), "same"]))
    return ReLU() if kind is ReLU else Dropout(0.3)
