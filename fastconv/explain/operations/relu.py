"""The ReLU."""

import numpy as np

from ... import layers
from ..mistakes import forms
from ..names import entry
from .operation import Operation


class ReLU(Operation, layer=layers.ReLU):
    """``y = x * open``, where open is 1 for an x above 0."""

    @staticmethod
    def remembered(x, cache):
        return {"open": ~(x <= 0)}  # a NaN passes

    @staticmethod
    def sides(layer, shape, x):
        return (x > 0).tobytes()

    def equations(self):
        x, y, gate, at = self.x, self.y, self.own("open"), self.at
        return {
            gate: f"{gate}[{at}] = 1 where {x}[{at}] > 0, else 0",
            y: f"{y}[{at}] = {x}[{at}] * {gate}[{at}]",
            x.d: f"{x.d}[{at}] = {y.d}[{at}] * {gate}[{at}]",
        }

    def out_terms(self, *index):
        return [[entry(self.x, *index), entry(self.own("open"), *index)]]

    def dx_terms(self, *index):
        return [[entry(self.dy, *index), entry(self.own("open"), *index)]]

    def notes(self, own, index):
        state, sign = ("open", "above 0") if self.trace[self.own("open")][index] else ("shut", "not above 0")
        return [f"the ReLU is {state}: {entry(self.x, *index)} is {sign}"]

    def forms(self):
        return MASK_MISSING + _MASK_AT_ZERO

    def wrong_input_gradient(self, dy, cache, mask):
        return mask(dy, self.trace[self.x])


MASK_MISSING = forms(
    "relu_mask_missing",
    "mask",
    "multiply by the ReLU's mask: where its input was not above 0, no gradient passes",
    lambda dy, x: dy,
)
_MASK_AT_ZERO = forms(
    "relu_mask_at_zero",
    "mask",
    "shut the ReLU at exactly 0: its gradient there is 0, so the mask is x > 0 and not x >= 0",
    lambda dy, x: np.where(x >= 0, dy, 0.0),
)
