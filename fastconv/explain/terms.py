"""The account of one number: for each kind of array, the terms whose sum an entry is.

Each operation has its functions side by side: ``_<op>_out`` for an entry of the output, ``_<op>_dx`` for one of the gradient to
the input, ``_weight`` and ``_bias`` for those of the parameters' gradients. They yield sources only; the factors are looked up
under those sources, so a source cannot disagree with its factor.
"""

from math import isfinite, isinf
from typing import NamedTuple

import numpy as np

from ..layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from .equations import dropout_scale
from .ledger import Ledger, Look, Term, total


class Place(NamedTuple):
    """One layer of a trace, and the names of what goes in and comes out."""

    trace: object
    index: int

    @property
    def layer(self):
        """The layer's description."""
        return self.trace.layers[self.index]

    @property
    def x(self):
        """The name of the layer's input."""
        return f"{self.index - 1}.out" if self.index else "input"

    @property
    def y(self):
        """The name of the layer's output."""
        return f"{self.index}.out"

    @property
    def window(self):
        """Of a convolution or a pool."""
        return self.layer.window(self.trace.shapes[self.index])

    def own(self, name):
        """The name of a parameter or of what the cache keeps."""
        return f"{self.index}.{name}"


def entry(name, *index):
    """``"0.out", 1, 0, 2, 3`` -> ``"0.out[1,0,2,3]"``"""
    return f"{name}[{','.join(map(str, index))}]" if index else name


def account(trace, name, index):
    """The `Ledger` of ``trace[name][index]``."""
    readings, looks, notes = _collect(trace, name, index)
    terms = {
        key: tuple(Term(tuple(map(trace.resolve, sources)), tuple(sources)) for sources in found)
        for key, found in readings.items()
    }
    first = next(iter(terms.values()))
    value = float(trace[name][index])
    equation = trace.equations[name].text
    if isinf(value) and isfinite(total(first)):
        limits = np.finfo(trace[name].dtype)
        notes.append(f"the sum does not fit into {limits.dtype}, whose largest number is {limits.max:.3g}")
    return Ledger(entry(name, *index), value, equation, first, terms if len(terms) > 1 else {}, tuple(looks), tuple(notes))


def _collect(trace, name, index):
    """-> readings (name -> lists of sources), looks, notes"""
    last, gradient = len(trace.layers) - 1, name.startswith("d ")
    bare = name.removeprefix("d ")
    if gradient and bare == "loss":
        return {"": [["1"]]}, [], []
    if gradient and bare == f"{last}.out":
        return {"": _LOSS_GRADIENT[trace.loss](trace, index)}, [], []
    if gradient and (bare == "input" or bare.endswith(".out")):
        place = Place(trace, 0 if bare == "input" else int(bare.split(".")[0]) + 1)
        return _of(place, "dx")(place, *index)
    if gradient:
        number, parameter = bare.split(".")
        place = Place(trace, int(number))
        return {"": _PARAMETERS[type(place.layer), parameter](place, *index)}, [], []
    if bare.endswith(".out"):
        place = Place(trace, int(bare.split(".")[0]))
        return _of(place, "out")(place, *index)
    if name in _LOSS[trace.loss]:
        return {"": _LOSS[trace.loss][name](trace, *index)}, [], []
    return {"": [[entry(name, *index)]]}, [], ["it is given, or read off, not computed as a sum"]


def _of(place, way):
    if type(place.layer) not in _OPERATIONS:
        raise ValueError(f"layer {place.index}, {place.layer!r}, has no account of its sums")
    return _OPERATIONS[type(place.layer)][way]


# --- convolution ---


def _tap(place, n, c, i, j, u, v):
    """The input's entry under tap (u, v) of the window at (i, j), or the padding."""
    window = place.window
    h, w = i * window.SH - window.PT + u * window.DH, j * window.SW - window.PL + v * window.DW
    inside = 0 <= h < window.H and 0 <= w < window.W
    return entry(place.x, n, c, h, w) if inside else "padding"


def _group(place, f):
    """The channels that filter `f` sees: how many, and the first."""
    _, channels, _, _ = place.trace[place.own("weight")].shape
    return channels, f // (place.layer.out_channels // place.layer.groups) * channels


def _conv_out(place, n, f, i, j):
    channels, first = _group(place, f)
    KH, KW = place.window.KH, place.window.KW
    terms = [
        [entry(place.own("weight"), f, c, u, v), _tap(place, n, first + c, i, j, u, v)]
        for c, u, v in np.ndindex(channels, KH, KW)
    ]
    return {"": terms + _bias_term(place, f)}, [], []


def _bias_term(place, unit):
    return [[entry(place.own("bias"), unit)]] if place.layer.bias else []


def _conv_weight(place, f, c, u, v):
    _, first = _group(place, f)
    N, _, OH, OW = place.trace[place.y].shape
    return [[_tap(place, n, first + c, i, j, u, v), entry(f"d {place.y}", n, f, i, j)] for n, i, j in np.ndindex(N, OH, OW)]


