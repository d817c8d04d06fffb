"""The mistakes that people make, and the places in a network where each can be made, in every form it takes.

A `Plant` is one mistake at one place; `variations` lists those that a network has room for.
"""

from itertools import chain, combinations, permutations
from typing import NamedTuple

import numpy as np

from ..layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU

LOSS, END = "loss", "end"
"""The places that are no layer: the loss's own gradient, and the finished array."""

MISTAKES = {
    "mean_missing": "divide by the batch size N: the loss is a mean over the samples",
    "onehot_missing": "subtract 1 from the probability of the right class: the logits' gradient is (p - onehot)/N",
    "relu_mask_missing": "multiply by the ReLU's mask: where its input was not above 0, no gradient passes",
    "kernel_rotated": "do not rotate dw: it is a correlation of the input with dy, tap (u, v) stays at (u, v)",
    "kernel_not_rotated": "rotate the kernel by 180 degrees in the full correlation for dx (or scatter it unrotated)",
    "bias_not_summed": "sum the bias gradient over all samples and all positions: the bias was added at each of them",
    "tie_all": "give a window's gradient to the first of equal maxima only, not to each of them in full",
    "tie_split": "give a window's gradient to the first of equal maxima only, do not share it out",
    "tie_last": "give a window's gradient to the first of equal maxima in row-major order, not to the last",
    "overlap_assigned": "add (+=) where a pool's windows overlap: a pixel that several windows used is owed the sum",
    "col2im_assigned": "add (+=) in col2im: a pixel that several patches hold is owed the sum of their gradients",
    "mean_twice": "divide by the batch size N once: the loss's gradient already holds the 1/N",
    "relu_mask_at_zero": "shut the ReLU at exactly 0: its gradient there is 0, so the mask is x > 0 and not x >= 0",
    "stride_not_dilated": "put stride - 1 zeros between the entries of dy (or step by the stride when scattering)",
    "padding_not_cropped": "cut the padding off dx on the side where it was added: row 0 of dx is row `top padding` of the padded one",
    "flatten_order": "unflatten as it was flattened: channel by channel, row by row (C order)",
    "transposed": "swap the axes back",
}  # fmt: skip
"""Every mistake and its correction, the commoner first: where two give the same numbers, the first is named."""


class Plant(NamedTuple):
    """One mistake at one place.

    Attributes
    ----------
    mistake : str
        A key of `MISTAKES`.
    place : int, LOSS or END
        The layer's number.
    slot : str
        What it replaces; two plants in one slot exclude each other.
    how : str or tuple
        Which form of the mistake.
    """

    mistake: str
    place: object
    slot: str
    how: object


# --- which mistakes a network has room for ---

_CROPS = [("padding_not_cropped", "crop", how) for how in ("start", "end", "swapped")]
_AT = {
    MaxPool2d: [("tie_all", "tie", "all"), ("tie_last", "tie", "last"), ("tie_split", "tie", "split"),
                *(("overlap_assigned", "overlap", f"{order} {what}") for order in ("window", "tap") for what in ("winner", "all")),
                *_CROPS],
    AvgPool2d: [*(("overlap_assigned", "overlap", f"{order} all") for order in ("window", "tap")), *_CROPS],
    ReLU: [("relu_mask_missing", "mask", "missing"), ("relu_mask_at_zero", "mask", "at zero")],
    Conv2d: [*(("col2im_assigned", "col2im", order + of) for order in ("patch", "tap") for of in ("", " last filter")),
             ("kernel_not_rotated", "kernel", "reversed"), ("transposed", "kernel", "transposed"),
             ("stride_not_dilated", "stride", "one"), *_CROPS],
    Flatten: [("flatten_order", "order", how + inverse) for how in ("channels last", "column-major", "planes")
              for inverse in ("", ", inverse")],
    Linear: [("transposed", "weight", "transposed")],
}  # fmt: skip
_SUBSETS = 3
"""Up to so many layers of a kind, a mistake is tried in every subset of them; beyond, in each alone and in all."""


