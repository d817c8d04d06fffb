"""The 5x5 network in whole numbers, so that everything up to the softmax can be done by hand."""

import numpy as np

from ..network import tiny_net
from ..support.geometry import integer
from ._trace import trace


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


def _instructive(net, x, labels):
    """Whether the exercise teaches something: no kernel without a gradient, no probabilities that are all 0 and 1.

    Nor may a sum that is 0 on paper leave a rounding error of 1e-17 here.
    """
    logits, _ = net.forward(x)
    spread = np.ptp(logits, axis=1)
    if spread.min() < 1 or spread.max() > 3:
        return False
    arrays = trace(net, x, labels)
    gradients = np.concatenate([abs(arrays[name]).ravel() for name in arrays if name.startswith("d ")])
    return abs(arrays["d 0.weight"]).min() > 0.01 and not ((gradients > 0) & (gradients < 1e-12)).any()
