"""Softmax cross-entropy: ``mean of -log softmax(y)[label]``"""

import numpy as np

from ..mistakes import Form
from ..names import applied, entry
from .loss import Loss


class CrossEntropy(Loss, name="cross_entropy"):
    """Computed so that exp cannot overflow: the largest logit is subtracted first."""

    takes_labels = True

    @staticmethod
    def between(y, answers, cache):
        shifted = y - y.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums, onehot = exponentials.sum(axis=1), np.zeros_like(y)
        onehot[np.arange(len(y)), cache.labels] = 1
        losses = np.log(sums) - shifted[np.arange(len(y)), cache.labels]
        between = {"shifted": shifted, "exponentials": exponentials, "sums": sums}
        return between | {"probabilities": cache.probabilities, "onehot": onehot, "losses": losses}

    def equations(self):
        y = self.x
        return super().equations() | {
            "shifted": f"shifted[n,k] = {y}[n,k] - max over k of {y}[n,k]",
            "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
            "sums": "sums[n] = sum over k of exponentials[n,k]",
            "probabilities": "probabilities[n,k] = exponentials[n,k] * 1/sums[n]",
            "onehot": "onehot[n,k] = 1 where k is the label of n, else 0",
            "losses": "losses[n] = log(sums[n]) - shifted[n,label]",
            "loss": "loss = sum over n of losses[n] * 1/N",
            y.d: f"{y.d}[n,k] = probabilities[n,k] * 1/N - onehot[n,k] * 1/N",
        }

    def rules(self):
        y, K = self.x, self.trace[self.x].shape[1]
        largest, labels = self.trace[y].argmax(axis=1), self.trace["onehot"].argmax(axis=1)
        return super().rules() | {
            "shifted": lambda n, k: [[entry(y, n, k)], ["-1", entry(y, n, largest[n])]],
            "exponentials": lambda n, k: [[applied("exp", entry("shifted", n, k))]],
            "sums": lambda n: [[entry("exponentials", n, k)] for k in range(K)],
            "probabilities": lambda n, k: [[entry("exponentials", n, k), applied("1/", entry("sums", n))]],
            "losses": lambda n: [[applied("log", entry("sums", n))], ["-1", entry("shifted", n, labels[n])]],
            "loss": lambda: self.mean("losses", "1/N"),
            y.d: lambda n, k: [[entry("probabilities", n, k), "1/N"], ["-1", entry("onehot", n, k), "1/N"]],
        }

    def magnitude(self):
        return (self.trace["probabilities"] + self.trace["onehot"]) / len(self.trace["onehot"])

    def forms(self):
        return [*super().forms(), _ONEHOT_MISSING]


_SUBTRACT = "subtract 1 from the probability of the right class: the logits' gradient is (p - onehot)/N"
_ONEHOT_MISSING = Form(
    "onehot_missing", "onehot", lambda trace, dy: trace["probabilities"].astype(np.float64) / len(dy), _SUBTRACT
)
