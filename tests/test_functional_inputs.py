"""Whatever an array's memory looks like, the result is that of a plain copy, the input stays as it was, and nothing is kept."""

import os
import re
import subprocess
import sys

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from shapes import halves

from fastconv import functional as fast


def _spread(a):
    """Every other element of a larger array."""
    large = np.full(tuple(2 * size for size in a.shape), 77, a.dtype)
    view = large[(slice(None, None, 2),) * a.ndim]
    view[...] = a
    return view


def _reversed(a):
    return a[..., ::-1].copy()[..., ::-1]


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": _spread,
    "reversed": _reversed,
    "read-only": _read_only,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": _unaligned,
    "transposed": lambda a: a.T.copy().T,
    "subclass": lambda a: a.view(np.recarray),
    "memory-mapped": None,
}


@pytest.fixture(params=LAYOUTS)
def as_given(request, tmp_path):
    """A function that stores an array in this parameter's way."""

    def mapped(a):
        path = tmp_path / f"{len(os.listdir(tmp_path))}.npy"
        np.save(path, a)
        return np.load(path, mmap_mode="r")

    return mapped if request.param == "memory-mapped" else LAYOUTS[request.param]


def _rng():
    return np.random.default_rng(0)


def _calls(dtype):
    """Every operation: its name, what it takes, its arrays, and what its backward pass takes besides dy."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=shape).astype(dtype) for shape in [(3, 4, 6, 5), (6, 2, 3, 2), 6])
    rows, v, c = (rng.normal(size=shape).astype(dtype) for shape in [(5, 7), (4, 7), 4])
    return {
        "conv2d": ([x, w, b], dict(padding="same", stride=(1, 2), groups=2)),
        "max_pool2d": ([x], dict(kernel_size=(3, 2), stride=2, padding=1)),
        "avg_pool2d": ([x], dict(kernel_size=(3, 2), stride=2, padding=1)),
        "relu": ([x], {}),
        "flatten": ([x], {}),
        "dropout": ([x], dict(p=0.5)),
        "linear": ([rows, v, c], {}),
    }


def _run(name, arrays, options, wrap=lambda a: a):
    """Forward and backward: all results. dy has the layout as well."""
    if name == "dropout":
        options = dict(options, rng=_rng())
    y, cache = getattr(fast, name + "_forward")(*map(wrap, arrays), **options)
    dy = (np.arange(y.size).reshape(y.shape) % 7 - 3).astype(y.dtype)
    gradients = getattr(fast, name + "_backward")(wrap(dy), cache)
    return y, *(gradients if isinstance(gradients, tuple) else [gradients])


def assert_same_bits(found, expected):
    assert type(found) is np.ndarray
    assert found.dtype == expected.dtype and found.dtype.isnative
    assert found.tobytes() == expected.tobytes() and found.shape == expected.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _calls(np.float64))
def test_the_layout_of_the_inputs_does_not_matter(name, dtype, as_given):
    arrays, options = _calls(dtype)[name]
    given = [as_given(a) for a in arrays]
    before = [a.tobytes() for a in given]
    expected = _run(name, [a.copy() for a in arrays], options)
    stored = iter(given)
    found = _run(name, arrays, options, lambda a: next(stored, None) if a.shape != () and _is(a, arrays) else as_given(a))
    for one, other in zip(found, expected, strict=True):
        assert_same_bits(one, other)
    assert [a.tobytes() for a in given] == before


def _is(a, arrays):
    return any(a is other for other in arrays)


def test_the_layout_of_patches_logits_targets_and_labels_does_not_matter(as_given):
    rng = np.random.default_rng(1)
    x, cols = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(12, 24))
    assert_same_bits(fast.im2col(as_given(x), 2), fast.im2col(x, 2))
    assert_same_bits(fast.col2im(as_given(cols), x.shape, 2), fast.col2im(cols, x.shape, 2))
    logits, labels, weights = rng.normal(size=(6, 4)), rng.integers(0, 4, 6), rng.random(6)
    assert_same_bits(fast.softmax(as_given(logits)), fast.softmax(logits))
    found = fast.cross_entropy_forward(as_given(logits), as_given(labels), sample_weight=as_given(weights))
    expected = fast.cross_entropy_forward(logits, labels, sample_weight=weights)
    assert found[0] == expected[0]
    assert_same_bits(fast.cross_entropy_backward(found[1]), fast.cross_entropy_backward(expected[1]))
    found = fast.mse_forward(as_given(logits), as_given(logits[::-1]), sample_weight=as_given(weights))
    expected = fast.mse_forward(logits, logits[::-1], sample_weight=weights)
    assert found[0] == expected[0]
    assert_same_bits(fast.mse_backward(found[1]), fast.mse_backward(expected[1]))


@pytest.mark.parametrize("name", _calls(np.float64))
def test_no_operation_writes_into_its_inputs_or_shares_its_cache(name):
    """Inputs, dy and the cache serve twice with the same result: nothing is spent, nothing is kept elsewhere."""
    arrays, options = _calls(np.float64)[name]
    before = [a.copy() for a in arrays]
    forward, backward = getattr(fast, name + "_forward"), getattr(fast, name + "_backward")
    if name == "dropout":
        options = dict(options, rng=_rng())
    y, cache = forward(*arrays, **options)
    dy = np.arange(y.size, dtype=float).reshape(y.shape)
    dy_before, y_before = dy.copy(), y.copy()
    first = backward(dy, cache)
    if name == "dropout":
        options["rng"] = _rng()
    other, _ = forward(*(a + 1 for a in arrays), **options)  # a second forward pass before the second backward pass
    assert (other != y).any()
    second = backward(dy, cache)
    for one, two in zip(first if isinstance(first, tuple) else [first], second if isinstance(second, tuple) else [second]):
        assert_same_bits(one, two)
    assert_array_equal(dy, dy_before)
    assert_array_equal(y, y_before)
    for a, b in zip(arrays, before):
        assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.uint64, np.bool_, np.float16])
@pytest.mark.parametrize("name", _calls(np.float64))
def test_other_real_numbers_become_float32(name, dtype):
    arrays, options = _calls(np.float64)[name]
    arrays = [np.abs(np.rint(2 * a)).astype(dtype) for a in arrays]
    found = _run(name, arrays, options)
    for one, other in zip(found, _run(name, [a.astype(np.float32) for a in arrays], options), strict=True):
        assert one.dtype == np.float32
        assert_same_bits(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _calls(np.float64))
def test_an_empty_batch_has_results_of_the_right_shape_and_dtype(name, dtype):
    arrays, options = _calls(dtype)[name]
    full = _run(name, arrays, options)
    empty = _run(name, [arrays[0][:0], *arrays[1:]], options)
    N = len(arrays[0])
    for one, other in zip(empty, full, strict=True):
        assert one.dtype == dtype
        # dw and db have no batch axis: they are zeros.
        is_batch = other.shape[0] == N and other.ndim > 1
        assert one.shape == ((0, *other.shape[1:]) if is_batch else other.shape)
        assert not one.any()


def test_the_losses_have_the_logits_dtype():
    for dtype in (np.float32, np.float64):
        logits = np.ones((2, 3), dtype)
        weights = np.ones(2)  # float64 in any case
        assert fast.softmax(logits).dtype == dtype
        assert fast.cross_entropy_backward(fast.cross_entropy_forward(logits, [0, 1], sample_weight=weights)[1]).dtype == dtype
        assert fast.mse_backward(fast.mse_forward(logits, logits, sample_weight=weights)[1]).dtype == dtype
    assert fast.softmax([1, 2]).dtype == np.float32


def _caches():
    for name, (arrays, options) in _calls(np.float64).items():
        options = dict(options, rng=_rng()) if name == "dropout" else options
        yield name, getattr(fast, name + "_forward")(*arrays, **options)[1]
    yield "cross_entropy", fast.cross_entropy_forward(np.zeros((1, 2)), [0])[1]
    yield "mse", fast.mse_forward(np.zeros((1, 2)), np.zeros((1, 2)))[1]


@pytest.mark.parametrize("name, cache", [*_caches()], ids=lambda value: value if isinstance(value, str) else "")
def test_a_cache_is_frozen_and_documents_every_field(name, cache):
    for field in cache._fields:
        with pytest.raises(AttributeError):
            setattr(cache, field, None)
        assert re.search(rf"\b{field}\b", type(cache).__doc__)
    with pytest.raises(AttributeError):
        cache.extra = 1
    assert type(cache).__name__ in fast.__all__


@pytest.mark.parametrize("size", [1, 3000, 10_000])
@pytest.mark.parametrize("groups", [1, 2])
def test_patches_in_chunks_give_the_same_numbers(monkeypatch, size, groups):
    """A patch matrix beyond PATCH_BYTES is built in chunks of the batch: whole numbers, so equality."""
    rng = np.random.default_rng(0)
    x, w, b = halves(rng, (7, 4, 6, 5)), halves(rng, (6, 4 // groups, 3, 2)), halves(rng, 6)
    y, cache = fast.conv2d_forward(x, w, b, padding=1, groups=groups)
    dy = halves(rng, y.shape)
    expected = fast.conv2d_backward(dy, cache)
    monkeypatch.setattr(fast, "PATCH_BYTES", size)
    chunked, chunked_cache = fast.conv2d_forward(x, w, b, padding=1, groups=groups)
    assert cache.cols is not None and chunked_cache.cols is None
    assert_array_equal(chunked, y)
    for found, other in zip(fast.conv2d_backward(dy, chunked_cache), expected, strict=True):
        assert_array_equal(found, other)
    assert_array_equal(fast.conv2d_backward(dy, chunked_cache, need_dx=False)[1], expected[1])


MEMORY = """
import re
import numpy as np
from fastconv import functional as fast
fast.PATCH_BYTES //= 4  # so that a few images are many chunks
def step(N):
    x, w = np.ones((N, 64, 56, 56), np.float32), np.ones((4, 64, 3, 3), np.float32)
    y, cache = fast.conv2d_forward(x, w, padding=1)
    dy = np.ones_like(y)
    dx, dw, _ = fast.conv2d_backward(dy, cache)
    return sum(a.nbytes for a in (x, w, y, dy, dx, dw))
step(1)  # compiles
# Not ru_maxrss: a child starts with its parent's peak.
kib = lambda name: int(re.search(rf"{name}:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
before = kib("VmRSS")
arrays = step(16)
print((kib("VmHWM") - before) * 1024 / arrays)
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the kernels as Python would take hours")
@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")
def test_a_large_convolution_takes_little_more_memory_than_its_arrays():
    """The patch matrix of all 16 images alone would be nine times x, and four times all arrays."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=120)
    assert 0.9 < float(run.stdout) < 3
