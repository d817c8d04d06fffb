"""The fully connected layer."""

from ... import layers
from ..mistakes import forms
from ..names import entry
from .affine import Affine


class Linear(Affine, layer=layers.Linear):
    """``y = x . w^T + b``"""

    makes_axes = True

    def equations(self):
        x, y, w, b = self.x, self.y, self.w, self.b
        return {
            w: f"{w}[k,m] is a parameter",
            b: f"{b}[k] is a parameter",
            y: f"{y}[n,k] = sum over m of {w}[k,m] * {x}[n,m]" + (f" + {b}[k]" if self.layer.bias else ""),
            w.d: f"{w.d}[k,m] = sum over n of {x}[n,m] * {y.d}[n,k]",
            b.d: f"{b.d}[k] = sum over n of {y.d}[n,k]",
            x.d: f"{x.d}[n,m] = sum over k of {w}[k,m] * {y.d}[n,k]",
        }

    def out_terms(self, n, k):
        yield from ([entry(self.w, k, m), entry(self.x, n, m)] for m in range(self.trace[self.w].shape[1]))
        yield from self.bias_term(k)

    def dx_terms(self, n, m):
        return [[entry(self.w, k, m), entry(self.dy, n, k)] for k in range(self.layer.out_features)]

    def weight_terms(self, k, m):
        return [[entry(self.x, n, m), entry(self.dy, n, k)] for n in range(len(self.trace[self.x]))]

    def bias_terms(self, k):
        return [[entry(self.dy, n, k)] for n in range(len(self.trace[self.y]))]

    def forms(self):
        F, C = self.trace[self.w].shape
        return TRANSPOSED if F == C else ()

    def wrong_input_gradient(self, dy, cache, axes):
        return dy @ axes(cache.w)


TRANSPOSED = forms("transposed", "axes", "swap the axes back", lambda w: w.swapaxes(-1, -2))
"""Weights whose last two axes are swapped, in a convolution too."""
