"""`trace`: one forward and one backward pass with every array kept under its name, by the functions that training uses."""

import re

import numpy as np

from .. import functional
from ..layers import AvgPool2d, Conv2d, Dropout, MaxPool2d, ReLU
from ..losses import LOSSES
from ..support.arrays import as_float
from . import equations, sheets
from .terms import account

_ENTRY = re.compile(r"(?P<name>[^\[\]]+?)\s*(?:\[(?P<index>[\s\d,-]*)\])?")


def trace(net, x, labels, *, loss="cross_entropy", rng=None):
    """Every activation and every gradient of one training step, by name.

    x (N, C, H, W), labels (N,) or targets (N, K) -> Trace

    Parameters
    ----------
    net : Sequential
    x : array (N, C, H, W)
        At least one sample.
    labels : integer array (N,), or array (N, K) for the other losses
    loss : "cross_entropy", "mse" or "binary_cross_entropy_with_logits"
        As for `fastconv.train`.
    rng : numpy.random.Generator, optional
        Dropout acts only with it.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        For shapes that do not fit the network, and labels outside its classes.

    Examples
    --------
    >>> import fastconv, fastconv.explain
    >>> net, x, labels = fastconv.explain.integer_example()
    >>> t = fastconv.explain.trace(net, x, labels)
    >>> t["d 0.weight"].shape, t["2.out"].shape
    ((1, 1, 2, 2), (1, 1, 2, 2))
    >>> bool(t.why("2.out[0,0,0,0]").total == t["2.out"][0, 0, 0, 0])
    True
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {LOSSES}, got {loss!r}")
    x = _copied(x, "x", net)
    if len(x) == 0:
        raise ValueError(f"x has shape {x.shape}, expected at least one sample to trace")
    losses = {"cross_entropy": _cross_entropy, "mse": _mse, "binary_cross_entropy_with_logits": _binary_cross_entropy}
    with np.errstate(all="ignore"):
        arrays, caches = _forward(net, x, rng)
        gradients = {"d loss": np.array(1, net.dtype), **_backward(net, caches, losses[loss](arrays, net, labels))}
    return Trace(net, loss, {**arrays, **gradients}, caches)


class Trace:
    """Every array of one training step under its name; made by `trace`.

    ``trace["d 0.weight"]`` is a plain array. "input", "0.out", "1.out", ... are the activations, "0.weight" and "0.bias" the
    parameters, and "d " before any of them its gradient. What a layer keeps for its backward pass is there too ("0.cols",
    "1.open", "2.argmax"), and so is what lies between logits and loss ("shifted", "exponentials", "sums", "probabilities",
    "onehot", "losses"; or "target" and "error").

    Attributes
    ----------
    names : tuple of str
        In the order of computation.
    equations : dict of str to Equation
        How each was made, ``.text`` and ``.latex``.
    constants : dict of str to float
        The numbers that a `Term` may name as a source without their being an entry, such as "1/N".
    layers : tuple
    loss : str
    caches : list
        Of the forward pass, one a layer.
    """

    def __init__(self, net, loss, arrays, caches):
        self.layers, self.shapes, self.loss, self.caches = net.layers, net.shapes, loss, caches
        self._arrays = arrays
        self.names = tuple(arrays)
        self.constants = _constants(self)
        self.equations = equations.write(self)

    def __getitem__(self, name):
        if name not in self._arrays:
            raise ValueError(f"no array {name!r}; the names are {', '.join(self.names)}")
        return self._arrays[name]

    def __contains__(self, name):
        return name in self._arrays

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return f"<Trace of {len(self.layers)} layers, {len(self['input'])} samples, loss {float(self['loss']):.6g}>"

    def why(self, entry):
        """The terms whose sum one number is.

        Parameters
        ----------
        entry : str
            A name with an index: "d 0.weight[0,0,1,1]"; "loss" has none.

        Returns
        -------
        Ledger

        Raises
        ------
        ValueError
            For an unknown name, or an index outside its array.
        """
        return account(self, *self.parse(entry))

    def parse(self, entry):
        """``"0.out[0,0,2,3]"`` -> ``("0.out", (0, 0, 2, 3))``, checked."""
        match = _ENTRY.fullmatch(entry.strip()) if isinstance(entry, str) else None
        if match is None:
            raise ValueError(f"{entry!r} is not a name with an index, such as 'd 0.out[0,0,1,2]'")
        shape = self[match["name"]].shape
        try:
            index = tuple(int(number) for number in (match["index"] or "").split(",") if number.strip())
        except ValueError:
            raise ValueError(f"{entry!r} has an index that is no list of integers") from None
        if len(index) != len(shape):
            raise ValueError(f"{entry!r} has {len(index)} indices, {match['name']!r} has shape {shape}")
        if not all(0 <= i < size for i, size in zip(index, shape)):
            raise ValueError(f"{entry!r} is out of range, {match['name']!r} has shape {shape}")
        return match["name"], index

    def resolve(self, source):
        """The number that a source of a `Term` stands for.

        Parameters
        ----------
        source : str
            An entry ("input[0,0,2,3]"), a constant's name ("1/N"), or exp, log, log1p or 1/ of an entry ("log(sums[0])").

        Returns
        -------
        float
        """
        if source in self.constants:
            return self.constants[source]
        for prefix, function in _FUNCTIONS.items():
            if source.startswith(prefix):
                return float(function(self.resolve(source.removeprefix(prefix).removesuffix(")"))))
        name, index = self.parse(source)
        return float(self._arrays[name][index])

    def to_text(self, *, worksheet=False):
        """The whole step as plain text: each array under its equation.

        Parameters
        ----------
        worksheet : bool
            Leave the gradients blank, to be filled in by hand.

        Returns
        -------
        str
        """
        return sheets.text(self, worksheet)

    def to_markdown(self, *, worksheet=False):
        """The whole step as Markdown with LaTeX equations.

        Parameters
        ----------
        worksheet : bool
            Leave the gradients blank, to be filled in by hand.

        Returns
        -------
        str
        """
        return sheets.markdown(self, worksheet)

    def to_html(self, path):
        """Write one self-contained page that steps through the network, forward and back, with the terms of every number.

        Parameters
        ----------
        path : str or path
            Of the .html file. With up to 5,000 numbers on it the page computes everything anew when a pixel or a weight is changed.
            What stands in its body works in any other document, too, more than once.

        Raises
        ------
        ValueError
            If the page would hold more than 200,000 numbers.
        OSError
            If the file cannot be written.
        """
        from .webpage import write_page

        write_page(self, path)


_FUNCTIONS = {"exp(": np.exp, "log(": np.log, "log1p(": np.log1p, "1/": np.reciprocal}


def _copied(array, name, net):
    """A copy in the network's precision: training the network further must not change what was traced."""
    given = as_float(array, name, net.dtype)
    with np.errstate(over="ignore"):
        copy = np.array(given, net.dtype)
    if (np.isinf(copy) & np.isfinite(given)).any():
        raise ValueError(f"{name} holds {abs(given).max():.3g}, too large for the network's {net.dtype}; scale it")
    return copy


