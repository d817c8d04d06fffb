"""Cases for the tests of convolutions and pools: hypothesis draws the shapes, not only square ones, a seed fills the arrays."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

DTYPES = [np.float32, np.float64]


def halves(rng, shape, dtype=np.float64):
    """Few different numbers, so that there are ties, and so small that every sum of products is exact even in float32."""
    return (rng.integers(-4, 5, shape) / 2).astype(dtype)


def peppered(rng, array):
    """`array` with a tenth of it NaN or infinite."""
    special = rng.choice(np.array([np.nan, np.inf, -np.inf], array.dtype), array.shape)
    return np.where(rng.random(array.shape) < 0.1, special, array)


def dot(a, b):
    """The inner product of two arrays of any shape, in float64."""
    return float((np.asarray(a, np.float64) * np.asarray(b, np.float64)).sum())


@dataclass
class Case:
    """An image batch, a window that fits it, and what else the operation takes."""

    x_shape: tuple
    kernel_size: tuple
    stride: object
    padding: object
    dilation: object
    dtype: type
    seed: int
    special: bool
    groups: int = 1
    filters: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)

    @property
    def w_shape(self):
        return (self.filters, self.x_shape[1] // self.groups, *self.kernel_size)

    def array(self, shape):
        """Small numbers with ties; with NaN and infinities among them where the case says so."""
        array = halves(self.rng, shape, self.dtype)
        return peppered(self.rng, array) if self.special else array

    def whole(self, shape):
        """Small whole numbers."""
        return self.rng.integers(-9, 10, shape).astype(self.dtype)

    @property
    def window(self):
        """What im2col takes after x."""
        return dict(kernel_size=self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)


def _pairs(least, most):
    """An int or (height, width)."""
    one = st.integers(least, most)
    return st.one_of(st.tuples(one, one), one)


def _both(value):
    return value if isinstance(value, tuple) else (value, value)


def _sides(padding):
    """((top, bottom), (left, right)); what "same" adds is always enough."""
    if isinstance(padding, str):
        return (0, 0), (0, 0)
    return tuple(_both(side) for side in _both(padding))


def _sizes(draw, kernel, dilation, padding):
    """The least image that the window fits, and up to 4 pixels more either way."""
    sizes = []
    for taps, step, (before, after) in zip(kernel, _both(dilation), _sides(padding)):
        span = (taps - 1) * step + 1
        least = 1 if padding == "same" else max(span - before - after, 1)
        sizes.append(least + draw(st.integers(0, 4)))
    return sizes


@st.composite
def conv_cases(draw, special=st.booleans()):
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    dilation = draw(st.one_of(st.just(1), _pairs(1, 3)))
    side = st.integers(0, 3)
    padding = draw(
        st.one_of(_pairs(0, 2), st.tuples(st.tuples(side, side), st.tuples(side, side)), st.sampled_from(["same", "valid"]))
    )
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 1 if groups == 3 else 2))  # 3 groups of 1 channel are a depthwise convolution
    return Case(
        (draw(st.integers(0, 3)), channels, *_sizes(draw, kernel, dilation, padding)),
        kernel, draw(_pairs(1, 5)), padding, dilation, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**16)),
        draw(special), groups, groups * draw(st.integers(1, 2)),
    )  # fmt: skip


@st.composite
def pool_cases(draw, special=st.booleans(), kernels=st.integers(1, 4), dilated=True):
    kernel = draw(kernels), draw(kernels)
    dilation = draw(st.one_of(st.just(1), _pairs(1, 3))) if dilated else 1
    most = [((taps - 1) * step + 1) // 2 for taps, step in zip(kernel, _both(dilation))]
    down, across = st.integers(0, most[0]), st.integers(0, most[1])
    padding = draw(
        st.one_of(
            st.integers(0, min(most)),
            st.tuples(down, across),
            st.tuples(st.tuples(down, down), st.tuples(across, across)),
            st.sampled_from(["same", "valid"]),
        )
    )
    return Case(
        (draw(st.integers(0, 3)), draw(st.integers(1, 3)), *_sizes(draw, kernel, dilation, padding)),
        kernel, draw(st.one_of(st.none(), _pairs(1, 6))), padding, dilation, draw(st.sampled_from(DTYPES)),
        draw(st.integers(0, 2**16)), draw(special), ceil_mode=draw(st.booleans()), count_include_pad=draw(st.booleans()),
    )  # fmt: skip
