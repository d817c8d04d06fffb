"""The walk backwards through a traced network, with mistakes built in and its steps remembered."""

import numpy as np

from .. import functional
from . import wrong
from .mistakes import END, LOSS, flatten_below

_BACK = slice(None, None, -1)
_REVERSED = {"rotated": (..., _BACK, _BACK), "rows": (..., _BACK, slice(None)), "columns": (..., _BACK), "all axes": (_BACK,) * 4,
             "filters": (_BACK, _BACK)}  # fmt: skip
"""How a kernel's gradient is turned when it should not be."""


class Planted:
    """The backward pass of a trace in float64, with mistakes in it."""

    def __init__(self, trace):
        self.trace, self._dy = trace, {}
        self.caches = [_double(cache) for cache in trace.caches]

    def magnitude(self, name):
        """The gradient of `name` if nothing cancelled, every number taken without its sign: its rounding is a share of this."""
        trace, last = self.trace, len(self.trace.layers) - 1
        if trace.loss == "cross_entropy":
            dy = (trace["probabilities"] + trace["onehot"]) / len(trace["input"])
        elif trace.loss != "mse":
            dy = (trace["probabilities"] + trace["target"]) / trace["target"].size
        else:
            dy = 2 * (abs(trace[f"{last}.out"]) + abs(trace["target"])) / trace["target"].size
        dy = dy.astype(np.float64)
        for index in range(last, -1, -1):
            if name == f"{index}.out":
                return dy
            cache = _double(trace.caches[index], abs)
            dy, found = trace.layers[index].backward(functional, np.ascontiguousarray(dy), cache, True)
            for kind, gradient in zip(trace.layers[index].parameter_shapes(trace.shapes[index]), found):
                if name == f"{index}.{kind}":
                    return gradient
        return dy

    def gradient(self, name, plants):
        """The gradient of `name` with every one of `plants` in place."""
        end = {plant.slot: plant.how for plant in plants if plant.place == END}
        if name == "input":
            found = self.dx(0, plants)
        elif name.endswith(".out"):
            found = self.dy(int(name.split(".")[0]), plants)
        else:
            found = self._parameter(name, plants, end)
        if "columns" in end:
            found = self._reordered(name, found, end["columns"])
        found = found[_REVERSED.get(end.get("kernel"), ...)]
        return found.transpose(end["axes"]) if "axes" in end else found

    def dy(self, index, plants):
        """The gradient to the output of layer `index`."""
        if index == len(self.trace.layers) - 1:
            return self._at_loss(plants)
        return self.dx(index + 1, plants)

    def dx(self, index, plants):
        """The gradient to the input of layer `index`; only the plants from there on matter, so they are the memory's key."""
        above = frozenset(p for p in plants if p.place == LOSS or (p.place != END and p.place >= index))
        if (index, above) in self._dy:
            return self._dy[index, above]
        here = {plant.slot: plant.how for plant in above if plant.place == index}
        found = self._step(index, self.dy(index, above), here)
        if len({plant.mistake for plant in above}) < 2:  # pairs are too many to keep, and few meet again
            self._dy[index, above] = found
        return found

    def _step(self, index, dy, slots):
        layer, cache = self.trace.layers[index], self.caches[index]
        if slots.pop("gate", None):
            dy = dy * (self.trace[f"{index}.out"] > 0)
        if not slots:
            return layer.backward(functional, np.ascontiguousarray(dy), cache, True)[0]
        x = self.trace[f"{index - 1}.out" if index else "input"]
        window = layer.window(self.trace.shapes[index]) if hasattr(layer, "window") else None
        return wrong.STEPS[type(layer)](dy, x, cache, window, **slots)

    def _at_loss(self, plants):
        slots = {plant.slot: plant.how for plant in plants if plant.place == LOSS}
        trace = self.trace
        dy = trace[f"d {len(trace.layers) - 1}.out"].astype(np.float64)
        N = len(dy)
        if "onehot" in slots:
            dy = trace["probabilities"].astype(np.float64) / (N if trace.loss == "cross_entropy" else dy.size)
        factor = {"missing": N, "twice": 1 / N, "missing over outputs": dy.size / N, "missing over both": dy.size}
        return dy * factor[slots["mean"]] if "mean" in slots else dy

    def _parameter(self, name, plants, end):
        index, kind = name.split(".")
        index = int(index)
        dy = np.ascontiguousarray(self.dy(index, plants))
        if "bias" in end:
            return wrong.bias(dy, end["bias"])
        if "taps" in end or end.get("kernel") == "dy rotated":
            rotated = end.get("kernel") == "dy rotated"
            return wrong.conv_weight(dy, self.caches[index], taps=end.get("taps", "right"), dy_rotated=rotated)
        _, found = self.trace.layers[index].backward(functional, dy, self.caches[index], False)
        return found[kind == "bias"]

    def _reordered(self, name, gradient, how):
        return gradient[:, wrong.flat_order(self.trace.shapes[flatten_below(self.trace, name)], how)]


def _double(cache, change=lambda array: array):
    """A layer's cache in float64, its arrays changed."""
    if cache is None or not hasattr(cache, "_replace"):
        return cache

    def widen(value):
        if isinstance(value, np.dtype):
            return np.dtype(np.float64)
        floating = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
        return change(value.astype(np.float64)) if floating else value

    return cache._replace(**{name: widen(value) for name, value in cache._asdict().items()})
