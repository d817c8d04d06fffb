"""Layers are frozen descriptions: output shape, parameter shapes, and which forward/backward pair they stand for.

They hold no numbers and know no backend: `forward` and `backward` take the module of operations (`fastconv.functional` or
`fastconv.reference`) as their first argument. Shapes here are those of one sample, without the batch.

Layers refuse alike: ``ValueError`` for what is no number, or outside its range, and ``TypeError`` where more than the sizes go
without a name, or where the number of inputs is given, as PyTorch wants it: it is inferred.
"""

from dataclasses import dataclass, field, fields
from functools import wraps
from math import prod

from .support.arrays import require_memory, share
from .support.geometry import conv_window, integer, pair, plain, pool_window, switch

VAST = 2**62
"""Height and width of an image that every kernel fits: what is wrong with a window is said before there is an image."""
FLOAT_BYTES = 4
"""Of float32, the smaller of the two types that a network may have."""


def _by_name(cls):
    """Refuse a layer typed as PyTorch's, sizes of inputs first, with the call that was meant."""
    make = cls.__init__

    @wraps(make)
    def checked(self, *args, **named):
        sizes = [f.name for f in fields(cls) if not f.kw_only]
        if len(args) > len(sizes):
            raise TypeError(_correction(cls, args, named, sizes))
        for name in ("in_channels", "in_features"):
            if name in named:
                raise TypeError(f"{cls.__name__} takes no {name}: the number of inputs is inferred, leave it out")
        make(self, *args, **named)

    cls.__init__ = checked
    return cls


def _correction(cls, args, named, sizes):
    names = [f.name for f in fields(cls)]
    given = f"{_call(cls, args, named)}: "
    last = [f"{name}={value!r}" for name, value in zip(names[len(sizes) :], args[len(sizes) :]) if name not in named]
    if not cls.infers:
        go = "go" if len(sizes) > 1 else "goes"
        return f"{given}only {' and '.join(sizes)} {go} without a name: write {_call(cls, args[: len(sizes)], named, last)}"
    by_name = [f"{name}={value!r}" for name, value in zip(names[len(sizes) :], args[len(sizes) + 1 :]) if name not in named]
    meant = _call(cls, args[1 : len(sizes) + 1], named, by_name)
    other = _call(cls, args[: len(sizes)], named, last)
    return f"{given}the number of {cls.infers} is inferred: write {meant}; what is no size goes by name, as in {other}"


def _call(cls, args, named, more=()):
    parts = [*map(repr, args), *more, *(f"{name}={value!r}" for name, value in named.items())]
    return " ".join(f"{cls.__name__}({', '.join(parts)})".split())


class Layer:
    """What every layer answers; the defaults are those of a layer without parameters that keeps its shape.

    CONTRIBUTING.md says what it takes to add one.
    """

    infers = None
    """What a layer finds out from its input, where PyTorch wants it first."""

    def output_shape(self, shape):
        """The shape after this layer, or ValueError if `shape` does not suit it."""
        return shape

    def parameter_shapes(self, shape):
        """name -> shape of each parameter, weights first."""
        return {}

    def multiply_adds(self, shape):
        """Multiply-adds of one sample's forward pass, padded taps included."""
        return 0

    def padding_used(self, shape):
        """((top, bottom), (left, right)), or None for a layer without windows."""
        return None

    def forward(self, ops, x, params, rng):
        """-> y, cache"""
        raise NotImplementedError

    def backward(self, ops, dy, cache, need_dx):
        """-> dx, gradients in the order of `parameter_shapes`"""
        raise NotImplementedError


