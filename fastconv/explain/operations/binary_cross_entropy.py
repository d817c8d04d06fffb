"""Binary cross-entropy with logits: each output a yes or no of its own, a softmax over its logit and 0."""

import numpy as np

from ..mistakes import forms
from ..names import applied, entry
from .loss import ElementwiseLoss, mean_terms


class BinaryCrossEntropy(ElementwiseLoss, name="binary_cross_entropy_with_logits"):
    """``loss = mean of log(1 + exp(y)) - target * y``"""

    @staticmethod
    def between(y, answers, cache):
        target = answers.reshape(y.shape)
        shifted = -abs(y)  # the smaller of logit and 0 less the larger
        exponentials = np.exp(shifted)
        sums = 1 + exponentials
        return {
            "shifted": shifted,
            "exponentials": exponentials,
            "sums": sums,
            "probabilities": np.where(y > 0, 1, exponentials) / sums,
            "target": target,
            "losses": np.log1p(exponentials) + np.maximum(y, 0) - target * y,
        }

    def equations(self):
        y = self.y
        return {
            "shifted": f"shifted[n,k] = -|{y}[n,k]|",
            "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
            "sums": "sums[n,k] = 1 + exponentials[n,k]",
            "probabilities": f"probabilities[n,k] = exponentials[n,k] * 1/sums[n,k], but 1/sums[n,k] where {y}[n,k] > 0",
            "target": "target[n,k] is given",
            "losses": f"losses[n,k] = log(1 + exponentials[n,k]) + max({y}[n,k], 0) - target[n,k] * {y}[n,k]",
            "loss": "loss = sum over n,k of losses[n,k] * 1/(N*K)",
            y.d: f"{y.d}[n,k] = probabilities[n,k] * 1/(N*K) - target[n,k] * 1/(N*K)",
        }

    def shifted_terms(self, *at):
        logit = entry(self.y, *at)
        return [["-1", logit] if self._is_yes(at) else [logit]]

    def exponentials_terms(self, *at):
        return [[applied("exp", entry("shifted", *at))]]

    def sums_terms(self, *at):
        return [["1"], [entry("exponentials", *at)]]

    def probabilities_terms(self, *at):
        share = applied("1/", entry("sums", *at))
        return [[share] if self._is_yes(at) else [entry("exponentials", *at), share]]

    def losses_terms(self, *at):
        logit = entry(self.y, *at)
        larger = [[logit]] if self._is_yes(at) else []
        return [[applied("log1p", entry("exponentials", *at))], *larger, ["-1", entry("target", *at), logit]]

    def loss_terms(self):
        return mean_terms(self.trace, "losses", "1/(N*K)")

    def gradient_terms(self, *at):
        return [[entry("probabilities", *at), "1/(N*K)"], ["-1", entry("target", *at), "1/(N*K)"]]

    def _is_yes(self, at):
        return self.trace[self.y][at] > 0

    def magnitude(self):
        return (self.trace["probabilities"] + self.trace["target"]) / self.trace["target"].size

    def forms(self):
        return [*super().forms(), *_TARGET_MISSING]


_TARGET_MISSING = forms(
    "onehot_missing",
    "onehot",
    "subtract the target from the probability: the gradient is (p - target)/(N*K)",
    lambda trace, dy: trace["probabilities"].astype(np.float64) / dy.size,
)
