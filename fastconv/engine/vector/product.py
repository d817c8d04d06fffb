"""The gathered product as vector code: where nearly all of training's time is spent, and the one room where speed is bought.

One product serves four purposes, for only its strides differ:

    y[f]  = b[f] + sum w[f, u, v, c] * x[u, v, c]    forward             accumulators: filters      terms: taps and channels
    dx[c] = sum w[f, u, v, c] * dy[u, v, f]          gradient to x       accumulators: channels     terms: taps and filters
    dw[c] = sum x[c, lane] * dy^T[lane]              gradient to w       accumulators: channels     terms: positions and lanes
    a linear layer                                   the same, on an image of one pixel

What is in which register (AVX-512, T = 16 lanes), for a pair of positions:

    16 registers    the sums: 8 results (filters) at 2 positions, for the T samples of a tile
    2 registers     the two rows of x, T samples of one (y, x, channel) each
    some more       the 8 weights of a term, one after the other, each broadcast over the lanes

A term costs 16 multiply-adds and 10 loads, and no shuffle: two loads and two multiply-adds a cycle keep each other busy. 16
accumulators hide the latency of 4 cycles. Where there is one position only, 16 weights meet one row, broadcast by the
multiply-adds themselves: 17 loads, 5 to 15 % slower. There is a function for every number of scalars, so that 7 classes or 12
filters cost what they are.

Weights are packed [block of T filters][u][v][c][filter]. Forward reads the filters of one term side by side (ADJACENT); dx
reads the same block across (ROWS_APART), so nothing is packed twice; dw reads x itself so. STRIDED exchanges the sides for a
single sample: the row holds T filters' weights, the scalars are the numbers of some pixels.

`product_vector` and `product_twin` have one signature and test each other.
"""

import numpy as np

from ..program import lines
from ..program.lines import TILE, Place
from ..program.registers import product_sizes
from ..program.table import columns
from .emitter import I64, VECTOR, ZEROS, Emitter, function, line_kernel, switch
from .lanes import USE_TWIN, T, kernel

_c = columns(lines.Product)