@_by_name
@dataclass(frozen=True)
class Conv2d(Layer):
    """A convolution; the number of input channels is inferred.

    (C, H, W) -> (out_channels, OH, OW)

    Parameters
    ----------
    out_channels : int
        Filters, each of which makes one channel.
    kernel_size, stride, dilation : int or (height, width)
        In pixels.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        In pixels, of zeros.
    groups : int
        Divides the channels in and out; each group sees its own channels only. As many groups as channels: depthwise.
    bias : bool
        Whether each filter adds a number of its own.

    Examples
    --------
    >>> Conv2d(8, 3, padding="same").output_shape((1, 28, 28))
    (8, 28, 28)
    >>> Conv2d(8, (5, 3), stride=2).output_shape((3, 28, 28))
    (8, 12, 13)
    """

    out_channels: int
    kernel_size: int | tuple
    stride: int | tuple = field(default=1, kw_only=True)
    padding: int | tuple | str = field(default=0, kw_only=True)
    dilation: int | tuple = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)

    infers = "input channels"

    def __post_init__(self):
        integer(self.out_channels, "out_channels", 1)
        integer(self.groups, "groups", 1)
        if self.out_channels % self.groups:
            raise ValueError(f"groups={self.groups} does not divide out_channels={self.out_channels}")
        conv_window(VAST, VAST, self.kernel_size, self.stride, self.padding, self.dilation)
        _freeze(self, bias=switch(self.bias, "bias"))

    def window(self, shape):
        """The `Window` over a sample of `shape` (C, H, W)."""
        C, H, W = _images(self, shape)
        if C % self.groups:
            raise ValueError(f"groups={self.groups} does not divide the {C} channels of the input {shape}")
        return conv_window(H, W, self.kernel_size, self.stride, self.padding, self.dilation)

    def output_shape(self, shape):
        window = self.window(shape)
        return self.out_channels, window.OH, window.OW

    def parameter_shapes(self, shape):
        weight = (self.out_channels, shape[0] // self.groups, *pair(self.kernel_size, "kernel_size", 1))
        return {"weight": weight, "bias": (self.out_channels,)} if self.bias else {"weight": weight}

    def multiply_adds(self, shape):
        window = self.window(shape)
        return prod(self.parameter_shapes(shape)["weight"]) * window.OH * window.OW

    def padding_used(self, shape):
        return _pads(self.window(shape))

    def forward(self, ops, x, params, rng):
        return ops.conv2d_forward(
            x, *params, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    def backward(self, ops, dy, cache, need_dx):
        dx, *grads = ops.conv2d_backward(dy, cache, need_dx=need_dx)
        return dx, grads[: 1 + self.bias]


@dataclass(frozen=True)
class _Pool(Layer):
    """What the two pools share."""

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple | str = field(default=0, kw_only=True)

    def __post_init__(self):
        pool_window(VAST, VAST, self.kernel_size, self.stride, self.padding)
        _freeze(self)

    def window(self, shape):
        """The `Window` over a sample of `shape` (C, H, W)."""
        return pool_window(*_images(self, shape)[1:], self.kernel_size, self.stride, self.padding)

    def output_shape(self, shape):
        window = self.window(shape)
        return shape[0], window.OH, window.OW

    def padding_used(self, shape):
        return _pads(self.window(shape))


@_by_name
@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The maximum of each window; `stride` is `kernel_size` unless given.

    (C, H, W) -> (C, OH, OW)

    Parameters
    ----------
    kernel_size : int or (height, width)
        In pixels.
    stride : int or (height, width), optional
        In pixels; a stride below the window makes windows overlap.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        At most half the window.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((8, 7, 7))
    (8, 3, 3)
    >>> MaxPool2d(3, stride=2, padding=1).output_shape((8, 7, 7))
    (8, 4, 4)
    """

    def forward(self, ops, x, params, rng):
        return ops.max_pool2d_forward(x, self.kernel_size, self.stride, self.padding)

    def backward(self, ops, dy, cache, need_dx):
        return ops.max_pool2d_backward(dy, cache), ()


@_by_name
@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of each window; `stride` is `kernel_size` unless given.

    (C, H, W) -> (C, OH, OW)

    Parameters
    ----------
    kernel_size : int or (height, width)
        In pixels.
    stride : int or (height, width), optional
        In pixels; a stride below the window makes windows overlap.
    padding : int, (height, width), ((top, bottom), (left, right)), "valid" or "same"
        Zeros that count in the mean, at most half the window.

    Examples
    --------
    >>> AvgPool2d(2).output_shape((8, 7, 7))
    (8, 3, 3)
    >>> AvgPool2d(3, stride=2, padding=1).output_shape((8, 7, 7))
    (8, 4, 4)
    """

    def forward(self, ops, x, params, rng):
        return ops.avg_pool2d_forward(x, self.kernel_size, self.stride, self.padding)

    def backward(self, ops, dy, cache, need_dx):
        return ops.avg_pool2d_backward(dy, cache), ()


@dataclass(frozen=True)
class ReLU(Layer):
    """The larger of x and 0, elementwise; the gradient at 0 is 0.

    any shape -> the same shape

    Examples
    --------
    >>> ReLU().output_shape((8, 5, 5))
    (8, 5, 5)
    """

    def forward(self, ops, x, params, rng):
        return ops.relu_forward(x)

    def backward(self, ops, dy, cache, need_dx):
        return ops.relu_backward(dy, cache), ()


@dataclass(frozen=True)
class Flatten(Layer):
    """One row of everything: channel by channel, row by row.

    (C, H, W) -> (C*H*W,)

    Examples
    --------
    >>> Flatten().output_shape((8, 3, 4))
    (96,)
    """

    def output_shape(self, shape):
        return (prod(_images(self, shape)),)

    def forward(self, ops, x, params, rng):
        return ops.flatten_forward(x)

    def backward(self, ops, dy, cache, need_dx):
        return ops.flatten_backward(dy, cache), ()


@_by_name
@dataclass(frozen=True)
class Dropout(Layer):
    """Zeros for a share `p` of the units while training, the rest scaled by 1 / (1 - p); the identity otherwise.

    Parameters
    ----------
    p : float
        In [0, 1).

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(p=0.5)
    """

    p: float

    def __post_init__(self):
        object.__setattr__(self, "p", share(self.p, "p"))

    def forward(self, ops, x, params, rng):
        return (x, None) if rng is None else ops.dropout_forward(x, self.p, rng=rng)

    def backward(self, ops, dy, cache, need_dx):
        return (dy if cache is None else ops.dropout_backward(dy, cache)), ()


@_by_name
@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer; the number of inputs is inferred.

    (in,) -> (out_features,)

    Parameters
    ----------
    out_features : int
        Units, each with a weight for every input.
    bias : bool
        Whether each unit adds a number of its own.

    Examples
    --------
    >>> Linear(10).parameter_shapes((96,))
    {'weight': (10, 96), 'bias': (10,)}
    """

    out_features: int
    bias: bool = field(default=True, kw_only=True)

    infers = "input features"

    def __post_init__(self):
        integer(self.out_features, "out_features", 1)
        _freeze(self, bias=switch(self.bias, "bias"))

    def output_shape(self, shape):
        if len(shape) != 1:
            raise ValueError(f"{self!r} takes flat rows, got {shape}; put Flatten() before it")
        return (self.out_features,)

    def parameter_shapes(self, shape):
        weight = (self.out_features, shape[0])
        return {"weight": weight, "bias": (self.out_features,)} if self.bias else {"weight": weight}

    def multiply_adds(self, shape):
        return self.out_features * shape[0]

    def forward(self, ops, x, params, rng):
        return ops.linear_forward(x, *params)

    def backward(self, ops, dy, cache, need_dx):
        dx, *grads = ops.linear_backward(dy, cache)
        return dx, grads[: 1 + self.bias]


LAYERS = {
    name: kind
    for name, kind in [*globals().items()]
    if isinstance(kind, type) and issubclass(kind, Layer) and kind is not Layer and not name.startswith("_")
}
"""Every layer by its name."""


def checked_shape(input_shape):
    """`input_shape` as a tuple (C, H, W), checked."""
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape must be (C, H, W), got {shape}")
    return tuple(integer(size, "input_shape", 1) for size in shape)


def infer_shapes(layers, shape):
    """The shape before each layer, and after the last; ValueError for one that no memory holds."""
    if not layers:
        raise ValueError("a network needs at least one layer")
    require_memory(prod(shape) * FLOAT_BYTES, f"one sample {shape}")
    shapes = [shape]
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layer {index} is {layer!r}, expected one of fastconv's layers")
        try:
            shapes.append(layer.output_shape(shapes[-1]))
            require_memory(prod(shapes[-1]) * FLOAT_BYTES, f"the output {shapes[-1]} of one sample")
        except ValueError as error:
            raise ValueError(f"layer {index}, {layer!r}: {error}") from None
    return tuple(shapes)


def parameter_layout(layers, shapes):
    """-> each layer's parameter names, and (name, slice of the flat buffer, shape) of every parameter."""
    names, places, start = [], [], 0
    for index, (layer, before) in enumerate(zip(layers, shapes)):
        found = {f"{index}.{name}": shape for name, shape in layer.parameter_shapes(before).items()}
        names.append(list(found))
        for name, shape in found.items():
            places.append((name, slice(start, start + prod(shape)), shape))
            start += prod(shape)
    return names, places


def _images(layer, shape):
    if len(shape) != 3:
        raise ValueError(f"{layer!r} takes images (C, H, W), got {shape}")
    return shape


def _pads(window):
    return (window.PT, window.PB), (window.PL, window.PR)


def _freeze(layer, **found):
    """Every field as plain numbers and tuples, so that equal layers hash alike and a file can hold them."""
    for name, value in vars(layer).items():
        object.__setattr__(layer, name, found[name] if name in found else plain(value))
