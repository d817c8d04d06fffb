"""Trainer: epochs in compiled code, a slice at a time, from one finite state to the next."""

from time import perf_counter
from typing import NamedTuple

import numpy as np

from ..losses import DivergenceError
from ..support.arrays import is_finite
from ..support.streams import mix
from .machine import interpreter
from .machine.crew import CREW, STATE, run_on
from .machine.jobs import Data, Job, Program, ends_of, memory_for
from .machine.losses import loss_kind
from .machine.steps import pack, run_steps, unpack
from .machine.update import update_of
from .plans import plan_of, threads_for
from .program.plan import products_for

_SLICE_SECONDS = 0.15
"""Seconds in compiled code before Python may look for Ctrl-C."""
_KEEP_EVERY = 1.0
"""Seconds after which weights and states go back to the network: a divergence is found in little more than twice that."""
_PACE = 1e9
"""Multiply-adds a second that every machine makes: how long the first slice is."""
_GROWTH = 64
"""Of a slice over the one before, at most: the first may have compiled."""
_PRODUCTS = 3
"""Of a layer: y, dw and dx."""
_PIECE = 2**14
"""Parameters whose update is worth sharing: about 5 us."""
_LARGE, _SHARDS, _SHARDS_OF_LARGE = 2**18, 8, 4
"""Gradient sums kept apart: enough to share out, few where adding them up would cost (4.7 MB each for 1.2 million weights)."""
_NO_FLOATS, _NO_TABLE, _NO_INTS = np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.int64)


class _State(NamedTuple):
    """A finite state that training can go back to: the network's and the optimizer's own arrays, and both counts of steps."""

    arrays: list
    optimizer: dict
    steps: np.ndarray  # of this Trainer, of the optimizer
    done: int  # of this call


class _Epochs(NamedTuple):
    """What a call trains: epochs over `orders`, and what comes of it."""

    orders: np.ndarray
    batch_size: int
    losses: np.ndarray
    sums: np.ndarray

    def again(self):
        """The same, with nothing come of it yet."""
        return self._replace(losses=np.zeros_like(self.losses), sums=np.zeros_like(self.sums))


