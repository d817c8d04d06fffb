"""Convolutional networks as scikit-learn estimators: `ConvNetClassifier` and `ConvNetRegressor`."""

from html import escape
from math import prod
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d, estimator_html_repr
from sklearn.utils._param_validation import Hidden, Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from . import functional
from .architecture import auto_layers, is_picture, sample_shape
from .files import ModelFileError, build_layers, describe_layers, load_model, save_model
from .layers import Flatten, Linear
from .network import Sequential
from .optim import SGD, Adam
from .progress import progress
from .shifts import Shifts
from .training import train

FULL_BATCH = 64
"""Fewer samples than this are one batch with ``batch_size="auto"``."""

_SHARED = """    layers : "auto" or list of layers
        Without the last `Linear`, which is added (after a `Flatten` where one is missing). "auto" chooses a network for the shape
        of a sample: convolutions and dropout for pictures of 6x6 pixels and more, a hidden layer for short rows.
    image_shape : (H, W) or (C, H, W), optional
        Of a flat row. Without it a square number of features is a square image of one channel, any other number one row.
    solver : "adam" or "sgd"
    learning_rate : "constant", "invscaling" or "adaptive"
        Constant; divided by the square root of the samples seen; or divided by five whenever the loss (with early stopping: the
        validation score) has not improved for `n_iter_no_change` epochs.
    learning_rate_init : float
    batch_size : int or "auto"
        Samples a step. "auto" is 32, and all of them where there are fewer than 64.
    max_iter : int, optional
        Epochs at most. Without it 40 for pictures, 200 for anything smaller than 6x6.
    alpha : float
        L2 penalty on the weights, not the biases; divided by the number of samples in a batch.
    momentum, nesterovs_momentum
        Of "sgd".
    beta_1, beta_2, epsilon
        Of "adam".
    early_stopping : bool
        Stop when the score on held-out data has not improved by `tol` for `n_iter_no_change` epochs, and restore the best weights.
    validation_fraction : float
        Share of the training data held out for early stopping, unless `fit` is given X_val and y_val.
    n_iter_no_change : int
        Epochs without an improvement of `tol` after which training ends.
    tol : float
{class_weight}    average : bool
        The trained weights are the mean of those after each of the last quarter of `max_iter` epochs, which does what a falling
        learning rate would; not with early stopping, nor in partial_fit.
    augment : "auto", int or None
        Pixels by which every training image is shifted at random, anew in each epoch. "auto" is 1 for pictures, 2 from 16x16
        pixels on, and none for anything smaller than 6x6.
    shuffle : bool
        A new order each epoch.
    warm_start : bool
        `fit` goes on from the last fit's weights.
    random_state : None, int or RandomState
        Decides first weights, order, shifts, dropout and the held-out data.
    n_threads : int, optional
        The results are the same bits for any number.
    verbose : bool
        A progress bar on a terminal, a line an epoch elsewhere, on stderr.

    Attributes
    ----------
    network_ : Sequential
        The trained network; it takes scaled images.
    image_shape_ : (C, H, W)
    mean_, scale_ : float
        Of all pixels of the training data: the network sees ``(X - mean_) / scale_``.
{classes}    coefs_, intercepts_ : lists of arrays
        Weights and biases, layer by layer, in PyTorch's layout.
    loss_, best_loss_ : float
        Of the last epoch, and the lowest; ``best_loss_`` is None with early stopping.
    loss_curve_, validation_loss_curve_, validation_scores_ : lists of float
        One number an epoch; the last two with early stopping or a validation set.
    best_validation_score_ : float or None
    n_iter_, n_layers_, n_outputs_, t_ : int
        Epochs of the last fit, layers with the input, outputs, samples seen.
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X was a DataFrame.
"""


