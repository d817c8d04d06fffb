"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight

from ..files import ModelFileError
from .base import ConvNet
from .documentation import documented
from .saving import expect, finite


@documented
class ConvNetRegressor(RegressorMixin, ConvNet):
    """A convolutional network that predicts numbers from images, rows of pixels, or any other features.

    X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K)

    Parameters
    ----------
    {PARAMETERS}

    Attributes
    ----------
    {ATTRIBUTES}
    y_mean_, y_scale_ : arrays (K,)
        Of the training targets: the network predicts ``(y - y_mean_) / y_scale_``, and its loss is in these units.

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

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Train on X and y.

        X (n, C*H*W), (n, H, W) or (n, C, H, W), y (n,) or (n, K), sample_weight (n,) -> self

        Parameters
        ----------
        X : array, sparse matrix or DataFrame
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
        # Of numbers below 1, whose squares do not overflow; powers of two change no digit.
        exponent = np.frexp(np.abs(target).max(axis=0))[1]
        parts = np.ldexp(target, -exponent)
        mean = np.average(parts, axis=0, weights=weights)
        deviation = np.sqrt(np.average((parts - mean) ** 2, axis=0, weights=weights))
        self.y_mean_, scale = np.ldexp(mean, exponent), np.ldexp(deviation, exponent)
        # A constant's deviation is the rounding of its mean.
        varies = (deviation > 10 * np.finfo(float).eps * abs(mean)) & (scale > np.finfo(float).tiny)
        self.y_scale_ = np.where(varies, scale, 1.0)

    def _describe_target(self):
        return {"y_mean": self.y_mean_, "y_scale": self.y_scale_, "is_flat": self._is_flat}

    def _restore_target(self, described):
        self.y_mean_, self.y_scale_ = (np.array([finite(v) for v in described[name]]) for name in ("y_mean", "y_scale"))
        if len(self.y_mean_) != len(self.y_scale_):
            raise ModelFileError(f"{len(self.y_mean_)} means and {len(self.y_scale_)} scales of the target")
        if not (self.y_scale_ > 0).all():
            raise ModelFileError(f"a scale of the target of {self.y_scale_.min()}")
        self._is_flat = expect(described["is_flat"], bool)
        self.n_outputs_ = len(self.y_mean_)

    def _scaled_target(self, target):
        with np.errstate(over="ignore"):
            scaled = self._standardised(target).astype(self._dtype)
        if not np.isfinite(scaled).all():
            raise ValueError(f"y has {np.abs(target).max():g}, too far from the numbers that the model is scaled to")
        return scaled

    def _standardised(self, target):
        return (target / 2 - self.y_mean_ / 2) / (self.y_scale_ / 2)  # halves, for differences of the largest numbers

    def _unscaled(self, output):
        return output.astype(np.float64) * self.y_scale_ + self.y_mean_

    def _score(self, output, target, weights):
        return r2_score(self._standardised(target), output, sample_weight=weights)  # the same in any units
