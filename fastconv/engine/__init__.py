"""The engine: the same network as a table of operations, run by one compiled interpreter over tiles of T samples.

`Trainer` and `predict` are all that the rest of the package uses. What each operation stands for is in docs/engine.md.
"""

from time import perf_counter
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..losses import LOSSES, DivergenceError
from ..optim import SGD
from ..support.arrays import is_finite
from ..support.streams import mix
from ..support.threads import cores
from . import run
from .lanes import T
from .narrow import NARROW_BATCH, NarrowPlan, is_narrow
from .threads import CREW, MAX_THREADS, STATE, run_on
from .wide import WidePlan

_plans = WeakKeyDictionary()
_SLICE = 0.15
"""Seconds in compiled code before Python may look for Ctrl-C."""
_KEPT = 1.0
"""Seconds after which weights and states go back to the network, so that a divergence is found in little more than twice that."""
_PACE = 1e9
"""Multiply-adds a second that every machine makes: how long the first slice is."""
_NO_FLOATS, _NO_TABLE, _NO_INTS = np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.int64)


def _plan(net, kind=WidePlan):
    plans = _plans.setdefault(net, {})
    if kind not in plans:
        plans[kind] = kind(net)
    return plans[kind]


def aligned_zeros(size):
    """`size` floats, so that rows lie on cache lines."""
    whole = np.zeros(size + 16, np.float32)
    start = -whole.ctypes.data % 64 // 4
    return whole[start : start + size]


class _Memory:
    """The flat memory of a run: parameters, two optimizer states, gradient shards, and a workspace for each thread."""

    def __init__(self, plan, n_states, n_shards, n_threads):
        size = plan.n_packed
        grads = size * (1 + n_states)
        work = grads + size * n_shards
        self.size = size
        total = work + plan.n_work * n_threads
        self.mem = aligned_zeros(total)
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


class _Kept(NamedTuple):
    """A finite state that training can go back to: the network's and the optimizer's own arrays, and both counts of steps."""

    arrays: list
    state: dict
    steps: np.ndarray  # of this Trainer, of the optimizer
    done: int  # of this call


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
        """Train an epoch on the samples of each row of `orders` (epochs, n) in turn; -> the mean loss over each.

        Raises
        ------
        DivergenceError
            With the epoch of this call and the step; network and optimizer are as before it.
        """
        batch_size = min(batch_size, orders.shape[1])
        per_epoch = -(-orders.shape[1] // batch_size)
        n_steps = len(orders) * per_epoch
        sums, losses = np.zeros((len(orders), 2)), np.zeros(self.memory.layout[run.N_SHARDS])
        kept, done, since = self._enter(), 0, perf_counter()
        try:
            while done < n_steps:
                stop = min(done + self.pace, n_steps)
                began = perf_counter()
                self._slice(orders, batch_size, done, stop, losses, sums)
                if not self._is_finite(sums):
                    raise DivergenceError("", *divmod(self._rewind(kept, orders, batch_size, stop), per_epoch))
                now = perf_counter()
                # The next slice takes about _SLICE; the first one may have compiled.
                self.pace = max(1, min(64 * self.pace, int((stop - done) * _SLICE / max(now - began, 1e-9))))
                done = stop
                if now - since > _KEPT:
                    kept, since = self._keep(kept, done), now
        except DivergenceError:
            raise
        except BaseException:
            # Interrupted on the way to a divergence, or back from it: what was kept is finite.
            if is_finite(self.memory.mem[: 3 * self.memory.size]):
                self._leave(kept)
            raise
        self._leave(kept)
        return (sums[:, 0] / sums[:, 1]).tolist()

    def _is_finite(self, sums):
        """Whether the losses, the parameters and the optimizer's states are."""
        return is_finite(sums[:, 0]) and is_finite(self.memory.mem[: 3 * self.memory.size])

    def _rewind(self, kept, orders, batch_size, stop):
        """Back to what was kept, then on to just before the step that is not finite; -> its number

        It lies before `stop`. The same steps give the same bits, so halving the way finds it in twice the time to it.
        """
        self._return(kept)
        while stop - kept.done > 1:
            middle = (kept.done + stop) // 2
            sums, losses = np.zeros((len(orders), 2)), np.zeros(self.memory.layout[run.N_SHARDS])
            self._slice(orders, batch_size, kept.done, middle, losses, sums)
            if self._is_finite(sums):
                kept = self._keep(kept, middle)
            else:
                stop = middle
                self._return(kept)
        return kept.done

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
        # The arrays are kept, so that one exchanged in the meantime is not written to.
        self.steps[1] = state["steps"]
        kept = _Kept([self.net.buffer, *self.optimizer.arrays(state)], state, self.steps.copy(), 0)
        self._return(kept)
        return kept

    def _return(self, kept):
        """Go on from what was kept."""
        self.steps[:] = kept.steps
        for index, flat in enumerate(kept.arrays):
            run.pack(flat, self.memory.part(index), self.plan.packed)

    def _keep(self, kept, done):
        """What a divergence goes back to, after `done` steps of this call."""
        self._leave(kept)
        return kept._replace(steps=self.steps.copy(), done=done)

    def _leave(self, kept):
        # Also after Ctrl-C: weights, states and the count of steps are those after one and the same step.
        kept.state["steps"] = int(self.steps[1])
        for index, flat in enumerate(kept.arrays):
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
