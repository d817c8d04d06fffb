"""Every plan computes what its network does: each result once, each pair of an output and a tap once, on random networks.

Programs run on whole numbers, line by line (`engine_interpreter`), and are judged by the layers' definitions (`engine_definitions`): a
result that is left out, a tap that is missed or counted twice is another number, and every sum is exact.
"""

import os
import random

import numpy as np
import pytest
from drawn_networks import draw_plans
from engine_definitions import Definition
from engine_interpreter import Interpreter
from numpy.testing import assert_array_equal

from fastconv.engine.program.lines import GRADS, OWNER, PARAMS, WORK

NETWORKS = int(os.environ.get("FASTCONV_PLANNED", "50"))


class Machine:
    """The memory of a plan, full of NaN wherever a tile must not rely on what was there before."""

    def __init__(self, plan, T, parameters):
        self.layout, n = plan.layout, plan.layout.n_packed
        self.starts = {PARAMS: 0, GRADS: n, WORK: 2 * n}
        self.mem = np.full(2 * n + self.layout.n_work, np.nan)
        self.params, self.grads, self.work = self.mem[:n], self.mem[n : 2 * n], self.mem[2 * n :]
        self.params[:] = self.grads[:] = 0  # also what fills up blocks of filters
        self.params[self.layout.packed], self.grads[self.layout.packed] = parameters, np.nan
        self.work[self.layout.products.scratch["ones"] :][:T] = 1
        self.work[self.layout.gradient.at :][: self.layout.gradient.size] = 0
        self.interpreter = Interpreter(self.mem, self.starts, T)

    def places(self, image):
        """Where each number of an image lies in the workspace: int64 (samples, C, H, W)"""
        sample, c, y, x = np.ogrid[: self.layout.products.samples, : image.C, : image.H, : image.W]
        return image.at + (y * image.W + x) * image.step + c * image.lane + sample

    def run(self, table, results):
        """Run a program, layer by layer, of which each number of its results must be begun once; `results` is owner -> image."""
        begun = np.zeros(len(self.mem), np.int64)
        for owner in dict.fromkeys(table[:, OWNER].tolist()):
            found = self.interpreter.run(table[table[:, OWNER] == owner])
            if results[owner]:
                assert (found[self.starts[WORK] + self.places(results[owner])] == 1).all()
            begun += found
        return begun


def whole_numbers(rng, *shape):
    return rng.integers(-3, 4, size=shape).astype(float)


@pytest.mark.parametrize("T", [4, 8, 16])
def test_a_program_computes_what_its_network_does(T):
    rng, kinds = np.random.default_rng(T), set()
    for net, plan in draw_plans(random.Random(100 + T), NETWORKS, T):
        layout, definition = plan.layout, Definition(net, rng)
        machine, expected, n = Machine(plan, T, definition.flat), 0, plan.samples
        places = machine.places(layout.input), machine.places(layout.output), machine.places(layout.gradient)
        for is_first in (True, False):  # tiles of a shard
            machine.interpreter.is_first = is_first
            x, dy = whole_numbers(rng, n, *net.input_shape), whole_numbers(rng, n, *net.output_shape)
            machine.work[places[0]] = x
            machine.run(plan.forward, {step.owner: step.y for step in layout.steps})
            y = definition.forward(x)
            assert_array_equal(machine.work[places[1]].reshape(y.shape), y)
            machine.work[places[2]] = dy.reshape(places[2].shape)
            begun = machine.run(plan.backward, {step.owner: step.dx for step in layout.steps})
            assert (begun[machine.starts[GRADS] + layout.packed] == is_first).all()
            expected = expected + definition.backward(dy)
        assert_array_equal(machine.grads[layout.packed], expected)
        assert np.abs(expected).max(initial=0) < 2**53  # up to here float64 has every whole number
        assert not np.delete(machine.grads, layout.packed).any()  # what fills up blocks of filters stays 0
        kinds.add(type(layout.products))
    assert len(kinds) == 2
