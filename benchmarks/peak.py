"""The most multiply-adds that one core makes: a loop of independent ones that touches no memory."""

import time

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastconv.engine.lanes import T
from fastconv.engine.microkernel import multiply_add

CHAINS, ROUNDS = 14, 200_000
"""Sums that fit the 16 vector registers of SSE and AVX2 beside the factor: 16 of them were spilled, which halved the result.
Eight hide the four cycles of a fused multiply-add on two units; a product and then a sum take longer and want all that fit."""


@intrinsic
def _chains(typing, n, a):
    """`CHAINS` sums, each of n multiply-adds that wait for one another."""

    def codegen(context, builder, signature, args):
        index, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), T)
        sums = [builder.alloca(vector) for _ in range(CHAINS)]
        count = builder.alloca(index)
        factor = ir.Constant(vector, ir.Undefined)
        for lane in range(T):
            factor = builder.insert_element(factor, args[1], ir.IntType(32)(lane))
        for total in sums:
            builder.store(factor, total)
        builder.store(index(0), count)
        head, done = (builder.append_basic_block(name) for name in ("head", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        for total in sums:
            builder.store(multiply_add(builder, builder.load(total), factor, factor), total)
        builder.store(builder.add(builder.load(count), index(1)), count)
        builder.cbranch(builder.icmp_signed("<", builder.load(count), args[0]), head, done)
        builder.position_at_end(done)
        result = builder.load(sums[0])
        for total in sums[1:]:
            result = builder.fadd(result, builder.load(total))
        return builder.extract_element(result, ir.IntType(32)(0))

    return types.float32(types.int64, types.float32), codegen


@numba.njit
def _run(n, a):
    return _chains(n, a)


def peak():
    """GFLOP/s of one core, the best of some tries; a multiply-add counts as two."""
    _run(10, 0.5)
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        _run(ROUNDS, 0.5)
        seconds.append(time.perf_counter() - start)
    return 2 * CHAINS * T * ROUNDS / min(seconds) / 1e9
