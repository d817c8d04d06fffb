"""Mean squared error: ``mean of (y - target)**2``"""

from ..names import entry
from .loss import ElementwiseLoss


class MeanSquaredError(ElementwiseLoss, name="mse"):
    """A square for each output."""

    @staticmethod
    def between(y, answers, cache):
        return {"target": answers.reshape(y.shape), "error": cache.error}

    def equations(self):
        y = self.x
        return super().equations() | {
            "target": "target[n,k] is given",
            "error": f"error[n,k] = {y}[n,k] - target[n,k]",
            "loss": "loss = sum over n,k of error[n,k] * error[n,k] * 1/(N*K)",
            y.d: f"{y.d}[n,k] = error[n,k] * 2/(N*K)",
        }

    def rules(self):
        return super().rules() | {
            "error": lambda *at: [[entry(self.x, *at)], ["-1", entry("target", *at)]],
            "loss": lambda: [[error, error, share] for error, share in self.mean("error", "1/(N*K)")],
            self.dx: lambda *at: [[entry("error", *at), "2/(N*K)"]],
        }

    def magnitude(self):
        y, target = self.trace[self.x], self.trace["target"]
        return 2 * (abs(y) + abs(target)) / target.size
