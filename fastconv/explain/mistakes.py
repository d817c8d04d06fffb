"""Backward passes that are wrong on purpose: every mistake that people make, as a variation on one layer's backward pass.

A `Plant` is one mistake at one place. `variations` lists the plants that a network has room for; `Planted` walks the network
backwards with any of them in place and remembers what it has already walked.
"""

from typing import NamedTuple

import numpy as np

from .. import functional
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

_AT = {
    MaxPool2d: [("tie_all", "tie", "all"), ("tie_last", "tie", "last"), ("tie_split", "tie", "split"),
                ("overlap_assigned", "overlap", "pixel"), ("overlap_assigned", "overlap", "window")],
    AvgPool2d: [("overlap_assigned", "overlap", "window")],
    ReLU: [("relu_mask_missing", "mask", "missing"), ("relu_mask_at_zero", "mask", "at zero")],
    Conv2d: [("col2im_assigned", "col2im", "patch"), ("col2im_assigned", "col2im", "tap"),
             ("kernel_not_rotated", "kernel", "reversed"), ("stride_not_dilated", "stride", "one"),
             ("padding_not_cropped", "crop", "start"), ("padding_not_cropped", "crop", "end")],
    Flatten: [("flatten_order", "order", how) for how in ("channels last", "column-major", "batch column-major", "planes")],
    Linear: [("transposed", "weight", "transposed")],
}  # fmt: skip


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
    choices = [(plant,) for plant in _at_loss(trace)]
    for kind, forms in _AT.items():
        lowest = _lowest(name)
        layers = [i for i, layer in enumerate(trace.layers) if isinstance(layer, kind) and i >= lowest]
        layers = [i for i in layers if _suits(trace, i)]
        for mistake, slot, how in forms:
            plants = [Plant(mistake, i, slot, how) for i in layers]
            # Everywhere, as one piece of wrong code does it, and at each layer alone.
            choices += [tuple(plants)] if len(plants) > 1 else []
            choices += [(plant,) for plant in plants]
    return choices + [(plant,) for plant in _at_end(trace, name, shape)]


def _lowest(name):
    """The lowest layer whose input gradient the gradient of `name` depends on."""
    if name == "input":
        return 0
    return int(name.split(".")[0]) + 1


def _suits(trace, index):
    """Whether the layer's mistakes can be told from the right pass at all."""
    layer = trace.layers[index]
    return not isinstance(layer, Linear) or layer.out_features == trace.shapes[index][0]


def _at_loss(trace):
    plants = [Plant("mean_missing", LOSS, "mean", "missing"), Plant("mean_twice", LOSS, "mean", "twice")]
    if trace.loss == "cross_entropy":
        return [*plants, Plant("onehot_missing", LOSS, "onehot", "missing")]
    return [*plants, Plant("mean_missing", LOSS, "mean", "missing over outputs too")]


def _at_end(trace, name, shape):
    right = trace[f"d {name}"]
    layer = trace.layers[int(name.split(".")[0])] if name != "input" else None
    plants = [Plant("transposed", END, "axes", axes) for axes in _permutations(right.shape, shape)]
    if name.endswith(".bias"):
        plants += [Plant("bias_not_summed", END, "bias", how) for how in ("sample", "position", "both")]
    if name.endswith(".weight") and isinstance(layer, Conv2d):
        plants += [Plant("kernel_rotated", END, "kernel", "rotated"), Plant("stride_not_dilated", END, "taps", "one")]
    return plants + [Plant("flatten_order", END, "columns", how) for how in _flat_orders(trace, name)]


def _permutations(right, shape):
    """The reorderings of axes that lead from shape `right` to `shape` and change something."""
    from itertools import permutations

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
    flat = _flatten_below(trace, name)
    return ("channels last", "column-major", "planes") if flat is not None else ()


def _flatten_below(trace, name):
    """The Flatten whose output is the flat axis of `name`: of its own output, or of a weight's columns."""
    if name == "input" or name.endswith(".bias"):
        return None
    index = int(name.split(".")[0])
    index -= name.endswith(".weight")
    while index >= 0 and trace[f"{index}.out"].ndim == 2 and not isinstance(trace.layers[index], (Flatten, Linear)):
        index -= 1
    return index if index >= 0 and isinstance(trace.layers[index], Flatten) else None


# --- the walk ---


