"""Binary cross-entropy with logits: ``mean of log(1 + exp(y)) - target * y``"""

import numpy as np

from ..mistakes import Form
from ..names import applied, entry
from .loss import ElementwiseLoss


class BinaryCrossEntropy(ElementwiseLoss, name="binary_cross_entropy_with_logits"):
    """Each output a yes or no of its own, a softmax over its logit and 0; shifted is the smaller of the two less the larger."""

    @staticmethod
    def between(y, answers, cache):
        target, shifted = answers.reshape(y.shape), -abs(y)
        exponentials = np.exp(shifted)
        sums = 1 + exponentials
        probabilities = np.where(y > 0, 1, exponentials) / sums
        losses = np.log1p(exponentials) + np.maximum(y, 0) - target * y
        between = {"shifted": shifted, "exponentials": exponentials, "sums": sums}
        return between | {"probabilities": probabilities, "target": target, "losses": losses}

    def equations(self):
        y = self.x
        return super().equations() | {
            "shifted": f"shifted[n,k] = -|{y}[n,k]|",
            "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
            "sums": "sums[n,k] = 1 + exponentials[n,k]",
            "probabilities": f"probabilities[n,k] = exponentials[n,k] * 1/sums[n,k], but 1/sums[n,k] where {y}[n,k] > 0",
            "target": "target[n,k] is given",
            "losses": f"losses[n,k] = log(1 + exponentials[n,k]) + max({y}[n,k], 0) - target[n,k] * {y}[n,k]",
            "loss": "loss = sum over n,k of losses[n,k] * 1/(N*K)",
            y.d: f"{y.d}[n,k] = probabilities[n,k] * 1/(N*K) - target[n,k] * 1/(N*K)",
        }

    def rules(self):
        return super().rules() | {
            "shifted": lambda *at: [["-1", entry(self.x, *at)] if self._is_yes(at) else [entry(self.x, *at)]],
            "exponentials": lambda *at: [[applied("exp", entry("shifted", *at))]],
            "sums": lambda *at: [["1"], [entry("exponentials", *at)]],
            "probabilities": self._probabilities,
            "losses": self._losses,
            "loss": lambda: self.mean("losses", "1/(N*K)"),
            self.dx: lambda *at: [[entry("probabilities", *at), "1/(N*K)"], ["-1", entry("target", *at), "1/(N*K)"]],
        }

    def _is_yes(self, at):
        return self.trace[self.x][at] > 0

    def _probabilities(self, *at):
        share = applied("1/", entry("sums", *at))
        return [[share] if self._is_yes(at) else [entry("exponentials", *at), share]]

    def _losses(self, *at):
        logit = entry(self.x, *at)
        larger = [[logit]] if self._is_yes(at) else []
        return [[applied("log1p", entry("exponentials", *at))], *larger, ["-1", entry("target", *at), logit]]

    def magnitude(self):
        return (self.trace["probabilities"] + self.trace["target"]) / self.trace["target"].size

    def forms(self):
        return [*super().forms(), _TARGET_MISSING]


_SUBTRACT = "subtract the target from the probability: the gradient is (p - target)/(N*K)"
_TARGET_MISSING = Form(
    "onehot_missing", "onehot", lambda trace, dy: trace["probabilities"].astype(np.float64) / dy.size, _SUBTRACT
)
