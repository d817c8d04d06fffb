"""Softmax cross-entropy."""

import numpy as np

from ..mistakes import forms
from ..names import applied, entry
from .loss import Loss, mean_terms


class CrossEntropy(Loss, name="cross_entropy"):
    """``loss = mean of -log softmax(y)[label]``"""

    takes_labels = True

    @staticmethod
    def between(y, answers, cache):
        rows = np.arange(len(y))
        shifted = y - y.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums = exponentials.sum(axis=1)
        onehot = np.zeros_like(y)
        onehot[rows, cache.labels] = 1
        losses = np.log(sums) - shifted[rows, cache.labels]
        return {
            "shifted": shifted,
            "exponentials": exponentials,
            "sums": sums,
            "probabilities": cache.probabilities,
            "onehot": onehot,
            "losses": losses,
        }

    def equations(self):
        y = self.y
        return {
            "shifted": f"shifted[n,k] = {y}[n,k] - max over k of {y}[n,k]",
            "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
            "sums": "sums[n] = sum over k of exponentials[n,k]",
            "probabilities": "probabilities[n,k] = exponentials[n,k] * 1/sums[n]",
            "onehot": "onehot[n,k] = 1 where k is the label of n, else 0",
            "losses": "losses[n] = log(sums[n]) - shifted[n,label]",
            "loss": "loss = sum over n of losses[n] * 1/N",
            y.d: f"{y.d}[n,k] = probabilities[n,k] * 1/N - onehot[n,k] * 1/N",
        }

    def shifted_terms(self, n, k):
        largest = int(self.trace[self.y][n].argmax())
        return [[entry(self.y, n, k)], ["-1", entry(self.y, n, largest)]]

    def exponentials_terms(self, n, k):
        return [[applied("exp", entry("shifted", n, k))]]

    def sums_terms(self, n):
        return [[entry("exponentials", n, k)] for k in range(self.trace["exponentials"].shape[1])]

    def probabilities_terms(self, n, k):
        return [[entry("exponentials", n, k), applied("1/", entry("sums", n))]]

    def losses_terms(self, n):
        label = int(self.trace["onehot"][n].argmax())
        return [[applied("log", entry("sums", n))], ["-1", entry("shifted", n, label)]]

    def loss_terms(self):
        return mean_terms(self.trace, "losses", "1/N")

    def gradient_terms(self, n, k):
        return [[entry("probabilities", n, k), "1/N"], ["-1", entry("onehot", n, k), "1/N"]]

    def magnitude(self):
        return (self.trace["probabilities"] + self.trace["onehot"]) / len(self.trace["input"])

    def forms(self):
        return [*super().forms(), *_ONEHOT_MISSING]


_ONEHOT_MISSING = forms(
    "onehot_missing",
    "onehot",
    "subtract 1 from the probability of the right class: the logits' gradient is (p - onehot)/N",
    lambda trace, dy: trace["probabilities"].astype(np.float64) / len(dy),
)
