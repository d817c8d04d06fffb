"""Machine code checks no offset: every plan is checked instead, and training runs between pages that may not be touched."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_networks import draw_network
from numpy.testing import assert_allclose

from fastconv import SGD, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, train
from fastconv.engine import record as r
from fastconv.engine.bounds import require_inside, touched
from fastconv.engine.narrow import NarrowPlan, is_narrow
from fastconv.engine.runs import source_runs, tap_runs
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


GUARD = """
import ctypes, mmap, random, sys
import numpy as np
from drawn_networks import draw_network
import fastconv.engine as engine
from fastconv import SGD, Sequential, train
from fastconv.engine.lanes import T

LIBC, PAGE, kept = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []

def guarded(shape, dtype=np.float64):
    "Zeros that end where a page begins that nobody may touch, another one before them."
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    for page in (start, start + (pages + 1) * PAGE):
        assert LIBC.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
    kept.append(block)
    return np.frombuffer(block, dtype, int(np.prod(shape)), (pages + 1) * PAGE - size).reshape(shape)

def copy(a):
    twin = guarded(a.shape, a.dtype)
    twin[...] = a
    return twin

engine.aligned_zeros = lambda size: guarded(size, np.float32)
if sys.argv[1] == "proof":
    guarded(100, np.float32)[-1:].ctypes.data
    a = guarded(100, np.float32)
    ctypes.memset(a.ctypes.data + a.nbytes, 0, 1)
rng = random.Random(int(sys.argv[2]))
for k in range(int(sys.argv[1])):
    layers, shape = draw_network(rng)
    n, loss = rng.choice([1, 2, 3, T - 1, T, T + 1]), rng.choice(["mse", "cross_entropy"])
    buffers = []
    for backend in ("im2col", "compiled"):
        data = np.random.default_rng(k)
        net = Sequential(layers, shape, random_state=0)
        X = copy(data.normal(size=(2 * n, *shape)).astype("f4"))
        y = data.integers(net.output_shape[0], size=2 * n) if loss == "cross_entropy" and len(net.output_shape) == 1 else None
        y, kind = (y, loss) if y is not None else (copy(data.normal(size=(2 * n, *net.output_shape)).astype("f4")), "mse")
        train(net, X, y, epochs=2, batch_size=n, optimizer=SGD(0.05), loss=kind, random_state=1, backend=backend, n_threads=1)
        buffers.append(net.buffer)
        if backend == "compiled":
            np.testing.assert_allclose(net.predict(X), net.forward(X)[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(*buffers[::-1], rtol=5e-4, atol=5e-5, err_msg=str((n, shape, layers)))
    while len(kept) > 200:
        kept.pop(0)
print("trained", sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages by mprotect")
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the twin is NumPy's, which checks")
def test_training_between_pages_that_nobody_may_touch():
    assert run(GUARD, GUARDED, os.environ.get("FASTCONV_SEED", 0)).split() == ["trained", str(GUARDED)]


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages by mprotect")
def test_the_guard_pages_guard():
    with pytest.raises(AssertionError):
        run(GUARD, "proof", 0)


FORMERLY_WRONG = [
    ([Conv2d(64, 1), Conv2d(64, 3, padding=1), Flatten(), Linear(2)], (1, 1, 1)),  # wrote dx beyond its place
    ([Conv2d(5, 1), Conv2d(20, 3, padding=1, stride=3), Flatten(), Linear(3)], (2, 3, 3)),  # as large as the image, but shifted
    ([Conv2d(5, 1), Conv2d(20, 3, padding=((0, 2), (0, 2)), stride=3, dilation=2), Flatten(), Linear(3)], (2, 3, 3)),
    ([Conv2d(7, 1), Conv2d(20, 1, padding=1, stride=3), Flatten(), Linear(3)], (7, 1, 1)),  # sees padding only
    ([MaxPool2d(2**30 - 1, padding=2**29 - 1), Flatten(), Linear(3)], (2, 3, 4)),
    (
        [
            Conv2d(2, 1, stride=2**31 - 1, padding=((0, 2**20), (0, 2**20))),
            MaxPool2d((2**30, 3), padding=(2**29, 1)),
            Flatten(),
        ],
        (1, 4, 5),
    ),
    ([Conv2d(3, 2, dilation=2**30, padding=((2**30, 0), (0, 2**30))), ReLU(), Flatten(), Linear(2)], (1, 3, 2)),
]


@pytest.mark.parametrize("layers, shape", FORMERLY_WRONG)
@pytest.mark.parametrize("n", [1, 3, 20])
def test_networks_that_were_wrong_or_took_for_ever(layers, shape, n):
    buffers = []
    for backend in ("im2col", "compiled"):
        net, rng = Sequential(layers, shape, random_state=0), np.random.default_rng(0)
        X, y = rng.normal(size=(n, *shape)).astype("f4"), rng.normal(size=(n, *net.output_shape))
        train(net, X, y, epochs=3, batch_size=n, optimizer=SGD(0.1), loss="mse", backend=backend, random_state=0)
        buffers.append(net.buffer)
    assert_allclose(*buffers, rtol=1e-4, atol=1e-6)


def test_runs_are_those_of_the_taps_one_by_one():
    """Against lists of all taps, which is what a run means."""
    rng = random.Random(0)
    for _ in range(3000):
        size, K, S, D, P, count = (rng.randint(*ends) for ends in ((1, 12), (1, 6), (1, 6), (1, 6), (0, 8), (1, 9)))
        seen = {i: [u for u in range(K) if 0 <= i * S - P + u * D < size] for i in range(count)}
        found = {i + k: list(range(u, u + n)) for i, number, u, n in tap_runs(size, K, S, D, P, count) for k in range(number)}
        assert found == seen
        onto = {y: sorted((i, u) for i, taps in seen.items() for u in taps if i * S - P + u * D == y) for y in range(size)}
        gathered = {}
        for y, number, apart, i, u, n, du, di in source_runs(size, K, S, D, P, count):
            for k in range(number):
                assert y + k * apart not in gathered
                gathered[y + k * apart] = sorted((i + k - t * di, u + t * du) for t in range(n))
        assert gathered == onto
