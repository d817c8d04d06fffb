"""Random numbers by counter: dropout's mask depends on where a unit stands, not on the order of the work."""

import numpy as np

SEEDS = 2**32
"""A seed of a stream is below it."""
BITS = 24
"""Of a number between 0 and 1, as many as a float32 holds."""


class DropoutStream:
    """Numbers in [0, 1), each a hash of (seed, step, layer, sample, unit).

    So every backend, tile and number of threads draws the same mask. Each call of `random` is the next layer.
    """

    def __init__(self, seed, step):
        self._key = mix(mix(np.uint32(seed)) ^ np.uint32(step % SEEDS))
        self._layer = 0

    def random(self, shape):
        """-> float64 array of `shape` (N, ...): the sample's number is its place in the batch."""
        self._layer += 1
        key = mix(self._key ^ np.uint32(self._layer))
        N = shape[0]
        units = np.arange(int(np.prod(shape[1:])), dtype=np.uint32)
        samples = mix(key ^ np.arange(N, dtype=np.uint32))[:, None]
        bits = mix(samples ^ units)
        return ((bits >> np.uint32(32 - BITS)) * 2.0**-BITS).reshape(shape)


def mix(h):
    """A 32-bit finaliser that spreads every bit over all others.

    uint32 (any shape) -> uint32

    References
    ----------
    C. Wellons, Prospecting for Hash Functions, 2018: "lowbias32".
    """
    h = np.asarray(h, np.uint32)
    with np.errstate(over="ignore"):
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
        h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))
