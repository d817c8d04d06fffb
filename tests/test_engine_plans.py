"""Every plan computes what its network does: each result once, each pair of an output and a tap once, on random networks.

Programs run on whole numbers, line by line (`engine_interpreter`), and are judged by the layers' definitions
(`engine_definitions`): a tap that is missed or counted twice makes another number, and every sum is exact.
"""

import os
import random

import numpy as np
import pytest
from drawn_networks import draw_plans, plans_of
from engine_definitions import Definition
from engine_interpreter import Tile
from examples import examples
from numpy.testing import assert_array_equal

from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fastconv.engine.program import lines, wide
from fastconv.engine.program.lines import GRADS, PARAMS, WORK
from fastconv.engine.program.plan import Plan
from fastconv.engine.program.registers import TAPS, lane_filters, product_sizes
from fastconv.engine.program.table import KINDS, OWNER, line_of

NETWORKS = int(os.environ.get("FASTCONV_PLANNED", examples(150, 250))) // 5  # to run one takes far longer than to plan it


class Machine:
    """The memory of a plan, full of NaN wherever a tile must not rely on what was there before."""

    def __init__(self, plan, T, parameters):
        self.plan, self.layout, n = plan, plan.layout, plan.layout.n_packed
        self.starts = {PARAMS: 0, GRADS: n, WORK: 2 * n}
        self.mem = np.full(2 * n + self.layout.n_work, np.nan)
        self.params, self.grads, self.work = self.mem[:n], self.mem[n : 2 * n], self.mem[2 * n :]
        self.params[:] = self.grads[:] = 0  # also what fills up blocks of filters
        self.params[self.layout.packed], self.grads[self.layout.packed] = parameters, np.nan
        self.work[self.layout.products.scratch["ones"] :][:T] = 1
        self.work[self.layout.gradient.at :][: self.layout.gradient.size] = 0
        self.tile = Tile(self.mem, self.starts, T)

    def places(self, image):
        """Where each number of an image lies in the workspace: int64 (samples, C, H, W)"""
        sample, c, y, x = np.ogrid[: self.layout.products.samples, : image.C, : image.H, : image.W]
        return image.at + (y * image.W + x) * image.step + c * image.channel + sample

    def ends(self, image):
        """The same for the network's ends, as the machine fills and reads them: [y][x][channel][lane] without gaps."""
        n = self.layout.products.samples
        return self.places(image._replace(step=image.C * n, channel=n))

    def forward(self, x):
        """-> y"""
        self.work[self.ends(self.layout.input)] = x
        self._run(self.plan.forward, {step.owner: step.y for step in self.layout.stages})
        return self.work[self.ends(self.layout.output)]

    def backward(self, dy, is_first):
        """-> how often each of the gradients was begun"""
        places = self.ends(self.layout.gradient)
        self.work[places], self.tile.is_first = dy.reshape(places.shape), is_first
        begun = self._run(self.plan.backward, {step.owner: step.dx for step in self.layout.stages})
        return begun[self.starts[GRADS] : self.starts[WORK]]

    def _run(self, table, results):
        """Layer by layer; each number of the `results` (owner -> image) must be begun once. -> how often each float was"""
        begun = np.zeros(len(self.mem), np.int64)
        for owner in dict.fromkeys(table[:, OWNER].tolist()):
            found = self.tile.run(table[table[:, OWNER] == owner])
            if results[owner]:
                assert (found[self.starts[WORK] + self.places(results[owner])] == 1).all()
            begun += found
        return begun


def whole_numbers(rng, *shape):
    return rng.integers(-3, 4, size=shape).astype(float)


def assert_computes(net, plan, T, rng):
    """The two tiles of a shard, forward and backward."""
    layout, definition = plan.layout, Definition(net, rng)
    machine, gradient = Machine(plan, T, definition.flat), 0
    for is_first in (True, False):
        x, dy = (whole_numbers(rng, plan.samples, *shape) for shape in (net.input_shape, net.output_shape))
        y = definition.forward(x)
        assert_array_equal(machine.forward(x).reshape(y.shape), y)
        begun = machine.backward(dy, is_first)
        assert (begun[layout.packed] == is_first).all()  # the second tile adds
        gradient = gradient + definition.backward(dy)
    assert_array_equal(machine.grads[layout.packed], gradient)
    assert not np.delete(machine.grads, layout.packed).any()  # what fills up blocks of filters stays 0
    assert max(np.abs(y).max(), np.abs(gradient).max(initial=0)) < 2**53  # up to here float64 has every whole number


