"""How many threads there may be."""

import os
from contextlib import nullcontext

from .geometry import integer


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def limit_threads(n_threads):
    """A context in which NumPy's matrix products use at most `n_threads` threads; None changes nothing."""
    if n_threads is None:
        return nullcontext()
    n_threads = integer(n_threads, "n_threads", 1)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n_threads, user_api="blas")
