"""The gathered product as vector code: where nearly all of training's time is spent, and the one room where speed is bought.

One product serves four purposes, for only its strides differ:

    y[f]  = b[f] + sum w[f, u, v, c] * x[u, v, c]    forward             accumulators: filters      terms: taps and channels
    dx[c] = sum w[f, u, v, c] * dy[u, v, f]          gradient to x       accumulators: channels     terms: taps and filters
    dw[c] = sum x[c, lane] * dy^T[lane]              gradient to w       accumulators: channels     terms: positions and lanes
    a linear layer                                   the same, on an image of one pixel

What is in which register (AVX-512, T = 16 lanes), for a pair of positions:

    zmm0 .. zmm15     M x ROWS accumulators: 8 results (filters) at 2 positions, for the T samples of a tile
    zmm16, zmm17      the two rows of x, T samples of one (y, x, channel) each
    zmm18 .. zmm25    8 weights, each broadcast over the lanes

A term costs 16 multiply-adds and 10 loads, and no shuffle: two loads and two multiply-adds a cycle keep each other busy. 16 accumulators
hide the latency of 4 cycles. Where there is one position only, 16 weights meet one row, broadcast by the multiply-adds themselves: 17
loads, 5 to 15 % slower. There is a function for every M, so that 7 classes or 12 filters cost what they are.

Weights are packed [block of T filters][u][v][c][filter]. Forward reads the filters of one term side by side (ORDER 0); dx reads the
same block across (ORDER 1), the accumulators T floats apart, so nothing is packed twice; dw reads x itself so. ORDER 2 exchanges the sides
for a single sample: the row holds T filters' weights, the scalars are the numbers of M pixels, ACROSS apart.

`product` and `product_twin` have one signature and test each other. Nothing checks bounds here: `plan` writes every offset.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..support.jit import kernel
from . import record as r
from .lanes import FINGERPRINT, HAS_FMA, USE_TWIN, T

_I64, _F32 = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_F32, T)
_SIZES = [
    (order, M, R)
    for order in (0, 1, 2)
    for R in (1, 2)
    for M in range(1, T // max(R, order) + 1)
    if 2 * M <= T or M % 2 == 0  # an odd number above T / 2 is cut in two: less to compile
]
"""(ORDER, M, ROWS) of every function: never more than T accumulators."""


def in_sizes(M):
    """(first, size) of the one or two functions that make M sums of a row."""
    return [(0, M)] if 2 * M <= T or M % 2 == 0 else [(0, M // 2 + 1), (M // 2 + 1, M // 2)]


class _Emitter:
    """Little helpers over an llvmlite builder: pointers, loops, vectors."""

    def __init__(self, builder):
        self.b = builder

    def field(self, base, column):
        return self.b.load(self.b.gep(base, [_I64(column)]))

    def late(self, base, column):
        """A field that is read where it is used. LLVM makes a copy of all loops for every condition it knows to stay the same."""
        return self.b.load_atomic(self.b.gep(base, [_I64(column)]), "monotonic", 8)

    def loop(self, n, steps, body, keep=True):
        """Run `body` n times (not at all for n = 0); `steps` are (pointer variable, stride) moved after each round.

        Afterwards the pointers are back where they were if `keep`, else beyond the last round.
        """
        b = self.b
        head, inside, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        starts = [b.load(variable) for variable, _ in steps]
        entry = b.block
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(_I64)
        i.add_incoming(_I64(0), entry)
        b.cbranch(b.icmp_signed("<", i, n), inside, after)
        b.position_at_end(inside)
        kept = [b.load(variable) for variable, _ in steps]
        self.i = i  # for a body that needs to know
        body()
        for (variable, stride), pointer in zip(steps, kept):
            b.store(b.gep(pointer, [stride]), variable)
        i.add_incoming(b.add(i, _I64(1)), b.block)
        b.branch(head)
        b.position_at_end(after)
        for (variable, _), pointer in zip(steps, starts) if keep else ():
            b.store(pointer, variable)

    def multiples(self, stride, n):
        """0, stride, 2 * stride, ..."""
        return [self.b.mul(_I64(i), stride) for i in range(n)]

    def load_row(self, pointer):
        return self.b.load(self.b.bitcast(pointer, _VECTOR.as_pointer()), align=4)

    def store_row(self, value, pointer):
        self.b.store(value, self.b.bitcast(pointer, _VECTOR.as_pointer()), align=4)

    def broadcast(self, scalar):
        one = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
        return self.b.shuffle_vector(
            one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), T), [0] * T)
        )

    def multiply_add(self, a, x, c):
        return multiply_add(self.b, a, x, c)


def multiply_add(builder, a, x, c):
    """a * x + c for rows of T lanes, rounded once where the CPU can."""
    if not HAS_FMA:  # llvm.fma would call libm for every lane
        return builder.fadd(builder.fmul(a, x), c)
    module, name = builder.module, f"llvm.fma.v{T}f32"
    fma = module.globals.get(name) or ir.Function(module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
    return builder.call(fma, [a, x, c])


_ZERO = ir.Constant(_VECTOR, [0.0] * T)


def _emit_product(module, order, M, R):
    """The function ``product_<order>_<M>_<R>(x, w, out, bias, mask, record, tile)`` in LLVM IR."""
    pointer, record = _F32.as_pointer(), _I64.as_pointer()
    name = f"fastconv_product_{order}_{M}_{R}"
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 5 + [record] * 2), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    e = _Emitter(ir.IRBuilder(function.append_basic_block("entry")))
    b, rec, tile = e.b, function.args[5], function.args[6]
    x, w, out, bias, mask = (b.alloca(pointer) for _ in range(5))
    for variable, value in zip((x, w, out, bias, mask), function.args):
        b.store(value, variable)
    acc = {(m, i): b.alloca(_VECTOR) for m in range(M) for i in range(R)}
    f = {column: e.field(rec, column) for column in (r.XR, r.OR, r.MR, r.ACROSS, r.OM, *range(r.NQ, r.N0 + 1))}
    along = T if order == 0 else 1
    scalars = e.multiples([_I64(1), _I64(T), f[r.ACROSS]][order], M)
    results_apart = e.multiples(f[r.OM] if order == 2 else _I64(T), M)

    def term(k):
        weights = b.gep(b.load(w), [_I64(k * along)])
        rows = [e.load_row(b.gep(b.load(x), [b.add(offset, _I64(k * T))])) for offset in e.multiples(f[r.XR], R)]
        for m in range(M):
            weight = e.broadcast(b.load(b.gep(weights, [scalars[m]])))
            for i in range(R):
                b.store(e.multiply_add(weight, rows[i], b.load(acc[m, i])), acc[m, i])

    def level(n, xs, ws, body):
        return lambda: e.loop(e.late(rec, n), [(x, f[xs]), (w, f[ws])], body)

    def side_by_side():
        # Four at a time: 10 % faster, for a loop of 48 rounds ends in a branch that the core mispredicts.
        n = e.late(rec, r.N0)
        for count, step in ((b.udiv(n, _I64(4)), 4), (b.urem(n, _I64(4)), 1)):
            e.loop(
                count,
                [(x, _I64(T * step)), (w, _I64(along * step))],
                lambda step=step: [term(k) for k in range(step)],
                keep=False,
            )

    terms = level(r.N3, r.X3, r.W3, level(r.N2, r.X2, r.W2, level(r.N1, r.X1, r.W1, side_by_side)))

    def result():
        outs, masks = (
            {(m, i): b.add(step, results_apart[m]) for i, step in enumerate(e.multiples(f[column], R)) for m in range(M)}
            for column in (r.OR, r.MR)
        )
        init, final = e.late(tile, r.START_FROM), e.late(rec, r.FINAL)
        _start_sums(e, acc, init, lambda k: b.gep(b.load(out), [outs[k]]), bias, order)
        terms()
        _finish_sums(e, acc, final, lambda k: b.gep(b.load(out), [outs[k]]), lambda k: b.gep(b.load(mask), [masks[k]]))

    def results(n, strides, body):
        return lambda: e.loop(e.late(rec, n), list(zip((x, w, out, mask), strides)), body)

    along_q = [f[column] for column in (r.XQ, r.WQ, r.OQ, r.MQ)]
    along_p = [f[column] for column in (r.XP, r.WP, r.OP, r.MP)]
    results(r.NQ, along_q, results(r.NP, along_p, result))()
    b.ret_void()
    return function


def _start_sums(e, acc, init, out, bias, order):
    """Accumulators from zero, from the bias, or from what is already in `out`."""
    b = e.b
    for sum_ in acc.values():
        b.store(_ZERO, sum_)
    with b.if_then(b.icmp_signed("==", init, _I64(r.BIAS))):
        for (m, i), sum_ in acc.items():
            place = b.gep(b.load(bias), [_I64(i * T if order == 2 else m)])
            b.store(e.load_row(place) if order == 2 else e.broadcast(b.load(place)), sum_)
    with b.if_then(b.icmp_signed("==", init, _I64(r.ADD))):
        for k, sum_ in acc.items():
            b.store(e.load_row(out(k)), sum_)


def _finish_sums(e, acc, final, out, mask):
    """ReLU, or the mask of the ReLU below, then the store. "Ordered and <= 0" leaves a NaN as it is."""
    b = e.b
    with b.if_then(b.icmp_signed("==", final, _I64(r.RELU_AFTER))):
        for sum_ in acc.values():
            value = b.load(sum_)
            b.store(b.select(b.fcmp_ordered("<=", value, _ZERO), _ZERO, value), sum_)
    with b.if_then(b.icmp_signed("==", final, _I64(r.MASK_AFTER))):
        for k, sum_ in acc.items():
            shut = b.fcmp_ordered("<=", e.load_row(mask(k)), _ZERO)
            b.store(b.select(shut, _ZERO, b.load(sum_)), sum_)
    for k, sum_ in acc.items():
        e.store_row(b.load(sum_), out(k))


def _pointers(context, builder, signature, args):
    """The data pointers of (mem, record, context), all contiguous arrays."""
    return [context.make_array(kind)(context, builder, value).data for kind, value in zip(signature.args, args)]


@intrinsic
def _vector_product(typing, mem, line, tile):
    """Emit all products, and a switch over their (ORDER, M)."""

    def codegen(context, builder, signature, args):
        memory, line, tile = _pointers(context, builder, signature, args)
        e = _Emitter(builder)

        def place(column, segment):
            offset = e.field(line, column)
            return builder.gep(memory, [builder.add(offset, builder.load(builder.gep(tile, [segment])))])

        where = [
            place(r.X, e.field(line, r.X_IN)),
            place(r.W, e.field(line, r.W_IN)),
            place(r.OUT, e.field(line, r.OUT_IN)),
            place(r.BIAS_AT, _I64(r.PARAMS)),
            place(r.MASK, _I64(r.WORK)),
        ]
        init = e.field(line, r.INIT)
        start = builder.select(builder.icmp_signed("==", e.field(tile, r.FIRST), _I64(0)), _I64(r.ADD), _I64(r.ZERO))
        init = builder.select(builder.icmp_signed("==", init, _I64(r.ADD_UNLESS_FIRST)), start, init)
        builder.store(init, builder.gep(tile, [_I64(r.START_FROM)]))
        sizes = builder.add(builder.mul(e.field(line, r.ROWS), _I64(T)), e.field(line, r.M))
        which = builder.add(builder.mul(e.field(line, r.ORDER), _I64(4 * T)), sizes)
        done = builder.append_basic_block("done")
        switch = builder.switch(which, done)
        for order, M, R in _SIZES:
            function = _emit_product(builder.module, order, M, R)
            block = builder.append_basic_block()
            switch.add_case(_I64((order * 4 + R) * T + M), block)
            builder.position_at_end(block)
            builder.call(function, [*where, line, tile])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(mem, line, tile), codegen


def product_vector(mem, line, tile):
    """One line of the program with KIND PRODUCT, as vector code; see `product_twin` for what it does."""
    _vector_product(mem, line, tile)


def product_twin(mem, line, tile):
    """One line of the program with KIND PRODUCT, as plain loops: every result is a sum of weights times rows of T samples."""
    x0, w0 = tile[line[r.X_IN]] + line[r.X], tile[line[r.W_IN]] + line[r.W]
    out0, mask0, bias0 = tile[line[r.OUT_IN]] + line[r.OUT], tile[r.WORK] + line[r.MASK], tile[r.PARAMS] + line[r.BIAS_AT]
    init = line[r.INIT]
    if init == r.ADD_UNLESS_FIRST:
        init = r.ZERO if tile[r.FIRST] else r.ADD
    order = line[r.ORDER]
    across, along = (1, T) if order == 0 else (T, 1) if order == 1 else (line[r.ACROSS], 1)
    apart = line[r.OM] if order == 2 else T
    sums = np.empty((line[r.M], T), np.float32)  # apart from `out`, which may be where the mask lies
    for q in range(line[r.NQ]):
        for p in range(line[r.NP]):
            for i in range(line[r.ROWS]):
                out = out0 + q * line[r.OQ] + p * line[r.OP] + i * line[r.OR]
                mask = mask0 + q * line[r.MQ] + p * line[r.MP] + i * line[r.MR]
                for m in range(line[r.M]):
                    _twin_start(mem, init, order, bias0 + (i * T if order == 2 else m), out + m * apart, sums[m])
                for n3 in range(line[r.N3]):
                    for n2 in range(line[r.N2]):
                        for n1 in range(line[r.N1]):
                            x = x0 + q * line[r.XQ] + p * line[r.XP] + n3 * line[r.X3] + n2 * line[r.X2] + n1 * line[r.X1]
                            w = w0 + q * line[r.WQ] + p * line[r.WP] + n3 * line[r.W3] + n2 * line[r.W2] + n1 * line[r.W1]
                            for n0 in range(line[r.N0]):
                                _twin_term(mem, x + i * line[r.XR] + n0 * T, w + n0 * along, across, sums)
                for m in range(line[r.M]):
                    _twin_end(mem, line[r.FINAL], out + m * apart, mask + m * apart, sums[m])


@kernel(key=FINGERPRINT)
def _twin_start(mem, init, order, bias, out, sums):
    for t in range(T):
        if init == r.BIAS:
            sums[t] = mem[bias + t] if order == 2 else mem[bias]
        else:
            sums[t] = mem[out + t] if init == r.ADD else np.float32(0)


@kernel(key=FINGERPRINT)
def _twin_term(mem, x, w, across, sums):
    """One row of x times M scalars."""
    source = mem[x : x + T]
    for m in range(len(sums)):
        weight = mem[w + m * across]
        for t in range(T):
            sums[m, t] += weight * source[t]


@kernel(key=FINGERPRINT)
def _twin_end(mem, final, out, mask, sums):
    for t in range(T):
        shut = final == r.RELU_AFTER and sums[t] <= 0 or final == r.MASK_AFTER and mem[mask + t] <= 0
        mem[out + t] = np.float32(0) if shut else sums[t]


product = kernel(product_twin if USE_TWIN else product_vector, key=FINGERPRINT)
