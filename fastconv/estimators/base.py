"""What classifier and regressor share: an estimator of four parts, which fit puts together, predict asks and a file describes.

`_inputs` is what X is, `_target` what y is, `network_` the numbers between them, `_training` where their training stands.
"""

from contextlib import contextmanager
from dataclasses import fields
from html import escape
from math import prod
from operator import attrgetter

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from ..files import ModelFileError, load_model, save_model
from ..network import Sequential, restored
from ..support.jit import require_numba
from . import description, hints
from .architecture import auto_epochs, auto_layers, auto_shift, with_outputs
from .fitting import FULL_BATCH, Fitting, Settings, first_state
from .inputs import Inputs
from .parameters import Parameters
from .samples import Samples, checked_weights, held_out, require_weights

LEAST_FLOAT32, LARGEST_FLOAT32 = 1e-37, np.finfo(np.float32).max


def learnt(path):
    """A public attribute of a fitted estimator: `path` within its parts. Before that it is scikit-learn's NotFittedError."""
    read = attrgetter(path)

    def attribute(self):
        check_is_fitted(self, "network_")
        return read(self)

    return property(attribute)


class ConvNet(Parameters):
    """What classifier and regressor share; their class names in `_targets` the module that says what y is."""

    image_shape_ = learnt("_inputs.shape")
    mean_ = learnt("_inputs.mean")
    scale_ = learnt("_inputs.scale")
    n_outputs_ = learnt("_target.n_outputs")
    out_activation_ = learnt("_target.activation")
    n_iter_ = learnt("_training.n_iter")
    t_ = learnt("_training.t")
    loss_ = learnt("_training.loss")
    best_loss_ = learnt("_training.best_loss")
    best_validation_score_ = learnt("_training.best_validation_score")
    loss_curve_ = learnt("_training.loss_curve")
    validation_loss_curve_ = learnt("_training.validation_loss_curve")
    validation_scores_ = learnt("_training.validation_scores")

    @property
    def n_layers_(self):
        """Layers, the input counted as one."""
        return len(self.network_.layers) + 1

    @property
    def coefs_(self):
        """The weights, layer by layer."""
        return [value for name, value in self.network_.params.items() if name.endswith("weight")]

    @property
    def intercepts_(self):
        """The biases, layer by layer."""
        return [value for name, value in self.network_.params.items() if name.endswith("bias")]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.sparse = True
        return tags

    def _html_repr(self):
        html = estimator_html_repr(self)
        if hasattr(self, "network_"):
            html += f"<details><summary>Network</summary><pre>{escape(self.network_.summary())}</pre></details>"
        return html

    def as_trained(self, X, y):
        """Samples as the network sees them, to trace a training step of ``network_``.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K) -> images (n, C, H, W), labels or scaled targets, the loss

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        images : array (n, C, H, W)
        targets : array
        loss : str
            For `fastconv.train` and `fastconv.explain.trace`.
        """
        check_is_fitted(self, "network_")
        samples, dtype = self._samples(X, y), self.network_.dtype
        return self._inputs.encode(samples.rows, dtype), self._target.for_loss(samples.target, dtype), self._target.loss

    def save(self, path):
        """Write the fitted estimator to a .safetensors file: weights under PyTorch's names, and what it takes to predict.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If the file cannot be written; an older one is then as it was.
        ValueError
            For parameters, set since, that `fit` would refuse.
        """
        check_is_fitted(self, "network_")
        self._check_params()  # what is saved can be loaded
        save_model(self.network_, path, self._description())

    @classmethod
    def load(cls, path):
        """Read an estimator that `save` wrote; no code is run and nothing damaged loads.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        The class it is called on.

        Raises
        ------
        ModelFileError
            Whatever is wrong with the file.
        FileNotFoundError
            If there is none.
        """
        stored = load_model(path)
        described = stored.estimator
        try:
            if described is None or described["class"] != cls.__name__:
                found = "a network" if described is None else described["class"]
                raise ModelFileError(f"it holds {found}, not a {cls.__name__}")
            return cls._restored(restored(stored), described)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ModelFileError(f"{path}: the header does not describe a {cls.__name__}: {error!r}") from None

    def to_onnx(self, path):
        """Write the fitted estimator, preprocessing included, as an ONNX model: input "X" (n, features) of float32, any n.

        A classifier's outputs are "label" and "probabilities", a regressor's is "variable".

        Parameters
        ----------
        path : str or path

        Raises
        ------
        ImportError
            Without the onnx package.
        ValueError
            For numbers beyond those of float32, in which ONNX models compute.
        """
        from ..files.onnx import estimator_model, write_model

        check_is_fitted(self, "network_")
        for name in ("mean_", "scale_", "y_mean_", "y_scale_"):
            numbers = np.abs(getattr(self, name, 1.0))
            if (numbers > LARGEST_FLOAT32).any() or (name.endswith("scale_") and (numbers < LEAST_FLOAT32).any()):
                raise ValueError(f"{name} has {numbers.max():g}, beyond the float32 of ONNX models; fit to scaled data")
        write_model(estimator_model(self.network_, self._inputs, self._target), path)

    def _fit(self, X, y, sample_weight, *, validation=(None, None), incremental=False, classes=None):
        """Train anew or, with `incremental` for an epoch, go on from where the last call ended."""
        require_numba()
        self._check_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val go together")
        goes_on = hasattr(self, "network_") and (incremental or self.warm_start)
        with unchanged_by_errors(self):
            samples = self._learn(X, y, sample_weight, goes_on, incremental, classes)
            before = self._training if goes_on else None
            state, split_seed = first_state(self.random_state, float(self.learning_rate_init), before, incremental)
            samples, held = self._held(samples, validation, split_seed)
            if not goes_on:
                self._build(samples, state.rng)
            fitting = Fitting(self.network_, self._inputs, self._target, self._settings(incremental), state)
            self._training = fitting.run(samples, held)
        return self

    def _learn(self, X, y, sample_weight, goes_on, incremental, classes):
        """What X and y are, unless a fit that goes on knows; -> the samples to learn from"""
        checks = self._targets.CHECKS
        if goes_on:
            rows, y = self._inputs.rows(self, X, y, **checks)
            target = self._target.encode(y)
        else:
            self._inputs, rows, y = Inputs.learn(self, X, y, self.image_shape, **checks)
            self._target, target = self._targets.learn(y, classes, incremental)
        samples = Samples(rows, target, self._weights(sample_weight, rows, y, target))
        require_weights(samples.weights)
        hints.at_fill_values(rows)
        if goes_on:
            self._require_same_network()
        return samples

    def _samples(self, X, y):
        """Samples of the kind that the estimator is fitted to."""
        rows, y = self._inputs.rows(self, X, y, **self._targets.CHECKS)
        return Samples(rows, self._target.encode(y))

    def _weights(self, sample_weight, rows, y, target):
        """The weight of each sample, None where all are alike."""
        return None if sample_weight is None else checked_weights(sample_weight, rows)

    def _held(self, samples, validation, split_seed):
        """-> samples to train on, and to look at after each epoch or None"""
        if validation[0] is not None:
            return samples, self._samples(*validation)
        if self.early_stopping:
            return held_out(samples, self.validation_fraction, split_seed, self._target.is_stratified)
        return samples, None

    def _build(self, samples, rng):
        """A network without training, and what it sees and says scaled to `samples`."""
        self._inputs = self._inputs.measured(samples.rows, samples.weights)
        self._target = self._target.measured(samples.target, samples.weights)
        self._is_auto = isinstance(self.layers, str)
        if not self._is_auto:
            hints.at_last_layer(self.layers, self._target.n_outputs)
        # Where a batch is all the data, double precision costs nothing, and a weight of 2 is a sample twice, to the last digit.
        dtype = np.float64 if len(samples.rows) < FULL_BATCH and not self._inputs.is_real_picture else np.float32
        self.network_ = Sequential(self._network_layers(), self._inputs.shape, random_state=rng, dtype=dtype)

    def _network_layers(self):
        """`layers` and what comes after them."""
        layers = auto_layers(*self._kind()) if isinstance(self.layers, str) else self.layers
        return with_outputs(layers, self._inputs.shape, self._target.n_outputs)

    def _kind(self):
        """What "auto" depends on: shape, whether it is a picture's, whether numbers are predicted."""
        return self._inputs.shape, self._inputs.is_picture, is_regressor(self)

    def _require_same_network(self):
        """Raise ValueError where `layers` or `image_shape` were set anew since the network was made that is to be trained."""
        self._inputs.require_same(self.image_shape)
        if isinstance(self.layers, str) and self._is_auto:
            return
        if self._network_layers() != self.network_.layers:
            fitted = "auto" if self._is_auto else list(self.network_.layers)
            raise ValueError(f"layers is {self.layers!r}, the model was fitted with {fitted!r}; {hints.ANEW}")

    def _settings(self, incremental):
        """The parameters of training, with numbers for what was left to choose."""
        chosen = {setting.name: getattr(self, setting.name) for setting in fields(Settings)}
        chosen["augment"] = auto_shift(*self._kind()) if self.augment == "auto" else int(self.augment or 0)
        chosen["max_iter"] = 1 if incremental else self.max_iter or auto_epochs(*self._kind())
        chosen["average"] = self.average and not incremental
        return Settings(**chosen)

    def _output(self, X):
        """The network's output for X, before anything is made of it."""
        check_is_fitted(self, "network_")
        rows, _ = self._inputs.rows(self, X)
        return self.network_.predict(self._inputs.encode(rows, self.network_.dtype), n_threads=self.n_threads)

    def _description(self):
        """What a file says of the estimator, as JSON: parameters that are plain values, names, what X is and what y is."""
        return description.plain({
            "class": type(self).__name__,
            "params": description.describe_parameters(self.get_params(deep=False)),
            "n_features": self.n_features_in_,
            "feature_names": getattr(self, "feature_names_in_", []),
            **self._inputs.describe(),
            **self._target.describe(),
        })  # fmt: skip

    @classmethod
    def _restored(cls, net, described):
        """The estimator of which a file says so, around its network."""
        self = cls(**description.restore_parameters(described["params"]))
        self.n_features_in_ = description.expect(described["n_features"], int)
        if prod(net.input_shape) != self.n_features_in_:
            raise ModelFileError(f"{self.n_features_in_} features for images {net.input_shape}")
        self._check_params()
        names = description.restore_names(described["feature_names"], self.n_features_in_)
        if names is not None:
            self.feature_names_in_ = names
        self.network_, self._is_auto = net, isinstance(self.layers, str)
        self._inputs, self._target = Inputs.restored(described, net.input_shape), self._targets.restored(described)
        if net.output_shape != (self.n_outputs_,):
            raise ModelFileError(f"{self.n_outputs_} outputs for a network that returns {net.output_shape}")
        self._training, _ = first_state(self.random_state, float(self.learning_rate_init))
        return self


@contextmanager
def unchanged_by_errors(estimator):
    """Whatever ends a fit, refused, diverged or interrupted: the model that was there is there again, whole."""
    before, network = dict(vars(estimator)), getattr(estimator, "network_", None)
    weights = None if network is None else network.buffer.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        if network is not None:
            network.buffer[...] = weights
        raise
