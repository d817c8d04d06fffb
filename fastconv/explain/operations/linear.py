"""The fully connected layer, ``y = x . w^T + b``, and what a convolution shares with it."""

from functools import partial

from ... import layers
from ..mistakes import Form, forms
from ..names import entry
from .operation import Operation


class Affine(Operation):
    """A layer with weights, and a bias if it has one."""

    def bias_term(self, unit):
        """The last term of an output's sum."""
        return [[entry(self.b, unit)]] if self.layer.bias else []

    def parameter_forms(self, own):
        if own == "weight":
            return ()
        # A mean over samples alone is mean_twice.
        return _SUMMED_OVER if self.trace[self.y][0, 0].size == 1 else [*_SUMMED_OVER, _MEAN]

    def wrong_bias_gradient(self, dy, cache, bias):
        return bias(dy)


class Linear(Affine, layer=layers.Linear):
    """Each output a weighted sum of all inputs."""

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

    def rules(self):
        x, w, dy = self.x, self.w, self.dy
        (K, M), N = self.trace[w].shape, len(self.trace[x])
        return {
            self.y: lambda n, k: [*([entry(w, k, m), entry(x, n, m)] for m in range(M)), *self.bias_term(k)],
            w.d: lambda k, m: [[entry(x, n, m), entry(dy, n, k)] for n in range(N)],
            self.b.d: lambda k: [[entry(dy, n, k)] for n in range(N)],
            self.dx: lambda n, m: [[entry(w, k, m), entry(dy, n, k)] for k in range(K)],
        }

    def forms(self):
        K, M = self.trace[self.w].shape
        return (TRANSPOSED,) if K == M else ()

    def wrong_input_gradient(self, dy, cache, axes):
        return dy @ axes(cache.w)


TRANSPOSED = Form("transposed", "axes", lambda w: w.swapaxes(-1, -2), "swap the axes back")


def _picked(dy, samples, positions):
    """The sum where not all samples and positions of dy (N, F, ...) take part."""
    return dy.reshape(*dy.shape[:2], -1)[samples, :, positions].sum(axis=(0, 2))


_SUM = "sum the bias gradient over all samples and all positions: the bias was added at each of them"
_ALL, _ONES = slice(None), (slice(1), slice(-1, None))
_PARTS = [part for one in _ONES for part in ((one, _ALL), (_ALL, one), (one, one))]
_PICKED = (partial(_picked, samples=samples, positions=positions) for samples, positions in _PARTS)
_SUMMED_OVER = forms("bias_not_summed", "bias", _SUM, *_PICKED)
_MEAN = Form("bias_not_summed", "bias", lambda dy: dy.mean(axis=(0, *range(2, dy.ndim))), _SUM)
