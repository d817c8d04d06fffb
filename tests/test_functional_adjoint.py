"""Whole numbers, whose sums are exact: a backward pass is the adjoint of its forward pass to the last bit, not to a tolerance.

Where y is linear in x, ``sum(dy * y(x)) == sum(dx(dy) * x)`` for every dy and x: there is no room for a lost or doubled term.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from shapes import conv_cases, dot, pool_cases

from fastconv import functional as fast

plain = st.just(False)


@given(conv_cases(special=plain))
def test_col2im_is_the_adjoint_of_im2col(case):
    x = case.whole(case.x_shape)
    cols = fast.im2col(x, **case.window)
    other = case.whole(cols.shape)
    assert dot(cols, other) == dot(x, fast.col2im(other, x.shape, **case.window))


@given(conv_cases(special=plain))
def test_every_gradient_of_the_convolution_is_an_adjoint(case):
    x, w, b = case.whole(case.x_shape), case.whole(case.w_shape), case.whole(case.filters)
    options = dict(stride=case.stride, padding=case.padding, dilation=case.dilation, groups=case.groups)
    y, cache = fast.conv2d_forward(x, w, b, **options)
    dy = case.whole(y.shape)
    dx, dw, db = fast.conv2d_backward(dy, cache)
    product, bias = dot(dy, y), dot(db, b)
    assert dot(dx, x) == product - bias
    assert dot(dw, w) == product - bias
    # The bias alone: the forward pass without it differs by b at every position.
    assert bias == product - dot(dy, fast.conv2d_forward(x, w, **options)[0])


@given(st.integers(0, 6), st.integers(1, 7), st.integers(1, 6), st.integers(0, 2**16))
def test_every_gradient_of_the_linear_layer_is_an_adjoint(N, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, w, b, dy = (
        rng.integers(-9, 10, shape).astype(np.float32) for shape in [(N, inputs), (outputs, inputs), outputs, (N, outputs)]
    )
    y, cache = fast.linear_forward(x, w, b)
    dx, dw, db = fast.linear_backward(dy, cache)
    assert dot(dx, x) == dot(dw, w) == dot(dy, y) - dot(db, b)
    assert dot(db, b) == dot(dy, np.broadcast_to(b, y.shape))


@given(pool_cases(special=plain, kernels=st.sampled_from([1, 2, 4]), dilated=False))
def test_avg_pool_backward_is_the_adjoint(case):
    """Windows of 1, 2 and 4 pixels, padding counted: what they divide by is a power of two, so the mean is exact."""
    x = case.whole(case.x_shape)
    y, cache = fast.avg_pool2d_forward(x, case.kernel_size, case.stride, case.padding)
    dy = case.whole(y.shape)
    assert dot(dy, y) == dot(fast.avg_pool2d_backward(dy, cache), x)


@given(pool_cases(special=plain))
def test_max_pool_backward_is_the_adjoint_of_picking_the_winners(case):
    x = case.whole(case.x_shape)
    y, cache = fast.max_pool2d_forward(x, *case.window.values(), case.ceil_mode)
    has_winner = cache.argmax >= 0  # not where a dilated window steps over the image into padding
    dy = case.whole(y.shape)
    dx = fast.max_pool2d_backward(dy, cache)
    assert dot(dy[has_winner], y[has_winner]) == dot(dx, x)
    assert dx.sum() == dy[has_winner].sum()
    assert (y[~has_winner] == -np.inf).all()
