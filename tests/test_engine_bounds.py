"""Machine code checks no offset: every plan is checked instead, by a check that is tested here."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_networks import draw_plans
from examples import examples

from fastconv.engine.program import lines
from fastconv.engine.program.bounds import require_inside, touched
from fastconv.engine.program.lines import GRADS, PARAMS, WORK
from fastconv.engine.program.table import KIND, KINDS, OWNER, columns

HERE = Path(__file__).parent
PLANNED = int(os.environ.get("FASTCONV_PLANNED", examples(150, 250)))


@pytest.mark.parametrize("T", [4, 8, 16])
def test_every_plan_stays_inside_what_it_reserved(T):
    plans = [*draw_plans(random.Random(T), PLANNED, T)]  # a plan checks itself
    assert len(plans) > PLANNED * 4 / 3  # a third of the networks have both kinds


class Operand:
    """What line `line` of a program reads or writes from `low` on: the column where that is said, and the region it lies in."""

    def __init__(self, plan, table, k):
        extents = touched(table, 8)
        self.plan, self.row, self.low, self.high = plan, table[extents.line[k]], extents.low[k], extents.high[k]
        self.segment, self.writes = int(extents.segment[k]), bool(extents.writes[k])
        self.regions = plan.layout.regions[WORK if self.segment == WORK else PARAMS]
        self.region = next(region for region in self.regions if region.at <= self.low < region.at + region.size)
        self.column = next(column for column in starts(kind_of(self.row)) if self._begins(table, k, column))

    def _begins(self, table, k, column):
        self.row[column] += 1
        moved = touched(table, 8).low[k]
        self.row[column] -= 1
        return moved == self.low + 1

    def assert_refused(self, shift):
        """Elsewhere, the check says so."""
        assert_refused(self.plan, self.row, self.column, self.row[self.column] + shift)


def assert_refused(plan, row, column, value):
    before, row[column] = row[column], value
    with pytest.raises(RuntimeError, match="leave its memory"):
        require_inside(plan)
    row[column] = before


def kind_of(row):
    return KINDS[row[KIND]]


def starts(kind):
    """The columns that say where an operand of a kind of line begins."""
    return [*_starts(columns(kind))]


def _starts(part):
    for name, column in zip(part._fields, part):
        if isinstance(column, (lines.Place, lines.MaxPool, lines.AvgPool)):
            yield from _starts(column)
        elif name in ("at", "x", "w", "out", "mask", "bias", "argmax", "dy", "y", "image", "means"):
            yield column


def test_the_check_sees_a_line_that_is_moved_out_of_its_region():
    """Whatever operand of whatever line is moved by just so much that a float of it leaves its region."""
    rng, seen = random.Random(3), set()
    for _, plan in draw_plans(random.Random(1), 40, 8):
        for table in [table for table in (plan.forward, plan.backward) if len(table)]:
            extents = touched(table, 8)
            # A single float would move into another region as a whole.
            operand = Operand(plan, table, rng.choice(np.flatnonzero(extents.high > extents.low)))
            operand.assert_refused(operand.region.at - 1 - operand.low)
            operand.assert_refused(operand.region.at + operand.region.size - operand.high)
            seen.add(kind_of(operand.row))
    assert len(seen) > 8


def test_the_check_sees_a_line_that_is_moved_into_another_layers_region():
    rng, seen = random.Random(4), set()
    for _, plan in draw_plans(random.Random(3), 60, 8):
        for back, table in ((False, plan.forward), (True, plan.backward)):
            n = len(touched(table, 8).low)
            for operand in (Operand(plan, table, k) for k in rng.sample(range(n), min(3, n))):
                foreign = [region for region in operand.regions if is_foreign(region, operand.row[OWNER], back)]
                for region in [region for region in foreign if region.size >= operand.region.size][:2]:
                    operand.assert_refused(region.at - operand.region.at)
                    seen.add((back, operand.writes, operand.segment))
    assert len(seen) > 5


def is_foreign(region, owner, back):
    """Whether a layer has nothing to do with a region: others' parameters and winners; forward all that later layers write."""
    is_others = region.owner not in (owner, -1)
    return is_others and (region.name in ("weight", "bias", "argmax") or not back and region.owner > owner)