def _forward(net, x, rng):
    """-> arrays up to the last layer's output, caches"""
    arrays, caches, y = {"input": x}, [], x
    if x.shape[1:] != net.input_shape:
        raise ValueError(f"x has shape {x.shape}, expected (N, {', '.join(map(str, net.input_shape))})")
    for index, (layer, shape) in enumerate(zip(net.layers, net.shapes)):
        params = {f"{index}.{name}": net.params[f"{index}.{name}"].copy() for name in layer.parameter_shapes(shape)}
        y, cache = layer.forward(functional, y, list(params.values()), rng)
        arrays |= params | _kept(index, layer, cache) | {f"{index}.out": y}
        caches.append(cache)
    return arrays, caches


def _kept(index, layer, cache):
    """What the layer keeps for its backward pass, by name."""
    if isinstance(layer, Conv2d) and cache.cols is not None:
        return {f"{index}.cols": cache.cols.reshape(len(cache.cols), -1)}  # (C*KH*KW, N*OH*OW)
    if isinstance(layer, MaxPool2d):
        return {f"{index}.argmax": cache.argmax}
    if isinstance(layer, ReLU):
        return {f"{index}.open": cache.open}
    if isinstance(layer, Dropout) and cache is not None:
        return {f"{index}.kept": cache.kept}
    return {}


