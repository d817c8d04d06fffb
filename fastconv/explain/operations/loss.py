"""What all losses have in common: a mean, over the samples or over samples and outputs."""

import numpy as np

from ... import functional
from ..mistakes import Form
from ..names import entry
from .operation import Operation

CRITERIA = {}
"""The `Loss` for each name of a loss."""


class Loss(Operation):
    """The loss of a trace, above the last layer; ``class Hinge(Loss, name="hinge")`` is found for that one."""

    takes_labels = False
    """Whether the answers are labels (N,) rather than targets (N, K)."""

    def __init_subclass__(cls, name=None):
        if name is not None:
            CRITERIA[name], cls.name = cls, name

    @classmethod
    def forward(cls, y, answers):
        """-> loss, cache"""
        return getattr(functional, f"{cls.name}_forward")(y, answers)

    @classmethod
    def backward(cls, cache):
        """-> dy"""
        return getattr(functional, f"{cls.name}_backward")(cache)

    @staticmethod
    def between(y, answers, cache):
        """name -> array, of what lies between the last layer's output and the loss."""
        raise NotImplementedError

    def equations(self):
        return {"d loss": "d loss = 1"}

    def rules(self):
        return {"d loss": lambda: [["1"]]}

    def mean(self, name, share):
        """The terms of a mean: each entry of an array with its share."""
        return [[entry(name, *index), share] for index in np.ndindex(self.trace[name].shape)]

    def magnitude(self):
        """dx if nothing cancelled, every number taken without its sign."""
        raise NotImplementedError

    def forms(self):
        return [_MEAN_MISSING, _MEAN_TWICE]

    def input_gradient(self, dy, cache, mean=None, onehot=None):
        right = self.trace[self.dx]
        dx = (onehot(self.trace, right) if onehot else right).astype(np.float64)
        return mean(dx) if mean else dx


class ElementwiseLoss(Loss):
    """A loss for each output, of which the mean over samples and outputs is taken."""

    def constants(self):
        size = self.trace[self.x].size
        return {"1/(N*K)": 1 / size, "2/(N*K)": 2 / size}

    def forms(self):
        return [*super().forms(), _MEAN_OVER_OUTPUTS_MISSING, _MEAN_OVER_BOTH_MISSING]


_MISSING = "divide by the batch size N: the loss is a mean over the samples"
_MEAN_MISSING = Form("mean_missing", "mean", lambda dy: dy * len(dy), _MISSING)
_TWICE = "divide by the batch size N once: the loss's gradient already holds the 1/N"
_MEAN_TWICE = Form("mean_twice", "mean", lambda dy: dy * (1 / len(dy)), _TWICE)
_OUTPUTS = "divide by the number K of outputs: the loss is a mean over samples and outputs"
_MEAN_OVER_OUTPUTS_MISSING = Form("mean_missing", "mean", lambda dy: dy * (dy.size / len(dy)), _OUTPUTS)
_BOTH = "divide by N*K: the loss is a mean over samples and outputs"
_MEAN_OVER_BOTH_MISSING = Form("mean_missing", "mean", lambda dy: dy * dy.size, _BOTH)
