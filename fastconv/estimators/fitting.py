"""How a network is trained: epochs of shifted batches, learning rates, validation, when to stop, and which weights stay."""

from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.utils import check_random_state

from .. import functional
from ..optim import SGD, Adam
from ..training import DivergenceError, train
from .progress import progress
from .shifts import Shifts

SEEDS = 2**31 - 1
"""Seeds of generators are drawn below it."""

FULL_BATCH = 64
"""Fewer samples than this are one batch with ``batch_size="auto"``."""

AUTO_BATCH = 32
"""A batch of more samples."""

LOWEST_RATE, FALL = 1e-6, 5
"""The "adaptive" learning rate is divided by FALL until it is below the lowest."""

AVERAGED = 4
"""The weights are averaged over one part of so many of the epochs, the last."""


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator that concern training, under their names; its documentation says what they do.

    `max_iter` is a number of epochs, and `augment` of pixels, whatever was left to choose.
    """

    solver: str
    learning_rate: str
    learning_rate_init: float
    batch_size: int | str
    max_iter: int
    average: bool
    alpha: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    early_stopping: bool
    n_iter_no_change: int
    tol: float
    augment: int
    shuffle: bool
    n_threads: int | None
    verbose: bool | int

    def samples_a_step(self, n):
        """The size of a batch, where there are n samples."""
        if self.batch_size == "auto":
            return n if n < FULL_BATCH else AUTO_BATCH
        return min(self.batch_size, n)

    def optimizer(self, rate, batch_weight):
        """SGD or Adam; the penalty is on the weights, divided by those of a batch's samples."""
        decay = {"weight_decay": float(self.alpha) / batch_weight, "decay_biases": False}
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return SGD(rate, momentum=float(self.momentum), nesterov=nesterov, **decay)
        return Adam(rate, betas=(float(self.beta_1), float(self.beta_2)), eps=float(self.epsilon), **decay)


@dataclass(eq=False)
class State:
    """Where training stands, beside the weights: what a further call goes on from. The estimator's attributes bear its names.

    Attributes
    ----------
    rng : numpy.random.Generator
    rate : float
        The learning rate, but for "invscaling", whose rate follows from `t`.
    optimizer : tuple, optional
        The solver, and what its optimizer remembers.
    n_iter, t : int
        Epochs of the last fit, and samples seen.
    loss, best_loss, best_validation_score : float
        Of the last epoch, and the best; the others None with early stopping, and without validation.
    loss_curve, validation_loss_curve, validation_scores : list of float
        A number an epoch.
    """

    rng: np.random.Generator
    rate: float
    optimizer: tuple | None = None
    n_iter: int = 0
    t: int = 0
    loss: float = np.inf
    best_loss: float | None = np.inf
    best_validation_score: float | None = None
    loss_curve: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)


def first_state(random_state, rate, before=None, incremental=False):
    """-> the state in which a fit begins, going on from the one `before`, if there is one; the seed of what it holds out"""
    if before is not None and incremental:
        return deepcopy(before), None
    numbers = check_random_state(random_state)
    rng, split_seed = np.random.default_rng(numbers.randint(SEEDS)), numbers.randint(SEEDS)
    state = State(rng, rate) if before is None else replace(deepcopy(before), rng=rng, rate=rate, n_iter=0)
    return state, split_seed