class _Sums:
    """The function for one (order, scalars, rows): it takes pointers to x, w, out, bias and mask, the line and the tile."""

    def __init__(self, module, order, scalars, rows):
        name = f"fastconv_product_{order}_{scalars}_{rows}"
        self.function, self.e = function(module, name, 5, 2)
        self.b, self.order = self.e.b, order
        *places, self.line, self.tile = self.function.args
        self.x, self.w, self.out, self.bias, self.mask = map(self.e.variable, places)
        self.f = self.e.fields(self.line, _c)
        self.sums = {(m, i): self.b.alloca(VECTOR) for m in range(scalars) for i in range(rows)}
        between = {lines.ADJACENT: I64(1), lines.ROWS_APART: I64(T), lines.STRIDED: self.f.stride}[order]
        self.scalars = self.e.multiples(between, scalars)
        self.apart = self.e.multiples(self.f.apart if order == lines.STRIDED else I64(T), scalars)
        self.rows = self.e.multiples(self.f.rows.x, rows)

    def emit(self):
        """All positions."""
        self._over("q", lambda: self._over("p", self._position))
        self.b.ret_void()

    def _over(self, name, body):
        moved, strides = (self.x, self.w, self.out, self.mask), getattr(self.f, name)[1:]
        self.e.loop(self.e.late(self.line, getattr(_c, name).n), list(zip(moved, strides)), body)

    def _position(self):
        outs, masks = self._places(self.f.rows.out), self._places(self.f.rows.mask)
        init, final = self.e.late(self.tile, TILE.init), self.e.late(self.line, _c.final)
        self._start(init, outs)
        self._along("outer", lambda: self._along("middle", lambda: self._along("inner", self._run)))
        self._finish(final, outs, masks)

    def _places(self, rows_apart):
        """(m, i) -> offset of a sum's row"""
        return {
            (m, i): self.b.add(row, self.apart[m])
            for i, row in enumerate(self.e.multiples(rows_apart, len(self.rows)))
            for m in range(len(self.scalars))
        }

    def _along(self, name, body):
        strides = getattr(self.f, name)
        self.e.loop(self.e.late(self.line, getattr(_c, name).n), [(self.x, strides.x), (self.w, strides.w)], body)

    def _run(self):
        """Terms side by side, four at a time: 10 % faster, as a loop of 48 rounds ends in a mispredicted branch."""
        n, along = self.e.late(self.line, _c.run), T if self.order == lines.ADJACENT else 1
        for count, step in ((self.b.udiv(n, I64(4)), 4), (self.b.urem(n, I64(4)), 1)):
            steps = [(self.x, I64(T * step)), (self.w, I64(along * step))]
            self.e.loop(count, steps, lambda step=step: [self._term(k, along) for k in range(step)], keep=False)

    def _term(self, k, along):
        """Each sum's scalar times its row."""
        b, e = self.b, self.e
        scalars = b.gep(b.load(self.w), [I64(k * along)])
        rows = [e.load_row(b.gep(b.load(self.x), [b.add(row, I64(k * T))])) for row in self.rows]
        for m, offset in enumerate(self.scalars):
            scalar = e.broadcast(b.load(b.gep(scalars, [offset])))
            for i, row in enumerate(rows):
                b.store(e.multiply_add(scalar, row, b.load(self.sums[m, i])), self.sums[m, i])

    def _start(self, init, outs):
        """From zero, from the bias, or from what is already in `out`."""
        b, e = self.b, self.e
        for sum_ in self.sums.values():
            b.store(ZEROS, sum_)
        with b.if_then(b.icmp_signed("==", init, I64(lines.BIAS))):
            for (m, i), sum_ in self.sums.items():
                place = b.gep(b.load(self.bias), [I64(i * T if self.order == lines.STRIDED else m)])
                b.store(e.load_row(place) if self.order == lines.STRIDED else e.broadcast(b.load(place)), sum_)
        with b.if_then(b.icmp_signed("==", init, I64(lines.ADD))):
            for k, sum_ in self.sums.items():
                b.store(e.load_row(b.gep(b.load(self.out), [outs[k]])), sum_)

    def _finish(self, final, outs, masks):
        """ReLU, or the mask of the ReLU below, then the store."""
        b, e = self.b, self.e
        with b.if_then(b.icmp_signed("==", final, I64(lines.RELU))):
            for sum_ in self.sums.values():
                b.store(e.masked(b.load(sum_), b.load(sum_)), sum_)
        with b.if_then(b.icmp_signed("==", final, I64(lines.MASK))):
            for k, sum_ in self.sums.items():
                b.store(e.masked(b.load(sum_), e.load_row(b.gep(b.load(self.mask), [masks[k]]))), sum_)
        for k, sum_ in self.sums.items():
            e.store_row(b.load(sum_), b.gep(b.load(self.out), [outs[k]]))


_ROWS = 4
"""Above any number of rows, in the number of a function."""


def _number(order, scalars, rows):
    """The number of a function."""
    return (order * _ROWS + rows) * T + scalars


@line_kernel
def _vector_product(builder, memory, line, tile):
    """All functions, and a switch over them."""
    e = Emitter(builder)
    f = e.fields(line, _c)
    bias, mask = Place(I64(lines.PARAMS), f.bias), Place(I64(lines.WORK), f.mask)
    places = [e.pointer(memory, tile, place) for place in (f.x, f.w, f.out, bias, mask)]
    is_first = builder.icmp_signed("!=", e.field(tile, TILE.first), I64(0))
    known = builder.select(is_first, I64(lines.ZERO), I64(lines.ADD))
    init = builder.select(builder.icmp_signed("==", f.init, I64(lines.ADD_UNLESS_FIRST)), known, f.init)
    builder.store(init, builder.gep(tile, [I64(TILE.init)]))

    def calls(size):
        sums = _Sums(builder.module, *size)
        sums.emit()
        return lambda: builder.call(sums.function, [*places, line, tile])

    rows = builder.add(builder.mul(f.order, I64(_ROWS)), f.rows.n)
    number = builder.add(builder.mul(rows, I64(T)), f.scalars)
    switch(builder, number, {_number(*size): calls(size) for size in product_sizes(T)})


