"""Transposes of T x T floats as vector code: samples into lanes, and lanes into rows of filters.

A block of T rows is transposed in log2(T) rounds: round s exchanges the s x s blocks off the diagonal between rows s apart, one
shuffle a row. 64 shuffles for 16 x 16 take 17 ns; copying number by number took 87.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..support.jit import kernel
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
        f = {column: e.field(line, column) for column in (r.M, r.XR, *range(r.NQ, r.N0 + 1))}
        x, out, mask, dy = (b.alloca(memory.type) for _ in range(4))
        work = e.field(tile, r.WORK)
        for variable, column, segment in (
            *(
                (x, r.X, b.load(b.gep(tile, [e.field(line, r.X_IN)]))),
                (out, r.OUT, b.load(b.gep(tile, [e.field(line, r.OUT_IN)]))),
            ),
            *((mask, r.MASK, work), (dy, r.W, work)),
        ):
            b.store(b.gep(memory, [b.add(segment, e.field(line, column))]), variable)

        def block():
            for t, row in enumerate(_transposed(b, _loaded(e, x, f[r.XR], f[r.M]))):
                e.store_row(row, b.gep(b.load(out), [_I64(t * T)]))

        def sum_of_lanes(rows):
            rows = _transposed(b, rows)
            while len(rows) > 1:
                rows = [b.fadd(rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]
            return rows[0]

        def reduction():
            before = b.select(b.icmp_signed("!=", e.field(tile, r.FIRST), _I64(0)), _ZERO, e.load_row(b.load(out)))
            e.store_row(b.fadd(before, sum_of_lanes(_loaded(e, x, f[r.XR], f[r.M]))), b.load(out))

        def dot():
            sums = [b.alloca(_VECTOR) for _ in range(T)]
            for total in sums:
                b.store(_ZERO, total)

            def term():
                row = e.load_row(b.load(dy))
                for total, weights in zip(sums, _loaded(e, x, f[r.XR], f[r.M])):
                    b.store(e.multiply_add(weights, row, b.load(total)), total)

            e.loop(f[r.N1], [(x, f[r.X1]), (dy, _I64(T))], term)
            shut = b.fcmp_ordered("<=", e.load_row(b.load(mask)), _ZERO)
            no_mask = b.icmp_signed("!=", e.field(line, r.FINAL), _I64(r.MASK_AFTER))
            total = sum_of_lanes([b.load(total) for total in sums])
            e.store_row(b.select(no_mask, total, b.select(shut, _ZERO, total)), b.load(out))

        def over_positions(body):
            along_q = list(zip((x, out, mask), (f[r.XQ], f[r.OQ], f[r.MQ])))
            along_p = list(zip((x, out, mask), (f[r.XP], f[r.OP], f[r.MP])))
            e.loop(f[r.NQ], along_q, lambda: e.loop(f[r.NP], along_p, body))

        with b.if_else(b.icmp_signed("==", e.field(line, r.KIND), _I64(r.TRANSPOSE))) as (transposes, reduces):
            with transposes:
                over_positions(block)
            with reduces, b.if_else(b.icmp_signed(">", f[r.N1], _I64(0))) as (multiplies, adds):
                with multiplies:
                    over_positions(dot)
                with adds:
                    over_positions(reduction)
        return context.get_dummy_value()

    return types.void(mem, line, tile), codegen


def transpose_vector(mem, line, tile):
    """One line with KIND TRANSPOSE or REDUCE_LANES, as vector code; see `transpose_twin` for what it does."""
    _vector_transpose(mem, line, tile)


def transpose_twin(mem, line, tile):
    """[position][filter][lane] -> [position][lane][filter], M filters XR apart, zeros up to T of them; or the sums over the lanes.

    REDUCE_LANES adds the sums to gradients, unless N1 blocks of weights are first multiplied with those of dy: then they are dx.
    """
    for q in range(line[r.NQ]):
        for p in range(line[r.NP]):
            x = tile[line[r.X_IN]] + line[r.X] + q * line[r.XQ] + p * line[r.XP]
            out = tile[line[r.OUT_IN]] + line[r.OUT] + q * line[r.OQ] + p * line[r.OP]
            mask = tile[r.WORK] + line[r.MASK] + q * line[r.MQ] + p * line[r.MP]
            if line[r.KIND] == r.TRANSPOSE:
                _transpose_block(mem, line, x, out)
                continue
            for m in range(T):
                total = np.float32(0)
                if m < line[r.M]:
                    total = _lanes_total(mem, line, x + m * line[r.XR], tile[r.WORK] + line[r.W])
                if line[r.N1] == 0:
                    total = total if tile[r.FIRST] else mem[out + m] + total
                elif line[r.FINAL] == r.MASK_AFTER and mem[mask + m] <= 0:
                    total = np.float32(0)
                mem[out + m] = total


@kernel(key=FINGERPRINT)
def _transpose_block(mem, line, x, out):
    for m in range(T):
        for t in range(T):
            mem[out + t * T + m] = mem[x + m * line[r.XR] + t] if m < line[r.M] else np.float32(0)


@kernel(key=FINGERPRINT)
def _lanes_total(mem, line, x, dy):
    total = np.float32(0)
    for n in range(max(line[r.N1], 1)):
        for t in range(T):
            factor = mem[dy + n * T + t] if line[r.N1] else np.float32(1)
            total += mem[x + n * line[r.X1] + t] * factor
    return total


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


@kernel(key=FINGERPRINT)
def _gather_few(mem, X, samples, lanes, at, C, pixels):
    for t in range(lanes):
        image = X[samples[t if t < len(samples) else 0]]
        for c in range(C):
            for p in range(pixels):
                mem[at + (p * C + c) * lanes + t] = image[c * pixels + p]


gather = kernel(gather_twin if USE_TWIN else gather_vector, key=FINGERPRINT)
