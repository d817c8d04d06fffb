"""The softmax of a tile as vector code: else exp is a call for every number, and took half of a small network's time."""

from math import exp

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .emitter import I64, VECTOR, ZEROS, Emitter
from .lanes import USE_TWIN, T, kernel

_INTS = ir.VectorType(ir.IntType(32), T)
_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
"""Cephes' polynomial (expf): e ** r = 1 + r + r ** 2 * p(r) for abs(r) <= log(2) / 2, to 2 units in the last place."""


def _all(value):
    return ir.Constant(VECTOR, [value] * T)


def _exponential(e, x):
    """e ** x for rows of x <= 0; 0 below -87, NaN for NaN."""
    b = e.b
    is_tiny, is_nan = b.fcmp_ordered("<", x, _all(-87.0)), b.fcmp_unordered("uno", x, x)
    safe = b.select(b.or_(is_tiny, is_nan), ZEROS, x)
    # x = n log 2 + r; log 2 in two parts, so that r is exact. x <= 0: cut off towards 0 after subtracting a half is rounding.
    n = b.fptosi(b.fsub(b.fmul(safe, _all(1.44269504)), _all(0.5)), _INTS)
    whole = b.sitofp(n, VECTOR)
    r = b.fadd(b.fsub(safe, b.fmul(whole, _all(0.693359375))), b.fmul(whole, _all(2.12194440e-4)))
    p = _all(_TERMS[0])
    for term in _TERMS[1:]:
        p = b.fadd(b.fmul(p, r), _all(term))
    p = b.fadd(b.fadd(b.fmul(b.fmul(p, r), r), r), _all(1.0))
    exponent = b.shl(b.add(n, ir.Constant(_INTS, [127] * T)), ir.Constant(_INTS, [23] * T))
    y = b.fmul(p, b.bitcast(exponent, VECTOR))
    return b.select(is_nan, x, b.select(is_tiny, ZEROS, y))


@intrinsic
def _vector_softmax(typing, mem, y, dy, K, largest, sums):
    def codegen(context, builder, signature, args):
        memory, largest, sums = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 4, 5))
        e, b = Emitter(builder), builder
        source, target, best, total = b.alloca(memory.type), b.alloca(memory.type), b.alloca(VECTOR), b.alloca(VECTOR)
        b.store(b.gep(memory, [args[1]]), source)
        b.store(b.gep(memory, [args[2]]), target)
        b.store(e.load_row(b.load(source)), best)
        b.store(ZEROS, total)

        def find_largest():
            value, before = e.load_row(b.load(source)), b.load(best)
            above = b.or_(b.fcmp_ordered(">", value, before), b.fcmp_unordered("uno", value, value))
            b.store(b.select(above, value, before), best)

        def power():
            value = _exponential(e, b.fsub(e.load_row(b.load(source)), b.load(best)))
            e.store_row(value, b.load(target))
            b.store(b.fadd(b.load(total), value), total)

        def divide():
            e.store_row(b.fdiv(e.load_row(b.load(target)), b.load(total)), b.load(target))

        steps = [(source, I64(T)), (target, I64(T))]
        for body in (find_largest, power, divide):
            e.loop(args[3], steps, body)
        e.store_row(b.load(best), largest)
        e.store_row(b.load(total), sums)
        return context.get_dummy_value()

    return types.void(mem, y, dy, K, largest, sums), codegen


def softmax_vector(mem, y, dy, K, largest, sums):
    """As `softmax_twin`."""
    _vector_softmax(mem, y, dy, K, largest, sums)


def softmax_twin(mem, y, dy, K, largest, sums):
    """dy = the softmax of the K rows at y, lane by lane; also each lane's largest y, and the sum of the e ** (y - largest)."""
    for t in range(T):
        _softmax(mem, y + t, dy + t, K, T, largest[t : t + 1], sums[t : t + 1])


@kernel
def softmax_of_one(mem, y, dy, K, largest, sums):
    """The same for one sample, whose K numbers lie side by side."""
    _softmax(mem, y, dy, K, 1, largest, sums)


@kernel
def _softmax(mem, y, dy, K, apart, largest, sums):
    best, total = mem[y], np.float32(0)
    for k in range(K):
        value = mem[y + k * apart]
        best = value if value > best or value != value else best
    for k in range(K):
        mem[dy + k * apart] = exp(mem[y + k * apart] - best)
        total += mem[dy + k * apart]
    for k in range(K):
        mem[dy + k * apart] /= total
    largest[0], sums[0] = best, total


softmax = kernel(softmax_twin if USE_TWIN else softmax_vector)
