"""What a convolution and a linear layer share: the bias."""

from functools import partial

from ..mistakes import forms
from ..names import entry
from .operation import Operation


class Affine(Operation):
    """A layer with weights, and a bias if it has one."""

    def bias_term(self, unit):
        """The last term of an output's sum."""
        return [[entry(self.b, unit)]] if self.layer.bias else []

    def parameter_forms(self, own):
        """Those of a bias; a mean over samples alone would be mean_twice."""
        if own == "weight":
            return self.weight_forms()
        return _SUMMED_OVER if self.trace[self.y][0, 0].size == 1 else _SUMMED_OVER + _MEAN

    def weight_forms(self):
        """The forms of mistakes in the gradient of the weights."""
        return ()

    def wrong_bias_gradient(self, dy, cache, bias):
        """db from dy (N, F, ...)."""
        return bias(dy)


def _picked(dy, sample, position):
    """The sum over what is left where one sample, one position, or both are taken instead of all."""
    return dy.reshape(*dy.shape[:2], -1)[sample, :, position].sum(axis=(0, 2))


_SUM = "sum the bias gradient over all samples and all positions: the bias was added at each of them"
_ALL = slice(None)
_SUMMED_OVER = forms("bias_not_summed", "bias", _SUM, *(
    partial(_picked, sample=sample, position=position)
    for one in (slice(1), slice(-1, None)) for sample, position in ((one, _ALL), (_ALL, one), (one, one))
))  # fmt: skip
_MEAN = forms("bias_not_summed", "bias", _SUM, lambda dy: dy.mean(axis=(0, *range(2, dy.ndim))))