class _ConvNet(BaseEstimator):
    """What classifier and regressor share."""

    _parameter_constraints = {
        "layers": [StrOptions({"auto"}), list, tuple],
        "image_shape": [None, tuple, list],
        "solver": [StrOptions({"adam", "sgd"})],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "average": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "augment": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left"), None, Hidden(bool)],
        "shuffle": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

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
        tags.input_tags.three_d_array = True
        return tags

    def _html_repr(self):
        html = estimator_html_repr(self)
        if hasattr(self, "network_"):
            html += f"<details><summary>Network</summary><pre>{escape(self.network_.summary())}</pre></details>"
        return html

    # --- files ---

    def save(self, path):
        """Write the fitted estimator to a .safetensors file: weights under PyTorch's names, and what it takes to predict.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If the file cannot be written; an older one is then as it was.
        """
        check_is_fitted(self, "network_")
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
        net, described = load_model(path)
        try:
            if described is None or described["class"] != cls.__name__:
                raise ModelFileError(
                    f"it holds {'a network' if described is None else described['class']}, not a {cls.__name__}"
                )
            return cls._restored(net, described)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
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
        """
        from .export import estimator_model, write_model

        check_is_fitted(self, "network_")
        write_model(estimator_model(self), path)

    def _description(self):
        """What a file says of the estimator, as JSON: parameters that are plain values, preprocessing, names, and the target."""
        plain = {name: value for name, value in self.get_params(deep=False).items() if _is_plain(value)}
        if not isinstance(self.layers, str):
            plain["layers"] = describe_layers(self.layers)
        return {
            "class": type(self).__name__,
            "params": plain,
            "mean": self.mean_,
            "scale": self.scale_,
            "n_features": self.n_features_in_,
            "feature_names": getattr(self, "feature_names_in_", np.array([])).tolist(),
            **self._describe_target(),
        }

    @classmethod
    def _restored(cls, net, described):
        params = dict(described["params"])
        if not isinstance(params.get("layers", "auto"), str):
            params["layers"] = build_layers(params["layers"])
        if params.get("image_shape") is not None:
            params["image_shape"] = tuple(params["image_shape"])
        self = cls(**params)
        self.network_, self.image_shape_, self._dtype = net, net.input_shape, net.dtype.type
        self.n_features_in_, self.n_layers_ = _expect(described["n_features"], int), len(net.layers) + 1
        self.mean_, self.scale_ = _expect(described["mean"], float), _expect(described["scale"], float)
        if prod(net.input_shape) != self.n_features_in_:
            raise ModelFileError(f"{self.n_features_in_} features for images {net.input_shape}")
        if described["feature_names"]:
            self.feature_names_in_ = np.array([_expect(name, str) for name in described["feature_names"]], object)
        self._restore_target(described)
        if net.output_shape != (self.n_outputs_,):
            raise ModelFileError(f"{self.n_outputs_} outputs for a network that returns {net.output_shape}")
        self._rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        self._forget()
        return self

    # --- data ---

    def _rows(self, X, y="no_validation", reset=False, **checks):
        """X as rows (n, features) of real numbers, checked by scikit-learn, and y; image_shape_ where X shows it."""
        ndim = X.ndim if hasattr(X, "ndim") else np.ndim(X) if isinstance(X, (list, tuple)) else 2
        shape = None
        if ndim in (3, 4):
            X = np.asarray(X)
            shape = (1, *X.shape[1:]) if ndim == 3 else X.shape[1:]
            if self.image_shape is None and shape[2] in (1, 3, 4) and min(shape[:2]) > 4:
                raise ValueError(
                    f"X has shape {X.shape}, which looks like channels last; use X.transpose(0, 3, 1, 2), or image_shape={shape} if not"
                )
            X = X.reshape(len(X), int(np.prod(shape)))
        found = validate_data(self, X, y, reset=reset, dtype=[np.float64, np.float32], **({} if y is None else checks))
        rows = found if isinstance(y, str) else found[0]
        if reset:
            wanted = sample_shape(rows.shape[1], self.image_shape) if shape is None or self.image_shape is not None else shape
            if shape not in (None, wanted):
                raise ValueError(f"X has images of shape {shape}, image_shape is {wanted}")
            self.image_shape_ = wanted
        elif shape not in (None, self.image_shape_):
            raise ValueError(f"X has images of shape {shape}, {type(self).__name__} was fitted to {self.image_shape_}")
        return found

    def _images(self, rows):
        """Rows as the network's input (n, C, H, W)."""
        scaled = (rows - rows.dtype.type(self.mean_)) / rows.dtype.type(self.scale_)
        return scaled.astype(self._dtype, copy=False).reshape(len(rows), *self.image_shape_)

    def _measure(self, rows, weights):
        """mean_ and scale_: a sample counts as often as its weight says."""
        means = rows.mean(axis=1, dtype=np.float64)
        self.mean_ = float(np.average(means, weights=weights))
        squares = np.square(rows - rows.dtype.type(self.mean_)).mean(axis=1, dtype=np.float64)
        self.scale_ = float(np.sqrt(np.average(squares, weights=weights))) or 1.0

    def _held_out(self, rows, target, weights, seed):
        """-> training data, held-out data, each (rows, target, weights)"""
        stratify = target if target.ndim == 1 and self._loss == "cross_entropy" else None
        kept, held = train_test_split(
            np.arange(len(rows)), test_size=self.validation_fraction, random_state=seed, stratify=stratify
        )
        if len(held) < 2:
            raise ValueError(f"early stopping would hold out {len(held)} of {len(rows)} samples; increase validation_fraction")
        split = [tuple(None if a is None else a[part] for a in (rows, target, weights)) for part in (kept, held)]
        if weights is not None and not split[0][2].any():
            raise ValueError("the weights of all samples that early stopping does not hold out are zero")
        return split

    # --- fitting ---

    def _fit(self, X, y, sample_weight, validation, *, incremental=False, classes="from y"):
        self._validate_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val go together")
        first = not (hasattr(self, "network_") and (incremental or self.warm_start))
        rows, y = self._rows(X, y, reset=first, **self._y_checks)
        target = self._encode(y, reset=first, classes=classes)
        weights = self._weights(sample_weight, rows, y)
        if first or not incremental:
            numbers = check_random_state(self.random_state)
            self._rng, split_seed = np.random.default_rng(numbers.randint(2**31 - 1)), numbers.randint(2**31 - 1)
        data, held = (rows, target, weights), None
        if validation[0] is not None:
            held_rows, held_y = self._rows(*validation, **self._y_checks)
            held = held_rows, self._encode(held_y, reset=False, classes=None), None
        elif self.early_stopping:
            data, held = self._held_out(*data, split_seed)
        if first:
            self._start(*data)
        self._run(*data, held, 1 if incremental else self._epochs(), incremental, keeps_count=incremental and not first)
        return self

    def _start(self, rows, target, weights):
        """A network without training, and nothing recorded."""
        # Where a batch is all the data, double precision costs nothing, and a weight of 2 is a sample twice, to the last digits.
        self._dtype = np.float64 if len(rows) < FULL_BATCH and not is_picture(self.image_shape_) else np.float32
        self._measure(rows, weights)
        self._measure_target(target, weights)
        layers = auto_layers(self.image_shape_) if isinstance(self.layers, str) else list(self.layers)
        body = Sequential(layers, self.image_shape_, random_state=0)
        flat = [] if len(body.output_shape) == 1 else [Flatten()]
        self.network_ = Sequential(
            [*layers, *flat, Linear(self.n_outputs_)], self.image_shape_, random_state=self._rng, dtype=self._dtype
        )
        self.n_layers_ = len(self.network_.layers) + 1
        self._forget()

    def _forget(self):
        """Nothing is recorded yet, and the optimizer knows nothing."""
        self.t_, self.n_iter_, self._state, self._lr = 0, 0, None, self.learning_rate_init
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []
        self.loss_, self.best_loss_, self.best_validation_score_ = np.inf, np.inf, None

    def _run(self, rows, target, weights, held, epochs, incremental, keeps_count):
        images, target = self._images(rows), self._scaled_target(target)
        auto = len(rows) if len(rows) < FULL_BATCH else 32
        size = auto if self.batch_size == "auto" else min(self.batch_size, len(rows))
        optimizer = self._optimizer(size * (1.0 if weights is None else float(weights.mean())))
        pixels = self._shift()
        shifts = Shifts(images, pixels) if pixels else None
        if held is not None:
            held = self._images(held[0]), held[1], held[2]
        watch, mean = _Watch(self), _TailMean(self.network_.buffer)
        averaged_from = epochs - max(1, epochs // 4) if self.average and not (incremental or self.early_stopping) else epochs
        if not keeps_count:
            self.n_iter_ = 0
        with progress(epochs, bool(self.verbose)) as report:
            for epoch in range(epochs):
                optimizer.lr = self._rate()
                history = train(
                    *(self.network_, images if shifts is None else shifts.draw(self._rng), target),
                    epochs=1, batch_size=size, optimizer=optimizer, loss=self._loss, sample_weight=weights,
                    shuffle=self.shuffle, random_state=self._rng, n_threads=self.n_threads,
                )  # fmt: skip
                self.n_iter_ += 1
                self.t_ += len(rows)
                self.loss_ = history.loss[0]
                self.loss_curve_.append(self.loss_)
                if epoch >= averaged_from:
                    mean.add()
                if held is not None:
                    self._validate(*held)
                report(self._line(held is not None))
                if watch.is_over():
                    break
        watch.restore()
        mean.take()
        self._state = optimizer.state(self.network_)

    def _optimizer(self, batch_weight):
        decay = {"weight_decay": self.alpha / batch_weight, "decay_biases": False}
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            optimizer = SGD(self._lr, momentum=self.momentum, nesterov=nesterov, **decay)
        else:
            optimizer = Adam(self._lr, betas=(self.beta_1, self.beta_2), eps=self.epsilon, **decay)
        if self._state is not None:
            optimizer.restore(self.network_, self._state)
        return optimizer

    def _rate(self):
        return self.learning_rate_init / np.sqrt(self.t_ + 1) if self.learning_rate == "invscaling" else self._lr

    def _epochs(self):
        return self.max_iter or (40 if is_picture(self.image_shape_) else 200)

    def _shift(self):
        """Pixels of the shifts."""
        if self.augment == "auto":
            return (1 + (min(self.image_shape_[1:]) >= 16)) * is_picture(self.image_shape_)
        return int(self.augment or 0)

    def _validate(self, images, target, weights):
        output = self.network_.predict(images, n_threads=self.n_threads)
        forward = getattr(functional, f"{self._loss}_forward")
        weights = None if weights is None or not weights.any() else weights
        self.validation_loss_curve_.append(forward(output, self._scaled_target(target), sample_weight=weights)[0])
        self.validation_scores_.append(float(self._score(output, target, weights)))

    def _line(self, is_validated):
        line = f"loss {self.loss_:.4f}"
        if is_validated:
            line += f"  validation loss {self.validation_loss_curve_[-1]:.4f}  score {self.validation_scores_[-1]:.4f}"
        return line

    def _predicted(self, X):
        """The network's output for X, before anything is made of it."""
        check_is_fitted(self, "network_")
        return self.network_.predict(self._images(self._rows(X)), n_threads=self.n_threads)


def _is_plain(value):
    if isinstance(value, (tuple, list)):
        return all(isinstance(part, int) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _expect(value, kind):
    if type(value) is not kind:
        raise ModelFileError(f"{value!r} is not of type {kind.__name__}")
    return value


class _Watch:
    """Whether training still improves; keeps the best weights for early stopping."""

    def __init__(self, estimator):
        self.estimator, self.count = estimator, 0
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
            improved = not e.loss_ > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        self.count = 0 if improved else self.count + 1
        if self.count <= e.n_iter_no_change:
            return False
        self.count = 0
        if e.learning_rate == "adaptive" and e._lr > 1e-6:
            e._lr /= 5
            return False
        return True

    def _new_score(self, score):
        e = self.estimator
        best = -np.inf if e.best_validation_score_ is None else e.best_validation_score_
        if score > best or self.best_weights is None:
            e.best_validation_score_, self.best_weights = max(score, best), e.network_.buffer.copy()
        return score > best + e.tol

    def restore(self):
        """The best weights, where they were kept."""
        if self.best_weights is not None:
            self.estimator.network_.buffer[...] = self.best_weights


class _TailMean:
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


class ConvNetClassifier(ClassifierMixin, _ConvNet):
    __doc__ = f"""A convolutional network that classifies images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) classes or (n, K) of 0 and 1

    Parameters
    ----------
{
        _SHARED.format(
            class_weight='''    class_weight : dict, "balanced" or None
        Multiplies the samples' weights by class.
''',
            classes='''    classes_ : array (K,)
''',
        )
    }
    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = ConvNetClassifier(max_iter=10, random_state=0).fit(X_train, y_train)
    >>> classifier.score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints = _ConvNet._parameter_constraints | {"class_weight": [StrOptions({"balanced"}), dict, list, None]}
    _y_checks = {"multi_output": True}

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, class_weight=None,
                 average=True, augment="auto", shuffle=True, warm_start=False, random_state=None, n_threads=None, verbose=False):  # fmt: skip
        self.layers = layers
        self.image_shape = image_shape
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.average = average
        self.augment = augment
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Train on X and y.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X : array or DataFrame
        y : array (n,) of classes, or (n, K) of 0 and 1 for several labels a sample
        sample_weight : array (n,), optional
        X_val, y_val : arrays, optional
            Measured after each epoch; with early_stopping they take the place of the held-out share. A Pipeline hands
            them over untransformed unless told otherwise (`transform_input`).

        Returns
        -------
        ConvNetClassifier

        Raises
        ------
        ValueError
            For parameters, shapes, labels and weights that do not fit.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val))

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on X and y, going on from where the last call ended.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array (K,)
            All classes, needed in the first call.

        Returns
        -------
        ConvNetClassifier

        Raises
        ------
        ValueError
            Also with early_stopping=True and class_weight="balanced", which need all the data.
        """
        if isinstance(self.class_weight, str):
            raise ValueError('class_weight="balanced" needs all the data at once; pass partial_fit a dict')
        return self._fit(X, y, sample_weight, (None, None), incremental=True, classes=classes)

    def predict(self, X):
        """The most probable class of each sample; for several labels, 1 where one is more probable than not.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n,) or (n, K)
        """
        return self._decided(self._predicted(X))

    def predict_proba(self, X):
        """The probability of each class, in the order of ``classes_``; for several labels, of each label.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K); rows add up to 1, unless there are several labels
        """
        logits = self._predicted(X).astype(np.float64)
        if self._loss == "cross_entropy":
            return functional.softmax(logits)
        return np.exp(-np.logaddexp(0, -logits))

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n, K)
        """
        logits = self._predicted(X).astype(np.float64)
        if self._loss == "cross_entropy":
            return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return -np.logaddexp(0, -logits)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def out_activation_(self):
        """What makes probabilities of the network's output."""
        return "softmax" if self._loss == "cross_entropy" else "logistic"

    @property
    def _loss(self):
        return "binary_cross_entropy_with_logits" if self._is_multilabel else "cross_entropy"

    def _encode(self, y, reset, classes):
        """y as the loss takes it; classes_ on the first call."""
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        check_classification_targets(y)
        is_multilabel = type_of_target(y) == "multilabel-indicator"
        if y.ndim == 2 and not is_multilabel:
            raise ValueError(f"y must be (n,) classes or (n, K) of 0 and 1, got shape {y.shape} with other values")
        if reset:
            self._is_multilabel = is_multilabel
            if is_multilabel:
                self.classes_ = np.arange(y.shape[1])
            elif isinstance(classes, str):
                self.classes_ = np.unique(y)
            else:
                if hasattr(self, "classes_"):
                    del self.classes_
                _check_partial_fit_first_call(self, classes)
            self.n_outputs_ = len(self.classes_)
        elif is_multilabel != self._is_multilabel:
            raise ValueError(f"y has shape {y.shape}, which is not what {type(self).__name__} was fitted to")
        if is_multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y has {y.shape[1]} labels, expected {len(self.classes_)}")
            return np.asarray(y, np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y contains classes {unknown.tolist()} that are not among {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y)

    def _weights(self, sample_weight, rows, y):
        if sample_weight is None and self.class_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        if not weights.any():
            raise ValueError("class_weight leaves no sample a weight")
        return weights

    def _measure_target(self, target, weights):
        pass

    def _describe_target(self):
        kind = self.classes_.dtype.kind
        if kind not in "biufUO" or not all(isinstance(c, (bool, int, float, str)) for c in self.classes_.tolist()):
            raise TypeError(f"classes of {self.classes_.dtype} cannot be saved, only numbers and text")
        return {
            "classes": self.classes_.tolist(),
            "classes_dtype": self.classes_.dtype.str,
            "is_multilabel": self._is_multilabel,
        }

    def _restore_target(self, described):
        values, dtype = described["classes"], described["classes_dtype"]
        if dtype.strip("<>|=")[:1] not in tuple("biufUO") or not all(isinstance(c, (bool, int, float, str)) for c in values):
            raise ModelFileError(f"classes of type {dtype!r}")
        self.classes_ = np.array(values, np.dtype(dtype))
        if len(self.classes_) == 0 or list(self.classes_) != sorted(set(values)):
            raise ModelFileError("the classes are not in order")
        self._is_multilabel = _expect(described["is_multilabel"], bool)
        self.n_outputs_ = len(self.classes_)

    def _scaled_target(self, target):
        return target.astype(self._dtype) if self._is_multilabel else target

    def _decided(self, logits):
        if self._is_multilabel:
            return (logits > 0).astype(int)
        return self.classes_[logits.argmax(axis=1)]

    def _score(self, output, target, weights):
        decided = output > 0 if self._is_multilabel else output.argmax(axis=1)
        return accuracy_score(target, decided, sample_weight=weights)


class ConvNetRegressor(RegressorMixin, _ConvNet):
    __doc__ = f"""A convolutional network that predicts numbers from images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K)

    Parameters
    ----------
{
        _SHARED.format(
            class_weight="",
            classes='''    y_mean_, y_scale_ : arrays (K,)
        Of the training targets: the network predicts ``(y - y_mean_) / y_scale_``, and its loss is in these units.
''',
        )
    }
    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((200, 8, 8))
    >>> y = X[:, :4].mean(axis=(1, 2)) - X[:, 4:].mean(axis=(1, 2))
    >>> regressor = ConvNetRegressor(augment=None, random_state=0).fit(X[:150], y[:150])
    >>> regressor.predict(X[150:]).shape
    (50,)
    """

    _y_checks = {"multi_output": True, "y_numeric": True}
    _loss = "mse"
    out_activation_ = "identity"

    def __init__(self, layers="auto", *, image_shape=None, solver="adam", learning_rate="constant", learning_rate_init=1e-3,
                 batch_size="auto", max_iter=None, alpha=1e-4, momentum=0.9, nesterovs_momentum=True, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, average=True, augment="auto",
                 shuffle=True, warm_start=False, random_state=None, n_threads=None, verbose=False):  # fmt: skip
        self.layers = layers
        self.image_shape = image_shape
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.average = average
        self.augment = augment
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Train on X and y.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X : array or DataFrame
        y : array (n,) or (n, K)
        sample_weight : array (n,), optional
        X_val, y_val : arrays, optional
            Measured after each epoch; with early_stopping they take the place of the held-out share. A Pipeline hands
            them over untransformed unless told otherwise (`transform_input`).

        Returns
        -------
        ConvNetRegressor

        Raises
        ------
        ValueError
            For parameters, shapes and weights that do not fit.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val))

    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch on X and y, going on from where the last call ended.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        ConvNetRegressor

        Raises
        ------
        ValueError
            Also with early_stopping=True, which needs all the data.
        """
        return self._fit(X, y, sample_weight, (None, None), incremental=True)

    def predict(self, X):
        """The predicted numbers.

        X (n, C*H*W), (n, H, W) or (n, C, H, W) -> (n,) or (n, K), as y was
        """
        y = self._unscaled(self._predicted(X))
        return y[:, 0] if self._is_flat else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    def _encode(self, y, reset, classes):
        """y as (n, K)."""
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        if reset:
            self._is_flat = y.ndim == 1
        y = np.asarray(y, np.float64).reshape(len(y), -1)
        if reset:
            self.n_outputs_ = y.shape[1]
        if y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {y.shape[1]} outputs, expected {self.n_outputs_}")
        return y

    def _weights(self, sample_weight, rows, y):
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)

    def _measure_target(self, target, weights):
        self.y_mean_ = np.average(target, axis=0, weights=weights)
        scale = np.sqrt(np.average((target - self.y_mean_) ** 2, axis=0, weights=weights))
        self.y_scale_ = np.where(scale > 0, scale, 1.0)

    def _describe_target(self):
        return {"y_mean": self.y_mean_.tolist(), "y_scale": self.y_scale_.tolist(), "is_flat": self._is_flat}

    def _restore_target(self, described):
        self.y_mean_, self.y_scale_ = (np.array([_expect(v, float) for v in described[name]]) for name in ("y_mean", "y_scale"))
        if len(self.y_mean_) != len(self.y_scale_):
            raise ModelFileError(f"{len(self.y_mean_)} means and {len(self.y_scale_)} scales of the target")
        self._is_flat = _expect(described["is_flat"], bool)
        self.n_outputs_ = len(self.y_mean_)

    def _scaled_target(self, target):
        return ((target - self.y_mean_) / self.y_scale_).astype(self._dtype)

    def _unscaled(self, output):
        return output.astype(np.float64) * self.y_scale_ + self.y_mean_

    def _score(self, output, target, weights):
        return r2_score(target, self._unscaled(output), sample_weight=weights)
