"""The interpreter: runs a program over the tiles of each batch, on whatever threads there are, and adds gradients in a fixed order."""

import sys
import time
from functools import cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from ..support.cache import ADVICE
from ..support.jit import is_kept, kernel
from . import lanekernel, microkernel, poolkernel, rows, transposekernel
from . import record as r
from .lanes import FINGERPRINT, USE_TWIN, T
from .threads import claim, finish, look, wait

_kernel = kernel(key=FINGERPRINT)

# The layout handed to the interpreter: where segments lie in the flat memory, counted in floats.
(
    N_PARAMS,
    GRADS_AT,
    N_SHARDS,
    WORK_AT,
    N_WORK,
    INPUT,
    C_IN,
    PIXELS_IN,
    OUTPUT,
    C_OUT,
    PIXELS_OUT,
    GRADIENT,
    SEED,
    LOSS,
    WEIGHTED,
    SAMPLES,
) = range(16)

_LINE = types.void(types.float32[::1], types.int64[::1], types.int64[::1])


def compile_aloud(function):
    """Compile a kernel of the signature that all operations have and, if it was not on disk, say how long the others will take.

    For `rows.work`, whose time all others together take 1.7 to 3.0 times (AVX-512, AVX2, SSE2; Numba 0.61 and 0.68), here with room for noise.
    """
    with global_compiler_lock:  # one thread speaks
        is_known, start = bool(function.overloads), time.perf_counter()
        function.compile(_LINE)
        seconds = time.perf_counter() - start
    if is_known or function.stats.cache_hits:
        return
    span = f"{1.5 * seconds:.0f} to {4 * seconds:.0f} seconds more"
    how = f"this machine, once: {span}" if is_kept(function) else f"this process: {span}; to do it once, {ADVICE}"
    print(f"fastconv: compiling for {how} ...", file=sys.stderr, flush=True)


@intrinsic
def _call_address(typing, address, mem, line, tile):
    """Call a compiled kernel by its address, so that it is compiled once and not again within its caller."""

    def codegen(context, builder, signature, args):
        kinds = signature.args[1:]
        function = context.call_conv.get_function_type(types.none, kinds)
        pointer = builder.inttoptr(args[0], function.as_pointer())
        context.call_conv.call_function(builder, pointer, types.none, kinds, args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, mem, line, tile), codegen


if USE_TWIN:

    @_kernel
    def run_lines(program, kernels, mem, tile):
        """Each line of a program on one tile."""
        for line in program:
            if line[r.KIND] == r.PRODUCT:
                microkernel.product(mem, line, tile)
            elif line[r.KIND] == r.LANE_PRODUCT:
                lanekernel.lane_product(mem, line, tile)
            elif line[r.KIND] <= r.REDUCE_LANES:
                transposekernel.transpose(mem, line, tile)
            elif line[r.KIND] < r.N_VECTOR:
                poolkernel.max_pool(mem, line, tile)
            else:
                rows.work(mem, line, tile)

    def addresses():
        """Nothing: the twin is called by name."""
        return np.zeros(0, np.int64)

