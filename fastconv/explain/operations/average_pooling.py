"""The average pool: every member of a window takes an equal share of its gradient."""

import numpy as np

from ... import layers
from ..mistakes import Plant, forms
from ..names import entry
from .pooling import Pooling
from .relu import MASK_MISSING, ReLU
from .windows import add, places_of, taps_of


class AveragePooling(Pooling, layer=layers.AvgPool2d):
    """``y = mean of a window``, its padding counted."""

    @property
    def share(self):
        """The name of the constant that each member of a window counts by."""
        return f"1/{self.window.KH * self.window.KW}"

    def constants(self):
        return {self.share: 1 / (self.window.KH * self.window.KW)}

    def equations(self):
        x, y, share = self.x, self.y, self.share
        row, column = self.position()
        return {
            y: f"{y}[n,c,i,j] = sum over u,v of {x}[n,c,{row},{column}] * {share}",
            x.d: f"{x.d}[n,c,h,w] = sum over i,j,u,v of {y.d}[n,c,i,j] * {share} where {row} = h and {column} = w",
        }

    def out_terms(self, n, c, i, j):
        return [[self.tap(n, c, i, j, u, v), self.share] for u, v in np.ndindex(self.window.KH, self.window.KW)]

    def dx_terms(self, n, c, h, w):
        return [[entry(self.dy, n, c, i, j), self.share] for i, j in self.windows_on(h, w)]

    def forms(self):
        return [*self.overlaps(), *self.crops()]

    def choices(self):
        below = self.trace.operations[self.index - 1] if self.index else None
        if not isinstance(below, ReLU):
            return super().choices()
        # ReLU's mask taken from the pooled numbers, and the gradient masked before the pool shares it out.
        late = [(Plant(self.index - 1, missing), Plant(self.index, form)) for missing, form in zip(MASK_MISSING, _MASK_LATE)]
        return super().choices() + late

    def wrong_input_gradient(self, dy, cache, mask=lambda dy, y: dy, overlap=add, crop=lambda window: window):
        window = crop(self.window)
        places = places_of(window, *taps_of(window))
        given = mask(dy, self.trace[self.y]) / cache.divisor
        given = np.broadcast_to(given[..., None, None], (*dy.shape[:2], *places.shape))
        return overlap(given, np.ones(given.shape, bool), places, cache.x_shape)


_MASK_LATE = forms("relu_mask_missing", "mask", MASK_MISSING[0].correction, lambda dy, y: dy * (y > 0))