class Planted:
    """The backward pass of a trace in float64, with mistakes in it."""

    def __init__(self, trace):
        self.trace, self._dy = trace, {}
        self.caches = [_double(cache) for cache in trace.caches]

    def gradient(self, name, plants):
        """The gradient of `name` with every one of `plants` in place."""
        end = {plant.slot: plant.how for plant in plants if plant.place == END}
        if name == "input":
            found = self.dx(0, plants)
        elif name.endswith(".out"):
            found = self.dy(int(name.split(".")[0]), plants)
        else:
            found = self._parameter(name, plants, end)
        if "columns" in end:
            found = self._reordered(name, found, end["columns"])
        if "kernel" in end:
            found = found[..., ::-1, ::-1]
        return found.transpose(end["axes"]) if "axes" in end else found

    def dy(self, index, plants):
        """The gradient to the output of layer `index`."""
        if index == len(self.trace.layers) - 1:
            return self._at_loss(plants)
        return self.dx(index + 1, plants)

    def dx(self, index, plants):
        """The gradient to the input of layer `index`; only the plants from there on matter, so they are the memory's key."""
        above = frozenset(p for p in plants if p.place == LOSS or (p.place != END and p.place >= index))
        if (index, above) not in self._dy:
            here = {plant.slot: plant.how for plant in above if plant.place == index}
            self._dy[index, above] = self._step(index, self.dy(index, above), here)
        return self._dy[index, above]

    def _step(self, index, dy, slots):
        layer, cache = self.trace.layers[index], self.caches[index]
        if not slots:
            return layer.backward(functional, np.ascontiguousarray(dy), cache, True)[0]
        x = self.trace[f"{index - 1}.out" if index else "input"]
        window = layer.window(self.trace.shapes[index]) if hasattr(layer, "window") else None
        return _STEPS[type(layer)](dy, x, cache, window, **slots)

    def _at_loss(self, plants):
        slots = {plant.slot: plant.how for plant in plants if plant.place == LOSS}
        trace = self.trace
        dy = trace[f"d {len(trace.layers) - 1}.out"].astype(np.float64)
        N = len(dy)
        if "onehot" in slots:
            dy = trace["probabilities"].astype(np.float64) / N
        factor = {"missing": N, "twice": 1 / N, "missing over outputs too": dy.size}
        return dy * factor[slots["mean"]] if "mean" in slots else dy

    def _parameter(self, name, plants, end):
        index, kind = name.split(".")
        index = int(index)
        dy = np.ascontiguousarray(self.dy(index, plants))
        if "bias" in end:
            return _bias(dy, end["bias"])
        if "taps" in end:
            return _dense_taps(dy, self.caches[index])
        _, found = self.trace.layers[index].backward(functional, dy, self.caches[index], False)
        return found[kind == "bias"]

    def _reordered(self, name, gradient, how):
        shape = self.trace.shapes[_flatten_below(self.trace, name)]
        order = _flatten_order(np.arange(np.prod(shape, dtype=int)).reshape(1, *shape), how)[0]
        return gradient[:, order]


def _double(cache):
    """A layer's cache in float64."""
    if cache is None or not hasattr(cache, "_replace"):
        return cache

    def widen(value):
        if isinstance(value, np.dtype):
            return np.dtype(np.float64)
        floating = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
        return value.astype(np.float64) if floating else value

    return cache._replace(**{name: widen(value) for name, value in cache._asdict().items()})


# --- one layer's backward pass, with mistakes ---