class Fitting:
    """Trains `net` in place, from `inputs` to `target`, by `settings`, and moves `state` on."""

    def __init__(self, net, inputs, target, settings, state):
        self.net, self.inputs, self.target, self.settings, self.state = net, inputs, target, settings, state
        self.tol = float(settings.tol)  # a float16 of a grid search would take losses down to its own precision
        self.patience = Patience(settings.n_iter_no_change)
        self.best, self.mean = BestWeights(net.buffer), MeanWeights(net.buffer)

    def run(self, samples, held=None):
        """Epochs on `samples`, each followed by a look at those held out, until there are enough. -> the state after them"""
        settings, state = self.settings, self.state
        (images, answers), shown = self._encoded(samples), None if held is None else self._encoded(held)
        size = settings.samples_a_step(len(images))
        optimizer = settings.optimizer(state.rate, size * (1.0 if samples.weights is None else float(samples.weights.mean())))
        if state.optimizer is not None and state.optimizer[0] == settings.solver:
            optimizer.restore(self.net, state.optimizer[1])
        shifts = Shifts(images, settings.augment) if settings.augment else None
        with progress(settings.max_iter, bool(settings.verbose)) as report:
            for epoch in range(settings.max_iter):
                optimizer.lr = self._rate()
                self._epoch(shifts.draw(state.rng) if shifts else images, answers, samples.weights, size, optimizer)
                if self._is_averaged(epoch):
                    self.mean.add()
                if held is not None:
                    self._validate(held, *shown)
                report(self._line(held is not None))
                if self._is_over():
                    break
        self.best.take()
        self.mean.take()
        self._output(images[:FULL_BATCH])
        state.optimizer = settings.solver, optimizer.state(self.net)
        return state

    def _encoded(self, samples):
        """-> what the network sees, and what the loss compares with its output"""
        return self.inputs.encode(samples.rows, self.net.dtype), self.target.for_loss(samples.target, self.net.dtype)

    def _rate(self):
        settings = self.settings
        is_falling = settings.solver == "sgd" and settings.learning_rate == "invscaling"
        return float(settings.learning_rate_init / np.sqrt(self.state.t + 1)) if is_falling else self.state.rate

    def _epoch(self, images, answers, weights, batch_size, optimizer):
        state, settings = self.state, self.settings
        try:
            history = train(
                *(self.net, images, answers), epochs=1, batch_size=batch_size, optimizer=optimizer, loss=self.target.loss,
                sample_weight=weights, shuffle=settings.shuffle, random_state=state.rng, n_threads=settings.n_threads,
            )  # fmt: skip
        except DivergenceError as error:
            # Its only epoch is one of this fit's, and its rate has a name here.
            text = str(error).replace("epoch 0", f"epoch {state.n_iter}", 1)
            raise DivergenceError(text.replace("the learning rate", "learning_rate_init", 1)) from None
        state.n_iter += 1
        state.t += len(images)
        state.loss = history.loss[0]
        state.loss_curve.append(state.loss)

    def _is_averaged(self, epoch):
        last = self.settings.max_iter
        return self.settings.average and not self.settings.early_stopping and epoch >= last - max(1, last // AVERAGED)

    def _validate(self, held, images, answers):
        output = self._output(images)
        forward = getattr(functional, f"{self.target.loss}_forward")
        weights = None if held.weights is None or not held.weights.any() else held.weights
        self.state.validation_loss_curve.append(forward(output, answers, sample_weight=weights)[0])
        self.state.validation_scores.append(float(self.target.score(output, held.target, weights)))

    def _output(self, images):
        """The network's output; DivergenceError where finite weights overflow in it."""
        output = self.net.predict(images, n_threads=self.settings.n_threads)
        if not np.isfinite(output).all():
            raise DivergenceError(
                f"training diverged: the network's output is not finite after epoch {self.state.n_iter - 1}; "
                f"lower learning_rate_init ({self.settings.learning_rate_init:g}) or scale the data"
            )
        return output

    def _line(self, is_validated):
        state = self.state
        line = f"loss {state.loss:.4f}"
        if is_validated:
            line += f"  validation loss {state.validation_loss_curve[-1]:.4f}  score {state.validation_scores[-1]:.4f}"
        return line

    def _is_over(self):
        """Whether training no longer improves; a learning rate that is "adaptive" falls first."""
        settings = self.settings
        if not self.patience.is_out(self._improved_score() if settings.early_stopping else self._improved_loss()):
            return False
        if settings.solver == "sgd" and settings.learning_rate == "adaptive" and self.state.rate > LOWEST_RATE:
            self.state.rate /= FALL
            return False
        return True

    def _improved_loss(self):
        state = self.state
        if state.validation_scores:
            state.best_validation_score = max(state.validation_scores)
        best = np.inf if state.best_loss is None else state.best_loss  # None: the fit before stopped early
        state.best_loss = min(best, state.loss)
        return not state.loss > best - self.tol

    def _improved_score(self):
        state, score = self.state, self.state.validation_scores[-1]
        best = -np.inf if state.best_validation_score is None else state.best_validation_score
        if score > best or not self.best.is_kept:
            state.best_validation_score = max(score, best)
            self.best.keep()
        state.best_loss = None
        return score > best + self.tol


class Patience:
    """Counts epochs without an improvement, up to so many."""

    def __init__(self, epochs):
        self.epochs, self.count = epochs, 0

    def is_out(self, improved):
        """Whether this epoch is one too many; counting then begins anew."""
        self.count = 0 if improved else self.count + 1
        if self.count <= self.epochs:
            return False
        self.count = 0
        return True


class BestWeights:
    """A copy of the weights as they were when they were best."""

    def __init__(self, buffer):
        self.buffer, self.kept = buffer, None

    @property
    def is_kept(self):
        return self.kept is not None

    def keep(self):
        """The weights are best as they are now."""
        self.kept = self.buffer.copy()

    def take(self):
        """The best weights, where they were kept, become the weights."""
        if self.is_kept:
            self.buffer[...] = self.kept


class MeanWeights:
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
        """The mean, where any were counted, becomes the weights."""
        if self.count:
            self.buffer[...] = self.sum / self.count