def variations(trace, name, shape):
    """The choices that could show in the gradient of `name`: a list of tuples of plants, each one mistake.

    Parameters
    ----------
    trace : Trace
    name : str
        "0.weight", "1.out", "input".
    shape : tuple
        Of the gradient to explain: it decides which transpositions are possible.
    """
    at_end, places = _at_end(trace, name, shape), {}
    for index in range(_lowest(name), len(trace.layers)):
        for form in _AT.get(type(trace.layers[index]), ()):
            if _suits(trace, index, form):
                places.setdefault(form, []).append(index)
    choices = [(plant,) for plant in (*_at_loss(trace), *at_end)]
    for (mistake, slot, how), layers in places.items():
        plants = [Plant(mistake, index, slot, how) for index in layers]
        choices += _subsets(plants)
        # Whoever forgets the stride in dx forgets it in dw as well.
        choices += [(*plants, plant) for plant in at_end if plant.mistake == mistake == "stride_not_dilated"]
    return choices


def _subsets(plants):
    if len(plants) > _SUBSETS:
        return [tuple(plants), *((plant,) for plant in plants)]
    return list(chain.from_iterable(combinations(plants, size) for size in range(len(plants), 0, -1)))


def _lowest(name):
    """The lowest layer whose input gradient the gradient of `name` depends on."""
    if name == "input":
        return 0
    return int(name.split(".")[0]) + 1


def _suits(trace, index, form):
    """Whether the layer leaves room for a mistake of this form at all."""
    layer, shape = trace.layers[index], trace.shapes[index]
    mistake, slot, _ = form
    if isinstance(layer, Linear):
        return layer.out_features == shape[0]
    if isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
        window = layer.window(shape)
        return {
            "crop": max(window.PT, window.PB, window.PL, window.PR) > 0,
            "overlap": window.SH < window.KH or window.SW < window.KW,
            "stride": max(window.SH, window.SW) > 1,
            "kernel": mistake != "transposed" or window.KH == window.KW,
        }.get(slot, True)
    return True


def _at_loss(trace):
    plants = [Plant("mean_missing", LOSS, "mean", "missing"), Plant("mean_twice", LOSS, "mean", "twice")]
    if trace.loss == "cross_entropy":
        return [*plants, Plant("onehot_missing", LOSS, "onehot", "missing")]
    return [*plants, *(Plant("mean_missing", LOSS, "mean", f"missing over {what}") for what in ("outputs", "both"))]


_SUMMED_OVER = [f"{which} {over}" for which in ("first", "last") for over in ("sample", "position", "of both")]


def _at_end(trace, name, shape):
    right = trace[f"d {name}"]
    layer = trace.layers[int(name.split(".")[0])] if name != "input" else None
    plants = [Plant("transposed", END, "axes", axes) for axes in _permutations(right.shape, shape)]
    if name.endswith(".bias"):
        plants += [Plant("bias_not_summed", END, "bias", how) for how in _SUMMED_OVER]
    if name.endswith(".weight") and isinstance(layer, Conv2d):
        plants += [Plant("kernel_rotated", END, "kernel", how) for how in ("rotated", "dy rotated")]
        plants += [Plant("stride_not_dilated", END, "taps", "one")]
    return plants + [Plant("flatten_order", END, "columns", how) for how in _flat_orders(trace, name)]


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


def _flat_orders(trace, name):
    """Orders in which the flat axis of a gradient may have been laid out, if a Flatten made that axis."""
    flat = flatten_below(trace, name)
    return [how for _, _, how in _AT[Flatten]] if flat is not None else []


def flatten_below(trace, name):
    """The Flatten whose output is the flat axis of `name`: of its own output, or of a weight's columns."""
    if name == "input" or name.endswith(".bias"):
        return None
    index = int(name.split(".")[0])
    index -= name.endswith(".weight")
    while index >= 0 and trace[f"{index}.out"].ndim == 2 and not isinstance(trace.layers[index], (Flatten, Linear)):
        index -= 1
    return index if index >= 0 and isinstance(trace.layers[index], Flatten) else None
