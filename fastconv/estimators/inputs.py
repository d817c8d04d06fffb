"""What X is: its rows, the images in them, whether they are pictures or a table's columns, and what they are scaled by."""

from dataclasses import dataclass, replace
from math import isqrt, prod

import numpy as np
from sklearn.utils.validation import validate_data

from ..files import ModelFileError
from ..support.geometry import integer
from . import hints, scaling
from .description import expect, finite
from .pictures import is_picture, is_real_picture, look_like_pictures

ALONE = "no_validation"
"""In place of y, where X comes without."""


def sample_shape(n_features, image_shape=None):
    """The (C, H, W) of flat rows: `image_shape` if given; else a perfect square is a square image, any other number one row.

    Raises
    ------
    ValueError
        If `image_shape` is not (H, W) or (C, H, W), or has not `n_features` pixels.
    """
    if image_shape is None:
        side = isqrt(n_features)
        return (1, side, side) if side * side == n_features else (1, 1, n_features)
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape must be (H, W) or (C, H, W), got {image_shape!r}")
    shape = tuple(integer(size, "image_shape", 1) for size in image_shape)
    shape = (1,) * (3 - len(shape)) + shape
    if prod(shape) != n_features:
        raise ValueError(f"image_shape {shape} has {prod(shape)} pixels, X has {n_features} features")
    return shape


@dataclass(frozen=True, eq=False)
class Inputs:
    """What X is: a first fit's `learn` looks at all rows, then it is `measured` on those that are trained on, and only asked.

    Attributes
    ----------
    shape : (C, H, W)
        Of one sample.
    is_picture : bool
        Pixels, to be scaled by one mean and deviation; False: columns of a table, each by its own.
    mean, scale : float or array (n_features,)
    """

    shape: tuple
    is_picture: bool
    mean: float | np.ndarray = 0.0
    scale: float | np.ndarray = 1.0

    @classmethod
    def learn(cls, estimator, X, y, image_shape, **checks_of_y):
        """What X is, in any form; `image_shape` says, or does not, how rows are to be seen.

        -> Inputs, rows (n, features), y. The estimator takes number and names of the columns.
        """
        X, shown = _flat(X)
        rows, y = _checked(estimator, X, y, True, checks_of_y)
        if shown is None and image_shape is None:
            shape = sample_shape(rows.shape[1])
            hints.at_colours(rows)
            return cls(shape, look_like_pictures(rows, shape)), rows, y
        shape = shown if image_shape is None else sample_shape(rows.shape[1], image_shape)
        if shown not in (None, shape):
            raise ValueError(f"X has images of shape {shown}, image_shape is {shape}")
        hints.require_channels_first(shape)
        return cls(shape, is_picture(shape)), rows, y

    def rows(self, estimator, X, y=ALONE, **checks_of_y):
        """X, in any form, of the kind that the estimator was fitted to -> rows (n, features), y"""
        X, shown = _flat(X)
        rows, y = _checked(estimator, X, y, False, checks_of_y)
        if shown not in (None, self.shape):
            raise ValueError(f"X has images of shape {shown}, {type(estimator).__name__} was fitted to {self.shape}")
        return rows, y

    @property
    def is_real_picture(self):
        """Whether it is a picture, and large enough to be shifted."""
        return is_real_picture(self.shape, self.is_picture)

    def require_same(self, image_shape):
        """Raise ValueError where `image_shape`, if there is one, was set anew."""
        shape = self.shape if image_shape is None else sample_shape(prod(self.shape), image_shape)
        if shape != self.shape:
            raise ValueError(f"image_shape is {shape}, the model was fitted to {self.shape}; {hints.ANEW}")

    def measured(self, rows, weights):
        """The same, scaled to `rows` (n, features), each of which counts as often as its weight says."""
        measure = scaling.of_pixels if self.is_picture else scaling.of_columns
        mean, scale = measure(rows, weights)
        return replace(self, mean=mean, scale=scale)

    def encode(self, rows, dtype):
        """What the network sees: rows (n, features) -> images (n, C, H, W)"""
        return scaling.scaled(rows, self.mean, self.scale, dtype).reshape(len(rows), *self.shape)

    def describe(self):
        """What a file says of X, beside the network's input shape."""
        return {"mean": self.mean, "scale": self.scale, "is_picture": self.is_picture}

    @classmethod
    def restored(cls, described, shape):
        """What `describe` described."""
        mean, scale = (_of_features(described[name], name, prod(shape)) for name in ("mean", "scale"))
        if not np.all(np.asarray(scale) > 0):
            raise ModelFileError(f"a scale of {np.min(scale)}")
        return cls(shape, expect(described.get("is_picture", is_picture(shape)), bool), mean, scale)


def _flat(X):
    """-> X, its images flat; their shape (C, H, W), None where X is rows already"""
    ndim = X.ndim if hasattr(X, "ndim") else np.ndim(X) if isinstance(X, (list, tuple)) else 2
    if ndim not in (3, 4):
        return X, None
    X = np.asarray(X)
    shape = (1, *X.shape[1:]) if ndim == 3 else X.shape[1:]
    hints.require_channels_first(shape, len(X))
    return X.reshape(len(X), prod(shape)), shape


def _checked(estimator, X, y, reset, checks_of_y):
    """-> rows of real numbers, and y, as scikit-learn checks them; `reset`: number and names of columns are the estimator's"""
    if getattr(getattr(y, "dtype", None), "kind", None) == "T":  # NumPy's new text, which scikit-learn does not take
        y = y.astype(object)
    is_alone = isinstance(y, str)
    checks = {} if is_alone else checks_of_y
    found = validate_data(estimator, X, y, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], **checks)
    rows, y = (found, None) if is_alone else found
    return rows.toarray() if hasattr(rows, "toarray") else rows, y  # toarray: sparse


def _of_features(value, name, n_features):
    """One finite number, or an array of one for each feature."""
    if not isinstance(value, list):
        return finite(value)
    if len(value) != n_features:
        raise ModelFileError(f"{name} has {len(value)} numbers for {n_features} features")
    return np.array([finite(number) for number in value])
