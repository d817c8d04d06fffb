"""The samples of a tile from the data into its lanes, as vector code: T pixels of T samples are a transpose.

Going sample by sample took a third of network D's step.
"""

from numba import types
from numba.extending import intrinsic

from .emitter import I64, Emitter, pointers
from .lanes import USE_TWIN, T, kernel
from .transpose import transposed


@intrinsic
def _samples_to_lanes(typing, X, places, mem, at, stride):
    """T numbers from X at each of T `places` -> T rows of `mem`, `stride` apart."""

    def codegen(context, builder, signature, args):
        X, places, memory = pointers(context, builder, signature, args[:3])
        e, b = Emitter(builder), builder
        rows = [e.load_row(b.gep(X, [e.field(places, t)])) for t in range(T)]
        for i, row in enumerate(transposed(b, rows)):
            e.store_row(row, b.gep(memory, [b.add(args[3], b.mul(I64(i), args[4]))]))
        return context.get_dummy_value()

    return types.void(X, places, mem, at, stride), codegen


def gather_vector(mem, X, samples, lanes, at, C, pixels, places):
    """As `gather_twin`, T pixels at a time; the last block may overlap the one before."""
    if pixels < T or lanes == 1:
        _gather_few(mem, X, samples, lanes, at, C, pixels)
        return
    count = len(samples)
    flat, row = X.reshape(-1), X.shape[1]
    for c in range(C):
        for t in range(T):
            places[t] = samples[t if t < count else 0] * row + c * pixels
        p = 0
        while p < pixels:
            shift = min(p, pixels - T)
            for t in range(T):
                places[t] += shift
            _samples_to_lanes(flat, places, mem, at + (shift * C + c) * T, C * T)
            for t in range(T):
                places[t] -= shift
            p += T


def gather_twin(mem, X, samples, lanes, at, C, pixels, places):
    """X (n, C * pixels) at `samples` -> rows [pixel][channel][lane] at `at`; lanes without a sample repeat the first."""
    _gather_few(mem, X, samples, lanes, at, C, pixels)


@kernel
def _gather_few(mem, X, samples, lanes, at, C, pixels):
    for t in range(lanes):
        image = X[samples[t if t < len(samples) else 0]]
        for c in range(C):
            for p in range(pixels):
                mem[at + (p * C + c) * lanes + t] = image[c * pixels + p]


gather = kernel(gather_twin if USE_TWIN else gather_vector)
