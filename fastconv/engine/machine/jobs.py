"""What travels together into compiled code, as NamedTuples, which Numba takes.

All that `steps.run_steps` takes costs 9 us to unbox, where bare arguments cost 2: once a call, which is a slice of 0.15 s.
"""

from typing import NamedTuple

import numpy as np

from ..program.memory import CACHE_LINE
from ..vector.lanes import T


class Memory(NamedTuple):
    """The flat memory: packed parameters, two states of an optimizer, gradient shards, a workspace for each thread."""

    floats: np.ndarray
    n_params: int  # of each of the first three, and of each shard
    grads: int  # where the shards begin
    work: int  # where the workspaces begin
    n_work: int  # of a thread


class Ends(NamedTuple):
    """Where a tile's samples come into its workspace, and where its results and their gradients lie."""

    samples: int
    input: int
    C_in: int
    pixels_in: int
    output: int
    gradient: int
    C_out: int
    pixels_out: int


class Program(NamedTuple):
    """A plan's tables, and where the kernels lie in memory."""

    forward: np.ndarray
    backward: np.ndarray
    kernels: np.ndarray


class Data(NamedTuple):
    """All samples, what a loss compares them with, and their weights."""

    X: np.ndarray  # (n, C * H * W)
    labels: np.ndarray  # (n,)
    targets: np.ndarray  # (n, outputs)
    weights: np.ndarray  # (n,)
    is_weighted: bool
    loss: int


class Job(NamedTuple):
    """Steps `first` to `stop` of epochs over `orders`; step s is number ``before + s`` of this trainer and of its optimizer."""

    orders: np.ndarray  # (epochs, n)
    batch_size: int
    first: int
    stop: int
    before: np.ndarray  # (2,)
    seed: int
    n_shards: int
    n_pieces: int  # of an update
    losses: np.ndarray  # (shards,)
    sums: np.ndarray  # (epochs, 2): weighted losses, weights


class Update(NamedTuple):
    """The optimizer's kind and numbers, and the intervals of parameters that do not decay."""

    kind: int
    numbers: np.ndarray
    spared: np.ndarray


class Hands(NamedTuple):
    """A thread's own small arrays."""

    tile: np.ndarray  # the context of its tile
    samples: np.ndarray
    shares: np.ndarray  # of the batch's weight
    places: np.ndarray
    scratch: np.ndarray  # two rows


class Shard(NamedTuple):
    """A part of a batch."""

    number: int
    count: int
    total: float  # weight of the batch


def aligned_zeros(size):
    """`size` floats, so that rows lie on cache lines."""
    whole = np.zeros(size + CACHE_LINE, np.float32)
    start = -whole.ctypes.data % (4 * CACHE_LINE) // 4
    return whole[start : start + size]


def memory_for(layout, n_states, n_shards, n_threads):
    """The memory of a run, with room for so many optimizer states and gradient shards."""
    size = layout.n_packed
    grads = size * (1 + n_states)
    work = grads + size * n_shards
    floats = aligned_zeros(work + layout.n_work * n_threads)
    for thread in range(n_threads):
        at = work + thread * layout.n_work + layout.products.scratch["ones"]
        floats[at : at + T] = 1
    return Memory(floats, size, grads, work, layout.n_work)


def ends_of(layout):
    """The ends of a plan's program."""
    x, y = layout.input, layout.output
    return Ends(layout.products.samples, x.at, x.C, x.H * x.W, y.at, layout.gradient.at, y.C, y.H * y.W)
