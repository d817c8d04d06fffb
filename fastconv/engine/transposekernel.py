"""Transposes of T x T floats as vector code: samples into lanes, and lanes into rows of filters.

A block of T rows is transposed in log2(T) rounds: round s exchanges the s x s blocks off the diagonal between rows s apart, one
shuffle a row. 64 shuffles for 16 x 16 take 17 ns; copying number by number took 87.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..jit import kernel
from . import record as r
from .lanes import FINGERPRINT, USE_TWIN, T
from .microkernel import _I64, _VECTOR, _ZERO, _Emitter, _pointers


def _transposed(b, rows):
    """T vectors -> T vectors, element [i][j] becoming [j][i]."""
    rows, s = list(rows), 1
    while s < T:
        low = [j if not j & s else T + j - s for j in range(T)]
        high = [T + j if j & s else j + s for j in range(T)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), T), mask) for mask in (low, high)]
        for i in range(T):
            if not i & s:
                pair = rows[i], rows[i + s]
                rows[i], rows[i + s] = (b.shuffle_vector(*pair, mask) for mask in masks)
        s *= 2
    return rows


def _loaded(e, x, stride, M):
    """T rows from the pointer in `x` on, `stride` apart; zeros from row M on."""
    b = e.b
    zeros = b.alloca(_VECTOR)
    b.store(_ZERO, zeros)
    nothing = b.bitcast(zeros, b.load(x).type)
    places = [b.gep(b.load(x), [b.mul(_I64(m), stride)]) for m in range(T)]
    return [e.load_row(b.select(b.icmp_signed("<", _I64(m), M), place, nothing)) for m, place in enumerate(places)]


@intrinsic
def _vector_transpose(typing, mem, line, tile):
    """Both operations: `reduce_lanes` adds the transposed rows up, so that T filters' sums come side by side."""

    def codegen(context, builder, signature, args):
        memory, line, tile = _pointers(context, builder, signature, args)
        e, b = _Emitter(builder), builder
        f = {column: e.field(line, column) for column in (r.M, r.NQ, r.XQ, r.OQ, r.NP, r.XP, r.OP, r.XR)}
        x, out = b.alloca(memory.type), b.alloca(memory.type)
        segment = e.b.load(b.gep(tile, [e.field(line, r.OUT_IN)]))
        b.store(b.gep(memory, [b.add(e.field(tile, r.WORK), e.field(line, r.X))]), x)
        b.store(b.gep(memory, [b.add(segment, e.field(line, r.OUT))]), out)

        def block():
            for t, row in enumerate(_transposed(b, _loaded(e, x, f[r.XR], f[r.M]))):
                e.store_row(row, b.gep(b.load(out), [_I64(t * T)]))

        def reduction():
            rows = _transposed(b, _loaded(e, x, f[r.XR], f[r.M]))
            while len(rows) > 1:
                rows = [b.fadd(rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]
            before = b.select(b.icmp_signed("!=", e.field(tile, r.FIRST), _I64(0)), _ZERO, e.load_row(b.load(out)))
            e.store_row(b.fadd(before, rows[0]), b.load(out))

        def over_positions(body):
            e.loop(f[r.NQ], [(x, f[r.XQ]), (out, f[r.OQ])], lambda: e.loop(f[r.NP], [(x, f[r.XP]), (out, f[r.OP])], body))

        with b.if_else(b.icmp_signed("==", e.field(line, r.KIND), _I64(r.TRANSPOSE))) as (transposes, reduces):
            with transposes:
                over_positions(block)
            with reduces:
                over_positions(reduction)
        return context.get_dummy_value()

    return types.void(mem, line, tile), codegen


def transpose_vector(mem, line, tile):
    """One line with KIND TRANSPOSE or REDUCE_LANES, as vector code; see `transpose_twin` for what it does."""
    _vector_transpose(mem, line, tile)


def transpose_twin(mem, line, tile):
    """[position][filter][lane] -> [position][lane][filter], M filters XR apart, zeros up to T of them; or the sums over the lanes, added."""
    for q in range(line[r.NQ]):
        for p in range(line[r.NP]):
            x = tile[r.WORK] + line[r.X] + q * line[r.XQ] + p * line[r.XP]
            out = tile[line[r.OUT_IN]] + line[r.OUT] + q * line[r.OQ] + p * line[r.OP]
            for m in range(T):
                if line[r.KIND] == r.REDUCE_LANES and tile[r.FIRST]:
                    mem[out + m] = 0
                for t in range(T):
                    value = mem[x + m * line[r.XR] + t] if m < line[r.M] else np.float32(0)
                    if line[r.KIND] == r.TRANSPOSE:
                        mem[out + t * T + m] = value
                    else:
                        mem[out + m] += value


transpose = kernel(transpose_twin if USE_TWIN else transpose_vector, key=FINGERPRINT)


@intrinsic
def _samples_to_lanes(typing, X, places, mem, at, stride):
    """T numbers from X at each of T `places` -> T rows of `mem`, `stride` apart."""

    def codegen(context, builder, signature, args):
        X, places, memory = _pointers(context, builder, signature, args[:3])
        e, b = _Emitter(builder), builder
        rows = [e.load_row(b.gep(X, [e.field(places, t)])) for t in range(T)]
        for i, row in enumerate(_transposed(b, rows)):
            e.store_row(row, b.gep(memory, [b.add(args[3], b.mul(_I64(i), args[4]))]))
        return context.get_dummy_value()

    return types.void(X, places, mem, at, stride), codegen


def gather_vector(mem, X, samples, count, at, C, pixels, places):
    """As `gather_twin`, T pixels at a time; the last block may overlap the one before."""
    if pixels < T:
        _gather_few(mem, X, samples, count, at, C, pixels)
        return
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


def gather_twin(mem, X, samples, count, at, C, pixels, places):
    """X (n, C * pixels) at `samples` -> rows [pixel][channel][lane] at `at`; lanes beyond `count` repeat the first."""
    _gather_few(mem, X, samples, count, at, C, pixels)


@kernel(key=FINGERPRINT)
def _gather_few(mem, X, samples, count, at, C, pixels):
    for t in range(T):
        image = X[samples[t if t < count else 0]]
        for c in range(C):
            for p in range(pixels):
                mem[at + (p * C + c) * T + t] = image[c * pixels + p]


gather = kernel(gather_twin if USE_TWIN else gather_vector, key=FINGERPRINT)
