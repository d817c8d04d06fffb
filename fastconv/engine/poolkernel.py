"""Max pooling as vector code: 5 to 13 times faster than plain loops, which LLVM leaves half scalar.

A line is a rectangle of windows that have the same taps in the image. Its rows are those of all channels; N2 x N1 taps are X2 and X1
apart, the first is number M of the window, a step down adds N3. The winner's number is kept as a float beside y: the argmax.
Backward reads the same line with X the gradient to the pool's input (written) and OUT that to its output (read).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..support.jit import kernel
from . import record as r
from .lanes import FINGERPRINT, USE_TWIN, T
from .microkernel import _F32, _I64, _VECTOR, _ZERO, _Emitter, _pointers

FORWARD, BACK, EXCLUSIVE_BACK = 0, 2, 4
"""Variants, by number in ORDER; one more is unrolled for 2 x 2 taps. The last is for windows that share no pixel and leave none out."""
_VARIANTS = {
    0: (False, False, False),
    1: (False, True, False),
    2: (True, False, True),
    3: (True, True, True),
    5: (True, True, False),
}
"""ORDER -> (back, unrolled, adds)."""
_LOWEST = ir.Constant(_VECTOR, [float("-inf")] * T)


class _Pool:
    """One row of all windows of a rectangle: `unrolled` for 2 x 2 taps, the most common window by far."""

    def __init__(self, builder, args, back, unrolled, adds):
        self.e, self.b, self.back, self.unrolled, self.adds = _Emitter(builder), builder, back, unrolled, adds
        memory, self.line, tile = args
        start = self.e.field(tile, r.WORK)
        self.f = {column: self.e.field(self.line, column) for column in range(r.COLUMNS)}
        self.x, self.out, self.where = (builder.alloca(_F32.as_pointer()) for _ in range(3))
        for variable, column in ((self.x, r.X), (self.out, r.OUT), (self.where, r.MASK)):
            builder.store(builder.gep(memory, [builder.add(start, self.f[column])]), variable)
        self.best, self.winner = builder.alloca(_VECTOR), builder.alloca(_VECTOR)

    def emit(self):
        def level(n, xs, os, body):
            steps = [(self.x, xs), *((variable, os) for variable in (self.out, self.where))]
            return lambda: self.e.loop(self.f[n], steps, body)

        f = self.f
        rows = level(r.N0, _I64(T), _I64(T), self.row_back if self.back else self.row)
        level(r.NQ, f[r.XQ], f[r.OQ], level(r.NP, f[r.XP], f[r.OP], rows))()

    def row(self):
        e, b = self.e, self.b
        b.store(_LOWEST, self.best)
        b.store(self.number(_I64(0), _I64(0)), self.winner)
        self.each_tap(self.challenge)
        e.store_row(b.load(self.best), b.load(self.out))
        e.store_row(b.load(self.winner), b.load(self.where))

    def challenge(self, pointer, number, first=False):
        b, value, best = self.b, self.e.load_row(pointer), self.b.load(self.best)
        if first:
            b.store(value, self.best)
            return
        wins = b.or_(b.fcmp_ordered(">", value, best), b.fcmp_unordered("uno", value, value))
        b.store(b.select(wins, value, best), self.best)
        b.store(b.select(wins, number, b.load(self.winner)), self.winner)

    def row_back(self):
        e, b = self.e, self.b
        b.store(e.load_row(b.load(self.out)), self.best)
        b.store(e.load_row(b.load(self.where)), self.winner)
        self.each_tap(self.reward)

    def reward(self, pointer, number, first=False):
        e, b = self.e, self.b
        share = b.select(b.fcmp_ordered("==", number, b.load(self.winner)), b.load(self.best), _ZERO)
        e.store_row(b.fadd(e.load_row(pointer), share) if self.adds else share, pointer)

    def number(self, u, v):
        b = self.b
        tap = b.add(self.f[r.M], b.add(b.mul(u, self.f[r.N3]), v))
        return self.e.broadcast(b.sitofp(tap, _F32))

    def each_tap(self, body):
        b, f = self.b, self.f
        if self.unrolled:
            for u in range(2):
                for v in range(2):
                    offset = b.add(b.mul(_I64(u), f[r.X2]), b.mul(_I64(v), f[r.X1]))
                    body(b.gep(b.load(self.x), [offset]), self.number(_I64(u), _I64(v)), first=not u + v)
            return

        def across():
            u = self.e.i
            self.e.loop(f[r.N1], [(self.x, f[r.X1])], lambda: body(b.load(self.x), self.number(u, self.e.i)))

        self.e.loop(f[r.N2], [(self.x, f[r.X2])], across)


@intrinsic
def _vector_pool(typing, mem, line, tile):
    """Emit every variant, and a switch over them."""

    def codegen(context, builder, signature, args):
        pointers = _pointers(context, builder, signature, args)
        which, done = _Emitter(builder).field(pointers[1], r.ORDER), builder.append_basic_block("done")
        switch = builder.switch(which, done)
        for number, variant in _VARIANTS.items():
            block = builder.append_basic_block()
            switch.add_case(_I64(number), block)
            builder.position_at_end(block)
            _Pool(builder, pointers, *variant).emit()
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(mem, line, tile), codegen


def max_pool_vector(mem, line, tile):
    """A line with KIND MAX_POOL or MAX_POOL_BACK, as vector code; see `max_pool_twin`."""
    _vector_pool(mem, line, tile)


def max_pool_twin(mem, line, tile):
    """y and the number of the winning tap: the first of equals, the last of NaNs; or each window's gradient to its winner."""
    back, size = line[r.KIND] == r.MAX_POOL_BACK, line[r.N0] * T
    for q in range(line[r.NQ]):
        for p in range(line[r.NP]):
            at = tile[r.WORK] + q * line[r.OQ] + p * line[r.OP]
            x = tile[r.WORK] + line[r.X] + q * line[r.XQ] + p * line[r.XP]
            out, where = at + line[r.OUT], at + line[r.MASK]
            for k in range(size):
                best, winner = -float("inf"), line[r.M]
                for u in range(line[r.N2]):
                    for v in range(line[r.N1]):
                        tap, number = x + u * line[r.X2] + v * line[r.X1] + k, line[r.M] + u * line[r.N3] + v
                        if back:
                            share = mem[out + k] if number == mem[where + k] else 0
                            mem[tap] = mem[tap] + share if line[r.ORDER] < EXCLUSIVE_BACK else share
                        elif mem[tap] > best or mem[tap] != mem[tap]:
                            best, winner = mem[tap], number
                if not back:
                    mem[out + k], mem[where + k] = best, winner


max_pool = kernel(max_pool_twin if USE_TWIN else max_pool_vector, key=FINGERPRINT)
