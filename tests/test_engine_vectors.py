"""Each vector kernel against its twin, plain loops that do the same, on lines drawn at random and on lines of plans.

Memory holds small whole numbers, of which every sum is exact in whatever order: both must leave the same floats everywhere.
"""

import math
import random

import numpy as np
import pytest
from drawn_networks import draw_plans
from engine_interpreter import Tile
from numpy.testing import assert_allclose, assert_array_equal

from fastconv.engine.machine.interpreter import KERNELS
from fastconv.engine.program import lines
from fastconv.engine.program.lines import GRADS, PARAMS, TILE, WORK, Loop, Place, Sum
from fastconv.engine.program.registers import TAPS, lane_filters, product_sizes
from fastconv.engine.program.table import KIND, KINDS, line_of, table_of
from fastconv.engine.vector import gather, lane_product, max_pool, product, softmax, transpose
from fastconv.engine.vector.lanes import USE_TWIN, T, kernel

pytestmark = pytest.mark.skipif(USE_TWIN, reason="the twin stands in for the vector code")

TWINS = {
    lines.Product: product.product_twin,
    lines.LaneProduct: lane_product.lane_product_twin,
    lines.Transpose: transpose.transpose_twin,
    lines.SumLanes: transpose.sum_lanes_twin,
    lines.DotLanes: transpose.dot_lanes_twin,
    lines.MaxPool: max_pool.max_pool_twin,
    lines.MaxPoolBack: max_pool.max_pool_back_twin,
}
TWINS = {kind: kernel(twin) for kind, twin in TWINS.items()}

ZONE, MIDDLE = 512 * T, 256 * T
"""Memory is four zones: PARAMS, one of WORK to read, one to write, GRADS. From the middle of one no line gets to its edge."""
READ, WRITTEN = (Place(PARAMS, MIDDLE), Place(WORK, MIDDLE)), (Place(WORK, ZONE + MIDDLE), Place(GRADS, MIDDLE))


def tile_of(params, work, grads, first):
    tile = np.zeros(len(TILE), np.int64)
    tile[[TILE.params, TILE.work, TILE.grads, TILE.first]] = params, work, grads, first
    return tile


def made_by_both(row, mem, tile):
    """-> what either form of a line's kernel makes of a memory"""
    kind, found = KINDS[row[KIND]], []
    for form in (KERNELS[kind], TWINS[kind]):
        found.append(mem.copy())
        form(found[-1], row, tile.copy())
    assert_array_equal(*found, err_msg=str(line_of(row)))
    return found[0]


def assert_all_same(drawn, seed, special=()):
    """Every line of `drawn`, on memory of its own, of which some numbers are `special`."""
    rng = np.random.default_rng(seed)
    changed = []
    for row in table_of((0, line) for line in drawn):
        mem = rng.integers(-4, 5, 4 * ZONE).astype(np.float32)
        if special and rng.random() < 0.3:
            mem[rng.integers(len(mem), size=len(mem) // 100)] = rng.choice(special)
        found = made_by_both(row, mem, tile_of(0, ZONE, 3 * ZONE, rng.integers(2)))
        changed.append(not np.array_equal(found, mem))
    assert np.mean(changed) > 0.5  # not all lines without a round


def count(rng):
    return rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 3])


def stride(rng):
    return rng.choice([0, 1, T, 2 * T, 3 * T, rng.randint(-4 * T, 4 * T)])


def loop(rng, kind=Loop):
    return kind(count(rng), *(stride(rng) for _ in kind._fields[1:]))


def draw_product(rng, order, scalars, rows):
    apart = rng.choice([T, T + 3, 2 * T]) if order == lines.STRIDED else T
    x, w, out = rng.choice(READ), rng.choice(READ), rng.choice(WRITTEN)
    beside = rng.choice([-1, 1]) * (scalars * apart + rng.choice([0, 3, T]))  # no two results of a position in one place
    line = lines.Product(
        order=order,
        scalars=scalars,
        out=out,
        x=x,
        w=w,
        init=rng.choice([lines.ZERO, lines.BIAS, lines.ADD, lines.ADD_UNLESS_FIRST]),
        final=rng.choice([lines.PLAIN, lines.RELU, lines.MASK]),
        bias=MIDDLE,
        mask=MIDDLE,
        rows=Loop(rows, x=stride(rng), out=beside, mask=stride(rng)),
        q=loop(rng),
        p=loop(rng),
        outer=loop(rng, Sum),
        middle=loop(rng, Sum),
        inner=loop(rng, Sum),
        run=rng.randrange(11),
        stride=stride(rng),
        apart=apart,
    )
    if out.segment == WORK and rng.random() < 0.5:  # the mask in the place of the results, as in plans
        over = {name: getattr(line, name)._replace(mask=getattr(line, name).out) for name in ("rows", "q", "p")}
        line = line._replace(mask=out.at, **over)
    return line