def _cross_entropy(arrays, net, labels):
    """Adds what lies between logits and loss to `arrays`; -> the gradient to the logits"""
    logits = arrays[f"{len(net.layers) - 1}.out"]
    loss, cache = functional.cross_entropy_forward(logits, labels)
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    onehot = np.zeros_like(logits)
    onehot[np.arange(len(logits)), cache.labels] = 1
    sums = exponentials.sum(axis=1)
    losses = np.log(sums) - shifted[np.arange(len(logits)), cache.labels]
    arrays |= {"shifted": shifted, "exponentials": exponentials, "sums": sums, "probabilities": cache.probabilities,
               "onehot": onehot, "losses": losses, "loss": np.array(loss, net.dtype)}  # fmt: skip
    return functional.cross_entropy_backward(cache)


def _mse(arrays, net, target):
    """Adds target, error and loss to `arrays`; -> the gradient to the last output"""
    y = arrays[f"{len(net.layers) - 1}.out"]
    target = _copied(target, "target", net)
    loss, cache = functional.mse_forward(y, target)
    arrays |= {"target": target.reshape(y.shape), "error": cache.error, "loss": np.array(loss, net.dtype)}
    return functional.mse_backward(cache)


def _binary_cross_entropy(arrays, net, target):
    """Adds what lies between logits and loss to `arrays`; -> the gradient to the logits

    A yes or no is a softmax over the logit and 0; shifted is the smaller of the two less the larger.
    """
    logits, target = arrays[f"{len(net.layers) - 1}.out"], _copied(target, "target", net)
    loss, cache = functional.binary_cross_entropy_with_logits_forward(logits, target)
    target = target.reshape(logits.shape)
    shifted = -abs(logits)
    exponentials = np.exp(shifted)
    sums = 1 + exponentials
    probabilities = np.where(logits > 0, 1, exponentials) / sums
    losses = np.log1p(exponentials) + np.maximum(logits, 0) - target * logits
    arrays |= {"shifted": shifted, "exponentials": exponentials, "sums": sums, "probabilities": probabilities,
               "target": target, "losses": losses, "loss": np.array(loss, net.dtype)}  # fmt: skip
    return functional.binary_cross_entropy_with_logits_backward(cache)


def _backward(net, caches, dy):
    """Every gradient by name. `Sequential.backward` stops at the first parameters; here the input gets one too."""
    gradients = {}
    for index in range(len(net.layers) - 1, -1, -1):
        gradients[f"d {index}.out"] = dy
        dy, found = net.layers[index].backward(functional, dy, caches[index], True)
        for name, gradient in zip(net.layers[index].parameter_shapes(net.shapes[index]), found, strict=True):
            gradients[f"d {index}.{name}"] = gradient
    return gradients | {"d input": dy}


def _constants(trace):
    N, outputs = len(trace["input"]), trace[f"{len(trace.layers) - 1}.out"][0].size
    constants = {"1": 1.0, "-1": -1.0, "padding": 0.0, "between strides": 0.0, "won": 1.0, "lost": 0.0, "1/N": 1 / N}
    if trace.loss != "cross_entropy":
        constants |= {"1/(N*K)": 1 / (N * outputs), "2/(N*K)": 2 / (N * outputs)}
    for layer, shape, cache in zip(trace.layers, trace.shapes, trace.caches):
        if isinstance(layer, AvgPool2d):
            window = layer.window(shape)
            constants[f"1/{window.KH * window.KW}"] = 1 / (window.KH * window.KW)
        if isinstance(layer, Dropout) and cache is not None:
            constants[equations.dropout_scale(layer)] = float(cache.scale)
    return constants
