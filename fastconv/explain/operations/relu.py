"""The ReLU: ``y = x * open``, where open is 1 for an x above 0."""

import numpy as np

from ... import layers
from ..mistakes import Form
from ..names import entry
from .operation import Elementwise


class ReLU(Elementwise, layer=layers.ReLU):
    """A gate for each number."""

    @staticmethod
    def remembered(x, cache):
        return {"open": ~(x <= 0)}  # a NaN passes

    @staticmethod
    def sides(layer, shape, x):
        return (x > 0).tobytes()

    def factors(self, *at):
        return [entry(self.own("open"), *at)]

    def equations(self):
        gate, x = (entry(name, *self.letters) for name in (self.own("open"), self.x))
        return super().equations() | {self.own("open"): f"{gate} = 1 where {x} > 0, else 0"}

    def notes(self, name, index):
        state, sign = ("open", "above 0") if self.trace[self.own("open")][index] else ("shut", "not above 0")
        return [f"the ReLU is {state}: {entry(self.x, *index)} is {sign}"]

    def forms(self):
        return MASK_MISSING, _MASK_AT_ZERO

    def wrong_input_gradient(self, dy, cache, mask):
        return mask(dy, self.trace[self.x])


_MASK = "multiply by the ReLU's mask: where its input was not above 0, no gradient passes"
MASK_MISSING = Form("relu_mask_missing", "mask", lambda dy, x: dy, _MASK)
_SHUT = "shut the ReLU at exactly 0: its gradient there is 0, so the mask is x > 0 and not x >= 0"
_MASK_AT_ZERO = Form("relu_mask_at_zero", "mask", lambda dy, x: np.where(x >= 0, dy, 0.0), _SHUT)
