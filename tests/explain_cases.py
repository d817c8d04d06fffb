"""Random networks for the explainer's tests, a loss in plain loops, and a backward pass into which mistakes can be built.

Nothing here knows how fastconv.explain does it: gradients are pushed pixel by pixel, from the trace's activations only.
"""

import numpy as np

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, reference
from fastconv.explain import trace


def random_conv(rng, channels):
    groups = int(rng.choice([g for g in (1, 1, 2) if channels % g == 0]))
    pads = [0, 1, "same", (1, 0), ((0, 1), (1, 0)), ((2, 0), (0, 1))]
    return Conv2d(
        groups * int(rng.integers(1, 3)),
        (int(rng.integers(1, 4)), int(rng.integers(2, 4))),
        stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        padding=pads[rng.integers(len(pads))],
        dilation=(int(rng.integers(1, 3)), 1),
        groups=groups,
        bias=bool(rng.random() < 0.8),
    )


def random_layer(rng, channels):
    kinds = [
        lambda: random_conv(rng, channels),
        lambda: random_conv(rng, channels),
        lambda: ReLU(),
        lambda: MaxPool2d(2),
        lambda: MaxPool2d((2, 3), stride=1, padding=(1, 0)),
        lambda: MaxPool2d(3, stride=2, padding=((1, 0), (0, 1))),
        lambda: AvgPool2d(2, stride=1, padding=1),
        lambda: AvgPool2d((2, 1)),
        lambda: Dropout(0.4),
    ]
    return kinds[rng.integers(len(kinds))]()


BINARY = "binary_cross_entropy_with_logits"


def loss_of(seed):
    """Every loss has its turn."""
    return {3: BINARY, 4: "mse"}.get(seed % 5, "cross_entropy")


def random_network(rng, *, depth=4, classes=3, loss="cross_entropy"):
    """-> net in float64, x, labels; layers that do not fit are left out"""
    shape = (int(rng.integers(1, 3)), int(rng.integers(5, 8)), int(rng.integers(5, 8)))
    layers, channels = [], shape[0]
    if rng.random() < 0.1:
        depth = 0
    while len(layers) < depth:
        layer = random_layer(rng, channels) if layers else random_conv(rng, channels)
        try:
            channels = Sequential([*layers, layer], shape).output_shape[0]
        except ValueError:
            depth -= len(layers) > 0
            continue
        layers.append(layer)
    layers.append(Flatten())
    if rng.random() < 0.4:
        layers += [Linear(4), ReLU()]
    layers.append(Linear(classes))
    net = Sequential(layers, shape, random_state=rng, dtype="float64")
    n = int(rng.integers(1, 4))
    # Few values, so that there are ties and zeros.
    x = rng.integers(0, 3, (n, *shape)).astype(float) if rng.random() < 0.5 else rng.normal(size=(n, *shape))
    answers = {
        "mse": lambda: rng.normal(size=(n, classes)),
        BINARY: lambda: rng.integers(0, 2, (n, classes)).astype(float),
        "cross_entropy": lambda: rng.integers(0, classes, n),
    }
    return net, x, answers[loss]()


def random_trace(seed, dtype="float64"):
    """Of a random network of its own for each seed."""
    rng = np.random.default_rng(seed)
    net, x, labels = random_network(rng, loss=loss_of(seed))
    net = Sequential(net.layers, net.input_shape, random_state=seed, dtype=dtype)
    return trace(net, x, labels, loss=loss_of(seed), rng=rng)


def entries(t, name):
    """Every entry of an array by its name."""
    return [f"{name}[{','.join(map(str, index))}]" if index else name for index in np.ndindex(t[name].shape)]


def gradient_names(t):
    """What has a gradient."""
    return [name[2:] for name in t if name.startswith("d ") and name != "d loss"]


