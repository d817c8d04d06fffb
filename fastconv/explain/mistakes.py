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


_LAST_AXES = "rotate the kernel for dx in its last two axes, both of them, and in no other: w[:, :, ::-1, ::-1]"
OTHER_CORRECTIONS = {
    ("onehot_missing", "target missing"): "subtract the target from the probability: the gradient is (p - target)/(N*K)",
    ("mean_missing", "missing over outputs"): "divide by the number K of outputs: the loss is a mean over samples and outputs",
    ("mean_missing", "missing over both"): "divide by N*K: the loss is a mean over samples and outputs",
    **{("kernel_not_rotated", how): _LAST_AXES for how in ("rows", "columns", "filters", "filters reversed")},
}
"""A better word for some forms of a mistake."""


# --- which mistakes a network has room for ---

_CROPS = [("padding_not_cropped", "crop", how) for how in ("start", "end", "swapped", "start rows", "start columns")]
_OVERLAPS = [("overlap_assigned", "overlap", f"{order} {what}") for order in ("window", "tap") for what in ("winner", "all")]
_COL2IM = ("patch", "tap", "patch last filter", "tap last filter", "add last filter")
_AT = {
    MaxPool2d: [("tie_all", "tie", "all"), ("tie_last", "tie", "last"), ("tie_split", "tie", "split"), *_OVERLAPS, *_CROPS],
    AvgPool2d: [*_OVERLAPS, *_CROPS],
    ReLU: [("relu_mask_missing", "mask", "missing"), ("relu_mask_at_zero", "mask", "at zero")],
    Conv2d: [*(("col2im_assigned", "col2im", how) for how in _COL2IM),
             *(("kernel_not_rotated", "kernel", how) for how in ("reversed", "rows", "columns", "filters", "filters reversed")),
             *(("transposed", "axes", how) for how in ("transposed", "channels")),
             *(("stride_not_dilated", "stride", how) for how in ("one", "repeated", "one more")), *_CROPS],
    Flatten: [("flatten_order", "order", how + inverse) for how in ("channels last", "column-major", "planes")
              for inverse in ("", ", inverse")],
    Linear: [("transposed", "axes", "transposed")],
}  # fmt: skip
_SUBSETS = {1: 5, 2: 3}
"""Looking for one mistake or two: up to so many layers, each is tried in every subset of those that have room for it."""


def variations(trace, name, shape, together):
    """The choices that could show in the gradient of `name`: a list of tuples of plants, each one mistake.

    Parameters
    ----------
    trace : Trace
    name : str
        "0.weight", "1.out", "input".
    shape : tuple
        Of the gradient to explain: it decides which transpositions are possible.
    together : 1 or 2
        How many mistakes are looked for at once.
    """
    at_end, places = _at_end(trace, name, shape), {}
    for index in range(_lowest(name), len(trace.layers)):
        for mistake, slot, how in _AT.get(type(trace.layers[index]), ()):
            if _suits(trace, index, slot, how):
                places.setdefault((mistake, how), []).append((Plant(mistake, index, slot, how),))
        if _is_masked_pool(trace, index):
            # ReLU's mask taken from the pooled numbers, and the gradient masked before the pool shares it out.
            late = Plant("relu_mask_missing", index - 1, "mask", "missing"), Plant("relu_mask_missing", index, "gate", "on")
            places.setdefault(("relu_mask_missing", "late"), []).append(late)
    choices = [(plant,) for plant in (*_at_loss(trace), *at_end)]
    for (mistake, how), layers in places.items():
        # Whoever forgets the stride or swaps the padding in dx does so in dw as well.
        ends = [
            plant
            for plant in at_end
            if plant.mistake == mistake in ("stride_not_dilated", "padding_not_cropped") and plant.how == how
        ]
        every = tuple(plant for plants in layers for plant in plants)
        choices += _subsets(trace, layers, _SUBSETS[together]) + [(*every, plant) for plant in ends]
    return choices