def _conv_bias(place, f):
    N, _, OH, OW = place.trace[place.y].shape
    return [[entry(f"d {place.y}", n, f, i, j)] for n, i, j in np.ndindex(N, OH, OW)]


def _conv_dx(place, n, c, h, w):
    scatter = [term for f in _filters(place, c) for term in _scattered(place, n, c, h, w, f)]
    correlation = [term for f in _filters(place, c) for term in _correlated(place, n, c, h, w, f)]
    note = "both readings agree: the correlation's other terms meet only padding, or zeros put between strides"
    return {"scatter": scatter, "correlation": correlation}, [], [note]


def _filters(place, c):
    """The filters that see channel `c`."""
    channels, _ = _group(place, 0)
    size = place.layer.out_channels // place.layer.groups
    return range(c // channels * size, (c // channels + 1) * size)


def _scattered(place, n, c, h, w, f):
    """Window by window: what each patch that holds the pixel gives back to it."""
    window = place.window
    channels, _ = _group(place, f)
    for i, j in np.ndindex(window.OH, window.OW):
        u, off_row = divmod(h + window.PT - i * window.SH, window.DH)
        v, off_column = divmod(w + window.PL - j * window.SW, window.DW)
        if not (off_row or off_column) and 0 <= u < window.KH and 0 <= v < window.KW:
            yield [entry(place.own("weight"), f, c % channels, u, v), entry(f"d {place.y}", n, f, i, j)]


def _correlated(place, n, c, h, w, f):
    """Tap by tap of the kernel rotated by 180 degrees, over dy with zeros put between strides and around it."""
    window = place.window
    channels, _ = _group(place, f)
    for u, v in np.ndindex(window.KH, window.KW):
        u, v = window.KH - 1 - u, window.KW - 1 - v
        i, row_gap = divmod(h + window.PT - u * window.DH, window.SH)
        j, column_gap = divmod(w + window.PL - v * window.DW, window.SW)
        if not (0 <= i < window.OH and 0 <= j < window.OW):
            source = "padding"
        else:
            source = "between strides" if row_gap or column_gap else entry(f"d {place.y}", n, f, i, j)
        yield [entry(place.own("weight"), f, c % channels, u, v), source]


# --- pooling ---


def _max_out(place, n, c, i, j):
    look = _look(place, n, c, i, j)
    return {"": [[look.winner]]}, [look], []


def _max_dx(place, n, c, h, w):
    here = entry(place.x, n, c, h, w)
    looks = [_look(place, n, c, i, j) for i, j in _looking(place.window, h, w)]
    terms = [[f"d {look.window}", "won" if look.winner == here else "lost"] for look in looks]
    return {"": terms}, looks, [] if looks else ["no window looked here"]


def _look(place, n, c, i, j):
    plane = place.trace[place.x][n, c]
    rows, columns = _span(place.window, i, j)
    winner = divmod(int(place.trace[place.own("argmax")][n, c, i, j]), place.window.W)
    tied = [(h, w) for h in rows for w in columns if plane[h, w] == plane[winner] and (h, w) != winner]
    values = tuple(tuple(float(plane[h, w]) for w in columns) for h in rows)
    name = entry(place.y, n, c, i, j)
    return Look(name, entry(place.x, n, c, *winner), tuple(entry(place.x, n, c, *at) for at in tied), values)


def _span(window, i, j):
    """The rows and columns of the image that the window at (i, j) sees, without padding."""
    top, left = i * window.SH - window.PT, j * window.SW - window.PL
    return (range(max(top, 0), min(top + window.KH, window.H)), range(max(left, 0), min(left + window.KW, window.W)))


def _looking(window, h, w):
    """The windows (i, j) that see pixel (h, w), in row-major order."""
    for i, j in np.ndindex(window.OH, window.OW):
        rows, columns = _span(window, i, j)
        if h in rows and w in columns:
            yield i, j


def _avg_out(place, n, c, i, j):
    window = place.window
    share = f"1/{window.KH * window.KW}"
    return {"": [[_tap(place, n, c, i, j, u, v), share] for u, v in np.ndindex(window.KH, window.KW)]}, [], []


def _avg_dx(place, n, c, h, w):
    share = f"1/{place.window.KH * place.window.KW}"
    return {"": [[entry(f"d {place.y}", n, c, i, j), share] for i, j in _looking(place.window, h, w)]}, [], []


# --- elementwise ---


def _relu_out(place, *index):
    return {"": [[entry(place.x, *index), entry(place.own("open"), *index)]]}, [], [_gate(place, index)]


def _relu_dx(place, *index):
    return {"": [[entry(f"d {place.y}", *index), entry(place.own("open"), *index)]]}, [], [_gate(place, index)]


def _gate(place, index):
    source = entry(place.x, *index)
    state, sign = ("open", "above 0") if place.trace[place.own("open")][index] else ("shut", "not above 0")
    return f"the ReLU is {state}: {source} is {sign}"


def _dropout_out(place, *index):
    return {"": [_dropped(place, place.x, index)]}, [], []


def _dropout_dx(place, *index):
    return {"": [_dropped(place, f"d {place.y}", index)]}, [], []


def _dropped(place, name, index):
    if place.own("kept") not in place.trace:
        return [entry(name, *index)]
    return [entry(name, *index), entry(place.own("kept"), *index), dropout_scale(place.layer)]


# --- the fully connected end ---


def _flatten_out(place, n, k):
    at = np.unravel_index(k, place.trace[place.x].shape[1:])
    return {"": [[entry(place.x, n, *map(int, at))]]}, [], []


def _flatten_dx(place, n, c, h, w):
    k = np.ravel_multi_index((c, h, w), place.trace[place.x].shape[1:])
    return {"": [[entry(f"d {place.y}", n, int(k))]]}, [], []


def _linear_out(place, n, k):
    terms = [[entry(place.own("weight"), k, m), entry(place.x, n, m)] for m in range(place.trace[place.x].shape[1])]
    return {"": terms + _bias_term(place, k)}, [], []


def _linear_dx(place, n, m):
    K = place.layer.out_features
    return {"": [[entry(place.own("weight"), k, m), entry(f"d {place.y}", n, k)] for k in range(K)]}, [], []


def _linear_weight(place, k, m):
    return [[entry(place.x, n, m), entry(f"d {place.y}", n, k)] for n in range(len(place.trace[place.x]))]


def _linear_bias(place, k):
    return [[entry(f"d {place.y}", n, k)] for n in range(len(place.trace[place.x]))]


# --- the loss ---


def _logits(trace):
    return f"{len(trace.layers) - 1}.out"


def _shifted(trace, n, k):
    largest = int(trace[_logits(trace)][n].argmax())
    return [[entry(_logits(trace), n, k)], ["-1", entry(_logits(trace), n, largest)]]


def _losses(trace, n):
    label = int(trace["onehot"][n].argmax())
    return [[f"log({entry('sums', n)})"], ["-1", entry("shifted", n, label)]]


def _below_0(trace, *at):
    logit = entry(_logits(trace), *at)
    return [["-1", logit] if trace[_logits(trace)][at] > 0 else [logit]]


def _yes(trace, *at):
    share = f"1/{entry('sums', *at)}"
    return [[share] if trace[_logits(trace)][at] > 0 else [entry("exponentials", *at), share]]


def _binary_losses(trace, *at):
    logit = entry(_logits(trace), *at)
    larger = [[logit]] if trace[_logits(trace)][at] > 0 else []
    return [[f"log1p({entry('exponentials', *at)})"], *larger, ["-1", entry("target", *at), logit]]


def _mean(trace, name, share):
    return [[entry(name, *index), share] for index in np.ndindex(trace[name].shape)]


_LOSS = {
    "cross_entropy": {
        "shifted": _shifted,
        "exponentials": lambda trace, n, k: [[f"exp({entry('shifted', n, k)})"]],
        "sums": lambda trace, n: [[entry("exponentials", n, k)] for k in range(trace["exponentials"].shape[1])],
        "probabilities": lambda trace, n, k: [[entry("exponentials", n, k), f"1/{entry('sums', n)}"]],
        "losses": _losses,
        "loss": lambda trace: _mean(trace, "losses", "1/N"),
    },
    "binary_cross_entropy_with_logits": {
        "shifted": _below_0,
        "exponentials": lambda trace, *at: [[f"exp({entry('shifted', *at)})"]],
        "sums": lambda trace, *at: [["1"], [entry("exponentials", *at)]],
        "probabilities": _yes,
        "losses": _binary_losses,
        "loss": lambda trace: _mean(trace, "losses", "1/(N*K)"),
    },
    "mse": {
        "error": lambda trace, *at: [[entry(_logits(trace), *at)], ["-1", entry("target", *at)]],
        "loss": lambda trace: [[source, source, share] for source, share in _mean(trace, "error", "1/(N*K)")],
    },
}
_LOSS_GRADIENT = {
    "cross_entropy": lambda trace, at: [[entry("probabilities", *at), "1/N"], ["-1", entry("onehot", *at), "1/N"]],
    "binary_cross_entropy_with_logits": lambda trace, at: [
        [entry("probabilities", *at), "1/(N*K)"],
        ["-1", entry("target", *at), "1/(N*K)"],
    ],
    "mse": lambda trace, at: [[entry("error", *at), "2/(N*K)"]],
}
_OPERATIONS = {
    Conv2d: {"out": _conv_out, "dx": _conv_dx},
    MaxPool2d: {"out": _max_out, "dx": _max_dx},
    AvgPool2d: {"out": _avg_out, "dx": _avg_dx},
    ReLU: {"out": _relu_out, "dx": _relu_dx},
    Dropout: {"out": _dropout_out, "dx": _dropout_dx},
    Flatten: {"out": _flatten_out, "dx": _flatten_dx},
    Linear: {"out": _linear_out, "dx": _linear_dx},
}
_PARAMETERS = {
    (Conv2d, "weight"): _conv_weight,
    (Conv2d, "bias"): _conv_bias,
    (Linear, "weight"): _linear_weight,
    (Linear, "bias"): _linear_bias,
}
