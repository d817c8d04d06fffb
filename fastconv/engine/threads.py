"""Threads of the package's own, and how they share work inside the compiled code.

Work is a row of phases of tasks. Whoever is there takes the next task of the phase; the last to finish opens the next phase. A thread that comes
late, because its core was asleep or busy (2 ms on a virtual machine), keeps nobody waiting. Threads are started for each call, for slices of up
to a fifth of a second: no pool that a fork could break, nothing shared between two Python threads that train at once.
"""

import _thread
import os
import threading

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..support.jit import kernel
from .lanes import FINGERPRINT, IS_X86, USE_TWIN

_SPINS = 2000
"""Turns (some 40 ns each) before a waiting thread gives its core away: a pure spin collapsed where another process held a core."""


STATE, DONE = 0, 8
"""Cells of a crew's memory, each on a cache line of its own: phase << 32 | next task, and how many tasks of the phase are done."""
CREW = 16


def _cell(context, builder, signature, args):
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def _read(typing, crew, cell):
    def codegen(context, builder, signature, args):
        return builder.load_atomic(_cell(context, builder, signature, args), "seq_cst", 8)

    return types.int64(crew, types.int64), codegen


@intrinsic
def _write(typing, crew, cell, value):
    def codegen(context, builder, signature, args):
        builder.store_atomic(args[2], _cell(context, builder, signature, args), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(crew, types.int64, types.int64), codegen


@intrinsic
def _add_one(typing, crew, cell):
    """-> what the cell held before."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", _cell(context, builder, signature, args), ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(crew, types.int64), codegen


@intrinsic
def _swap(typing, crew, cell, old, new):
    """Write `new` if the cell holds `old`; -> whether it did."""

    def codegen(context, builder, signature, args):
        place = _cell(context, builder, signature, args)
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(crew, types.int64, types.int64, types.int64), codegen


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
    def claim(crew, now):
        """The twin runs on one thread."""
        crew[STATE] = now + 1
        return True

    @kernel(key=FINGERPRINT)
    def look(crew):
        """-> phase << 32 | next task."""
        return crew[STATE]

    @kernel(key=FINGERPRINT)
    def wait(crew, now):
        """Nobody to wait for."""

    @kernel(key=FINGERPRINT)
    def finish(crew, phase, n_tasks):
        """One task more is done; the last one opens the next phase."""
        crew[DONE] += 1
        if crew[DONE] == n_tasks:
            crew[DONE], crew[STATE] = 0, (phase + 1) << 32

else:
    MAX_THREADS = 256

    @kernel(key=FINGERPRINT)
    def claim(crew, now):
        """Take the task that `now` names; -> whether nobody was faster."""
        return _swap(crew, STATE, now, now + 1)

    @kernel(key=FINGERPRINT)
    def look(crew):
        """-> phase << 32 | next task."""
        return _read(crew, STATE)

    @kernel(key=FINGERPRINT)
    def wait(crew, now):
        """Return when the next phase has begun: spin briefly, then yield."""
        turns = 0
        while _read(crew, STATE) == now:
            turns += 1
            _pause(turns > _SPINS)

    @kernel(key=FINGERPRINT)
    def finish(crew, phase, n_tasks):
        """One task more is done; the last one opens the next phase."""
        if _add_one(crew, DONE) == n_tasks - 1:
            _write(crew, DONE, 0)
            _write(crew, STATE, (phase + 1) << 32)


def run_on(n_threads, work):
    """``work(thread)`` on this thread and on up to `n_threads` - 1 more, whichever come in time: only those at work are waited for.

    Not with `threading.Thread`, whose start waits until the new thread runs.
    """
    errors, entered, closed, lock = [], [], [], threading.Lock()

    def help_out(thread):
        done = threading.Event()
        with lock:
            if closed:
                return
            entered.append(done)
        try:
            work(thread)
        except BaseException as error:  # handed to the caller below
            errors.append(error)
        finally:
            done.set()

    try:
        for thread in range(1, n_threads):
            try:
                _thread.start_new_thread(help_out, (thread,))
            except RuntimeError:  # no more threads to be had; the result is the same with fewer
                break
        work(0)
    finally:
        with lock:
            closed.append(True)
        for done in entered:
            done.wait()
    if errors:
        raise errors[0]
