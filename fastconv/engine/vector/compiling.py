"""Kernels compiled ahead for the one signature that all lines have, so that they can be called by address."""

import logging
import time

from numba import types
from numba.core.compiler_lock import global_compiler_lock

from ...support.cache import ADVICE
from ...support.jit import is_kept

_log = logging.getLogger("fastconv")
_SIGNATURE = types.void(types.float32[::1], types.int64[::1], types.int64[::1])


def address(function):
    """Where a kernel lies in memory, compiled if it is not yet."""
    function.compile(_SIGNATURE)
    compiled = function.overloads[_SIGNATURE.args]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def compile_aloud(function):
    """Compile a kernel of the signature that all operations have and, if it was not on disk, say how long the others will take.

    For `loops.work`, whose time all others together take 1.7 to 3.0 times (AVX-512, AVX2, SSE2; Numba 0.61 and 0.68), here
    with room for noise.
    """
    with global_compiler_lock:  # one thread speaks
        is_known, start = bool(function.overloads), time.perf_counter()
        function.compile(_SIGNATURE)
        seconds = time.perf_counter() - start
    if is_known or function.stats.cache_hits:
        return
    span = f"{1.5 * seconds:.0f} to {4 * seconds:.0f} seconds more"
    how = f"this machine, once: {span}" if is_kept(function) else f"this process: {span}; to do it once, {ADVICE}"
    # Without a handler of the program's own, logging writes it to stderr as it is.
    _log.warning("fastconv: compiling for %s ...", how)
