"""One call of fit: a network for the data, epochs of shifted batches, schedules, validation, early stopping, averaged weights."""

from copy import deepcopy

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from .. import functional
from ..layers import Flatten, Linear
from ..network import Sequential, infer_shapes
from ..optim import SGD, Adam
from ..support.jit import require_numba
from ..training import DivergenceError, train
from . import hints
from .architecture import auto_epochs, auto_layers, is_real_picture, sample_shape
from .progress import progress
from .shifts import Shifts
from .stopping import TailMean, Watch

FULL_BATCH = 64
"""Fewer samples than this are one batch with ``batch_size="auto"``."""


class Fitting:
    """Training of an estimator; its class adds what concerns the target."""

    def _held_out(self, rows, target, weights, seed):
        """-> training data, held-out data, each (rows, target, weights)"""
        stratify = target if self._loss == "cross_entropy" and self._can_stratify(target) else None
        kept, held = train_test_split(
            np.arange(len(rows)), test_size=self.validation_fraction, random_state=seed, stratify=stratify
        )
        if len(held) < 2:
            raise ValueError(f"early stopping would hold out {len(held)} of {len(rows)} samples; increase validation_fraction")
        split = [tuple(None if a is None else a[part] for a in (rows, target, weights)) for part in (kept, held)]
        if weights is not None and not split[0][2].any():
            raise ValueError("the weights of all samples that early stopping does not hold out are zero")
        return split

    def _can_stratify(self, target):
        """Whether each class has a member for either part, and either part has room for each class."""
        members, held = np.unique(target, return_counts=True)[1], int(np.ceil(self.validation_fraction * len(target)))
        return members.min() > 1 and min(held, len(target) - held) >= len(members)

    def _fit(self, X, y, sample_weight, validation, *, incremental=False, classes="from y"):
        before, network = dict(vars(self)), getattr(self, "network_", None)
        weights = None if network is None else network.buffer.copy()
        try:
            data, held = self._prepare(X, y, sample_weight, validation, incremental, classes)
            self._run(*data, held, incremental)
        except BaseException:
            # Refused, diverged or interrupted: the model that was there is there again, whole.
            self.__dict__ = before
            if network is not None:
                network.buffer[...] = weights
            raise
        return self

    def _prepare(self, X, y, sample_weight, validation, incremental, classes):
        """-> data to train on, held-out data or None, each (rows, target, weights); a new network unless an old one goes on"""
        require_numba()
        self._check_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val go together")
        first = not (hasattr(self, "network_") and (incremental or self.warm_start))
        rows, y = self._rows(X, y, reset=first)
        target = self._encode(y, reset=first, classes=classes)
        weights = self._weights(sample_weight, rows, y)
        if weights is not None and not 1e-30 < weights.max() < 1e30:
            raise ValueError(
                f"sample weights of up to {weights.max():g} over- or underflow in sums; divide them by the largest"
            )
        hints.at_fill_values(rows)
        if not first:
            self._require_same_network()
            self._own()
        if first or not incremental:
            numbers = check_random_state(self.random_state)
            self._rng, split_seed = np.random.default_rng(numbers.randint(2**31 - 1)), numbers.randint(2**31 - 1)
            self.n_iter_ = 0
        data, held = (rows, target, weights), None
        if validation[0] is not None:
            held_rows, held_y = self._rows(*validation)
            held = held_rows, self._encode(held_y, reset=False, classes=None), None
        elif self.early_stopping:
            data, held = self._held_out(*data, split_seed)
        if first:
            self._start(*data)
        if not incremental:
            self._lr = float(self.learning_rate_init)
        return data, held

    def _own(self):
        """Copies of what going on from here changes in place, beside the weights."""
        for name in ("_rng", "_state", "loss_curve_", "validation_loss_curve_", "validation_scores_"):
            setattr(self, name, deepcopy(getattr(self, name)))

    def _network_layers(self):
        """`layers` and what comes after them."""
        auto = isinstance(self.layers, str)
        layers = auto_layers(self.image_shape_, self._is_picture, self._loss == "mse") if auto else list(self.layers)
        output_shape = infer_shapes(layers, self.image_shape_)[-1] if layers else self.image_shape_
        flat = [] if len(output_shape) == 1 else [Flatten()]
        return *layers, *flat, Linear(self.n_outputs_)

    def _require_same_network(self):
        """Raise ValueError where `layers` or `image_shape` were set anew since the network was made that is to be trained further."""
        anew = "to train a new network call fit with warm_start=False"
        shape = sample_shape(self.n_features_in_, self.image_shape)
        if self.image_shape is not None and shape != self.image_shape_:
            raise ValueError(f"image_shape is {shape}, the model was fitted to {self.image_shape_}; {anew}")
        if isinstance(self.layers, str) and self._is_auto:
            return
        if self._network_layers() != self.network_.layers:
            fitted = "auto" if self._is_auto else list(self.network_.layers)
            raise ValueError(f"layers is {self.layers!r}, the model was fitted with {fitted!r}; {anew}")

    def _start(self, rows, target, weights):
        """A network without training, and nothing recorded."""
        # Where a batch is all the data, double precision costs nothing, and a weight of 2 is a sample twice, to the last digits.
        self._dtype = np.float64 if len(rows) < FULL_BATCH and not self._is_real_picture() else np.float32
        self._measure(rows, weights)
        self._measure_target(target, weights)
        if not isinstance(self.layers, str):
            hints.at_last_layer(self.layers, self.n_outputs_)
        self._is_auto = isinstance(self.layers, str)
        self.network_ = Sequential(self._network_layers(), self.image_shape_, random_state=self._rng, dtype=self._dtype)
        self.n_layers_ = len(self.network_.layers) + 1
        self._forget()

    def _forget(self):
        """Nothing is recorded yet, and the optimizer knows nothing."""
        self.t_, self.n_iter_, self._state, self._lr = 0, 0, None, float(self.learning_rate_init)
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []
        self.loss_, self.best_loss_, self.best_validation_score_ = np.inf, np.inf, None

    def _run(self, rows, target, weights, held, incremental):
        epochs = 1 if incremental else self._epochs()
        images, target = self._images(rows), self._scaled_target(target)
        auto = len(rows) if len(rows) < FULL_BATCH else 32
        size = auto if self.batch_size == "auto" else min(self.batch_size, len(rows))
        optimizer = self._optimizer(size * (1.0 if weights is None else float(weights.mean())))
        pixels = self._shift()
        shifts = Shifts(images, pixels) if pixels else None
        if held is not None:
            held = self._images(held[0]), held[1], held[2]
        watch, mean = Watch(self), TailMean(self.network_.buffer)
        averaged_from = epochs - max(1, epochs // 4) if self.average and not (incremental or self.early_stopping) else epochs
        with progress(epochs, bool(self.verbose)) as report:
            for epoch in range(epochs):
                optimizer.lr = self._rate()
                self._epoch(images if shifts is None else shifts.draw(self._rng), target, weights, size, optimizer)
                if epoch >= averaged_from:
                    mean.add()
                if held is not None:
                    self._validate(*held)
                report(self._line(held is not None))
                if watch.is_over():
                    break
        watch.restore()
        mean.take()
        self._output(images[:FULL_BATCH])
        self._state = self.solver, optimizer.state(self.network_)

    def _epoch(self, images, target, weights, batch_size, optimizer):
        try:
            history = train(
                *(self.network_, images, target), epochs=1, batch_size=batch_size, optimizer=optimizer, loss=self._loss,
                sample_weight=weights, shuffle=self.shuffle, random_state=self._rng, n_threads=self.n_threads,
            )  # fmt: skip
        except DivergenceError as error:
            # Its only epoch is one of this fit's, and its rate has a name here.
            text = (
                str(error).replace("epoch 0", f"epoch {self.n_iter_}", 1).replace("the learning rate", "learning_rate_init", 1)
            )
            raise DivergenceError(text) from None
        self.n_iter_ += 1
        self.t_ += len(images)
        self.loss_ = history.loss[0]
        self.loss_curve_.append(self.loss_)

    def _optimizer(self, batch_weight):
        decay = {"weight_decay": float(self.alpha) / batch_weight, "decay_biases": False}
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            optimizer = SGD(self._lr, momentum=float(self.momentum), nesterov=nesterov, **decay)
        else:
            optimizer = Adam(self._lr, betas=(float(self.beta_1), float(self.beta_2)), eps=float(self.epsilon), **decay)
        if self._state is not None and self._state[0] == self.solver:
            optimizer.restore(self.network_, self._state[1])
        return optimizer

    def _rate(self):
        is_falling = self.solver == "sgd" and self.learning_rate == "invscaling"
        return float(self.learning_rate_init / np.sqrt(self.t_ + 1)) if is_falling else self._lr

    def _epochs(self):
        return self.max_iter or auto_epochs(self.image_shape_, self._is_picture, self._loss == "mse")

    def _is_real_picture(self):
        return is_real_picture(self.image_shape_, self._is_picture)

    def _shift(self):
        """Pixels of the shifts."""
        if self.augment == "auto" and self._loss == "mse":
            return 0  # where a thing is may be what is asked
        if self.augment == "auto":
            return (1 + (min(self.image_shape_[1:]) >= 16)) * self._is_real_picture()
        pixels, (H, W) = int(self.augment or 0), self.image_shape_[1:]
        if pixels > max(H, W):
            raise ValueError(f"augment={pixels} shifts images of {H}x{W} pixels out of sight")
        return pixels

    def _validate(self, images, target, weights):
        output = self._output(images)
        forward = getattr(functional, f"{self._loss}_forward")
        weights = None if weights is None or not weights.any() else weights
        self.validation_loss_curve_.append(forward(output, self._scaled_target(target), sample_weight=weights)[0])
        self.validation_scores_.append(float(self._score(output, target, weights)))

    def _output(self, images):
        """The network's output; DivergenceError where finite weights overflow in it."""
        output = self.network_.predict(images, n_threads=self.n_threads)
        if not np.isfinite(output).all():
            raise DivergenceError(
                f"training diverged: the network's output is not finite after epoch {self.n_iter_ - 1}; "
                f"lower learning_rate_init ({self.learning_rate_init:g}) or scale the data"
            )
        return output

    def _line(self, is_validated):
        line = f"loss {self.loss_:.4f}"
        if is_validated:
            line += f"  validation loss {self.validation_loss_curve_[-1]:.4f}  score {self.validation_scores_[-1]:.4f}"
        return line
