"""Transposes of T x T floats as vector code: samples into lanes, and lanes into rows of filters.

A block of T rows is transposed in log2(T) rounds: round s exchanges the s x s blocks off the diagonal between rows s apart,
one shuffle a row. 64 shuffles for 16 x 16 take 17 ns; copying number by number took 87. Sums over lanes are transposes whose
rows are added up, so that T sums come side by side.
"""

import numpy as np
from llvmlite import ir

from ..program import lines
from ..program.lines import TILE, Place
from ..program.table import columns
from .emitter import I64, ZEROS, Emitter, line_kernel
from .lanes import USE_TWIN, T, kernel

_transpose, _sum, _dot = (columns(kind) for kind in (lines.Transpose, lines.SumLanes, lines.DotLanes))


def transposed(b, rows):
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


def _loaded(e, x, f):
    """The rows of a line from the pointer in `x` on; zeros where it has fewer than T."""
    b = e.b
    nothing = b.bitcast(e.variable(ZEROS), b.load(x).type)
    places = [b.gep(b.load(x), [b.mul(I64(m), f.apart)]) for m in range(T)]
    return [e.load_row(b.select(b.icmp_signed("<", I64(m), f.n_rows), place, nothing)) for m, place in enumerate(places)]


def _sum_of_lanes(b, rows):
    """T rows -> a row of their sums, each added up as a tree."""
    rows = transposed(b, rows)
    while len(rows) > 1:
        rows = [b.fadd(rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]
    return rows[0]


def _over_positions(e, f, moved, body):
    """Do `body` at each position; `moved` are names of a loop's strides and variables."""

    def steps(loop):
        return [(variable, getattr(loop, name)) for name, variable in moved.items()]

    e.loop(f.q.n, steps(f.q), lambda: e.loop(f.p.n, steps(f.p), body))


@line_kernel
def _vector_transpose(builder, memory, line, tile):
    e, b = Emitter(builder), builder
    f = e.fields(line, _transpose)
    x, out = (e.variable(e.pointer(memory, tile, place)) for place in (f.x, f.out))

    def block():
        for t, row in enumerate(transposed(b, _loaded(e, x, f))):
            e.store_row(row, b.gep(b.load(out), [I64(t * T)]))

    _over_positions(e, f, {"x": x, "out": out}, block)


def transpose_vector(mem, line, tile):
    """A `Transpose`, as vector code; see `transpose_twin` for what it does."""
    _vector_transpose(mem, line, tile)


def transpose_twin(mem, line, tile):
    """[position][filter][lane] -> [position][lane][filter], zeros up to T filters."""
    x0, out0 = _start(line, tile, _transpose.x), _start(line, tile, _transpose.out)
    for q in range(line[_transpose.q.n]):
        for p in range(line[_transpose.p.n]):
            x = x0 + q * line[_transpose.q.x] + p * line[_transpose.p.x]
            out = out0 + q * line[_transpose.q.out] + p * line[_transpose.p.out]
            for m in range(T):
                for t in range(T):
                    is_there = m < line[_transpose.n_rows]
                    mem[out + t * T + m] = mem[x + m * line[_transpose.apart] + t] if is_there else np.float32(0)


@line_kernel
def _vector_sum(builder, memory, line, tile):
    e, b = Emitter(builder), builder
    f = e.fields(line, _sum)
    x, out = (e.variable(e.pointer(memory, tile, place)) for place in (f.x, f.out))

    def add():
        is_first = b.icmp_signed("!=", e.field(tile, TILE.first), I64(0))
        before = b.select(is_first, ZEROS, e.load_row(b.load(out)))
        e.store_row(b.fadd(before, _sum_of_lanes(b, _loaded(e, x, f))), b.load(out))

    e.loop(f.p.n, [(x, f.p.x), (out, f.p.out)], add)


def sum_lanes_vector(mem, line, tile):
    """A `SumLanes`, as vector code; see `sum_lanes_twin` for what it does."""
    _vector_sum(mem, line, tile)


def sum_lanes_twin(mem, line, tile):
    """The sums over the lanes of each row, added to gradients, which the first tile of a shard overwrites."""
    x0, out0 = _start(line, tile, _sum.x), _start(line, tile, _sum.out)
    for p in range(line[_sum.p.n]):
        x, out = x0 + p * line[_sum.p.x], out0 + p * line[_sum.p.out]
        for m in range(T):
            total = np.float32(0)
            for t in range(T if m < line[_sum.n_rows] else 0):
                total += mem[x + m * line[_sum.apart] + t]
            mem[out + m] = total if tile[TILE.first] else mem[out + m] + total


@line_kernel
def _vector_dot(builder, memory, line, tile):
    e, b = Emitter(builder), builder
    f = e.fields(line, _dot)
    work = I64(lines.WORK)
    places = f.x, f.out, Place(work, f.mask), Place(work, f.w)
    x, out, mask, dy = (e.variable(e.pointer(memory, tile, place)) for place in places)
    is_masked = b.icmp_signed("==", f.final, I64(lines.MASK))

    def dot():
        sums = [e.variable(ZEROS) for _ in range(T)]

        def term():
            row = e.load_row(b.load(dy))
            for total, weights in zip(sums, _loaded(e, x, f)):
                b.store(e.multiply_add(weights, row, b.load(total)), total)

        e.loop(f.blocks, [(x, f.block), (dy, I64(T))], term)
        total = _sum_of_lanes(b, [b.load(total) for total in sums])
        e.store_row(b.select(is_masked, e.masked(total, e.load_row(b.load(mask))), total), b.load(out))

    _over_positions(e, f, {"x": x, "out": out, "mask": mask}, dot)


def dot_lanes_vector(mem, line, tile):
    """A `DotLanes`, as vector code; see `dot_lanes_twin` for what it does."""
    _vector_dot(mem, line, tile)


def dot_lanes_twin(mem, line, tile):
    """The sums over the lanes of each row of weights times dy, block by block, then the mask."""
    x0, out0, dy = _start(line, tile, _dot.x), _start(line, tile, _dot.out), tile[lines.WORK] + line[_dot.w]
    for q in range(line[_dot.q.n]):
        for p in range(line[_dot.p.n]):
            x, out = x0 + q * line[_dot.q.x] + p * line[_dot.p.x], out0 + q * line[_dot.q.out] + p * line[_dot.p.out]
            mask = tile[lines.WORK] + line[_dot.mask] + q * line[_dot.q.mask] + p * line[_dot.p.mask]
            for m in range(T):
                total = np.float32(0)
                for n in range(line[_dot.blocks] if m < line[_dot.n_rows] else 0):
                    for t in range(T):
                        total += mem[x + m * line[_dot.apart] + n * line[_dot.block] + t] * mem[dy + n * T + t]
                mem[out + m] = np.float32(0) if line[_dot.final] == lines.MASK and mem[mask + m] <= 0 else total


@kernel
def _start(line, tile, place):
    return tile[line[place.segment]] + line[place.at]


transpose = kernel(transpose_twin if USE_TWIN else transpose_vector)
sum_lanes = kernel(sum_lanes_twin if USE_TWIN else sum_lanes_vector)
dot_lanes = kernel(dot_lanes_twin if USE_TWIN else dot_lanes_vector)