def loss_by_loops(t, name, array):
    """The loss of a traced step by `fastconv.reference`, with one of its inputs, parameters or outputs being `array`."""
    y = array if name == "input" else t["input"]
    for i, layer in enumerate(t.layers):
        own = [key for key in (f"{i}.weight", f"{i}.bias") if key in t]
        if isinstance(layer, Dropout):
            y = y * t[f"{i}.kept"] / (1 - layer.p) if f"{i}.kept" in t else y
        else:
            y, _ = layer.forward(reference, y, [array if key == name else t[key] for key in own], None)
        y = array if name == f"{i}.out" else y
    answers = t["onehot"].argmax(axis=1) if t.loss == "cross_entropy" else t["target"]
    return getattr(reference, f"{t.loss}_forward")(y, answers)[0]


def slopes(t, name, index, step=1e-6):
    """How the loss changes when one entry is made a little smaller, and larger."""
    losses = []
    for move in (-step, 0, step):
        array = t[name].copy()
        array[index] += move
        losses.append(loss_by_loops(t, name, array))
    return (losses[1] - losses[0]) / step, (losses[2] - losses[1]) / step


def mistaken(trace, name, mistakes, style=0):
    """The gradient of `name`, computed in plain loops with `mistakes` (a set of names) made wherever they can be.

    style (0 or 1) chooses between two ways to make the same mistake.
    """
    walk = _Walk(trace, mistakes, style)
    gradient = walk.gradient(name)
    if "transposed" in mistakes and gradient.ndim > 1:
        gradient = np.swapaxes(gradient, -1, -2) if style == 0 else gradient.T
    return gradient


