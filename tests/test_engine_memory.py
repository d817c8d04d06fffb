"""Machine code checks no offset: every plan is checked instead, and training runs between pages that may not be touched."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_networks import draw_network

from fastconv import Sequential
from fastconv.engine import record as r
from fastconv.engine.bounds import require_inside, touched
from fastconv.engine.narrow import NarrowPlan, is_narrow
from fastconv.engine.wide import WidePlan

HERE = Path(__file__).parent
PLANNED = int(os.environ.get("FASTCONV_PLANNED", "700"))
GUARDED = int(os.environ.get("FASTCONV_GUARDED", "60"))
CPUS = {
    4: {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse,+sse2"},
    8: {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma"},
    16: {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+avx512f"},
}


def run(code, *arguments, **environment):
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path} | environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


PLAN_MANY = """
import random, sys
from drawn_networks import draw_network
from fastconv import Sequential
from fastconv.engine.lanes import T
from fastconv.engine.narrow import NarrowPlan, is_narrow
from fastconv.engine.wide import WidePlan
assert T == int(sys.argv[2]), T
rng, narrow = random.Random(T), 0
for _ in range(int(sys.argv[1])):
    layers, shape = draw_network(rng)
    net = Sequential(layers, shape, random_state=0)
    WidePlan(net)  # a plan checks itself
    if is_narrow(net):
        narrow += 1
        NarrowPlan(net)
print(narrow)
"""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the twin has a width of its own")
@pytest.mark.parametrize("T", CPUS)
def test_every_plan_stays_inside_what_it_reserved(T):
    narrow = run(PLAN_MANY, PLANNED, T, **CPUS[T])
    assert int(narrow) > PLANNED / 3


def plans(n, seed):
    rng = random.Random(seed)
    for _ in range(n):
        layers, shape = draw_network(rng)
        net = Sequential(layers, shape, random_state=0)
        yield from (kind(net) for kind in (WidePlan, *[NarrowPlan] * is_narrow(net)))


SOMEWHERE = (r.X, r.W, r.OUT, r.MASK, r.BIAS_AT)


def test_the_check_sees_a_line_that_is_moved_out_of_its_region():
    """Whatever operand of whatever line is moved by just so much that a float of it leaves its region, the check says so."""
    rng, seen = random.Random(3), 0
    for plan in plans(40, 1):
        table = rng.choice([table for table in (plan.forward, plan.backward) if len(table)] or [None])
        if table is None:
            continue
        extents = touched(table)
        k = rng.choice(np.flatnonzero(extents.high > extents.low))  # a single float would move into another region as a whole
        line, segment = extents.line[k], extents.segment[k]
        regions = plan.regions[r.WORK if segment == r.WORK else r.PARAMS]
        region = next(region for region in regions if region.at <= extents.low[k] < region.at + region.size)
        column = next(column for column in SOMEWHERE if moves(table, line, k, column))
        for shift in (region.at - 1 - extents.low[k], region.at + region.size - extents.high[k]):
            table[line, column] += shift
            with pytest.raises(RuntimeError, match="leave its memory"):
                require_inside(plan)
            table[line, column] -= shift
            seen += 1
    assert seen > 30


def moves(table, line, k, column):
    """Whether operand number k of a program begins at this column of its line."""
    before, table[line, column] = touched(table).low[k], table[line, column] + 1
    after, table[line, column] = touched(table).low[k], table[line, column] - 1
    return after == before + 1


def test_the_check_sees_a_region_that_is_too_small_or_not_apart():
    for plan in plans(20, 2):
        for regions in plan.regions.values():
            sizes = [k for k, region in enumerate(regions) if region.size and region.name not in ("ones", "d output")]
            for k in sizes[:1]:
                regions[k] = regions[k]._replace(size=regions[k].size + 10**6)
                with pytest.raises(RuntimeError, match="leave its memory"):
                    require_inside(plan)
                regions[k] = regions[k]._replace(size=regions[k].size - 10**6)


WATCHED = """
import sys
import numpy as np
from test_engine_memory import plans
from fastconv.engine import lanekernel, microkernel, poolkernel, record as r, rows, transposekernel
from fastconv.engine.bounds import touched

class Memory(np.ndarray):
    def at(self, key):
        return range(*key.indices(len(self))) if isinstance(key, slice) else [int(key)]
    def __getitem__(self, key):
        found = super().__getitem__(key)
        if isinstance(key, slice) and hasattr(self, "places"):
            found = found.view(Memory)
            found.places, found.read, found.written = self.places[key], self.read, self.written
        elif hasattr(self, "places"):
            self.read.update(self.places[k] for k in self.at(key))
        return found
    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.written.update(self.places[k] for k in self.at(key))

def work(line):
    kind = line[r.KIND]
    if kind == r.PRODUCT:
        return microkernel.product_twin
    if kind == r.LANE_PRODUCT:
        return lanekernel.lane_product_twin
    if kind <= r.REDUCE_LANES:
        return transposekernel.transpose_twin
    return poolkernel.max_pool_twin if kind < r.N_VECTOR else rows.work

checked = set()
for plan in plans(int(sys.argv[1]), 5):
    starts = 0, 2 * plan.n_packed, plan.n_packed
    memory = np.zeros(2 * plan.n_packed + plan.n_work, np.float32).view(Memory)
    memory.places = range(len(memory))
    for table in (plan.forward, plan.backward):
        extents = touched(table)
        for k, line in enumerate(table):
            if line[r.KIND] in checked and k % 5:
                continue
            memory.read, memory.written = set(), set()
            tile = np.zeros(r.CONTEXT, np.int64)
            tile[: len(starts)] = starts
            with np.errstate(all="ignore"):
                work(line)(memory, line, tile)
            touches = memory.read | memory.written
            # An average's image may have a border that no window sees; the vector form loads the sums of no positions.
            is_exact = line[r.KIND] not in (r.AVG_POOL, r.AVG_POOL_BACK) and line[r.NQ] * line[r.NP] or line[r.KIND] == r.LANE_ZERO
            for i in np.flatnonzero(extents.line == k) if is_exact else ():
                start = starts[extents.segment[i]]
                assert {start + extents.low[i], start + extents.high[i]} <= touches, (line, i)
            for places, writes in ((memory.written, True), (memory.read, False)):
                own = [i for i in np.flatnonzero(extents.line == k) if extents.writes[i] == writes]
                boxes = [(starts[extents.segment[i]] + extents.low[i], starts[extents.segment[i]] + extents.high[i]) for i in own]
                assert all(any(low <= place <= high for low, high in boxes) for place in places), (line, boxes)
            checked.add(int(line[r.KIND]))
print(len(checked))
"""


def test_what_the_check_says_of_a_line_is_what_its_twin_touches():
    assert int(run(WATCHED, 50, NUMBA_DISABLE_JIT="1")) == 12
