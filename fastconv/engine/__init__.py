"""The engine: the same network as a table of operations, run by one compiled interpreter over tiles of T samples.

`Trainer` and `predict` are all that the rest of the package uses. What each operation stands for is in docs/engine.md.
"""

from time import perf_counter
from weakref import WeakKeyDictionary

import numpy as np

from ..doctor import cores
from ..losses import LOSSES
from ..optim import SGD
from ..streams import mix
from . import run
from .lanes import T
from .narrow import NARROW_BATCH, NarrowPlan, is_narrow
from .threads import CREW, MAX_THREADS, STATE, run_on
from .wide import WidePlan

_plans = WeakKeyDictionary()
_SLICE = 0.15
"""Seconds in compiled code before Python may look for Ctrl-C."""
_PACE = 1e9
"""Multiply-adds a second that every machine makes: how long the first slice is."""
_NO_FLOATS, _NO_TABLE, _NO_INTS = np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.int64)


def _plan(net, kind=WidePlan):
    plans = _plans.setdefault(net, {})
    if kind not in plans:
        plans[kind] = kind(net)
    return plans[kind]


class _Memory:
    """The flat memory of a run: parameters, two optimizer states, gradient shards, and a workspace for each thread."""

    def __init__(self, plan, n_states, n_shards, n_threads):
        size = plan.n_packed
        grads = size * (1 + n_states)
        work = grads + size * n_shards
        self.size = size
        total = work + plan.n_work * n_threads
        whole = np.zeros(total + 16, np.float32)
        start = -whole.ctypes.data % 64 // 4  # rows on cache lines
        self.mem = whole[start : start + total]
        for thread in range(n_threads):
            at = work + thread * plan.n_work + plan.ones
            self.mem[at : at + T] = 1
        image, output = plan.input, plan.output
        self.layout = np.array([
            size, grads, n_shards, work, plan.n_work, image.at, image.C, image.H * image.W, output.at, output.C,
            output.H * output.W, plan.gradient.at, 0, 0, 0, plan.samples,
        ])  # fmt: skip

    def part(self, index):
        """The parameters (0) or an optimizer's state (1, 2)."""
        return self.mem[index * self.size : (index + 1) * self.size]


