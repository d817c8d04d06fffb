"""`trace`: one forward and one backward pass with every array kept under its name, by the functions that training uses."""

from typing import NamedTuple

import numpy as np

from .. import functional
from ..losses import LOSSES
from ..support.arrays import as_float
from . import worksheets
from .equations import Equation
from .ledger import ledger_of
from .names import FUNCTIONS, Name, output, parse_applied, parse_entry
from .operations import CRITERIA, operation_of


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
    criterion = CRITERIA[loss]
    with np.errstate(all="ignore"):
        steps, arrays = list(forward(net, x, rng)), {"input": x}
        for index, step in enumerate(steps):
            own = step.params | operation_of(step.layer).remembered(step.x, step.cache) | {"out": step.y}
            arrays |= {str(Name(False, index, name)): array for name, array in own.items()}
        y, caches = steps[-1].y, [step.cache for step in steps]
        answers = labels if criterion.takes_labels else _copied(labels, "target", net)
        value, cache = criterion.forward(y, answers)
        arrays |= {**criterion.between(y, answers, cache), "loss": np.array(value, net.dtype)}
        arrays |= {"d loss": np.array(1, net.dtype), **backward(net.layers, net.shapes, caches, criterion.backward(cache))}
    return Trace(net, loss, arrays, caches)


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
    operations : list of Operation
        What is known of each layer, and of the loss.
    makers : dict of str to Operation
        Which of them made the arrays that are sums.
    """

    def __init__(self, net, loss, arrays, caches):
        self.layers, self.shapes, self.loss, self.caches = net.layers, net.shapes, loss, caches
        self._arrays = arrays
        self.names = tuple(arrays)
        makers = [*map(operation_of, net.layers), CRITERIA[loss]]
        self.operations = [maker(self, index) for index, maker in enumerate(makers)]
        self.makers = {str(name): operation for operation in self.operations for name in operation.rules()}
        self.constants = _constants(self)
        self.equations = _equations(self)

    def __getitem__(self, name):
        if str(name) not in self._arrays:
            raise ValueError(f"no array {name!r}; the names are {', '.join(self.names)}")
        return self._arrays[str(name)]

    def __contains__(self, name):
        return str(name) in self._arrays

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
        name, index = self.parse(entry)
        return ledger_of(self, Name.parse(name), index)

    def parse(self, entry):
        """``"0.out[0,0,2,3]"`` -> ``("0.out", (0, 0, 2, 3))``, checked."""
        name, index = parse_entry(entry)
        shape = self[name].shape
        if len(index) != len(shape):
            raise ValueError(f"{entry!r} has {len(index)} indices, {name!r} has shape {shape}")
        if not all(0 <= i < size for i, size in zip(index, shape)):
            raise ValueError(f"{entry!r} is out of range, {name!r} has shape {shape}")
        return name, index

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
        function, inside = parse_applied(source)
        if function:
            return float(FUNCTIONS[function](self.resolve(inside)))
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
        return worksheets.text(self, worksheet)

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
        return worksheets.markdown(self, worksheet)

    def to_html(self, path):
        """Write one self-contained page that steps through the network, forward and back, with the terms of every number.

        Parameters
        ----------
        path : str or path
            Of the .html file. With up to 5,000 numbers on it the page computes everything anew when a pixel or a weight is
            changed. What stands in its body works in any other document, too, more than once.

        Raises
        ------
        ValueError
            If the page would hold more than 200,000 numbers.
        OSError
            If the file cannot be written.
        """
        from .webpage import write_page

        write_page(self, path)


def _copied(array, name, net):
    """A copy in the network's precision: training the network further must not change what was traced."""
    given = as_float(array, name, net.dtype)
    with np.errstate(over="ignore"):
        copy = np.array(given, net.dtype)
    if (np.isinf(copy) & np.isfinite(given)).any():
        raise ValueError(f"{name} holds {abs(given).max():.3g}, too large for the network's {net.dtype}; scale it")
    return copy


class Step(NamedTuple):
    """What one layer did on the way forward: its parameters are copies, under their own names."""

    layer: object
    shape: tuple
    x: np.ndarray
    params: dict
    y: np.ndarray
    cache: object


def forward(net, x, rng):
    """One forward pass: a `Step` for each layer."""
    if x.shape[1:] != net.input_shape:
        raise ValueError(f"x has shape {x.shape}, expected (N, {', '.join(map(str, net.input_shape))})")
    for index, (layer, shape) in enumerate(zip(net.layers, net.shapes)):
        params = {own: net.params[str(Name(False, index, own))].copy() for own in layer.parameter_shapes(shape)}
        y, cache = layer.forward(functional, x, list(params.values()), rng)
        yield Step(layer, shape, x, params, y, cache)
        x = y


def backward(layers, shapes, caches, dy):
    """Every gradient by name. `Sequential.backward` stops at the first parameters; here the input gets one too."""
    gradients = {}
    for index in range(len(layers) - 1, -1, -1):
        gradients[str(output(index).d)] = dy
        dy, found = layers[index].backward(functional, dy, caches[index], True)
        for own, gradient in zip(layers[index].parameter_shapes(shapes[index]), found, strict=True):
            gradients[str(Name(True, index, own))] = gradient
    return gradients | {str(output(-1).d): dy}


_CONSTANTS = {"1": 1.0, "-1": -1.0, "padding": 0.0, "between strides": 0.0, "won": 1.0, "lost": 0.0}


def _constants(trace):
    found = _CONSTANTS | {"1/N": 1 / len(trace["input"])}
    for operation in (trace.operations[-1], *trace.operations[:-1]):
        found |= operation.constants()
    return found


def _equations(trace):
    """name -> Equation, for every array of `trace`."""
    found = {"input": "input[n,c,h,w] is given"}
    for operation in trace.operations:
        found |= {str(name): text for name, text in operation.equations().items()}
    return {name: Equation.of(found.get(name, name)) for name in trace.names}
