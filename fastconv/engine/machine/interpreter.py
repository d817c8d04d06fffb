"""The interpreter: each line of a program on a tile, by the kernel of its kind."""

from functools import cache

import numpy as np

from ..program import lines
from ..program.table import KIND, KINDS
from ..vector import lane_product, max_pool, product, transpose
from ..vector.compiling import address, compile_aloud
from ..vector.instructions import call_address, exchange_mode
from ..vector.lanes import USE_TWIN, kernel
from . import loops

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
        return np.array([address(KERNELS.get(kind, loops.work)) for kind in KINDS], np.int64)

    @kernel
    def set_mode(mode):
        """Treat numbers below 1e-38 as zeros (-1), or go back to `mode`; -> the mode before."""
        return exchange_mode(mode)