def pool_windows(x, window):
    """What each window of a pool sees, -inf in the padding: x (N, C, H, W) -> (N, C, OH, OW, KH, KW)"""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    padded = np.pad(x, ((0, 0), (0, 0), (PT, PB), (PL, PR)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW][:, :, :OH, :OW]


def _max_pool(dy, x, cache, window, tie="first", overlap="add"):
    windows = pool_windows(x, window)
    N, C, OH, OW, KH, KW = windows.shape
    winners = (windows == windows.max(axis=(4, 5), keepdims=True)).reshape(N, C, OH, OW, KH * KW)
    if tie == "first":
        winners &= winners.cumsum(axis=-1) == 1
    if tie == "last":
        winners &= winners[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1
    shares = winners / winners.sum(axis=-1, keepdims=True) if tie == "split" else winners.astype(np.float64)
    given = (shares * dy[..., None]).reshape(windows.shape)
    chosen = winners.reshape(windows.shape) if overlap == "pixel" else np.ones(windows.shape, bool)
    return _scatter_windows(given, chosen, window, overlap)


def _avg_pool(dy, x, cache, window, overlap):
    given = np.broadcast_to((dy / cache.divisor)[..., None, None], (*dy.shape, window.KH, window.KW))
    return _scatter_windows(given, np.ones(given.shape, bool), window, overlap)


def _scatter_windows(given, chosen, window, overlap):
    """Add, or assign where `chosen`, what each window gives: (N, C, OH, OW, KH, KW) -> dx (N, C, H, W)"""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    dx = np.zeros((*given.shape[:2], H + PT + PB, W + PL + PR))
    for i, j in np.ndindex(OH, OW):
        patch = dx[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
        if overlap == "add":
            patch += given[:, :, i, j]
        else:
            np.copyto(patch, given[:, :, i, j], where=chosen[:, :, i, j])
    return dx[:, :, PT : PT + H, PL : PL + W]


def _relu(dy, x, cache, window, mask):
    return dy if mask == "missing" else np.where(x >= 0, dy, 0.0)


def _conv(dy, x, cache, window, col2im="add", kernel="right", stride="right", crop="right"):
    w = cache.w[..., ::-1, ::-1] if kernel == "reversed" else cache.w
    groups, (N, F, OH, OW) = cache.groups, dy.shape
    w = w.reshape(groups, F // groups, *w.shape[1:])
    patches = np.einsum("gfcuv,ngfij->ngcuvij", w, dy.reshape(N, groups, F // groups, OH, OW))
    patches = patches.reshape(N, -1, window.KH, window.KW, OH, OW)  # (N, C, KH, KW, OH, OW)
    if stride == "one":
        window = window._replace(SH=1, SW=1)
    H, W, PT, PB, PL, PR = window.H, window.W, window.PT, window.PB, window.PL, window.PR
    padded = _add_patches(patches, window, col2im)
    top, left = {"right": (PT, PL), "start": (0, 0), "end": (PT + PB, PL + PR)}[crop]
    return padded[:, :, top : top + H, left : left + W]


def _add_patches(patches, window, col2im):
    """col2im into the padded image, adding or assigning, patch by patch or tap by tap."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    padded = np.zeros((*patches.shape[:2], H + PT + PB, W + PL + PR))
    if col2im == "patch":
        for i, j in np.ndindex(OH, OW):
            rows, columns = slice(i * SH, i * SH + KH * DH, DH), slice(j * SW, j * SW + KW * DW, DW)
            # A slice's end may lie beyond the image, its last step never does.
            padded[:, :, rows, columns] = patches[..., i, j]
        return padded
    for u, v in np.ndindex(KH, KW):
        rows, columns = slice(u * DH, u * DH + OH * SH, SH), slice(v * DW, v * DW + OW * SW, SW)
        if col2im == "tap":
            padded[:, :, rows, columns] = patches[:, :, u, v]
        else:
            padded[:, :, rows, columns] += patches[:, :, u, v]
    return padded


def _dense_taps(dy, cache):
    """dw of a convolution that forgets the stride: dy slides over the image without zeros between its entries."""
    window, groups, (N, F, OH, OW) = cache.window, cache.groups, dy.shape
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, *_ = window
    padded = np.pad(cache.x, ((0, 0), (0, 0), (PT, PB), (PL, PR)))
    padded = padded.reshape(N, groups, -1, *padded.shape[2:])
    dw = np.empty((groups, F // groups, *cache.w.shape[1:]))
    for u, v in np.ndindex(KH, KW):
        patch = padded[..., u * DH : u * DH + OH, v * DW : v * DW + OW]
        dw[..., u, v] = np.einsum("ngfij,ngcij->gfc", dy.reshape(N, groups, F // groups, OH, OW), patch)
    return dw.reshape(cache.w.shape)


def _flatten(dy, x, cache, window, order):
    N, C, H, W = x.shape
    if order == "channels last":
        return dy.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    if order == "column-major":
        return dy.reshape(N, W, H, C).transpose(0, 3, 2, 1)
    if order == "planes":
        return dy.reshape(N, C, W, H).transpose(0, 1, 3, 2)
    return dy.reshape(x.shape, order="F")


def _flatten_order(x, how):
    """x (N, C, H, W) flattened in another order"""
    axes = {"channels last": (0, 2, 3, 1), "column-major": (0, 3, 2, 1), "planes": (0, 1, 3, 2)}[how]
    return x.transpose(axes).reshape(len(x), -1)


def _linear(dy, x, cache, window, weight):
    return dy @ cache.w.T


def _bias(dy, how):
    """A bias gradient that is summed over too little."""
    positions = dy.reshape(*dy.shape[:2], -1)  # (N, F, OH*OW)
    if how == "sample":
        return positions[0].sum(axis=1)
    return positions[..., 0].sum(axis=0) if how == "position" else positions[0, :, 0]


_STEPS = {
    MaxPool2d: _max_pool, AvgPool2d: _avg_pool, ReLU: _relu, Conv2d: _conv, Flatten: _flatten, Linear: _linear,
}  # fmt: skip
