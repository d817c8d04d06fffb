"""The walk backwards through a traced network with mistakes built in, its steps remembered."""

import numpy as np

from ._trace import backward
from .mistakes import END


class WrongGradients:
    """The backward pass of a trace in float64, with mistakes in it."""

    def __init__(self, trace):
        self.trace, self._dx = trace, {}
        self._caches = [*map(_double, trace.caches), None]

    def magnitude(self, name):
        """The gradient of `name` if nothing cancelled, every number taken without its sign: its rounding is a share of this."""
        caches = [_double(cache, abs) for cache in self.trace.caches]
        dy = self.trace.operations[-1].magnitude().astype(np.float64)
        return backward(self.trace.layers, self.trace.shapes, caches, dy)[str(name.d)]

    def gradient(self, name, plants):
        """The gradient of `name` with every one of `plants` in place."""
        steps = _steps(plants, END)
        finish = [steps.pop(step) for step in ("columns", "axes") if step in steps]
        dy = self._dy(name.layer, plants)
        if not name.is_activation:
            operation = self.trace.operations[name.layer]
            dy = operation.parameter_gradient(name.own, dy, self._caches[name.layer], **steps)
        for wrong in finish:
            dy = wrong(dy)
        return dy

    def _dy(self, index, plants):
        """The gradient to the output of layer `index`; only the plants above it matter, so they are the memory's key."""
        if index == len(self.trace.layers):
            return None
        above = frozenset(plant for plant in plants if plant.place > index)
        if (index, above) in self._dx:
            return self._dx[index, above]
        dy, here = self._dy(index + 1, above), _steps(above, index + 1)
        found = self.trace.operations[index + 1].input_gradient(dy, self._caches[index + 1], **here)
        if len({plant.form.mistake for plant in above}) < 2:  # pairs are too many to keep, and few meet again
            self._dx[index, above] = found
        return found


def _steps(plants, place):
    """step -> what is done instead, at one place."""
    return {plant.form.step: plant.form.wrong for plant in plants if plant.place == place}


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
