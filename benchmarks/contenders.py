"""fastconv's backends as contenders, and the check that all contenders agree.

All have `load(weights)`, `train(epochs, shuffle) -> the last epoch's mean loss` and `weights()`, as the peers have.
"""

import numpy as np
from peers import LR, MOMENTUM
from threadpoolctl import ThreadpoolController

from fastconv import SGD, train

STEPS_TO_AGREE = 3
TOLERANCE = 2e-3
BLAS = ThreadpoolController()


class Ours:
    """`fastconv.train` with one of its backends."""

    def __init__(self, network, X, y, batch_size, *, backend, n_threads=None, dtype="float32"):
        self.net, self.X, self.y, self.dtype = network.build(dtype), X.astype(dtype), y, dtype
        self.settings = {"batch_size": batch_size, "backend": backend, "n_threads": n_threads}

    def load(self, weights):
        self.net.load_state_dict(weights)
        self.optimizer = SGD(LR, momentum=MOMENTUM)

    def train(self, epochs, shuffle):
        history = train(self.net, self.X, self.y, epochs=epochs, shuffle=shuffle, optimizer=self.optimizer, **self.settings)
        return history.loss[-1]

    def weights(self):
        return self.net.state_dict()


def limit_blas(threads):
    """Hold NumPy's matrix products at so many threads from now on."""
    BLAS.limit(limits=threads, user_api="blas")


def require_agreement(name, make, network, X, y, batch_size):
    """SystemExit unless what `make` makes has float64 im2col's loss, and moves weights as it does, over unshuffled steps."""
    n = min(STEPS_TO_AGREE * batch_size, len(X) // batch_size * batch_size)
    oracle = Ours(network, X[:n], y[:n], batch_size, backend="im2col", dtype="float64")
    contender, first = make(network, X[:n], y[:n], batch_size), network.build().state_dict()
    for runner in (oracle, contender):
        runner.load(first)
    expected, found = (runner.train(1, shuffle=False) for runner in (oracle, contender))
    where = f"{name} disagrees with float64 im2col on network {network.name}, batch {batch_size}"
    if not abs(found - expected) <= TOLERANCE * abs(expected):
        raise SystemExit(f"{where}: loss {found:.6g} instead of {expected:.6g}")
    expected, found = oracle.weights(), contender.weights()
    for key, start in first.items():
        error = _distance(found[key] - start, expected[key] - start)
        if not error <= TOLERANCE:
            raise SystemExit(f"{where}: {key} moved wrongly over {n // batch_size} steps, relative error {error:.2g}")


def require_equal(name, found, expected):
    """SystemExit unless the lists of arrays agree to float32 rounding."""
    for position, (a, b) in enumerate(zip(found, expected)):
        if a.shape != b.shape or not _distance(a, b) <= 1e-5:
            raise SystemExit(f"loop and im2col disagree: {name}, result {position}")


def _distance(a, b):
    """|a - b| / |b|, with room for float32's rounding where nothing moves."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-5)