class _Walk:
    def __init__(self, trace, mistakes, style):
        self.trace, self.mistakes, self.style = trace, mistakes, style

    def gradient(self, name):
        trace = self.trace
        d = self.loss()
        for i in range(len(trace.layers) - 1, -1, -1):
            if name == f"{i}.out":
                return d
            x = trace[f"{i - 1}.out"] if i else trace["input"]
            layer = trace.layers[i]
            if name == f"{i}.bias":
                return self.bias(d)
            if name == f"{i}.weight":
                return d.T @ x if isinstance(layer, Linear) else self.conv_weight(layer, i, x, d)
            d = getattr(self, type(layer).__name__)(layer, i, x, d)
        return d

    def loss(self):
        trace, n = self.trace, len(self.trace["input"])
        if trace.loss == "mse":
            d = 2 * trace["error"] / trace["error"].size
        elif trace.loss == BINARY:
            p = 1 / (1 + np.exp(-trace[f"{len(trace.layers) - 1}.out"]))
            d = (p - (0 if "onehot_missing" in self.mistakes else trace["target"])) / p.size
        else:
            d = trace["probabilities"] - (0 if "onehot_missing" in self.mistakes else trace["onehot"])
            d = d / n
        if "mean_missing" in self.mistakes:
            d = d * n
        return d / n if "mean_twice" in self.mistakes else d

    def bias(self, d):
        if "bias_not_summed" not in self.mistakes or d.ndim == 2:
            return d[0] if "bias_not_summed" in self.mistakes else d.sum(axis=tuple(k for k in range(d.ndim) if k != 1))
        return d[0].sum(axis=(1, 2)) if self.style == 0 else d[:, :, 0, 0].sum(axis=0)

    def geometry(self, layer, i):
        return layer.window(self.trace.shapes[i])

    def conv_weight(self, layer, i, x, d):
        g = self.geometry(layer, i)
        w = self.trace[f"{i}.weight"]
        xp = np.pad(x, ((0, 0), (0, 0), (g.PT, g.PB), (g.PL, g.PR)))
        dw, (F, per, _, _) = np.zeros(w.shape), w.shape
        for f in range(F):
            first = f // (F // layer.groups) * per
            for a in range(g.OH):
                for b in range(g.OW):
                    top, left = a * g.SH, b * g.SW
                    patch = xp[:, first : first + per, top : top + (g.KH - 1) * g.DH + 1 : g.DH]
                    patch = patch[:, :, :, left : left + (g.KW - 1) * g.DW + 1 : g.DW]
                    dw[f] += np.einsum("n,ncuv->cuv", d[:, f, a, b], patch)
        return np.rot90(dw, 2, axes=(2, 3)) if "kernel_rotated" in self.mistakes else dw

    def Conv2d(self, layer, i, x, d):
        g = self.geometry(layer, i)
        w = self.trace[f"{i}.weight"]
        if "kernel_not_rotated" in self.mistakes:
            w = np.flip(w, (2, 3))
        F, per = w.shape[:2]
        SH, SW = (1, 1) if "stride_not_dilated" in self.mistakes else (g.SH, g.SW)
        dxp = np.zeros((*x.shape[:2], g.H + g.PT + g.PB, g.W + g.PL + g.PR))
        steps = [(a, b, u, v) for a in range(g.OH) for b in range(g.OW) for u in range(g.KH) for v in range(g.KW)]
        if self.style:
            steps.sort(key=lambda step: step[2:])
        for a, b, u, v in steps:
            for c in range(x.shape[1]):
                size = F // layer.groups
                filters = range(c // per * size, (c // per + 1) * size)
                share = sum(w[f, c % per, u, v] * d[:, f, a, b] for f in filters)
                if "col2im_assigned" in self.mistakes:
                    dxp[:, c, a * SH + u * g.DH, b * SW + v * g.DW] = share
                else:
                    dxp[:, c, a * SH + u * g.DH, b * SW + v * g.DW] += share
        top, left = (0, 0) if "padding_not_cropped" in self.mistakes else (g.PT, g.PL)
        return dxp[:, :, top : top + g.H, left : left + g.W]

    def MaxPool2d(self, layer, i, x, d):
        g = self.geometry(layer, i)
        dx = np.zeros(x.shape)
        for n, c, a, b in np.ndindex(d.shape):
            spots = [(a * g.SH - g.PT + u, b * g.SW - g.PL + v) for u in range(g.KH) for v in range(g.KW)]
            spots = [(h, w) for h, w in spots if 0 <= h < g.H and 0 <= w < g.W]
            best = max(x[n, c, h, w] for h, w in spots)
            best = [spot for spot in spots if x[n, c][spot] == best]
            share = d[n, c, a, b]
            if "tie_split" in self.mistakes:
                share = share / len(best)
            elif "tie_last" in self.mistakes:
                best = best[-1:]
            elif "tie_all" not in self.mistakes:
                best = best[:1]
            for h, w in best:
                dx[n, c, h, w] = share + (0 if "overlap_assigned" in self.mistakes else dx[n, c, h, w])
        return dx

    def AvgPool2d(self, layer, i, x, d):
        g = self.geometry(layer, i)
        dx = np.zeros(x.shape)
        for a in range(g.OH):
            for b in range(g.OW):
                rows = slice(max(a * g.SH - g.PT, 0), max(a * g.SH - g.PT + g.KH, 0))
                columns = slice(max(b * g.SW - g.PL, 0), max(b * g.SW - g.PL + g.KW, 0))
                share = d[:, :, a, b, None, None] / (g.KH * g.KW)
                if "overlap_assigned" in self.mistakes:
                    dx[:, :, rows, columns] = share
                else:
                    dx[:, :, rows, columns] += share
        return dx

    def ReLU(self, layer, i, x, d):
        if "relu_mask_missing" in self.mistakes:
            return d
        return d * (x >= 0 if "relu_mask_at_zero" in self.mistakes else x > 0)

    def Dropout(self, layer, i, x, d):
        name = f"{i}.kept"
        return d * self.trace[name] / (1 - layer.p) if name in self.trace else d

    def Flatten(self, layer, i, x, d):
        if "flatten_order" not in self.mistakes:
            return d.reshape(x.shape)
        N, C, H, W = x.shape
        if self.style:
            return np.stack([row.reshape((C, H, W), order="F") for row in d])
        return np.moveaxis(d.reshape(N, H, W, C), -1, 1)

    def Linear(self, layer, i, x, d):
        return d @ self.trace[f"{i}.weight"]
