"""Single instructions that Numba has no words for: atomic memory, waiting, the floating-point mode, a call by address."""

import os

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .lanes import IS_X86


def _cell(context, builder, signature, args):
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def read(typing, crew, cell):
    def codegen(context, builder, signature, args):
        return builder.load_atomic(_cell(context, builder, signature, args), "seq_cst", 8)

    return types.int64(crew, types.int64), codegen


@intrinsic
def write(typing, crew, cell, value):
    def codegen(context, builder, signature, args):
        builder.store_atomic(args[2], _cell(context, builder, signature, args), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(crew, types.int64, types.int64), codegen


@intrinsic
def add_one(typing, crew, cell):
    """-> what the cell held before."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", _cell(context, builder, signature, args), ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(crew, types.int64), codegen


@intrinsic
def swap(typing, crew, cell, old, new):
    """Write `new` if the cell holds `old`; -> whether it did."""

    def codegen(context, builder, signature, args):
        place = _cell(context, builder, signature, args)
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(crew, types.int64, types.int64, types.int64), codegen


@intrinsic
def pause(typing, gives_way):
    """One turn of waiting: a hint to the core, or to the scheduler."""

    def codegen(context, builder, signature, args):
        module, void = builder.module, ir.VoidType()
        with builder.if_else(builder.trunc(args[0], ir.IntType(1))) as (yields, spins):
            with yields:
                name = "SwitchToThread" if os.name == "nt" else "sched_yield"
                kind = ir.FunctionType(ir.IntType(32), [])
                builder.call(module.globals.get(name) or ir.Function(module, kind, name), [])
            with spins:
                if IS_X86:
                    name = "llvm.x86.sse2.pause"
                    builder.call(module.globals.get(name) or ir.Function(module, ir.FunctionType(void, []), name), [])
        return context.get_dummy_value()

    return types.void(types.boolean), codegen


@intrinsic
def exchange_mode(typing, mode):
    """Set the CPU's floating-point mode (MXCSR), if `mode` is below 0 to the fast one; -> the one before."""

    def codegen(context, builder, signature, args):
        place = builder.alloca(ir.IntType(32))
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        load, store = (
            builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            for name in ("llvm.x86.sse.ldmxcsr", "llvm.x86.sse.stmxcsr")
        )
        builder.call(store, [builder.bitcast(place, pointer)])
        before = builder.load(place)
        # Flush to zero (bit 15) and read as zero (bit 6): a batch learnt by heart has gradients below 1e-38, each a trap
        # of 150 cycles.
        fast = builder.or_(before, ir.IntType(32)(0x8040))
        builder.store(builder.select(builder.icmp_signed("<", args[0], args[0].type(0)), fast, args[0]), place)
        builder.call(load, [builder.bitcast(place, pointer)])
        return before

    return types.int32(types.int32), codegen


@intrinsic
def call_address(typing, address, mem, line, tile):
    """Call a compiled kernel by its address, so that it is compiled once and not again within its caller."""

    def codegen(context, builder, signature, args):
        kinds = signature.args[1:]
        function = context.call_conv.get_function_type(types.none, kinds)
        pointer = builder.inttoptr(args[0], function.as_pointer())
        context.call_conv.call_function(builder, pointer, types.none, kinds, args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, mem, line, tile), codegen
