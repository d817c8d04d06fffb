"""Who competes: fastconv's backends, all with the same `load`, `step`, `weights`, and the check that they agree.

To add a backend is one entry in `BACKENDS`.
"""

from functools import partial

import numpy as np
from batchlast import BatchLast
from threadpoolctl import ThreadpoolController

from fastconv import SGD, functional, reference

LR, MOMENTUM = 0.05, 0.9
STEPS_TO_AGREE = 3
TOLERANCE = 2e-3
BLAS = ThreadpoolController()


class Walk:
    """One training step as `fastconv.train` does it, with one of the two modules of operations."""

    def __init__(self, network, X, y, *, ops, dtype="float32"):
        self.net, self.X, self.y, self.ops = network.build(dtype), X.astype(dtype), y, ops

    def load(self, weights):
        self.net.load_state_dict(weights)
        self.optimizer = SGD(LR, momentum=MOMENTUM)

    def step(self):
        """One step on the whole batch; -> the loss before it."""
        logits, caches = self.net.forward(self.X, ops=self.ops)
        loss, cache = self.ops.cross_entropy_forward(logits, self.y)
        grads = self.net.backward(self.ops.cross_entropy_backward(cache), caches, ops=self.ops)
        self.optimizer.step(self.net, grads)
        return loss

    def weights(self):
        return self.net.state_dict()


BACKENDS = {
    "loop": partial(Walk, ops=reference),
    "im2col": partial(Walk, ops=functional),
    "batch-last": partial(BatchLast, lr=LR, momentum=MOMENTUM),
}


def limit_blas(threads):
    """Hold NumPy's matrix products at so many threads from now on."""
    BLAS.limit(limits=threads, user_api="blas")


def require_agreement(name, contender, network, X, y):
    """SystemExit unless `contender` has the losses, and moves the weights, as float64 im2col does over a few steps."""
    oracle = BACKENDS["im2col"](network, X, y, dtype="float64")
    first = network.build().state_dict()
    for runner in (oracle, contender):
        runner.load(first)
    losses = [(oracle.step(), contender.step()) for _ in range(STEPS_TO_AGREE)]
    where = f"{name} disagrees with float64 im2col on network {network.name}, batch {len(X)}"
    for step, (expected, found) in enumerate(losses):
        if not abs(found - expected) <= TOLERANCE * abs(expected):
            raise SystemExit(f"{where}: loss {found:.6g} instead of {expected:.6g} at step {step}")
    expected, found = oracle.weights(), contender.weights()
    for key, start in first.items():
        error = _distance(found[key] - start, expected[key] - start)
        if not error <= TOLERANCE:
            raise SystemExit(f"{where}: {key} moved wrongly over {STEPS_TO_AGREE} steps, relative error {error:.2g}")


def require_equal(name, found, expected):
    """SystemExit unless the lists of arrays agree to float32 rounding."""
    for position, (a, b) in enumerate(zip(found, expected)):
        if a.shape != b.shape or not _distance(a, b) <= 1e-5:
            raise SystemExit(f"loop and im2col disagree: {name}, result {position}")


def _distance(a, b):
    """|a - b| / |b|, with room for float32's rounding where nothing moves."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-5)
