"""What a loss is asked about, and what all of them have in common: a mean, over the samples or over samples and outputs."""

import numpy as np

from ... import functional
from ..mistakes import forms
from ..names import entry, output

CRITERIA = {}
"""The `Loss` for each name of a loss."""


class Loss:
    """The loss of a trace; ``class Hinge(Loss, name="hinge")`` explains that one.

    ``<own>_terms(*index)`` yields the terms of an array between the outputs and the loss, as those of an `Operation`,
    ``gradient_terms`` those of the gradient to the outputs.

    Attributes
    ----------
    trace : Trace
    y : Name
        Of the last layer's output.
    """

    takes_labels = False
    """Whether the answers are labels (N,) rather than targets (N, K)."""

    def __init_subclass__(cls, name=None, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = name
        if name:
            CRITERIA[name] = cls

    def __init__(self, trace):
        self.trace, self.y = trace, output(len(trace.layers) - 1)

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

    def constants(self):
        """name -> number, for sources that are no entries."""
        return {}

    def equations(self):
        """name -> the equation's text."""
        raise NotImplementedError

    def rule(self, name):
        """The function from an index to the terms, or None for what is given."""
        if name.layer is not None:
            return None
        return self.start_terms if name.gradient else getattr(self, f"{name.own}_terms", None)

    def start_terms(self):
        """Of the loss's gradient to itself."""
        return [["1"]]

    def gradient_terms(self, *index):
        """Of the gradient to the outputs."""
        raise NotImplementedError

    def magnitude(self):
        """The gradient to the outputs if nothing cancelled, every number taken without its sign."""
        raise NotImplementedError

    def forms(self):
        """The forms of mistakes in the gradient to the outputs."""
        return _MEANS

    def wrong_gradient(self, mean=None, onehot=None):
        """The gradient to the outputs in float64, with what is done instead of a step."""
        right = self.trace[self.y.d]
        dy = (onehot(self.trace, right) if onehot else right).astype(np.float64)
        return mean(dy) if mean else dy


class ElementwiseLoss(Loss):
    """A loss for each output, of which the mean over samples and outputs is taken."""

    def constants(self):
        size = self.trace[self.y].size
        return {"1/(N*K)": 1 / size, "2/(N*K)": 2 / size}

    def forms(self):
        return _MEANS + _MEANS_OVER_OUTPUTS


def mean_terms(trace, name, share):
    """All of an array, each entry with its share."""
    return [[entry(name, *index), share] for index in np.ndindex(trace[name].shape)]


_MEANS = (
    *forms("mean_missing", "mean", "divide by the batch size N: the loss is a mean over the samples", lambda dy: dy * len(dy)),
    *forms(
        "mean_twice",
        "mean",
        "divide by the batch size N once: the loss's gradient already holds the 1/N",
        lambda dy: dy * (1 / len(dy)),
    ),
)
_OUTPUTS = "divide by the number K of outputs: the loss is a mean over samples and outputs"
_BOTH = "divide by N*K: the loss is a mean over samples and outputs"
_MEANS_OVER_OUTPUTS = (
    *forms("mean_missing", "mean", _OUTPUTS, lambda dy: dy * (dy.size / len(dy))),
    *forms("mean_missing", "mean", _BOTH, lambda dy: dy * dy.size),
)
