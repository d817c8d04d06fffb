"""When training ends, and with which weights."""

import numpy as np


class Watch:
    """Whether training still improves; keeps the best weights for early stopping."""

    def __init__(self, estimator):
        self.estimator, self.count = estimator, 0
        self.tol = float(estimator.tol)  # a float16 of a grid search would take losses down to its own precision
        self.best_weights = None

    def is_over(self):
        """Called after an epoch; records what is best."""
        e = self.estimator
        if e.early_stopping:
            improved = self._new_score(e.validation_scores_[-1])
            e.best_loss_ = None
        else:
            if e.validation_scores_:
                e.best_validation_score_ = max(e.validation_scores_)
            improved = not e.loss_ > e.best_loss_ - self.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        self.count = 0 if improved else self.count + 1
        if self.count <= e.n_iter_no_change:
            return False
        self.count = 0
        if e.solver == "sgd" and e.learning_rate == "adaptive" and e._lr > 1e-6:
            e._lr /= 5
            return False
        return True

    def _new_score(self, score):
        e = self.estimator
        best = -np.inf if e.best_validation_score_ is None else e.best_validation_score_
        if score > best or self.best_weights is None:
            e.best_validation_score_, self.best_weights = max(score, best), e.network_.buffer.copy()
        return score > best + self.tol

    def restore(self):
        """The best weights, where they were kept."""
        if self.best_weights is not None:
            self.estimator.network_.buffer[...] = self.best_weights


class TailMean:
    """The mean of the weights after some epochs.

    References
    ----------
    P. Izmailov and others, Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
    """

    def __init__(self, buffer):
        self.buffer, self.sum, self.count = buffer, np.zeros(len(buffer)), 0

    def add(self):
        """Count the weights as they are now."""
        self.sum += self.buffer
        self.count += 1

    def take(self):
        """The mean becomes the weights."""
        if self.count:
            self.buffer[...] = self.sum / self.count
