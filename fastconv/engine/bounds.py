"""Every line of a program stays inside what was reserved for its layer: checked for every plan, because machine code does not check.

A line's operand is a box: a first float, loops of (count, stride) around it, and the floats that lie side by side in the end. Its lowest and
highest float follow from these. What each kind of line touches is what its twin does, loop by loop.
"""

from typing import NamedTuple

import numpy as np

from . import record as r
from .lanes import T


class Region(NamedTuple):
    """A part of a segment that was reserved: by which layer (-1: none), and what for."""

    owner: int
    name: str
    at: int
    size: int


class Operand(NamedTuple):
    """What lines read or write: `loops` are (count, stride) around `width` floats; it is touched where `when` holds."""

    column: int
    segment: int | np.ndarray
    loops: tuple
    width: int | np.ndarray
    writes: bool
    when: bool | np.ndarray = True


class Touched(NamedTuple):
    """The floats `low` to `high` of `segment` that line number `line` reads or writes: arrays, one entry an operand."""

    line: np.ndarray
    segment: np.ndarray
    low: np.ndarray
    high: np.ndarray
    writes: np.ndarray


def require_inside(plan):
    """Raise RuntimeError unless every line of `plan` reads and writes within the regions that its layer has to do with.

    Forward, a layer reads its input's region and writes its own. Backward, it reads both and the gradient to its output, and writes the
    gradient to its input, its own gradients in GRADS, and scratch.
    """
    _require_apart(plan)
    starts = {r.PARAMS: 0, r.GRADS: plan.n_packed, r.WORK: 2 * plan.n_packed}
    regions = [(segment, region) for segment in starts for region in plan.regions[r.WORK if segment == r.WORK else r.PARAMS]]
    edges = np.array([(starts[segment] + region.at, starts[segment] + region.at + region.size) for segment, region in regions])
    order = np.argsort(
        edges[:, 0] + 0.5 * (edges[:, 0] < edges[:, 1])
    )  # of two that begin alike, the one that is not empty last
    regions, (first, end) = [regions[k] for k in order], edges[order].T
    base = np.array([starts[segment] for segment in sorted(starts)])
    for back, table in ((False, plan.forward), (True, plan.backward)):
        touch = touched(table)
        low, high = base[touch.segment] + touch.low, base[touch.segment] + touch.high
        at = np.maximum(np.searchsorted(first, low, side="right") - 1, 0)
        may = {step.owner: _allowed(plan, step, regions, back) for step in plan.steps}
        allowed = np.array(
            [may[owner][int(writes)][k] for owner, writes, k in zip(table[touch.line, r.OWNER], touch.writes, at)], bool
        )
        wrong = np.flatnonzero((low < first[at]) | (high >= end[at]) | ~allowed)
        if len(wrong):
            k = wrong[0]
            verb = "writes" if touch.writes[k] else "reads"
            _fail(
                f"line {touch.line[k]} {('forward', 'backward')[back]} {verb} {touch.low[k]} to {touch.high[k]} near {regions[at[k]]}"
            )


def _require_apart(plan):
    """No two parameters in one place, no two regions with a float in common."""
    packed = np.sort(plan.packed)
    if len(packed) and not (packed[0] >= 0 and packed[-1] < plan.n_packed and np.diff(packed).all()):
        _fail("two parameters in one place")
    for segment, size in ((r.PARAMS, plan.n_packed), (r.WORK, plan.n_work)):
        edges = sorted((region.at, region.at + region.size) for region in plan.regions[segment])
        if not all(a >= before for (a, _), before in zip(edges, [0, *(b for _, b in edges)])) or edges and edges[-1][1] > size:
            _fail(f"regions {plan.regions[segment]} in {size} floats")


