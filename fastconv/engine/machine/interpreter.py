"""The interpreter: each line of a program on a tile, by the kernel of its kind."""

import sys
import time
from functools import cache

import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from ...support.cache import ADVICE
from ...support.jit import is_kept
from ..program import lines
from ..program.lines import KIND, KINDS
from ..vector import lane_product, max_pool, product, transpose
from ..vector.instructions import call_address, exchange_mode
from ..vector.lanes import USE_TWIN, kernel
from . import loops

_LINE = types.void(types.float32[::1], types.int64[::1], types.int64[::1])
KERNELS = {
    lines.Product: product.product,
    lines.LaneProduct: lane_product.lane_product,
    lines.Transpose: transpose.transpose,
    lines.SumLanes: transpose.sum_lanes,
    lines.DotLanes: transpose.dot_lanes,
    lines.MaxPool: max_pool.max_pool,
    lines.MaxPoolBack: max_pool.max_pool_back,
}
"""Kinds that have a kernel of their own; all others share `loops.work`."""


def compile_aloud(function):
    """Compile a kernel of the signature that all operations have and, if it was not on disk, say how long the others will take.

    For `loops.work`, whose time all others together take 1.7 to 3.0 times (AVX-512, AVX2, SSE2; Numba 0.61 and 0.68), here with room for noise.
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


if USE_TWIN:
    _PRODUCT, _LANE_PRODUCT, _TRANSPOSE, _SUM_LANES, _DOT_LANES, _MAX_POOL, _MAX_POOL_BACK = map(KINDS.index, KERNELS)

    @kernel
    def run_lines(program, kernels, mem, tile):
        """Each line of a program on one tile."""
        for line in program:
            if line[KIND] == _PRODUCT:
                product.product(mem, line, tile)
            elif line[KIND] == _LANE_PRODUCT:
                lane_product.lane_product(mem, line, tile)
            elif line[KIND] == _TRANSPOSE:
                transpose.transpose(mem, line, tile)
            elif line[KIND] == _SUM_LANES:
                transpose.sum_lanes(mem, line, tile)
            elif line[KIND] == _DOT_LANES:
                transpose.dot_lanes(mem, line, tile)
            elif line[KIND] == _MAX_POOL:
                max_pool.max_pool(mem, line, tile)
            elif line[KIND] == _MAX_POOL_BACK:
                max_pool.max_pool_back(mem, line, tile)
            else:
                loops.work(mem, line, tile)

    def addresses():
        """Nothing: the twin is called by name."""
        return np.zeros(0, np.int64)

    @kernel
    def set_mode(mode):
        """The twin keeps the mode it finds."""
        return mode

else:

    @kernel
    def run_lines(program, kernels, mem, tile):
        """Each line of a program on one tile."""
        for line in program:
            call_address(kernels[line[KIND]], mem, line, tile)

    @cache
    def addresses():
        """Where the kernel of each kind lies in memory."""
        compile_aloud(loops.work)
        return np.array([_address(KERNELS.get(kind, loops.work)) for kind in KINDS], np.int64)

    def _address(function):
        function.compile(_LINE)
        compiled = function.overloads[_LINE.args]
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)

    @kernel
    def set_mode(mode):
        """Treat numbers below 1e-38 as zeros (-1), or go back to `mode`; -> the mode before."""
        return exchange_mode(mode)
