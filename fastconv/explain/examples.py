"""Examples to work by hand: the 5x5 network in whole numbers, which are exact up to the softmax."""

import numpy as np

from ..network import tiny_net
from ..support.geometry import integer
from ._trace import trace
from .names import Name


def integer_example(n_classes=3, *, samples=1, random_state=0):
    """`tiny_net` with small whole numbers for pixels and weights: exact up to the softmax, and doable by hand.

    -> net, x (samples, 1, 5, 5), labels (samples,)

    Parameters
    ----------
    n_classes, samples : int
    random_state : int or numpy.random.Generator
        Another number, another exercise.

    Returns
    -------
    net : Sequential
        In float64.
    x : float64 array (samples, 1, 5, 5)
        Of 0 and 1.
    labels : int64 array (samples,)

    Examples
    --------
    >>> net, x, labels = integer_example()
    >>> logits, _ = net.forward(x)
    >>> bool((logits == logits.round()).all())
    True
    """
    rng = np.random.default_rng(random_state)
    samples, n_classes = integer(samples, "samples", 1), integer(n_classes, "n_classes", 2)
    net = tiny_net(n_classes, dtype="float64")
    x = np.empty((samples, *net.input_shape))
    while True:
        for array in (*net.params.values(), x):
            array[...] = rng.integers(-1 if array is not x else 0, 2, array.shape)
        labels = rng.integers(0, n_classes, samples)
        if _instructive(net, x, labels):
            return net, x, labels


_SPREAD = 1, 3
"""How far the largest and the smallest logit of a sample are apart: probabilities that are neither equal nor 0 and 1."""

_SMALLEST, _NOTHING = 0.01, 1e-12
"""What every entry of the kernel's gradient has at least, and what is no number on paper but a rounding error."""


def _instructive(net, x, labels):
    """Whether the exercise teaches something: no kernel without a gradient, nor a sum that is 0 on paper and 1e-17 here."""
    logits, _ = net.forward(x)
    least, most = _SPREAD
    spread = np.ptp(logits, axis=1)
    if spread.min() < least or spread.max() > most:
        return False
    t = trace(net, x, labels)
    gradients = np.concatenate([abs(t[name]).ravel() for name in t if Name.parse(name).gradient])
    return abs(t["d 0.weight"]).min() > _SMALLEST and not ((gradients > 0) & (gradients < _NOTHING)).any()
