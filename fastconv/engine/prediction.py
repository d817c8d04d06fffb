"""predict(): the forward program over tiles of samples."""

from math import prod

import numpy as np

from .machine import interpreter
from .machine.crew import CREW, run_on
from .machine.jobs import Program, ends_of, memory_for
from .machine.steps import pack, run_predict
from .plans import plan_of, threads_for
from .vector.lanes import T

_SLICE_WORK = 2e9
"""Multiply-adds before Python may look for Ctrl-C."""


def predict(net, x, n_threads=None):
    """The network's output for x (N, C, H, W) of float32, Dropout off; a sample's never depends on the others."""
    plan = plan_of(net)
    program = Program(plan.forward, plan.backward, interpreter.addresses())
    n_tiles = max(-(-len(x) // T), 1)
    n_threads = threads_for(n_threads, n_tiles, plan.multiply_adds * len(x))
    memory, ends = memory_for(plan.layout, 0, 0, n_threads), ends_of(plan.layout)
    pack(net.buffer, memory.floats, plan.layout.packed)
    out, flat = np.empty((len(x), prod(net.output_shape)), np.float32), x.reshape(len(x), prod(net.input_shape))
    stride = T * n_threads * max(1, int(_SLICE_WORK / (plan.multiply_adds + 1)) // (T * n_threads))
    for first in range(0, len(x), stride):
        span, crew = (first, min(first + stride, len(x))), np.zeros(CREW, np.int64)

        def work(thread, span=span, crew=crew):
            run_predict(thread, crew, memory, ends, program, flat, span, out)

        with np.errstate(all="ignore"):
            run_on(n_threads, work)
    return out.reshape(len(x), *net.output_shape)
