"""Every line of a program stays inside what was reserved for its layer: checked here, as machine code does not check.

What a line touches is a box: a first float, loops of (count, stride) around it, and the floats that lie side by side in the
end. Its lowest and highest float follow from these.
"""

from typing import NamedTuple

import numpy as np

from .lines import GRADS, PARAMS, WORK
from .table import KIND, OWNER, line_of


class Touched(NamedTuple):
    """The floats `low` to `high` of `segment` that line number `line` reads or writes: arrays, one entry an operand."""

    line: np.ndarray
    segment: np.ndarray
    low: np.ndarray
    high: np.ndarray
    writes: np.ndarray


class Atlas:
    """All regions on one axis: those of PARAMS, of GRADS, which is laid out alike, and of WORK."""

    def __init__(self, layout):
        named = {PARAMS: layout.regions[PARAMS], WORK: layout.regions[WORK], GRADS: layout.regions[PARAMS]}
        self._start = np.array([0, 2 * layout.n_packed, layout.n_packed])  # of PARAMS, WORK, GRADS
        places = [(self._start[segment] + region.at, segment, region) for segment in named for region in named[segment]]
        # Of two that begin alike, the one that is not empty last.
        places.sort(key=lambda place: (place[0], place[2].size > 0))
        self.regions = [(segment, region) for _, segment, region in places]
        self._first = np.array([first for first, *_ in places])
        self._end = self._first + np.array([region.size for _, region in self.regions])

    def at(self, touched):
        """-> for each extent the number of the region that it begins in, and whether it lies in there as a whole"""
        low, high = self._start[touched.segment] + touched.low, self._start[touched.segment] + touched.high
        found = np.maximum(np.searchsorted(self._first, low, side="right") - 1, 0)
        return found, (low >= self._first[found]) & (high < self._end[found])

    def region(self, place):
        """The region that a place lies in."""
        found = np.searchsorted(self._first, self._start[place.segment] + place.at, side="right") - 1
        return self.regions[max(found, 0)][1]


def require_inside(plan):
    """Raise RuntimeError unless every line of `plan` reads and writes within the regions that its layer has to do with.

    Forward, a layer reads its input's region and writes its own. Backward, it reads both and the gradient to its output, and
    writes the gradient to its input, its own gradients in GRADS, and scratch.
    """
    layout = plan.layout
    _require_apart(layout)
    atlas = Atlas(layout)
    for back, table in ((False, plan.forward), (True, plan.backward)):
        touch = touched(table, layout.T)
        regions, is_inside = atlas.at(touch)
        may = {stage.owner: _allowed(stage, atlas.regions, back) for stage in layout.stages}
        owners = table[touch.line, OWNER].tolist()
        is_allowed = [may[owner][int(writes)][k] for owner, writes, k in zip(owners, touch.writes, regions)]
        wrong = np.flatnonzero(~(is_inside & np.array(is_allowed, bool)))
        if len(wrong):
            k = wrong[0]
            what = f"{'writes' if touch.writes[k] else 'reads'} {touch.low[k]} to {touch.high[k]}"
            _fail(f"line {touch.line[k]} {('forward', 'backward')[back]} {what} near {atlas.regions[regions[k]]}")


def _require_apart(layout):
    """No two parameters in one place, no two regions with a float in common."""
    packed = np.sort(layout.packed)
    if len(packed) and not (packed[0] >= 0 and packed[-1] < layout.n_packed and np.diff(packed).all()):
        _fail("two parameters in one place")
    for segment, size in ((PARAMS, layout.n_packed), (WORK, layout.n_work)):
        edges = sorted((region.at, region.at + region.size) for region in layout.regions[segment])
        starts, ends = [first for first, _ in edges], [0, *(end for _, end in edges)]
        if any(first < end for first, end in zip(starts, ends)) or ends[-1] > size:
            _fail(f"regions {layout.regions[segment]} in {size} floats")


def _allowed(stage, regions, back):
    """-> for each region whether a line of `stage` may read it, and whether it may write it"""
    dy, dx = (image.at if back and image else -1 for image in (stage.dy, stage.dx))
    reads, writes = [], []
    for segment, region in regions:
        own = region.owner == stage.owner
        if segment == WORK:
            scratch = back and "scratch" in region.name
            reads.append(own or scratch or region.name == "ones" or region.at in (stage.x.at, stage.y.at, dy, dx))
            writes.append(scratch or region.at == dx if back else own)
        else:
            reads.append(own and (segment == PARAMS or back))
            writes.append(own and back and segment == GRADS)
    return reads, writes


def touched(table, T):
    """The extents of all that the lines of a program read and write, with T lanes."""
    found = [Touched(*np.zeros((4, 0), np.int64), np.zeros(0, bool))]
    for kind in np.unique(table[:, KIND]):
        numbers = np.flatnonzero(table[:, KIND] == kind)
        found += [_extents(numbers, touch) for touch in line_of(table[numbers].T).touches(T)]
    return Touched(*map(np.concatenate, zip(*found)))


def _extents(numbers, touch):
    low = high = touch.place.at
    when = np.broadcast_to(touch.when, low.shape)
    for count, stride in touch.loops:
        when = when & (count > 0)
        reach = (count - 1) * stride
        low, high = low + np.minimum(reach, 0), high + np.maximum(reach, 0)
    high = high + touch.width - 1
    when = when & (high >= low)
    segment, writes = (np.broadcast_to(value, low.shape) for value in (touch.place.segment, touch.writes))
    return Touched(*(values[when] for values in (numbers, segment, low, high, writes)))


def _fail(what):
    raise RuntimeError(f"a plan would leave its memory: {what}; please report this network")