def product_vector(mem, line, tile):
    """A `Product`, as vector code; see `product_twin` for what it does."""
    _vector_product(mem, line, tile)


def product_twin(mem, line, tile):
    """A `Product`, as plain loops: every result is a sum of scalars times rows of T samples."""
    x0, w0 = tile[line[_c.x.segment]] + line[_c.x.at], tile[line[_c.w.segment]] + line[_c.w.at]
    out0, mask0, bias0 = (
        tile[line[_c.out.segment]] + line[_c.out.at],
        tile[lines.WORK] + line[_c.mask],
        tile[lines.PARAMS] + line[_c.bias],
    )
    init, order = line[_c.init], line[_c.order]
    if init == lines.ADD_UNLESS_FIRST:
        init = lines.ZERO if tile[TILE.first] else lines.ADD
    between, along = (1, T) if order == lines.ADJACENT else (T, 1) if order == lines.ROWS_APART else (line[_c.stride], 1)
    apart = line[_c.apart] if order == lines.STRIDED else T
    sums = np.empty((line[_c.scalars], T), np.float32)  # apart from `out`, which may be where the mask lies
    for q in range(line[_c.q.n]):
        for p in range(line[_c.p.n]):
            for i in range(line[_c.rows.n]):
                x = x0 + q * line[_c.q.x] + p * line[_c.p.x] + i * line[_c.rows.x]
                w = w0 + q * line[_c.q.w] + p * line[_c.p.w]
                out = out0 + q * line[_c.q.out] + p * line[_c.p.out] + i * line[_c.rows.out]
                mask = mask0 + q * line[_c.q.mask] + p * line[_c.p.mask] + i * line[_c.rows.mask]
                for m in range(len(sums)):
                    _start(mem, init, order, bias0 + (i * T if order == lines.STRIDED else m), out + m * apart, sums[m])
                _terms(mem, line, x, w, between, along, sums)
                for m in range(len(sums)):
                    _finish(mem, line[_c.final], out + m * apart, mask + m * apart, sums[m])


@kernel
def _start(mem, init, order, bias, out, sums):
    for t in range(T):
        if init == lines.BIAS:
            sums[t] = mem[bias + t] if order == lines.STRIDED else mem[bias]
        else:
            sums[t] = mem[out + t] if init == lines.ADD else np.float32(0)


@kernel
def _terms(mem, line, x0, w0, between, along, sums):
    for outer in range(line[_c.outer.n]):
        for middle in range(line[_c.middle.n]):
            for inner in range(line[_c.inner.n]):
                x = x0 + outer * line[_c.outer.x] + middle * line[_c.middle.x] + inner * line[_c.inner.x]
                w = w0 + outer * line[_c.outer.w] + middle * line[_c.middle.w] + inner * line[_c.inner.w]
                for k in range(line[_c.run]):
                    _term(mem, x + k * T, w + k * along, between, sums)


@kernel
def _term(mem, x, w, between, sums):
    """One row times each sum's scalar."""
    row = mem[x : x + T]
    for m in range(len(sums)):
        scalar = mem[w + m * between]
        for t in range(T):
            sums[m, t] += scalar * row[t]


@kernel
def _finish(mem, final, out, mask, sums):
    for t in range(T):
        is_masked = final == lines.RELU and sums[t] <= 0 or final == lines.MASK and mem[mask + t] <= 0
        mem[out + t] = np.float32(0) if is_masked else sums[t]


product = kernel(product_twin if USE_TWIN else product_vector)
