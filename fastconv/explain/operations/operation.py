"""What one layer of a trace is asked about, and what a layer without anything special answers."""

from functools import cached_property

from ... import functional
from ..mistakes import Plant
from ..names import Name, output

OPERATIONS = {}
"""The `Operation` for each type of layer."""


class Operation:
    """One layer of a trace, in the terms of the derivation; ``class Tanh(Operation, layer=layers.Tanh)`` explains that layer.

    Terms are lists of sources; the factors are looked up under those sources, so a source cannot disagree with its factor.
    ``<own>_terms(*index)`` yields those of one entry: ``out_terms`` of the output, ``dx_terms`` of the gradient to the input,
    ``weight_terms`` and ``bias_terms`` of the parameters' gradients.

    Attributes
    ----------
    trace : Trace
    index : int
        The layer's number.
    layer : Layer
    shape : tuple
        Of one sample of the input.
    x, y, dx, dy, w, b : Name
        What comes in, what comes out, the gradients to both, and the parameters, if there are any.
    """

    makes_axes = False
    """Whether the columns of its output (N, K) are its own, not those of its input."""

    def __init_subclass__(cls, layer=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if layer is not None:
            OPERATIONS[layer] = cls

    def __init__(self, trace, index):
        self.trace, self.index = trace, index
        self.layer, self.shape = trace.layers[index], trace.shapes[index]
        self.x, self.y = output(index - 1), output(index)
        self.dx, self.dy = self.x.d, self.y.d
        self.w, self.b = self.own("weight"), self.own("bias")

    def own(self, own):
        """The `Name` of a parameter, or of what the layer remembers."""
        return Name(False, self.index, own)

    @cached_property
    def window(self):
        """Of a convolution or a pool."""
        return self.layer.window(self.shape)

    @property
    def is_flat(self):
        """Whether the output is (N, K)."""
        return self.trace[self.y].ndim == 2

    @property
    def at(self):
        """The letters of an entry's index, where input and output have the same."""
        return "n,c,h,w" if self.trace[self.x].ndim == 4 else "n,k"

    @staticmethod
    def remembered(x, cache):
        """What the layer keeps for its backward pass, by name."""
        return {}

    @staticmethod
    def sides(layer, shape, x):
        """On which side of every kink of the layer the numbers of `x` lie, as bytes."""
        return b""

    def constants(self):
        """name -> number, for sources that are no entries."""
        return {}

    def equations(self):
        """Name -> the equation's text."""
        return {}

    def readings(self, own):
        """label -> rule, for "out", "dx", "weight" or "bias": a second rule reads the same sum otherwise."""
        rule = getattr(self, f"{own}_terms", None)
        if rule is None:
            raise ValueError(f"layer {self.index}, {self.layer!r}, has no ledger of its sums")
        return {"": rule}

    def looks(self, own, index):
        """The `Look` of every window that had a say in the entry."""
        return ()

    def notes(self, own, index):
        """What else there is to say about the entry."""
        return ()

    def forms(self):
        """The forms of mistakes that the gradient to the input has room for."""
        return ()

    def choices(self):
        """As `forms`: tuples of `Plant`, each all that is done wrong at once."""
        return [(Plant(self.index, form),) for form in self.forms()]

    def parameter_forms(self, own):
        """The forms of mistakes in the gradient of a parameter."""
        return ()

    def column_forms(self):
        """The forms of mistakes in the order of the columns that the layer made."""
        return ()

    def input_gradient(self, dy, cache, **wrong):
        """dx; ``wrong`` has what is done instead of a step, by the step's name."""
        if wrong:
            return self.wrong_input_gradient(dy, cache, **wrong)
        return self.layer.backward(functional, dy, cache, True)[0]

    def parameter_gradient(self, own, dy, cache, **wrong):
        """dw or db, as `input_gradient`."""
        if wrong:
            return getattr(self, f"wrong_{own}_gradient")(dy, cache, **wrong)
        _, found = self.layer.backward(functional, dy, cache, False)
        return dict(zip(self.layer.parameter_shapes(self.shape), found))[own]
