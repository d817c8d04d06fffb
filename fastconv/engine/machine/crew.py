"""Threads of the package's own, and how they share work inside the compiled code.

Work is a row of phases of tasks. Whoever is there takes the next task of the phase; the last to finish opens the next phase.
A thread that comes late, because its core was asleep or busy (2 ms on a virtual machine), keeps nobody waiting. Threads are
started for each call, for slices of up to 0.15 s: no pool that a fork could break, nothing shared between two
Python threads that train at once.
"""

import _thread
import threading

from ..vector.instructions import add_one, pause, read, swap, write
from ..vector.lanes import USE_TWIN, kernel

_SPINS = 2000
"""Turns of some 40 ns before a waiting thread gives its core away: a pure spin collapsed where another process held it."""


STATE, DONE = 0, 8
"""Cells of a crew's memory, on cache lines of their own: phase << 32 | next task; how many tasks of the phase are done."""
CREW = 16
"""Cells of it."""


if USE_TWIN:
    MAX_THREADS = 1

    @kernel
    def claim(crew, now):
        """The twin runs on one thread."""
        crew[STATE] = now + 1
        return True

    @kernel
    def look(crew):
        """-> phase << 32 | next task."""
        return crew[STATE]

    @kernel
    def wait(crew, now):
        """Nobody to wait for."""

    @kernel
    def finish(crew, phase, n_tasks):
        """One task more is done; the last one opens the next phase."""
        crew[DONE] += 1
        if crew[DONE] == n_tasks:
            crew[DONE], crew[STATE] = 0, (phase + 1) << 32

else:
    MAX_THREADS = 256

    @kernel
    def claim(crew, now):
        """Take the task that `now` names; -> whether nobody was faster."""
        return swap(crew, STATE, now, now + 1)

    @kernel
    def look(crew):
        """-> phase << 32 | next task."""
        return read(crew, STATE)

    @kernel
    def wait(crew, now):
        """Return when the next phase has begun: spin briefly, then yield."""
        turns = 0
        while read(crew, STATE) == now:
            turns += 1
            pause(turns > _SPINS)

    @kernel
    def finish(crew, phase, n_tasks):
        """One task more is done; the last one opens the next phase."""
        if add_one(crew, DONE) == n_tasks - 1:
            write(crew, DONE, 0)
            write(crew, STATE, (phase + 1) << 32)


def run_on(n_threads, work):
    """``work(thread)`` on this thread and on up to `n_threads` - 1 more, whichever come in time: only those at work are
    waited for.

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
