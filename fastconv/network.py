"""Sequential: owns the numbers, and applies the chain rule over a list of layers."""

from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields
from math import prod

import numpy as np

from . import functional
from .files import Stored, load_model, save_model
from .layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, checked_shape, infer_shapes, parameter_layout
from .support import portable
from .support.arrays import as_float, empty, layout_hint, require_shape, within
from .support.geometry import integer
from .support.jit import MISSING
from .support.threads import limit_threads

DRAWN_AT_ONCE = 2**16
"""First weights: the numbers that are drawn take twice the room of those that are kept."""
LAYER_COLUMN = 20
"""Characters that `summary` gives the layers at least."""


class Parameters(dict):
    """Name -> view into a network's buffer: an assignment copies into the view, and no name comes or goes.

    Otherwise a new array would be saved, and neither predict nor train would ever see it.
    """

    def __setitem__(self, name, value):
        self.update({name: value})

    def update(self, *others, **more):
        """Copy every value in or, on an error, none."""
        found = {name: self._checked(name, value) for name, value in dict(*others, **more).items()}
        for name, value in found.items():
            self[name][...] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def setdefault(self, name, default=None):
        """The view: every name is there already."""
        return self[name] if name in self else self._fixed(name)

    def _checked(self, name, value):
        if name not in self:
            raise KeyError(f"no parameter {name!r}, there are {', '.join(self)}")
        view, value = self[name], as_float(_detached(value), name, self[name].dtype)
        if value.ndim == 0 and view.size == 1:
            value = value.reshape(view.shape)
        require_shape(value, view.shape, name, "as the parameter")
        return within(value, view.dtype, name)

    def _fixed(self, *_):
        raise TypeError(f"the layers decide which parameters there are ({', '.join(self)}): none can be added or removed")

    __delitem__ = pop = popitem = clear = _fixed

    def __reduce__(self):
        return dict, (dict(self),)