class Trainer:
    """Some epochs at a time, as `fastconv.training.Steps`, in compiled code."""

    def __init__(self, net, X, y, weights, loss, optimizer, seed, n_threads, batch_size):
        self.net, self.optimizer = net, optimizer
        self.plan = _plan(net, NarrowPlan if batch_size <= NARROW_BATCH and is_narrow(net) else WidePlan)
        self.kernels = run.addresses()
        n_shards = min(_shards(self.plan), -(-min(batch_size, len(X)) // self.plan.samples))
        work = self.plan.multiply_adds * 3 * min(batch_size, len(X))
        self.n_threads = _threads(n_threads, n_shards, work)
        self.memory = _Memory(self.plan, 2, n_shards, self.n_threads)
        layout = self.memory.layout
        layout[run.SEED], layout[run.LOSS], layout[run.WEIGHTED] = (
            int(mix(np.uint32(seed))),
            LOSSES.index(loss),
            weights is not None,
        )
        flat = np.ascontiguousarray(X).reshape(len(X), -1)
        is_class = loss == "cross_entropy"
        targets = _NO_TABLE if is_class else np.ascontiguousarray(y).reshape(len(X), -1)
        self.data = flat, y if is_class else _NO_INTS, targets, _NO_FLOATS if weights is None else weights
        self.steps = np.zeros(2, np.int64)
        self.pace = max(1, int(_SLICE * _PACE / (work + 1)))

    def __call__(self, orders, batch_size):
        """Train an epoch on the samples of each row of `orders` (epochs, n) in turn; -> the mean loss over each."""
        batch_size = min(batch_size, orders.shape[1])
        n_steps = len(orders) * -(-orders.shape[1] // batch_size)
        sums, losses = np.zeros((len(orders), 2)), np.zeros(self.memory.layout[run.N_SHARDS])
        state = self._enter()
        done = 0
        try:
            while done < n_steps:
                stop = min(done + self.pace, n_steps)
                began = perf_counter()
                self._slice(orders, batch_size, done, stop, losses, sums)
                # The next slice takes about _SLICE; the first one may have compiled.
                self.pace = max(1, min(64 * self.pace, int((stop - done) * _SLICE / max(perf_counter() - began, 1e-9))))
                done = stop
        finally:
            self._leave(*state)
        return (sums[:, 0] / sums[:, 1]).tolist()

    def _slice(self, orders, batch_size, first, stop, losses, sums):
        memory, crew, before = self.memory, np.zeros(CREW, np.int64), self.steps - first
        programs = self.plan.forward, self.plan.backward
        # A piece of an update is worth sharing from about 5 us on.
        pieces = max(1, min(self.n_threads, memory.size // 2**14))

        spared = self.plan.biases[: 0 if self.optimizer.decay_biases else None]

        def work(thread):
            run.run_steps(thread, pieces, memory.layout, programs, self.kernels, memory.mem, *self.data, orders, batch_size,
                          first, stop, before, _numbers(self.optimizer), spared, losses, sums, crew)  # fmt: skip

        try:
            with np.errstate(all="ignore"):  # for the twin without the JIT
                run_on(self.n_threads, work)
        finally:
            self.steps += crew[STATE] >> 33  # two phases a step

    def _enter(self):
        """The network's numbers and the optimizer's into the flat memory; whoever writes them between epochs is heard."""
        state = self.optimizer.state(self.net)
        # Kept, so that an array exchanged in the meantime is not written to.
        arrays = [self.net.buffer, *self.optimizer.arrays(state)]
        for index, flat in enumerate(arrays):
            run.pack(flat, self.memory.part(index), self.plan.packed)
        self.steps[1] = state["steps"]
        return state, arrays

    def _leave(self, state, arrays):
        # Also after Ctrl-C: weights, states and the count of steps are those after one and the same step.
        state["steps"] = int(self.steps[1])
        for index, flat in enumerate(arrays):
            run.unpack(self.memory.part(index), flat, self.plan.packed)


def predict(net, x, n_threads=None):
    """The network's output for x (N, C, H, W) of float32, Dropout off; a sample's never depends on the others."""
    plan = _plan(net)
    kernels = run.addresses()
    n_tiles = max(-(-len(x) // T), 1)
    n_threads = _threads(n_threads, n_tiles, plan.multiply_adds * len(x))
    memory = _Memory(plan, 0, 0, n_threads)
    run.pack(net.buffer, memory.part(0), plan.packed)
    out = np.empty((len(x), int(np.prod(net.output_shape))), np.float32)
    flat = x.reshape(len(x), int(np.prod(net.input_shape)))
    stride = T * n_threads * max(1, int(2e9 / (plan.multiply_adds + 1)) // (T * n_threads))
    for first in range(0, len(x), stride):
        stop, crew = min(first + stride, len(x)), np.zeros(CREW, np.int64)

        def work(thread, first=first, stop=stop, crew=crew):
            run.run_predict(thread, memory.layout, plan.forward, kernels, memory.mem, flat, first, stop, out, crew)

        with np.errstate(all="ignore"):
            run_on(n_threads, work)
    return out.reshape(len(x), *net.output_shape)


def _shards(plan):
    """Gradient sums kept apart: enough to share out, few where adding them up would cost (4.7 MB each for 1.2 million weights)."""
    return 8 if plan.n_packed < 2**18 else 4


def _threads(n_threads, most, work):
    """As asked for, or one for each core unless there is too little `work` (multiply-adds) to share: about 50 us."""
    if n_threads is None:
        n_threads = 1 if work < 2.5e6 else cores()
    return max(1, min(n_threads, most, MAX_THREADS))


def _numbers(optimizer):
    """The optimizer's settings as `rows.update` reads them."""
    if isinstance(optimizer, SGD):
        return np.array([0, optimizer.lr, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay, 0], np.float64)
    beta1, beta2 = optimizer.betas  # two, whatever was assigned: machine code reads six numbers
    return np.array([1, optimizer.lr, beta1, beta2, optimizer.eps, optimizer.weight_decay], np.float64)