class Trainer:
    """Some epochs at a time, as `fastconv.training.Steps`, in compiled code; `data` is (X, y, weights)."""

    def __init__(self, net, data, loss, optimizer, *, seed, n_threads, batch_size):
        X, y, weights = data
        self.net, self.optimizer = net, optimizer
        self.plan = plan_of(net, products_for(net, batch_size))
        self.program = Program(self.plan.forward, self.plan.backward, interpreter.addresses())
        batch, most = min(batch_size, len(X)), _SHARDS if self.plan.layout.n_packed < _LARGE else _SHARDS_OF_LARGE
        self.n_shards = min(most, -(-batch // self.plan.samples))
        work = self.plan.multiply_adds * _PRODUCTS * batch
        self.n_threads = threads_for(n_threads, self.n_shards, work)
        self.memory, self.ends = memory_for(self.plan.layout, 2, self.n_shards, self.n_threads), ends_of(self.plan.layout)
        self.data = _data(X, y, weights, loss)
        self.seed, self.steps = int(mix(np.uint32(seed))), np.zeros(2, np.int64)
        self.pace = max(1, int(_SLICE_SECONDS * _PACE / (work + 1)))

    def __call__(self, orders, batch_size):
        """Train an epoch on the samples of each row of `orders` (epochs, n) in turn; -> the mean loss over each.

        Raises
        ------
        DivergenceError
            With the epoch of this call and the step; network and optimizer are as before it.
        """
        call = _Epochs(orders, min(batch_size, orders.shape[1]), np.zeros(self.n_shards), np.zeros((len(orders), 2)))
        per_epoch = -(-orders.shape[1] // call.batch_size)
        n_steps = len(orders) * per_epoch
        state, done, since = self._begin(), 0, perf_counter()
        try:
            while done < n_steps:
                stop = min(done + self.pace, n_steps)
                began = perf_counter()
                self._run(call, done, stop)
                if not self._is_finite(call.sums):
                    raise DivergenceError("", *divmod(self._rewind(state, call, stop), per_epoch))
                now = perf_counter()
                # The next slice takes about _SLICE_SECONDS.
                self.pace = max(1, min(_GROWTH * self.pace, int((stop - done) * _SLICE_SECONDS / max(now - began, 1e-9))))
                done = stop
                if now - since > _KEEP_EVERY:
                    state, since = self._keep(state, done), now
        except DivergenceError:
            raise
        except BaseException:
            # Interrupted on the way to a divergence, or back from it: the state that the network has is finite.
            if is_finite(self._parameters_and_states()):
                self._store(state)
            raise
        self._store(state)
        return (call.sums[:, 0] / call.sums[:, 1]).tolist()

    def _parameters_and_states(self):
        return self.memory.floats[: 3 * self.memory.n_params]

    def _is_finite(self, sums):
        """Whether the losses, the parameters and the optimizer's states are."""
        return is_finite(sums[:, 0]) and is_finite(self._parameters_and_states())

    def _rewind(self, state, call, stop):
        """Back to `state`, then on to just before the step that is not finite; -> its number

        It lies before `stop`. The same steps give the same bits, so halving the way finds it in twice the time to it.
        """
        self._load(state)
        while stop - state.done > 1:
            middle, call = (state.done + stop) // 2, call.again()
            self._run(call, state.done, middle)
            if self._is_finite(call.sums):
                state = self._keep(state, middle)
            else:
                stop = middle
                self._load(state)
        return state.done

    def _run(self, call, first, stop):
        crew, before = np.zeros(CREW, np.int64), self.steps - first
        pieces = max(1, min(self.n_threads, self.memory.n_params // _PIECE))
        counts = {"seed": self.seed, "n_shards": self.n_shards, "n_pieces": pieces}
        job = Job(first=first, stop=stop, before=before, **counts, **call._asdict())
        optimizer = update_of(self.optimizer, self.plan.layout.biases)

        def run(thread):
            run_steps(thread, crew, self.memory, self.ends, self.program, self.data, job, optimizer)

        try:
            with np.errstate(all="ignore"):  # for the twin without the JIT
                run_on(self.n_threads, run)
        finally:
            self.steps += crew[STATE] >> 33  # two phases a step

    def _begin(self):
        """The network's numbers and the optimizer's into the flat memory; whoever writes them between epochs is heard."""
        optimizer = self.optimizer.state(self.net)
        # The arrays are held, so that one exchanged in the meantime is not written to.
        self.steps[1] = optimizer["steps"]
        state = _State([self.net.buffer, *self.optimizer.arrays(optimizer)], optimizer, self.steps.copy(), 0)
        self._load(state)
        return state

    def _load(self, state):
        """Go on from `state`."""
        self.steps[:] = state.steps
        for index, flat in enumerate(state.arrays):
            pack(flat, self._part(index), self.plan.layout.packed)

    def _keep(self, state, done):
        """What a divergence goes back to, after `done` steps of this call."""
        self._store(state)
        return state._replace(steps=self.steps.copy(), done=done)

    def _store(self, state):
        # Also after Ctrl-C: weights, states and the count of steps are those after one and the same step.
        state.optimizer["steps"] = int(self.steps[1])
        for index, flat in enumerate(state.arrays):
            unpack(self._part(index), flat, self.plan.layout.packed)

    def _part(self, index):
        """The parameters (0) or an optimizer's state (1, 2)."""
        size = self.memory.n_params
        return self.memory.floats[index * size : (index + 1) * size]


def _data(X, y, weights, loss):
    """As compiled code takes them."""
    flat = np.ascontiguousarray(X).reshape(len(X), -1)
    is_class = loss == "cross_entropy"
    targets = _NO_TABLE if is_class else np.ascontiguousarray(y).reshape(len(X), -1)
    is_weighted = weights is not None
    return Data(
        flat, y if is_class else _NO_INTS, targets, weights if is_weighted else _NO_FLOATS, is_weighted, loss_kind(loss)
    )
