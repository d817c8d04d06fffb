"""Mean squared error."""

from ..names import entry
from .loss import ElementwiseLoss, mean_terms


class MeanSquaredError(ElementwiseLoss, name="mse"):
    """``loss = mean of (y - target)**2``"""

    @staticmethod
    def between(y, answers, cache):
        return {"target": answers.reshape(y.shape), "error": cache.error}

    def equations(self):
        y = self.y
        return {
            "target": "target[n,k] is given",
            "error": f"error[n,k] = {y}[n,k] - target[n,k]",
            "loss": "loss = sum over n,k of error[n,k] * error[n,k] * 1/(N*K)",
            y.d: f"{y.d}[n,k] = error[n,k] * 2/(N*K)",
        }

    def error_terms(self, *at):
        return [[entry(self.y, *at)], ["-1", entry("target", *at)]]

    def loss_terms(self):
        return [[error, error, share] for error, share in mean_terms(self.trace, "error", "1/(N*K)")]

    def gradient_terms(self, *at):
        return [[entry("error", *at), "2/(N*K)"]]

    def magnitude(self):
        y, target = self.trace[self.y], self.trace["target"]
        return 2 * (abs(y) + abs(target)) / target.size
