"""What all vector code is written with: pointers, loops and rows of T floats over llvmlite's builder."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .lanes import HAS_FMA, T

I64, F32 = ir.IntType(64), ir.FloatType()
VECTOR = ir.VectorType(F32, T)
ZEROS = ir.Constant(VECTOR, [0.0] * T)


class Emitter:
    """Little helpers over an llvmlite builder: pointers, loops, vectors."""

    def __init__(self, builder):
        self.b = builder

    def field(self, base, column):
        """A number of a line, or of the tile's context."""
        return self.b.load(self.b.gep(base, [I64(column)]))

    def fields(self, base, columns):
        """All numbers of `columns`, by the same names."""
        parts = (self.fields(base, part) if isinstance(part, tuple) else self.field(base, part) for part in columns)
        return type(columns)(*parts)

    def late(self, base, column):
        """A field read again at each use: LLVM copies all loops for either outcome of a condition that it knows to stay."""
        return self.b.load_atomic(self.b.gep(base, [I64(column)]), "monotonic", 8)

    def pointer(self, memory, tile, place):
        """The float at a `Place` of fields."""
        start = self.b.load(self.b.gep(tile, [place.segment]))
        return self.b.gep(memory, [self.b.add(start, place.at)])

    def variable(self, value):
        """A variable that holds `value`."""
        place = self.b.alloca(value.type)
        self.b.store(value, place)
        return place

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
        i = b.phi(I64)
        i.add_incoming(I64(0), entry)
        b.cbranch(b.icmp_signed("<", i, n), inside, after)
        b.position_at_end(inside)
        before = [b.load(variable) for variable, _ in steps]
        self.i = i  # for a body that needs to know
        body()
        for (variable, stride), pointer in zip(steps, before):
            b.store(b.gep(pointer, [stride]), variable)
        i.add_incoming(b.add(i, I64(1)), b.block)
        b.branch(head)
        b.position_at_end(after)
        for (variable, _), pointer in zip(steps, starts) if keep else ():
            b.store(pointer, variable)

    def multiples(self, stride, n):
        """0, stride, 2 * stride, ..."""
        return [self.b.mul(I64(i), stride) for i in range(n)]

    def load_row(self, pointer):
        """T floats."""
        return self.b.load(self.b.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def store_row(self, value, pointer):
        """T floats."""
        self.b.store(value, self.b.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def broadcast(self, scalar):
        """T times the same."""
        one = self.b.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
        return self.b.shuffle_vector(
            one, ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), T), [0] * T)
        )

    def multiply_add(self, a, x, c):
        """a * x + c for rows of T lanes, rounded once where the CPU can."""
        if not HAS_FMA:  # llvm.fma would call libm for every lane
            return self.b.fadd(self.b.fmul(a, x), c)
        module, name = self.b.module, f"llvm.fma.v{T}f32"
        fma = module.globals.get(name) or ir.Function(module, ir.FunctionType(VECTOR, [VECTOR] * 3), name)
        return self.b.call(fma, [a, x, c])

    def masked(self, value, mask):
        """`value`, or 0 where `mask` is 0 or less; "ordered and <= 0" lets what a NaN stands over pass."""
        return self.b.select(self.b.fcmp_ordered("<=", mask, ZEROS), ZEROS, value)


def function(module, name, n_pointers, n_integers):
    """A function of pointers to floats, then to integers, that LLVM must not copy into its caller; -> it and its emitter"""
    kinds = [F32.as_pointer()] * n_pointers + [I64.as_pointer()] * n_integers
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    made.linkage = "internal"
    made.attributes.add("noinline")
    return made, Emitter(ir.IRBuilder(made.append_basic_block("entry")))


def switch(builder, value, cases):
    """Emit what belongs to the case that `value` is: number -> function without arguments."""
    done = builder.append_basic_block("done")
    chosen = builder.switch(value, done)
    for number, emit in cases.items():
        block = builder.append_basic_block()
        chosen.add_case(I64(number), block)
        builder.position_at_end(block)
        emit()
        builder.branch(done)
    builder.position_at_end(done)


def pointers(context, builder, signature, args):
    """The data pointers of contiguous arrays, such as (mem, line, tile)."""
    return [context.make_array(kind)(context, builder, value).data for kind, value in zip(signature.args, args)]


def line_kernel(emit):
    """What can be called with (mem, line, tile) and runs what ``emit(builder, memory, line, tile)`` emits."""

    @intrinsic
    def vector(typing, mem, line, tile):
        def codegen(context, builder, signature, args):
            emit(builder, *pointers(context, builder, signature, args))
            return context.get_dummy_value()

        return types.void(mem, line, tile), codegen

    return vector
