"""Threads of the package's own, and the barrier at which they meet inside the compiled code.

They are started for each call and joined before it returns (some 90 us, for slices of up to a fifth of a second): no pool that a
fork could break, nothing shared between two Python threads that train at once.
"""

import os
import threading

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..jit import kernel
from .lanes import FINGERPRINT, IS_X86, USE_TWIN

_SPINS = 2000
"""Turns (some 40 ns each) before a waiting thread gives its core away: a pure spin collapsed where another process held a core."""


def _cell(context, builder, signature, array, index):
    data = context.make_array(signature.args[0])(context, builder, array).data
    return builder.gep(data, [ir.Constant(ir.IntType(64), index)])


@intrinsic
def _arrive(typing, barrier):
    """Atomically add one to cell 0; -> what it held."""

    def codegen(context, builder, signature, args):
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", _cell(context, builder, signature, args[0], 0), one, "seq_cst")

    return types.int64(barrier), codegen


@intrinsic
def _round(typing, barrier):
    """Atomically read cell 8, on a cache line of its own."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_cell(context, builder, signature, args[0], 8), "seq_cst", 8)

    return types.int64(barrier), codegen


@intrinsic
def _open(typing, barrier):
    """Empty the barrier and let everyone go on."""

    def codegen(context, builder, signature, args):
        zero, one = (ir.Constant(ir.IntType(64), n) for n in (0, 1))
        builder.store_atomic(zero, _cell(context, builder, signature, args[0], 0), "seq_cst", 8)
        builder.atomic_rmw("add", _cell(context, builder, signature, args[0], 8), one, "seq_cst")
        return context.get_dummy_value()

    return types.void(barrier), codegen


@intrinsic
def _pause(typing, gives_way):
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


if USE_TWIN:
    MAX_THREADS = 1

    @kernel(key=FINGERPRINT)
    def wait_for_all(barrier, n_threads):
        """The twin runs on one thread."""

else:
    MAX_THREADS = 256

    @kernel(key=FINGERPRINT)
    def wait_for_all(barrier, n_threads):
        """Return when all threads have come here: spin briefly, then yield."""
        if n_threads == 1:
            return
        now = _round(barrier)
        if _arrive(barrier) == n_threads - 1:
            _open(barrier)
            return
        turns = 0
        while _round(barrier) == now:
            turns += 1
            _pause(turns > _SPINS)


def run_on(n_threads, work):
    """``work(thread, n_threads)`` on `n_threads` threads, this one included, or on as many as could be started."""
    if n_threads == 1:
        work(0, 1)
        return
    start, agreed, errors = threading.Event(), [0], []

    def wait_and_work(thread):
        start.wait()
        if agreed[0]:
            try:
                work(thread, agreed[0])
            except BaseException as error:  # handed to the caller below
                errors.append(error)

    workers = []
    try:
        for thread in range(1, n_threads):
            worker = threading.Thread(target=wait_and_work, args=(thread,), daemon=True)
            try:
                worker.start()
            except RuntimeError:  # no more threads to be had; the result is the same with fewer
                break
            workers.append(worker)
        agreed[0] = 1 + len(workers)
        start.set()
        work(0, agreed[0])
    finally:
        # An interrupt before the start sends the workers home: agreed is 0 then.
        start.set()
        for worker in workers:
            worker.join()
    if errors:
        raise errors[0]