@pytest.mark.parametrize("T", [4, 8, 16])
def test_a_program_computes_what_its_network_does(T, monkeypatch):
    monkeypatch.setattr(wide, "BAND", 2**12)  # so that some of these small images, too, are cut into bands
    rng, kinds = np.random.default_rng(T), set()
    for net, plan in draw_plans(random.Random(100 + T), NETWORKS, T):
        assert_computes(net, plan, T, rng)
        kinds.add(type(plan.layout.products))
    assert len(kinds) == 2


RARE = {
    "groups of less than a block under a mask": (
        [Conv2d(18, 3, groups=2, padding=1), ReLU(), Conv2d(4, 3, groups=2, padding=1), Flatten(), Linear(3)],
        (18, 4, 5),
    ),
    "as large as the image, but dilated past it": (
        [Conv2d(5, 1), Conv2d(20, 3, padding=((0, 2), (0, 2)), stride=3, dilation=2), Flatten(), Linear(3)],
        (2, 3, 3),
    ),
    "as large as the image, but shifted": ([Conv2d(5, 1), Conv2d(20, 3, padding=1, stride=3), Flatten(), Linear(3)], (2, 3, 3)),
    "windows of 2 x 2 that leave none out": ([Conv2d(2, 1), MaxPool2d(2), Flatten(), Linear(3)], (1, 4, 6)),
    "windows of 2 x 2 that leave a row out": ([Conv2d(2, 1), MaxPool2d(2), Flatten(), Linear(3)], (1, 5, 6)),
    "windows of 2 x 2 that leave a column out": ([Conv2d(2, 1), MaxPool2d(2), Flatten(), Linear(3)], (1, 4, 7)),
    "a maximum and a dropout between a ReLU and a product": (
        [Conv2d(3, 1), ReLU(), MaxPool2d(2), Dropout(0.3), Flatten(), Linear(3)],
        (1, 4, 6),
    ),
    "a mean between a ReLU and a product": ([Conv2d(3, 1), ReLU(), AvgPool2d(2), Flatten(), Linear(3)], (1, 4, 6)),
    "nothing but a ReLU before the end": ([Conv2d(3, 2), Flatten(), Linear(4), ReLU()], (2, 3, 3)),
    "sees padding only": ([Conv2d(7, 1), Conv2d(20, 1, padding=1, stride=3), Flatten(), Linear(3)], (7, 1, 1)),
}


@pytest.mark.parametrize("T", [4, 8, 16])
@pytest.mark.parametrize("layers, shape", RARE.values(), ids=RARE)
def test_a_program_of_a_rare_kind_computes_what_its_network_does(layers, shape, T):
    for net, plan in plans_of(layers, shape, T):
        assert_computes(net, plan, T, np.random.default_rng(0))


@pytest.mark.parametrize("T", [4, 8, 16])
def test_every_line_is_one_that_vector_code_has(T):
    """Of any other size it does nothing, in silence."""
    sizes, seen = {*product_sizes(T)}, set()
    for _, plan in draw_plans(random.Random(200 + T), 4 * NETWORKS, T):
        for line in map(line_of, np.concatenate([plan.forward, plan.backward])):
            seen.add(type(line))
            if isinstance(line, lines.Product):
                assert (line.order, line.scalars, line.rows.n) in sizes
            elif isinstance(line, lines.LaneProduct):
                assert 1 <= line.scalars <= lane_filters(T) and 1 <= line.taps <= TAPS
            elif isinstance(line, (lines.Transpose, lines.SumLanes, lines.DotLanes)):
                assert 1 <= line.n_rows <= T
            elif isinstance(line, (lines.MaxPool, lines.MaxPoolBack)):
                pool, is_exclusive = (line, 0) if isinstance(line, lines.MaxPool) else line
                assert pool.is_two_by_two == (pool.down.n == pool.across.n == 2)
                assert pool.is_two_by_two or not is_exclusive
    assert seen == {*KINDS}


def test_weight_decay_spares_the_biases_and_nothing_else():
    for net, plan in draw_plans(random.Random(0), NETWORKS, 8):
        is_bias = [np.full(value.size, name.endswith("bias")) for name, value in net.params.items()]
        spared = [np.zeros(0, int), *(np.arange(*interval) for interval in plan.layout.biases)]
        expected = plan.layout.packed[np.concatenate([np.zeros(0, bool), *is_bias])]
        assert_array_equal(np.sort(np.concatenate(spared)), np.sort(expected))


@pytest.mark.parametrize("p", [0, 0.1, 0.3, 0.5, 0.999])
def test_dropout_keeps_what_is_drawn_at_or_above_p(p):
    plan = Plan(Sequential([Dropout(p)], (2, 3, 4)), 8)
    line = line_of(plan.forward[0])
    assert line.mantissa * 2.0**line.exponent == np.float32(1 / (1 - p))
    assert line.threshold / 2**24 >= p > (line.threshold - 1) / 2**24  # of 24 random bits
