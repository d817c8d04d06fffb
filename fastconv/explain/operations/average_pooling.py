"""The average pool: every member of a window takes an equal share of its gradient."""

import numpy as np

from ... import layers
from ..mistakes import Form, Plant
from ..names import entry
from .relu import MASK_MISSING, ReLU
from .windows import Pool, add, places_of, taps_of


class AvgPool(Pool, layer=layers.AvgPool2d):
    """``y = mean of a window``, its padding counted."""

    @property
    def share(self):
        """The name of the constant that each member of a window counts by."""
        return f"1/{self.window.KH * self.window.KW}"

    def constants(self):
        return {self.share: 1 / (self.window.KH * self.window.KW)}

    def equations(self):
        x, y, share, (row, column) = self.x, self.y, self.share, self.position
        return {
            y: f"{y}[n,c,i,j] = sum over u,v of {x}[n,c,{row},{column}] * {share}",
            x.d: f"{x.d}[n,c,h,w] = sum over i,j,u,v of {y.d}[n,c,i,j] * {share} where {row} = h and {column} = w",
        }

    def rules(self):
        kernel, share = (self.window.KH, self.window.KW), self.share
        return {
            self.y: lambda *index: [[self.tap(*index, u, v), share] for u, v in np.ndindex(kernel)],
            self.dx: lambda n, c, h, w: [[entry(self.dy, n, c, i, j), share] for i, j, _, _ in self.seen(h, w)],
        }

    def choices(self):
        found, below = super().choices(), self.index - 1
        if below >= 0 and isinstance(self.trace.operations[below], ReLU):
            found.append((Plant(below, MASK_MISSING), Plant(self.index, _MASK_LATE)))
        return found

    def wrong_input_gradient(self, dy, cache, mask=None, overlap=add, crop=None):
        window = crop(self.window) if crop else self.window
        places = places_of(window, *taps_of(window))
        shares = (mask(dy, self.trace[self.y]) if mask else dy) / cache.divisor
        shares = np.broadcast_to(shares[..., None, None], (*dy.shape[:2], *places.shape))
        return overlap(shares, np.ones(shares.shape, bool), places, cache.x_shape)


# ReLU's mask taken from the pooled numbers, and the gradient masked before the pool shares it out.
_MASK_LATE = Form("relu_mask_missing", "mask", lambda dy, y: dy * (y > 0), MASK_MISSING.correction)