def _allowed(plan, step, regions, back):
    """-> for each region whether a line of `step` may read it, and whether it may write it"""
    dy, dx = plan.gradients.get(step.owner, (-1, -1)) if back else (-1, -1)
    reads, writes = [], []
    for segment, region in regions:
        own = region.owner == step.owner
        if segment == r.WORK:
            scratch = back and "scratch" in region.name
            reads.append(own or scratch or region.name == "ones" or region.at in (step.x.at, step.y.at, dy, dx))
            writes.append(scratch or region.at == dx if back else own)
        else:
            reads.append(own and (segment == r.PARAMS or back))
            writes.append(own and back and segment == r.GRADS)
    return reads, writes


def touched(table):
    """The extents of all operands of a program's lines."""
    found = [Touched(*np.zeros((4, 0), np.int64), np.zeros(0, bool))]
    for kinds, operands in _OPERANDS:
        lines = np.flatnonzero(np.isin(table[:, r.KIND], kinds))
        columns = table[lines].T
        found += [_extents(lines, columns, operand) for operand in (operands(columns) if len(lines) else ())]
    return Touched(*map(np.concatenate, zip(*found)))


def _extents(lines, columns, operand):
    low = high = columns[operand.column]
    when = np.broadcast_to(operand.when, low.shape)
    for count, stride in operand.loops:
        when = when & (count > 0)
        reach = (count - 1) * stride
        low, high = low + np.minimum(reach, 0), high + np.maximum(reach, 0)
    high = high + operand.width - 1
    when = when & (high >= low)
    segment, writes = (np.broadcast_to(value, low.shape) for value in (operand.segment, operand.writes))
    return Touched(*(values[when] for values in (lines, segment, low, high, writes)))


def _product(c):
    """As `product_twin`."""
    nq, np_, order = c[r.NQ], c[r.NP], c[r.ORDER]
    across = np.select([order == 0, order == 1], [1, T], c[r.ACROSS])
    along, apart = np.where(order == 0, T, 1), np.where(order == 2, c[r.OM], T)
    terms = c[r.N3] * c[r.N2] * c[r.N1] * c[r.N0] > 0

    def sums(q, p, row, scalar):
        return (nq, c[q]), (np_, c[p]), (c[r.ROWS], row), (c[r.M], scalar)

    def summed(third, second, first, side):
        return (c[r.N3], c[third]), (c[r.N2], c[second]), (c[r.N1], c[first]), (c[r.N0], side)

    out = sums(r.OQ, r.OP, c[r.OR], apart)
    adds = (c[r.INIT] == r.ADD) | (c[r.INIT] == r.ADD_UNLESS_FIRST)
    rows_of_bias = np.where(order == 2, c[r.ROWS] * T, c[r.M])
    return (
        Operand(r.X, c[r.X_IN], sums(r.XQ, r.XP, c[r.XR], 0) + summed(r.X3, r.X2, r.X1, T), T, False, terms),
        Operand(r.W, c[r.W_IN], sums(r.WQ, r.WP, 0, across) + summed(r.W3, r.W2, r.W1, along), 1, False, terms),
        Operand(r.OUT, c[r.OUT_IN], out, T, False, adds),
        Operand(r.OUT, c[r.OUT_IN], out, T, True),
        Operand(r.MASK, r.WORK, sums(r.MQ, r.MP, c[r.MR], apart), T, False, c[r.FINAL] == r.MASK_AFTER),
        Operand(r.BIAS_AT, r.PARAMS, ((nq, 0), (np_, 0)), rows_of_bias, False, c[r.INIT] == r.BIAS),
    )


def _lane_product(c):
    """As `lane_product_twin`."""
    positions = c[r.NQ] * c[r.NP] > 0
    out = (c[r.M], c[r.OQ]), (c[r.N0], T)
    return (
        Operand(r.X, r.WORK, ((c[r.NQ], c[r.XQ]), (c[r.NP], c[r.XP]), (c[r.N0], T)), T, False, positions),
        Operand(r.W, r.WORK, ((c[r.NQ], c[r.WQ]), (c[r.NP], c[r.WP]), (c[r.M], T)), T, False, positions),
        Operand(r.OUT, r.WORK, out, T, False),
        Operand(r.OUT, r.WORK, out, T, True),
    )