def _subsets(trace, layers, most):
    """Joined plants of subsets of the layers; of many layers only: all, each alone, those of a kind, those on a side of Flatten."""
    if len(layers) <= most:
        chosen = list(chain.from_iterable(combinations(layers, size) for size in range(len(layers), 0, -1)))
    else:
        sides = {}
        for plants in layers:
            layer, is_flat = trace.layers[plants[0].place], trace[f"{plants[0].place}.out"].ndim == 2
            for side in (type(layer), is_flat):
                sides.setdefault(side, []).append(plants)
        chosen = [layers, *((plants,) for plants in layers), *(side for side in sides.values() if 1 < len(side) < len(layers))]
    return [tuple(chain.from_iterable(plants)) for plants in chosen]


def _lowest(name):
    """The lowest layer whose input gradient the gradient of `name` depends on."""
    if name == "input":
        return 0
    return int(name.split(".")[0]) + 1


def _is_masked_pool(trace, index):
    return index > 0 and isinstance(trace.layers[index], AvgPool2d) and isinstance(trace.layers[index - 1], ReLU)


def _suits(trace, index, slot, how):
    """Whether the layer leaves room for a mistake of this form at all."""
    layer, shape = trace.layers[index], trace.shapes[index]
    if isinstance(layer, Linear):
        return layer.out_features == shape[0]
    if not isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
        return True
    window = layer.window(shape)
    if slot == "crop":
        swapped = how != "swapped" or (window.PT, window.PL) != (window.PB, window.PR)
        return max(window[8:12]) > 0 and swapped
    if slot == "overlap":
        return window.SH < window.KH or window.SW < window.KW
    if slot == "stride":
        return max(window.SH, window.SW) > 1
    return not isinstance(layer, Conv2d) or _suits_kernel(layer, window, trace[f"{index}.weight"].shape, slot, how)


def _suits_kernel(layer, window, shape, slot, how):
    """As `_suits`, for what concerns a convolution's weights of `shape`."""
    F, C, KH, KW = shape
    if slot == "axes":
        return KH == KW > 1 if how == "transposed" else F == C > 1 and layer.groups == 1
    if slot == "kernel":
        return {"reversed": KH * KW > 1, "rows": KH > 1 < KW, "columns": KH > 1 < KW}.get(how, F * C > 1)
    return "last filter" not in how or layer.out_channels // layer.groups > 1


def _at_loss(trace):
    plants = [Plant("mean_missing", LOSS, "mean", "missing"), Plant("mean_twice", LOSS, "mean", "twice")]
    if trace.loss != "mse":
        plants.append(Plant("onehot_missing", LOSS, "onehot", "missing" if trace.loss == "cross_entropy" else "target missing"))
    if trace.loss == "cross_entropy":
        return plants
    return [*plants, *(Plant("mean_missing", LOSS, "mean", f"missing over {what}") for what in ("outputs", "both"))]


_SUMMED_OVER = [f"{which} {over}" for which in ("first", "last") for over in ("sample", "position", "of both")]


def _at_end(trace, name, shape):
    right = trace[f"d {name}"]
    layer = trace.layers[int(name.split(".")[0])] if name != "input" else None
    plants = [Plant("transposed", END, "axes", axes) for axes in _permutations(right.shape, shape)]
    if name.endswith(".bias"):
        # A mean over samples alone is mean_twice.
        mean = ["mean"] if np.prod(trace[name.replace("bias", "out")].shape[2:]) > 1 else []
        plants += [Plant("bias_not_summed", END, "bias", how) for how in (*_SUMMED_OVER, *mean)]
    if name.endswith(".weight") and isinstance(layer, Conv2d):
        plants += [
            Plant("kernel_rotated", END, "kernel", how)
            for how in ("rotated", "dy rotated", "rows", "columns", "all axes", "filters")
        ]
        plants += [Plant("stride_not_dilated", END, "taps", "one"), Plant("padding_not_cropped", END, "taps", "swapped")]
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
