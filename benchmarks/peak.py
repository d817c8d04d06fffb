"""The most multiply-adds that one core makes: a loop of independent ones that touches no memory."""

import time
from functools import reduce

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastconv.engine.vector.emitter import Emitter
from fastconv.engine.vector.lanes import T

CHAINS, ROUNDS = 14, 200_000
"""Sums that fit the 16 vector registers of SSE and AVX2 beside the factor: 16 of them were spilled, which halved the result.
Eight hide the four cycles of a fused multiply-add on two units; a product and then a sum take longer and want all that fit."""


@intrinsic
def _chains(typing, n, a):
    """`CHAINS` sums, each of n multiply-adds that wait for one another."""

    def codegen(context, builder, signature, args):
        e = Emitter(builder)
        factor = e.broadcast(args[1])
        sums = [builder.alloca(factor.type) for _ in range(CHAINS)]

        def multiply_add():
            for total in sums:
                builder.store(e.multiply_add(builder.load(total), factor, factor), total)

        for total in sums:
            builder.store(factor, total)
        e.loop(args[0], [], multiply_add)
        result = reduce(builder.fadd, map(builder.load, sums))
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
