"""dw of a convolution that sees few channels, as vector code: the lanes are summed last.

`microkernel.product` needs channels (or taps that lie side by side) for its accumulators; the first layer of a network has one to
three. Here the accumulators are M filters x N taps, each a vector of T samples, and every position adds dy[f] * x[tap]:

    zmm0 .. zmm23    8 filters x 3 taps of sums, lane by lane
    zmm24 .. zmm26   the rows of x under 3 taps
    (memory)         8 rows of dy

so 24 multiply-adds need 11 loads. One tap at a time is 1.3 to 1.5 times slower. The sums stay in the workspace, [filter][tap][lane],
until `reduce_lanes` adds each one's lanes as a tree. `lane_product_twin` is the definition.
"""

from itertools import product

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..support.jit import kernel
from . import record as r
from .lanes import FINGERPRINT, USE_TWIN, T
from .microkernel import _F32, _I64, _VECTOR, _Emitter, _pointers

FILTERS, TAPS = 8, 3


def _emit(module, M, N):
    """The function ``fastconv_lanes_<M>_<N>(x, dy, out, record)``."""
    pointer = _F32.as_pointer()
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [pointer] * 3 + [_I64.as_pointer()]), f"fastconv_lanes_{M}_{N}"
    )
    function.linkage = "internal"
    function.attributes.add("noinline")
    e = _Emitter(ir.IRBuilder(function.append_basic_block("entry")))
    b, out, record = e.b, function.args[2], function.args[3]
    x, dy = b.alloca(pointer), b.alloca(pointer)
    b.store(function.args[0], x)
    b.store(function.args[1], dy)
    sums = {(m, n): b.alloca(_VECTOR) for m in range(M) for n in range(N)}
    f = {column: e.field(record, column) for column in (r.NQ, r.XQ, r.WQ, r.OQ, r.NP, r.XP, r.WP)}

    def place(m, n):
        return b.gep(out, [b.add(b.mul(f[r.OQ], _I64(m)), _I64(n * T))])

    def position():
        taps = [e.load_row(b.gep(b.load(x), [_I64(n * T)])) for n in range(N)]
        for m in range(M):
            row = e.load_row(b.gep(b.load(dy), [_I64(m * T)]))
            for n in range(N):
                b.store(e.multiply_add(row, taps[n], b.load(sums[m, n])), sums[m, n])

    for (m, n), total in sums.items():
        b.store(e.load_row(place(m, n)), total)
    e.loop(f[r.NQ], [(x, f[r.XQ]), (dy, f[r.WQ])], lambda: e.loop(f[r.NP], [(x, f[r.XP]), (dy, f[r.WP])], position))
    for (m, n), total in sums.items():
        e.store_row(b.load(total), place(m, n))
    b.ret_void()
    return function


@intrinsic
def _vector_lanes(typing, mem, line, tile):
    """Emit all sizes, and a switch over (M, N0)."""

    def codegen(context, builder, signature, args):
        memory, line, tile = _pointers(context, builder, signature, args)
        e = _Emitter(builder)
        start = e.field(tile, r.WORK)
        where = [builder.gep(memory, [builder.add(start, e.field(line, column))]) for column in (r.X, r.W, r.OUT)]
        done = builder.append_basic_block("done")
        switch = builder.switch(builder.add(builder.mul(e.field(line, r.M), _I64(8)), e.field(line, r.N0)), done)
        for M, N in product(range(1, FILTERS + 1), range(1, TAPS + 1)):
            function, block = _emit(builder.module, M, N), builder.append_basic_block()
            switch.add_case(_I64(M * 8 + N), block)
            builder.position_at_end(block)
            builder.call(function, [*where, line])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(mem, line, tile), codegen


def lane_product_vector(mem, line, tile):
    """One line with KIND LANE_PRODUCT, as vector code; see `lane_product_twin` for what it does."""
    _vector_lanes(mem, line, tile)


def lane_product_twin(mem, line, tile):
    """out[m, n, lane] += dy[m, position, lane] * x[position + tap n, lane], summed over a rectangle of positions."""
    x0, dy0, out0 = (tile[r.WORK] + line[r.X], tile[r.WORK] + line[r.W], tile[r.WORK] + line[r.OUT])
    for m in range(line[r.M]):
        for n in range(line[r.N0]):
            out = mem[out0 + m * line[r.OQ] + n * T : out0 + m * line[r.OQ] + (n + 1) * T]
            for q in range(line[r.NQ]):
                for p in range(line[r.NP]):
                    x, dy = x0 + q * line[r.XQ] + p * line[r.XP] + n * T, dy0 + q * line[r.WQ] + p * line[r.WP] + m * T
                    for t in range(T):
                        out[t] += mem[dy + t] * mem[x + t]


lane_product = kernel(lane_product_twin if USE_TWIN else lane_product_vector, key=FINGERPRINT)
