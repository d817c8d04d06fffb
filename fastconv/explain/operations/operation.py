"""What a layer of a trace is asked about, and what one without anything special answers."""

from ... import functional
from ..mistakes import Plant
from ..names import Name, entry, output

OPERATIONS = {}
"""The `Operation` for each type of layer."""


class Operation:
    """One layer of a trace, or the loss above the last one.

    ``class Tanh(Operation, layer=layers.Tanh)`` explains that layer: its `equations`; its `rules`, which yield the terms of a
    sum as lists of sources (the factors are looked up under them, so that a source cannot disagree with its factor); and the
    `forms` of mistakes that it has room for, each an argument, under the name of its step, of ``wrong_input_gradient``.
    """

    makes_axes = False
    """Whether the columns of its output (N, K) are its own, not those of its input."""

    def __init_subclass__(cls, layer=None):
        if layer is not None:
            OPERATIONS[layer] = cls

    def __init__(self, trace, index):
        self.trace, self.index, self.shape = trace, index, trace.shapes[index]
        self.layer = trace.layers[index] if index < len(trace.layers) else None
        self.x, self.y = output(index - 1), output(index)
        self.dx, self.dy = self.x.d, self.y.d
        self.w, self.b = self.own("weight"), self.own("bias")

    def own(self, own):
        """The `Name` of a parameter, or of what the layer remembers."""
        return Name(False, self.index, own)

    @property
    def is_flat(self):
        """Whether the output is (N, K)."""
        return self.trace[self.y].ndim == 2

    @staticmethod
    def remembered(x, cache):
        """own name -> array, of what the layer keeps for its backward pass."""
        return {}

    @staticmethod
    def sides(layer, shape, x):
        """On which side of every kink of the layer the numbers of `x` lie, as bytes."""
        return b""

    def settings(self):
        """What the page's script must know of the layer, beside its type and its window."""
        return {}

    def constants(self):
        """name -> number, for sources that are no entries."""
        return {}

    def equations(self):
        """name -> text"""
        return {}

    def rules(self):
        """name -> the function from an index to the terms of that entry; several readings of one sum have a label each."""

        def unknown(*index):
            raise ValueError(f"layer {self.index}, {self.layer!r}, has no ledger of its sums")

        parameters = (self.own(own).d for own in self.layer.parameter_shapes(self.shape))
        return dict.fromkeys((self.y, self.dx, *parameters), unknown)

    def looks(self, name, index):
        """The `Look` of every window that had a say in an entry."""
        return ()

    def notes(self, name, index):
        """What else there is to say about an entry."""
        return ()

    def forms(self):
        """The forms of mistakes that the gradient to the input has room for.

        They live at their module's level: one mistake made in two layers is one form in two places.
        """
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
        """dx, with what is done wrong instead of a step, by the step's name."""
        if wrong:
            return self.wrong_input_gradient(dy, cache, **wrong)
        return self.layer.backward(functional, dy, cache, True)[0]

    def parameter_gradient(self, own, dy, cache, **wrong):
        """dw or db, as `input_gradient`."""
        if wrong:
            return getattr(self, f"wrong_{own}_gradient")(dy, cache, **wrong)
        _, found = self.layer.backward(functional, dy, cache, False)
        return dict(zip(self.layer.parameter_shapes(self.shape), found))[own]


class Elementwise(Operation):
    """``y = x * factors``, and the gradient passes through the same factors."""

    def factors(self, *at):
        """Those of one entry."""
        raise NotImplementedError

    def rules(self):
        def product(given):
            return lambda *at: [[entry(given, *at), *self.factors(*at)]]

        return {self.y: product(self.x), self.dx: product(self.dy)}

    @property
    def letters(self):
        """Of an entry's index."""
        return "nk" if self.is_flat else "nchw"

    def equations(self):
        at = self.letters
        return {name: f"{entry(name, *at)} = {' * '.join(*rule(*at))}" for name, rule in self.rules().items()}