@pytest.mark.parametrize("order", [lines.ADJACENT, lines.ROWS_APART, lines.STRIDED])
def test_products(order):
    rng = random.Random(order)
    sizes = [size for size in product_sizes(T) if size[0] == order]
    assert_all_same([draw_product(rng, *size) for size in sizes for _ in range(40)], order, [np.nan])


def draw_lane_product(rng, scalars, taps):
    apart = rng.choice([-1, 1]) * (taps * T + rng.choice([0, 3, T]))
    return lines.LaneProduct(
        scalars=scalars, taps=taps, x=MIDDLE, w=MIDDLE + 5, out=ZONE + MIDDLE, apart=apart, q=loop(rng), p=loop(rng)
    )


def test_lane_products():
    rng = random.Random(0)
    sizes = [(scalars, taps) for scalars in range(1, lane_filters(T) + 1) for taps in range(1, TAPS + 1)]
    assert_all_same([draw_lane_product(rng, *size) for size in sizes for _ in range(20)], 0)


def draw_lanes(rng, kind):
    x, out = rng.choice(READ), rng.choice(WRITTEN)
    return kind(
        n_rows=rng.randrange(T + 1),
        apart=stride(rng),
        x=x,
        out=out,
        **{name: loop(rng) for name in kind._fields if name in "qp"},
    )


@pytest.mark.parametrize("kind", [lines.Transpose, lines.SumLanes])
def test_transposes_and_sums_of_lanes(kind):
    rng = random.Random(0)
    assert_all_same([draw_lanes(rng, kind) for _ in range(300)], 0)


def draw_dot_lanes(rng):
    return lines.DotLanes(
        n_rows=rng.randrange(T + 1),
        apart=stride(rng),
        blocks=count(rng),
        block=stride(rng),
        x=rng.choice(READ),
        w=MIDDLE,
        out=rng.choice(WRITTEN),
        final=rng.choice([lines.PLAIN, lines.MASK]),
        mask=MIDDLE,
        q=loop(rng),
        p=loop(rng),
    )


def test_dot_lanes():
    rng = random.Random(0)
    drawn = [draw_dot_lanes(rng) for _ in range(150)]
    assert_all_same(drawn, 0)
    # Rows that are not there are zeros to the vector code, and a NaN times 0 is NaN.
    assert_all_same([line._replace(n_rows=T) for line in drawn], 0, [np.nan])


def draw_pool(rng, is_two_by_two, is_exclusive=0, **places):
    rows, down, across = rng.randint(1, 3), loop(rng, Sum), loop(rng, Sum)
    if is_two_by_two:
        down, across = down._replace(n=2), across._replace(n=2)
    if is_exclusive:  # no two taps on one pixel
        across, down = (taps._replace(x=rng.choice([-n, n]) * rows * T) for taps, n in ((across, 1), (down, 2)))
    return lines.MaxPool(
        **places,
        n_rows=rows,
        first_tap=rng.randint(-3, 1),
        is_two_by_two=is_two_by_two,
        q=loop(rng),
        p=loop(rng),
        down=down,
        across=across,
    )


LEFT, RIGHT = MIDDLE // 2, MIDDLE + MIDDLE // 2
"""Two places in a zone, for what both are read or both written: no line gets from one to the other."""


def test_max_pools():
    rng, places = random.Random(0), {"x": MIDDLE, "out": ZONE + LEFT, "argmax": ZONE + RIGHT}
    drawn = [draw_pool(rng, is_two_by_two, **places) for is_two_by_two in (0, 1) for _ in range(200)]
    assert_all_same(drawn, 0, [np.nan, -np.inf])


