"""The mistakes that people make: how one is told, and which of them a network has room for.

A `Form` is one way to make a mistake, a function in the place of the right one; the operations have theirs in their files. A
`Plant` is a form at a place; `choices` lists what can be planted in a network.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain, combinations, permutations
from typing import NamedTuple

import numpy as np

END = -1
"""The place that is no layer: the finished array."""

MISTAKES = (
    "mean_missing", "onehot_missing", "relu_mask_missing", "kernel_rotated", "kernel_not_rotated", "bias_not_summed", "tie_all",
    "tie_split", "tie_last", "overlap_assigned", "col2im_assigned", "mean_twice", "relu_mask_at_zero", "stride_not_dilated",
    "padding_not_cropped", "flatten_order", "transposed",
)  # fmt: skip
"""The commoner first: where two give the same numbers, the first is named. What is not listed comes last."""


class Form(NamedTuple):
    """One of the forms that a mistake takes; two forms of one step exclude each other."""

    mistake: str
    step: str  # what is done wrong: the name of an argument of the operation's wrong gradient
    wrong: Callable  # what is done instead
    correction: str


class Plant(NamedTuple):
    """A form of a mistake at the place where it is made: a layer's number, that above the layers for the loss, or END."""

    place: int
    form: Form


def forms(mistake, step, correction, *ways):
    """A `Form` for each of `ways`."""
    return tuple(Form(mistake, step, way, correction) for way in ways)


def rank(mistake):
    """How far down the list of `MISTAKES` it stands."""
    return MISTAKES.index(mistake) if mistake in MISTAKES else len(MISTAKES)


_SUBSETS = {1: 5, 2: 3}
"""Looking for one mistake or two: up to so many layers, each is tried in every subset of those that have room for it."""


def choices(trace, name, shape, together):
    """What could show in the gradient of `name`: a list of tuples of plants, each one mistake.

    The shape of the gradient to explain decides which transpositions are possible; one or two mistakes are looked for together.
    """
    at_end, layers = _at_end(trace, name, shape), {}
    *above, loss = trace.operations[name.layer + 1 :]
    for operation in above:
        for plants in operation.choices():
            layers.setdefault(plants[-1].form, []).append(plants)
    found = [*loss.choices(), *((plant,) for plant in at_end)]
    for form, places in layers.items():
        # Whoever forgets the stride or swaps the padding in dx does so in dw as well.
        too = [plant for plant in at_end if plant.form.wrong is form.wrong]
        found += _subsets(trace, places, _SUBSETS[together]) + [(*chain.from_iterable(places), plant) for plant in too]
    return found


def _subsets(trace, places, most):
    """Joined plants of subsets of the layers; of many only: all, each alone, those of a kind, those on a side of Flatten."""
    if len(places) <= most:
        chosen = list(chain.from_iterable(combinations(places, size) for size in range(len(places), 0, -1)))
    else:
        sides = {}
        for plants in places:
            operation = trace.operations[plants[0].place]
            for side in (type(operation.layer), trace[operation.y].ndim == 2):
                sides.setdefault(side, []).append(plants)
        chosen = [places, *((plants,) for plants in places), *(side for side in sides.values() if 1 < len(side) < len(places))]
    return [tuple(chain.from_iterable(plants)) for plants in chosen]


def _at_end(trace, name, shape):
    """What may be wrong with the finished array, or in the way in which a parameter's gradient is summed."""
    turned = [partial(np.transpose, axes=axes) for axes in _permutations(trace[name.d].shape, shape)]
    found = [*forms("transposed", "axes", "swap the axes back", *turned)]
    if not name.is_activation:
        found += trace.operations[name.layer].parameter_forms(name.own)
    return [Plant(END, form) for form in (*found, *_column_forms(trace, name))]


def _permutations(right, shape):
    """The reorderings of axes that lead from shape `right` to `shape` and change something."""
    numbers, seen = np.arange(int(np.prod(right))).reshape(right), set()
    if right == shape:
        seen.add(numbers.tobytes())
    # The plainest first: a swap of the last two axes, then all axes reversed.
    plain = [(*range(len(right) - 2), len(right) - 1, len(right) - 2), tuple(range(len(right)))[::-1]]
    for axes in [*plain[: len(right)], *permutations(range(len(right)))] if len(right) > 1 else []:
        turned = numbers.transpose(axes)
        if turned.shape == shape and turned.tobytes() not in seen:
            seen.add(turned.tobytes())
            yield axes


def _column_forms(trace, name):
    """Of the layer that made the columns of an array: of its own output, or, for a weight, of the layer's input."""
    index = name.layer - (name.own == "weight")
    if name.own == "bias":
        return ()
    while index >= 0 and trace.operations[index].is_flat and not trace.operations[index].makes_axes:
        index -= 1
    return trace.operations[index].column_forms() if index >= 0 else ()