@pytest.mark.parametrize("kind", [lines.Product, lines.SumLanes])
def test_the_check_sees_a_line_that_writes_over_parameters(kind):
    segment, seen = columns(kind).out.segment, 0
    for _, plan in draw_plans(random.Random(5), 15, 8):
        rows = [row for row in plan.backward if kind_of(row) is kind and row[segment] == GRADS]
        for row in rows[:1]:
            assert_refused(plan, row, segment, PARAMS)
            seen += 1
    assert seen


def test_the_check_sees_a_region_that_is_too_small_or_not_apart():
    for _, plan in draw_plans(random.Random(2), 20, 8):
        for regions in plan.layout.regions.values():
            sizes = [k for k, region in enumerate(regions) if region.size and region.name not in ("ones", "d output")]
            for k in sizes[:1]:
                regions[k] = regions[k]._replace(size=regions[k].size + 10**6)
                with pytest.raises(RuntimeError, match="leave its memory"):
                    require_inside(plan)
                regions[k] = regions[k]._replace(size=regions[k].size - 10**6)


WATCHED = """
import random
import sys
import numpy as np
from drawn_networks import draw_plans
from fastconv.engine.machine import loops
from fastconv.engine.machine.interpreter import KERNELS
from fastconv.engine.program import lines
from fastconv.engine.program.table import KIND, KINDS, line_of
from fastconv.engine.program.bounds import touched
from fastconv.engine.program.lines import TILE
from fastconv.engine.vector.lanes import T

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

# An average's image may have a border that no window sees; the vector form loads the sums of no positions; dropout leaves
# out what fills up a pixel's channels.
def is_exact(kind, line):
    if kind is lines.Dropout and line.C * line.channel < line.pixel:
        return False
    return not kind.__name__.startswith("AvgPool") and all(loop.n for loop in loops_of(line))

def loops_of(line):
    return [loop for name, loop in line._asdict().items() if name in ("q", "p")]

checked = set()
for _, plan in draw_plans(random.Random(5), int(sys.argv[1]), T):
    starts = 0, 2 * plan.layout.n_packed, plan.layout.n_packed  # PARAMS, WORK, GRADS
    memory = np.zeros(2 * plan.layout.n_packed + plan.layout.n_work, np.float32).view(Memory)
    memory.places = range(len(memory))
    for table in (plan.forward, plan.backward):
        extents = touched(table, T)
        for k, row in enumerate(table):
            line, kind = line_of(row), KINDS[row[KIND]]
            if kind in checked and k % 23:
                continue
            memory.read, memory.written = set(), set()
            tile = np.zeros(len(TILE), np.int64)
            tile[: len(starts)] = starts
            with np.errstate(all="ignore"):
                KERNELS.get(kind, loops.work)(memory, row, tile)
            touches = memory.read | memory.written
            own = np.flatnonzero(extents.line == k)
            for i in own if is_exact(kind, line) else ():
                start = starts[extents.segment[i]]
                assert {start + extents.low[i], start + extents.high[i]} <= touches, (line, i)
            for places, writes in ((memory.written, True), (memory.read, False)):
                boxes = [(starts[extents.segment[i]] + extents.low[i], starts[extents.segment[i]] + extents.high[i])
                         for i in own if extents.writes[i] == writes]
                assert all(any(low <= place <= high for low, high in boxes) for place in places), (line, boxes)
            checked.add(kind)
print(*sorted(kind.__name__ for kind in checked))
"""


def test_what_the_check_says_of_a_line_is_what_its_twin_touches():
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    environment = os.environ | {"PYTHONPATH": path, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(examples(50, 100))], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == sorted(kind.__name__ for kind in KINDS)