else:

    @_kernel
    def run_lines(program, kernels, mem, tile):
        """Each line of a program on one tile."""
        for line in program:
            _call_address(kernels[min(line[r.KIND], r.N_VECTOR)], mem, line, tile)

    @cache
    def addresses():
        """Where the compiled products and the other operations lie in memory, in the order of their KINDs."""
        compile_aloud(rows.work)
        found = []
        for function in (
            *(microkernel.product, lanekernel.lane_product, transposekernel.transpose, transposekernel.transpose),
            *(poolkernel.max_pool, poolkernel.max_pool, rows.work),
        ):
            function.compile(_LINE)
            compiled = function.overloads[_LINE.args]
            found.append(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
        return np.array(found, np.int64)


@intrinsic
def _exchange_mode(typing, mode):
    """Set the CPU's floating-point mode (MXCSR); -> the one before."""

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
        # Flush to zero (bit 15) and read as zero (bit 6): a batch learnt by heart has gradients below 1e-38, each a trap of 150 cycles.
        fast = builder.or_(before, ir.IntType(32)(0x8040))
        builder.store(builder.select(builder.icmp_signed("<", args[0], args[0].type(0)), fast, args[0]), place)
        builder.call(load, [builder.bitcast(place, pointer)])
        return before

    return types.int32(types.int32), codegen


if USE_TWIN:

    @_kernel
    def _set_mode(mode):
        """The twin keeps the mode it finds."""
        return mode

else:

    @_kernel
    def _set_mode(mode):
        """Treat numbers below 1e-38 as zeros (-1), or go back to `mode`; -> the mode before."""
        return _exchange_mode(mode)


@_kernel
def _gather(mem, X, samples, tile, layout, places):
    transposekernel.gather(
        mem, X, samples, layout[SAMPLES], tile[r.WORK] + layout[INPUT], layout[C_IN], layout[PIXELS_IN], places
    )


@_kernel
def _shares(weights, samples, weighted, total, shares):
    for t in range(len(samples)):
        weight = weights[samples[t]] if weighted else np.float32(1)
        shares[t] = weight / total if total > 0 else np.float32(0)
    shares[len(samples) :] = 0


@_kernel
def _total_weight(weights, samples, weighted):
    if not weighted:
        return np.float32(len(samples))
    total = 0.0
    for sample in samples:
        total += weights[sample]
    return np.float32(total)


@_kernel
def _run_shard(
    s, n_shards, layout, programs, kernels, mem, tile, X, labels, targets, weights, batch, total, shares, scratch, places
):
    """Forward, loss and backward for the tiles of a shard; -> its part of the loss."""
    forward, backward = programs
    n = layout[SAMPLES]
    n_tiles = (len(batch) + n - 1) // n
    loss = 0.0
    first = s * n_tiles // n_shards
    for k in range(first, (s + 1) * n_tiles // n_shards):
        samples = batch[k * n : (k + 1) * n]
        tile[r.FIRST], tile[r.START] = k == first, k * n
        _shares(weights, samples, layout[WEIGHTED], total, shares)
        _gather(mem, X, samples, tile, layout, places)
        run_lines(forward, kernels, mem, tile)
        y, dy = tile[r.WORK] + layout[OUTPUT], tile[r.WORK] + layout[GRADIENT]
        if layout[LOSS] == 1:
            loss += rows.mean_squares(mem, y, dy, layout[C_OUT], layout[PIXELS_OUT], targets, samples, shares, n)
        elif layout[LOSS] == 2:
            loss += rows.binary_cross_entropy(mem, y, dy, layout[C_OUT], layout[PIXELS_OUT], targets, samples, shares, n)
        else:
            loss += rows.cross_entropy(mem, y, dy, layout[C_OUT], layout[PIXELS_OUT], labels, samples, shares, n, scratch)
        run_lines(backward, kernels, mem, tile)
    return loss


@_kernel
def run_steps(thread, pieces, layout, programs, kernels, mem, X, labels, targets, weights, orders, batch_size, first, stop,
              steps, optimizer, spared, losses, sums, crew):  # fmt: skip
    """Steps `first` to `stop` of epochs over `orders`; step number s is number ``steps + s`` of this call and of the optimizer.

    Every thread runs this. A step has two phases: its shards, then the update in `pieces`. Who takes what is chance, what a shard holds
    depends on the batch alone.
    """
    tile, shares = np.zeros(r.CONTEXT, np.int64), np.zeros(T, np.float32)
    scratch, places = np.zeros(2 * T, np.float32), np.zeros(T, np.int64)
    tile[r.WORK] = layout[WORK_AT] + thread * layout[N_WORK]
    size, mode = layout[N_PARAMS], _set_mode(np.int32(-1))
    n_steps = (orders.shape[1] + batch_size - 1) // batch_size
    while True:
        now = look(crew)
        phase, task = now >> 32, now & 0xFFFFFFFF
        step = first + phase // 2
        if step >= stop:
            break
        epoch, start = step // n_steps, step % n_steps * batch_size
        batch = orders[epoch, start : start + batch_size]
        n_shards = min(layout[N_SHARDS], (len(batch) + layout[SAMPLES] - 1) // layout[SAMPLES])
        n_tasks = pieces if phase & 1 else n_shards
        if task >= n_tasks:
            wait(crew, now)
            continue
        if not claim(crew, now):
            continue
        total = _total_weight(weights, batch, layout[WEIGHTED])
        if phase & 1:
            # Counted by whoever comes first, in a phase that all others' next step waits for.
            if task == 0:
                for s in range(n_shards):
                    sums[epoch, 0] += losses[s] * total
                sums[epoch, 1] += total
            lines = size // 16
            begin, end = lines * task // pieces * 16, lines * (task + 1) // pieces * 16
            rows.update(mem, begin, end, size, layout[GRADS_AT], n_shards, optimizer, spared, steps[1] + step + 1)
        else:
            tile[r.SEED] = rows._mix(layout[SEED] ^ ((steps[0] + step) & 0xFFFFFFFF))
            tile[r.GRADS] = layout[GRADS_AT] + task * size
            losses[task] = _run_shard(task, n_shards, layout, programs, kernels, mem, tile, X, labels, targets, weights, batch, total,
                                      shares, scratch, places)  # fmt: skip
        finish(crew, phase, n_tasks)
    _set_mode(mode)


@_kernel
def run_predict(thread, layout, program, kernels, mem, X, first, stop, out, crew):
    """The network's output for samples `first` to `stop`, tile by tile."""
    tile, samples, places = np.zeros(r.CONTEXT, np.int64), np.zeros(T, np.int64), np.zeros(T, np.int64)
    tile[r.WORK] = layout[WORK_AT] + thread * layout[N_WORK]
    tile[r.SEED] = -1
    mode = _set_mode(np.int32(-1))
    while True:
        task = look(crew)
        start = first + task * T
        if start >= stop:
            break
        if not claim(crew, task):
            continue
        count = min(T, stop - start)
        for t in range(count):
            samples[t] = start + t
        _gather(mem, X, samples[:count], tile, layout, places)
        run_lines(program, kernels, mem, tile)
        rows.scatter(mem, tile[r.WORK] + layout[OUTPUT], layout[C_OUT], layout[PIXELS_OUT], out, start, count)
    _set_mode(mode)


@_kernel
def pack(flat, packed, where):
    """packed[where[i]] = flat[i]"""
    for i in range(len(flat)):
        packed[where[i]] = flat[i]


@_kernel
def unpack(packed, flat, where):
    """flat[i] = packed[where[i]]"""
    for i in range(len(flat)):
        flat[i] = packed[where[i]]
