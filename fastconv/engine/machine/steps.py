"""Steps of training and tiles of prediction, on whatever threads there are; gradients are added in a fixed order."""

import numpy as np

from ..program.lines import TILE
from ..program.memory import CACHE_LINE
from ..vector.gather import gather
from ..vector.lanes import T, kernel
from .crew import claim, finish, look, wait
from .interpreter import run_lines, set_mode
from .jobs import Hands, Shard
from .loops import hashed
from .losses import BINARY_CROSS_ENTROPY, MEAN_SQUARES, binary_cross_entropy, cross_entropy, mean_squares
from .update import update

_CONTEXT = len(TILE)


@kernel
def _hands(memory, thread):
    """A thread's own arrays, and its workspace."""
    tile = np.zeros(_CONTEXT, np.int64)
    tile[TILE.work] = memory.work + thread * memory.n_work
    samples, places = np.zeros(T, np.int64), np.zeros(T, np.int64)
    return Hands(tile, samples, np.zeros(T, np.float32), places, np.zeros(2 * T, np.float32))


@kernel
def _share(weights, is_weighted, samples, total, shares):
    """Each sample's share of the batch's weight."""
    for t in range(len(samples)):
        weight = weights[samples[t]] if is_weighted else np.float32(1)
        shares[t] = weight / total if total > 0 else np.float32(0)
    shares[len(samples) :] = 0


@kernel
def _total_weight(weights, is_weighted, samples):
    if not is_weighted:
        return np.float32(len(samples))
    total = 0.0
    for sample in samples:
        total += weights[sample]
    return np.float32(total)


@kernel
def _run_shard(shard, batch, memory, ends, program, data, hands):
    """Forward, loss and backward for the tiles of a shard; -> its part of the loss."""
    mem, (tile, _, shares, places, scratch) = memory.floats, hands
    forward, backward, kernels = program
    X, labels, targets, weights = data.X, data.labels, data.targets, data.weights
    n, work, lost = ends.samples, tile[TILE.work], 0.0
    n_tiles = (len(batch) + n - 1) // n
    first = shard.number * n_tiles // shard.count
    for k in range(first, (shard.number + 1) * n_tiles // shard.count):
        samples = batch[k * n : (k + 1) * n]
        tile[TILE.first], tile[TILE.start] = k == first, k * n
        _share(weights, data.is_weighted, samples, shard.total, shares)
        gather(mem, X, samples, n, work + ends.input, ends.C_in, ends.pixels_in, places)
        run_lines(forward, kernels, mem, tile)
        if data.loss == MEAN_SQUARES:
            lost += mean_squares(mem, work, ends, targets, samples, shares)
        elif data.loss == BINARY_CROSS_ENTROPY:
            lost += binary_cross_entropy(mem, work, ends, targets, samples, shares)
        else:
            lost += cross_entropy(mem, work, ends, labels, samples, shares, scratch)
        run_lines(backward, kernels, mem, tile)
    return lost


@kernel
def run_steps(thread, crew, memory, ends, program, data, job, optimizer):
    """The steps of a job. Every thread runs this: who takes what is chance, what a shard holds depends on the batch alone.

    A step has two phases: its shards, then the update in pieces.
    """
    hands, mode = _hands(memory, thread), set_mode(np.int32(-1))
    orders, losses, sums, before = job.orders, job.losses, job.sums, job.before
    n_steps = (orders.shape[1] + job.batch_size - 1) // job.batch_size
    while True:
        now = look(crew)
        phase, task = now >> 32, now & 0xFFFFFFFF
        step = job.first + phase // 2
        if step >= job.stop:
            break
        epoch, start = step // n_steps, step % n_steps * job.batch_size
        batch = orders[epoch, start : start + job.batch_size]
        n_shards = min(job.n_shards, (len(batch) + ends.samples - 1) // ends.samples)
        n_tasks = job.n_pieces if phase & 1 else n_shards
        if task >= n_tasks:
            wait(crew, now)
            continue
        if not claim(crew, now):
            continue
        total = _total_weight(data.weights, data.is_weighted, batch)
        if phase & 1:
            if task == 0:
                # Counted by whoever comes first, in a phase that all others' next step waits for.
                _count(losses[:n_shards], total, sums[epoch])
            begin, end = _piece(memory.n_params, task, job.n_pieces)
            update(memory, begin, end, n_shards, optimizer, before[1] + step + 1)
        else:
            hands.tile[TILE.seed] = hashed(job.seed ^ ((before[0] + step) & 0xFFFFFFFF))
            hands.tile[TILE.grads] = memory.grads + task * memory.n_params
            losses[task] = _run_shard(Shard(task, n_shards, total), batch, memory, ends, program, data, hands)
        finish(crew, phase, n_tasks)
    set_mode(mode)


@kernel
def _count(losses, total, sums):
    for loss in losses:
        sums[0] += loss * total
    sums[1] += total


@kernel
def _piece(size, number, count):
    """-> where a part of `size` floats begins and ends, in whole cache lines"""
    lines = size // CACHE_LINE
    return lines * number // count * CACHE_LINE, lines * (number + 1) // count * CACHE_LINE


@kernel
def run_predict(thread, crew, memory, ends, program, X, span, out):
    """The network's output for the samples `span` (first, stop), tile by tile."""
    hands, mode = _hands(memory, thread), set_mode(np.int32(-1))
    hands.tile[TILE.seed] = -1
    mem, work, (first, stop) = memory.floats, hands.tile[TILE.work], span
    while True:
        task = look(crew)
        start = first + task * T
        if start >= stop:
            break
        if not claim(crew, task):
            continue
        count = min(T, stop - start)
        for t in range(count):
            hands.samples[t] = start + t
        samples = hands.samples[:count]
        gather(mem, X, samples, ends.samples, work + ends.input, ends.C_in, ends.pixels_in, hands.places)
        run_lines(program.forward, program.kernels, mem, hands.tile)
        _scatter(mem, work + ends.output, ends, out[start : start + count])
    set_mode(mode)


@kernel
def _scatter(mem, at, ends, out):
    """Rows [pixel][channel][lane] -> out (samples, C * pixels)"""
    C, pixels = ends.C_out, ends.pixels_out
    for t in range(len(out)):
        for c in range(C):
            for p in range(pixels):
                out[t, c * pixels + p] = mem[at + (p * C + c) * T + t]


@kernel
def pack(flat, packed, where):
    """packed[where[i]] = flat[i]"""
    for i in range(len(flat)):
        packed[where[i]] = flat[i]


@kernel
def unpack(packed, flat, where):
    """flat[i] = packed[where[i]]"""
    for i in range(len(flat)):
        flat[i] = packed[where[i]]