@pytest.mark.parametrize("is_two_by_two, is_exclusive", [(0, 0), (1, 0), (1, 1)])
def test_gradients_of_max_pools(is_two_by_two, is_exclusive):
    rng, places = random.Random(0), {"x": ZONE + MIDDLE, "out": LEFT, "argmax": RIGHT}
    pools = [draw_pool(rng, is_two_by_two, is_exclusive, **places) for _ in range(200)]
    assert_all_same([lines.MaxPoolBack(pool, is_exclusive) for pool in pools], 0)


def test_lines_of_plans_do_what_they_mean():
    rng, seen = np.random.default_rng(0), set()
    for _, plan in draw_plans(random.Random(0), 120, T):
        n = plan.layout.n_packed
        mem = rng.integers(-3, 4, 2 * n + plan.layout.n_work).astype(np.float32)
        table, step = np.concatenate([plan.forward, plan.backward]), rng.integers(5, 12)
        for row in [row for kind in map(KINDS.index, KERNELS) for row in table[table[:, KIND] == kind][::step]]:
            meaning = Tile(mem.astype(float), {PARAMS: 0, GRADS: n, WORK: 2 * n}, T)
            meaning.is_first = rng.integers(2)
            meaning.run([row])
            assert_array_equal(made_by_both(row, mem, tile_of(0, 2 * n, n, meaning.is_first)), meaning.mem)
            seen.add(KINDS[row[KIND]])
    assert seen == KERNELS.keys()


@pytest.mark.parametrize("form", [gather.gather, kernel(gather.gather_twin)])
@pytest.mark.parametrize("lanes", [1, T])
def test_samples_are_gathered_into_lanes(form, lanes):
    rng = np.random.default_rng(0)
    for pixels in (1, T - 1, T, T + 1, 2 * T, 3 * T + 5):
        for C, there in ((1, lanes), (3, 1), (2, (lanes + 1) // 2)):
            X, samples = rng.normal(size=(40, C * pixels)).astype(np.float32), rng.integers(40, size=there)
            mem, at = np.zeros(C * pixels * lanes + 20, np.float32), 7
            form(mem, X, samples, lanes, at, C, pixels, np.zeros(T, np.int64))
            filled = np.append(samples, [samples[0]] * (lanes - there)).astype(int)
            expected = X[filled].reshape(lanes, C, pixels).transpose(2, 1, 0)  # [pixel][channel][lane]
            assert_array_equal(mem, [0] * at + expected.ravel().tolist() + [0] * (20 - at))


@pytest.mark.parametrize("form", [softmax.softmax, kernel(softmax.softmax_twin)])
def test_softmax(form):
    rng = np.random.default_rng(0)
    for K in (1, 2, 3, 10, 37):
        for scale in [0.01, 0.3, 1, 10, 60] * 10:
            y = (scale * rng.normal(size=(K, T))).astype(np.float32)
            mem, largest, sums = np.concatenate([y.ravel(), np.zeros(K * T + 5, np.float32)]), *np.zeros((2, T), np.float32)
            form(mem, 0, K * T, K, largest, sums)
            powers = np.vectorize(math.exp)(
                (y - y.max(0)).astype(float)
            )  # the difference is rounded to float32, then all is double
            assert_array_equal(largest, y.max(0))
            few_ulp = (1.5 + K / 10) * 2.0**-23
            assert_allclose(sums, powers.sum(0), rtol=few_ulp)
            assert_allclose(mem[K * T : 2 * K * T].reshape(K, T), powers / powers.sum(0), rtol=few_ulp, atol=2e-38)
            assert not mem[2 * K * T :].any()


@pytest.mark.parametrize("form", [softmax.softmax, kernel(softmax.softmax_twin)])
def test_softmax_of_nan_is_nan_in_its_lane_alone(form):
    y = np.zeros((3, T), np.float32)
    y[1, 2] = np.nan
    mem, largest, sums = np.concatenate([y.ravel(), y.ravel()]), *np.zeros((2, T), np.float32)
    form(mem, 0, 3 * T, 3, largest, sums)
    expected = np.full((3, T), np.float32(1) / np.float32(3))
    expected[:, 2] = np.nan
    assert_array_equal(mem[3 * T :].reshape(3, T), expected)
    assert_array_equal(np.isnan(largest), np.isnan(sums))
    assert_array_equal(np.flatnonzero(np.isnan(sums)), [2])