def _transpose(c):
    """As `transpose_twin`."""
    is_block, multiplies = c[r.KIND] == r.TRANSPOSE, c[r.N1] > 0
    nq, np_ = c[r.NQ], c[r.NP]
    out = (nq, c[r.OQ]), (np_, c[r.OP])
    x = (nq, c[r.XQ]), (np_, c[r.XP]), (c[r.M], c[r.XR]), (np.where(multiplies & ~is_block, c[r.N1], 1), c[r.X1])
    return (
        Operand(r.X, c[r.X_IN], x, T, False),
        Operand(r.OUT, c[r.OUT_IN], out, T, False, ~is_block & ~multiplies),
        Operand(r.OUT, c[r.OUT_IN], out, np.where(is_block, T * T, T), True),
        Operand(r.MASK, r.WORK, ((nq, c[r.MQ]), (np_, c[r.MP])), T, False, multiplies & ~is_block),
        Operand(r.W, r.WORK, ((nq, 0), (np_, 0)), c[r.N1] * T, False, multiplies & ~is_block),
    )


def _max_pool(c):
    """As `max_pool_twin`."""
    back = c[r.KIND] == r.MAX_POOL_BACK
    windows = (c[r.NQ], c[r.OQ]), (c[r.NP], c[r.OP])
    taps = (c[r.NQ], c[r.XQ]), (c[r.NP], c[r.XP]), (c[r.N2], c[r.X2]), (c[r.N1], c[r.X1])
    width = c[r.N0] * T
    return (
        Operand(r.X, r.WORK, taps, width, False),
        Operand(r.X, r.WORK, taps, width, True, back),
        Operand(r.OUT, r.WORK, windows, width, False, back),
        Operand(r.OUT, r.WORK, windows, width, True, ~back),
        Operand(r.MASK, r.WORK, windows, width, False, back),
        Operand(r.MASK, r.WORK, windows, width, True, ~back),
    )


def _elementwise(c):
    """As `relu` and `relu_back`."""
    width, back = c[r.CHANNELS] * c[r.NQ] * c[r.NP] * T, c[r.KIND] == r.RELU_BACK
    return (
        Operand(r.X, r.WORK, (), width, False),
        Operand(r.X, r.WORK, (), width, True, back),
        Operand(r.MASK, r.WORK, (), width, False, back),
        Operand(r.OUT, r.WORK, (), width, True, ~back),
    )


def _avg_pool(c):
    """As `avg_pool`: X is what is read, OUT what is written, one of them the image and the other the means."""
    image, means = c[r.HEIGHT] * c[r.WIDTH] * c[r.CHANNELS] * T, c[r.NQ] * c[r.NP] * c[r.CHANNELS] * T
    back = c[r.KIND] == r.AVG_POOL_BACK
    return (
        Operand(r.X, r.WORK, (), np.where(back, means, image), False),
        *(Operand(r.OUT, r.WORK, (), np.where(back, image, means), writes) for writes in (False, True)),  # sums grow in place
    )


def _dropout(c):
    """As `dropout`."""
    width = c[r.NQ] * c[r.NP] * c[r.XP]
    return Operand(r.X, r.WORK, (), width, False), Operand(r.OUT, r.WORK, (), width, True)


def _lane_zero(c):
    """As `lane_zero`."""
    return (Operand(r.OUT, r.WORK, (), c[r.NP] * T, True),)


_OPERANDS = (
    ((r.PRODUCT,), _product),
    ((r.LANE_PRODUCT,), _lane_product),
    ((r.TRANSPOSE, r.REDUCE_LANES), _transpose),
    ((r.MAX_POOL, r.MAX_POOL_BACK), _max_pool),
    ((r.RELU, r.RELU_BACK), _elementwise),
    ((r.AVG_POOL, r.AVG_POOL_BACK), _avg_pool),
    ((r.DROPOUT,), _dropout),
    ((r.LANE_ZERO,), _lane_zero),
)
"""What each kind of line touches, its columns given one by one."""


def _fail(what):
    raise RuntimeError(f"a plan would leave its memory: {what}; please report this network")