class Sequential:
    """A network that applies its layers one after the other.

    x (N, C, H, W) -> logits (N, K)

    Parameters
    ----------
    layers : list of layers
    input_shape : (C, H, W)
        Of one sample; every other size is inferred from it.
    random_state : None, int or numpy.random.Generator
        Draws the first weights, uniform in +-1/sqrt(fan in) as PyTorch's.
    dtype : "float32" or "float64"

    Attributes
    ----------
    params : dict of str to array
        The parameters under PyTorch's names, "0.weight" and so on: views into `buffer`, so writing through them works.
    buffer : array
        Every parameter, one after the other.
    layers : tuple
    input_shape : tuple
    output_shape : tuple
        Of one sample.
    dtype : numpy.dtype

    Raises
    ------
    ValueError
        If a layer does not suit what comes out of the one before it.

    Examples
    --------
    >>> import numpy as np
    >>> net = Sequential([Conv2d(2, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(3)], input_shape=(1, 5, 5), random_state=0)
    >>> y, caches = net.forward(np.zeros((4, 1, 5, 5), "float32"))
    >>> y.shape, {name: g.shape for name, g in net.backward(np.ones_like(y), caches).items()}["0.weight"]
    ((4, 3), (2, 1, 2, 2))
    """

    def __init__(self, layers, input_shape, *, random_state=None, dtype="float32"):
        self._build(layers, input_shape, dtype)
        self._initialise(np.random.default_rng(random_state))

    def _build(self, layers, input_shape, dtype, buffer=None):
        """Everything but the numbers, around those in `buffer` if there are any."""
        self.layers = tuple(layers)
        self.input_shape = checked_shape(input_shape)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype must be float32 or float64, got {self.dtype}")
        self.shapes = infer_shapes(self.layers, self.input_shape)
        self._names, self._places = parameter_layout(self.layers, self.shapes)
        size = sum(prod(shape) for _, _, shape in self._places)
        self.buffer = empty((size,), self.dtype, "the parameters") if buffer is None else buffer
        self.params = Parameters(self.named(self.buffer))
        self._layer_params = [[self.params[name] for name in names] for names in self._names]

    def __setattr__(self, name, value):
        # `net.buffer *= 2` assigns the same array again.
        if name in vars(self) and name in _FIXED and value is not vars(self)[name]:
            write = f"; write into it, net.{name}[...] = values" if name == "buffer" else ""
            write = '; net.params["0.weight"] = array copies in' if name == "params" else write
            raise AttributeError(f"net.{name} cannot be replaced, the network's parameters belong to it{write}")
        object.__setattr__(self, name, value)

    @property
    def output_shape(self):
        return self.shapes[-1]

    def __reduce__(self):
        # Copies and pickles are built anew: `params` are views into one buffer.
        return _rebuilt, (self.layers, self.input_shape, self.dtype.name, self.buffer)

    def __repr__(self):
        layers = ", ".join(map(repr, self.layers))
        return f"Sequential([{layers}], input_shape={self.input_shape}, dtype={self.dtype.name!r})"

    def named(self, flat):
        """Views into `flat`, an array laid out as `buffer`, under the parameters' names."""
        return {name: flat[place].reshape(shape) for name, place, shape in self._places}

    def forward(self, x, *, rng=None, ops=functional):
        """Apply every layer.

        x (N, C, H, W) -> y (N, K), caches

        Parameters
        ----------
        x : array (N, C, H, W)
        rng : numpy.random.Generator, optional
            Dropout acts only with it.
        ops : module
            `fastconv.functional`, `fastconv.reference`, or `fastconv.support.portable`, whose caches are empty.

        Returns
        -------
        y : array
            The last layer's output.
        caches : list
            One a layer, for `backward`.

        Raises
        ------
        ValueError
            If `x` has not the network's input shape.
        TypeError
            If `x` does not hold real numbers.
        """
        y, caches = self._input(x), []
        for index, layer in enumerate(self.layers):
            y, cache = layer.forward(ops, y, self._layer_params[index], rng)
            caches.append(cache)
        return y, caches

    def backward(self, dy, caches, *, ops=functional):
        """The gradient to every parameter: the chain rule from the last layer to the first.

        dy (N, K) -> dict of name to gradient

        Parameters
        ----------
        dy : array
            The loss's gradient to the last layer's output.
        caches : list
            From `forward`.
        ops : module
            The one given to `forward`.

        Returns
        -------
        dict of str to array
            Views into one flat array laid out as `buffer`.

        Raises
        ------
        ValueError
            If `dy` has not the output's shape, or `caches` is not one a layer.
        """
        if len(caches) != len(self.layers):
            raise ValueError(f"caches has {len(caches)} entries, expected {len(self.layers)}, one a layer")
        grads = self.named(np.empty_like(self.buffer))
        first = next((i for i, names in enumerate(self._names) if names), len(self.layers))
        for index in range(len(self.layers) - 1, first - 1, -1):
            # Nothing below the first parameters needs a gradient.
            dy, found = self.layers[index].backward(ops, dy, caches[index], index > first)
            for name, gradient in zip(self._names[index], found, strict=True):
                grads[name][...] = gradient
        return grads

    def predict(self, x, *, n_threads=None):
        """The last layer's output (logits), Dropout off.

        x (N, C, H, W) -> y (N, K)

        Parameters
        ----------
        x : array (N, C, H, W)
        n_threads : int, optional
            At least 1.

        Returns
        -------
        array (N, K)

        Raises
        ------
        ValueError
            If `x` has not the network's input shape.
        TypeError
            If `x` does not hold real numbers.
        """
        x = self._input(x)
        n_threads = None if n_threads is None else integer(n_threads, "n_threads", 1)
        if self.dtype == np.float32 and not MISSING:
            from .engine import predict

            return predict(self, x, n_threads)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        chunk = max(1, portable.CHUNK_BYTES // (self._most_taps() * self.dtype.itemsize))
        with limit_threads(n_threads):
            for start in range(0, len(x), chunk):
                y[start : start + chunk] = self.forward(x[start : start + chunk], ops=portable)[0]
        return y

    def summary(self):
        """A table: layer, output shape, padding in use, parameters, multiply-adds of one sample.

        Returns
        -------
        str
            Multiply-adds include padded taps.

        Examples
        --------
        >>> print(tiny_net().summary())
        layer                         output      padding  parameters  multiply-adds
        0 Conv2d(1, 2)             (1, 4, 4)  (0,0) (0,0)           5             64
        1 ReLU()                   (1, 4, 4)            -           0              0
        2 MaxPool2d(2)             (1, 2, 2)  (0,0) (0,0)           0              0
        3 Flatten()                     (4,)            -           0              0
        4 Linear(10)                   (10,)            -          50             40
        total                                                      55            104
        """
        rows = [("layer", "output", "padding", "parameters", "multiply-adds")]
        parameters = multiply_adds = 0
        for index, (layer, before, after) in enumerate(zip(self.layers, self.shapes, self.shapes[1:])):
            size = sum(prod(shape) for shape in layer.parameter_shapes(before).values())
            work, pads = layer.multiply_adds(before), layer.padding_used(before)
            padding = "-" if pads is None else " ".join(f"({a},{b})" for a, b in pads)
            rows.append((f"{index} {_short(layer)}", str(after), padding, f"{size:,}", f"{work:,}"))
            parameters, multiply_adds = parameters + size, multiply_adds + work
        rows.append(("total", "", "", f"{parameters:,}", f"{multiply_adds:,}"))
        widths = [max(map(len, column)) for column in zip(*rows)]
        widths[0] = max(widths[0], LAYER_COLUMN)
        return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)

    def save(self, path):
        """Write the network to a .safetensors file with PyTorch's names and checksums, whole or not at all.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If the file cannot be written; an older one is then as it was.
        """
        save_model(self, path)

    @classmethod
    def load(cls, path):
        """Read a network that `save` wrote; no code is run and nothing damaged loads.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        Sequential

        Raises
        ------
        ModelFileError
            Whatever is wrong with the file.
        FileNotFoundError
            If there is none.
        """
        return restored(load_model(path))

    def to_onnx(self, path):
        """Write the network as an ONNX model: input "X" (N, C, H, W) of float32, any N, output "Y".

        Parameters
        ----------
        path : str or path

        Raises
        ------
        ImportError
            Without the onnx package.
        """
        from .files.onnx import network_model, write_model

        write_model(network_model(self), path)

    def state_dict(self):
        """A copy of every parameter under PyTorch's names.

        Returns
        -------
        dict of str to array
        """
        return {name: value.copy() for name, value in self.params.items()}

    def load_state_dict(self, state):
        """Take every parameter from `state`, all of them or, on an error, none.

        Parameters
        ----------
        state : dict of str to array
            Arrays or PyTorch tensors, named and shaped as `params`.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape differs.
        TypeError
            If a value does not hold real numbers.
        """
        missing, unknown = self.params.keys() - state.keys(), state.keys() - self.params.keys()
        if missing or unknown:
            raise ValueError(f"state dict misses {sorted(missing)} and has unknown {sorted(unknown)}")
        self.params.update({name: state[name] for name in self.params})

    def _initialise(self, rng):
        for names in self._names:
            if names:
                weight = self.params[names[0]]
                bound = 1 / np.sqrt(weight[0].size)
                for value in (self.params[name].reshape(-1) for name in names):
                    for start in range(0, value.size, DRAWN_AT_ONCE):
                        piece = value[start : start + DRAWN_AT_ONCE]
                        piece[...] = rng.uniform(-bound, bound, piece.size)

    def _most_taps(self):
        """The largest patch matrix or output of any layer, in entries a sample."""
        taps = [1]
        for layer, before, after in zip(self.layers, self.shapes, self.shapes[1:]):
            taps += [prod(after), layer.multiply_adds(before) // after[0] * getattr(layer, "groups", 1)]
        return max(taps)

    def _input(self, x):
        x = as_float(x, "x", self.dtype)
        if x.shape[1:] != self.input_shape:
            expected, hint = f"(N, {', '.join(map(str, self.input_shape))})", layout_hint(x.shape, self.input_shape, "x")
            raise ValueError(f"x has shape {x.shape}, expected {expected}{hint}")
        with np.errstate(over="ignore"):
            return x.astype(self.dtype, copy=False)


_FIXED = frozenset({"layers", "input_shape", "dtype", "shapes", "buffer", "params"})


def _detached(value):
    """A PyTorch tensor as one that NumPy can read."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return value.float() if str(value.dtype) == "torch.bfloat16" else value


def restored(stored):
    """The network that a file holds, a `files.Stored`, around the numbers that were read."""
    net = Sequential.__new__(Sequential)
    net._build(stored.layers, stored.input_shape, stored.dtype, stored.buffer)
    return net


def _rebuilt(layers, input_shape, dtype, buffer):
    # joblib hands large arrays over as read-only memory maps.
    return restored(Stored(layers, input_shape, dtype, np.array(buffer)))


def tiny_net(n_classes=10, channels=1, *, random_state=None, dtype="float32"):
    """The network that was derived by hand: 5x5 -> Conv2d(channels, 2) -> ReLU -> MaxPool2d(2) -> Flatten -> Linear.

    x (N, 1, 5, 5) -> logits (N, n_classes)

    Parameters
    ----------
    n_classes : int
    channels : int
        Of the convolution.
    random_state, dtype
        As for `Sequential`.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> tiny_net(n_classes=3).output_shape
    (3,)
    """
    layers = [Conv2d(channels, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(n_classes)]
    return Sequential(layers, input_shape=(1, 5, 5), random_state=random_state, dtype=dtype)


def _short(layer):
    """A layer as it would be typed: only what differs from the defaults."""
    parts = []
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.default is NO_DEFAULT:
            parts.append(repr(value))
        elif value != field.default:
            parts.append(f"{field.name}={value!r}")
    return f"{type(layer).__name__}({', '.join(parts)})"
