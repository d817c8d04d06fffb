"""Estimators in files: what it takes to predict, beside the network's weights; and as ONNX models."""

from math import prod

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..files import ModelFileError, build_layers, describe_layers, load_model, save_model
from ..layers import Layer
from ..network import restored
from .architecture import is_picture


class Saving:
    """`save`, `load` and `to_onnx` of an estimator; its class adds ``_describe_target`` and ``_restore_target``."""

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
                raise ModelFileError(
                    f"it holds {'a network' if described is None else described['class']}, not a {cls.__name__}"
                )
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
            if (numbers > np.finfo(np.float32).max).any() or (name.endswith("scale_") and (numbers < 1e-37).any()):
                raise ValueError(f"{name} has {numbers.max():g}, beyond the float32 of ONNX models; fit to scaled data")
        write_model(estimator_model(self), path)

    def _description(self):
        """What a file says of the estimator, as JSON: parameters that are plain values, preprocessing, names, and the target.

        A `RandomState` comes back as None.
        """
        params = {name: _parameter(value) for name, value in self.get_params(deep=False).items()}
        return plain({
            "class": type(self).__name__,
            "params": params,
            "mean": self.mean_,
            "scale": self.scale_,
            "n_features": self.n_features_in_,
            "is_picture": self._is_picture,
            "feature_names": getattr(self, "feature_names_in_", []),
            **self._describe_target(),
        })  # fmt: skip

    @classmethod
    def _restored(cls, net, described):
        self = cls(**_parameters(described["params"]))
        self.network_, self.image_shape_, self._dtype = net, net.input_shape, net.dtype.type
        self.n_features_in_, self.n_layers_ = expect(described["n_features"], int), len(net.layers) + 1
        if prod(net.input_shape) != self.n_features_in_:
            raise ModelFileError(f"{self.n_features_in_} features for images {net.input_shape}")
        self._check_params()
        self.mean_, self.scale_ = (_of_features(described[name], name, self.n_features_in_) for name in ("mean", "scale"))
        if not np.all(self.scale_ > np.float64(0)):
            raise ModelFileError(f"a scale of {np.min(self.scale_)}")
        self._is_picture = expect(described.get("is_picture", is_picture(net.input_shape)), bool)
        self._is_auto = isinstance(self.layers, str)
        if described["feature_names"]:
            self.feature_names_in_ = np.array([expect(name, str) for name in described["feature_names"]], object)
            if len(self.feature_names_in_) != self.n_features_in_:
                raise ModelFileError(f"{len(self.feature_names_in_)} feature names for {self.n_features_in_} features")
        self._restore_target(described)
        if net.output_shape != (self.n_outputs_,):
            raise ModelFileError(f"{self.n_outputs_} outputs for a network that returns {net.output_shape}")
        self._rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        self._forget()
        return self


def expect(value, kind):
    """`value`, which must be of just this type."""
    if type(value) is not kind:
        raise ModelFileError(f"{value!r} is not of type {kind.__name__}")
    return value


def finite(value):
    """`value`, which must be a finite float."""
    if not np.isfinite(expect(value, float)):
        raise ModelFileError(f"{value!r} is not finite")
    return value


def plain(value):
    """`value` in the types that JSON has: what NumPy and grid searches make of numbers, names and lists becomes Python's.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, dict):
        return {expect(name, str): plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be saved, only numbers, text and lists of them")


def _parameter(value):
    """A parameter as its file describes it; `_parameters` reads it again."""
    if isinstance(value, np.random.RandomState):
        return None
    if isinstance(value, dict):  # class_weight, whose keys are classes and not only text
        return {"items": list(value.items())}
    if isinstance(value, (list, tuple)) and all(isinstance(part, Layer) for part in value):
        return describe_layers(value)
    return value


def _parameters(described):
    """What `_parameter` described, by name."""
    params = dict(described)
    if not isinstance(params.get("layers", "auto"), str):
        params["layers"] = build_layers(params["layers"])
    if params.get("image_shape") is not None:
        params["image_shape"] = tuple(params["image_shape"])
    if isinstance(params.get("class_weight"), dict):
        params["class_weight"] = dict(params["class_weight"]["items"])
    return params


def _of_features(value, name, n_features):
    """One finite number, or an array of one for each feature."""
    if not isinstance(value, list):
        return finite(value)
    if len(value) != n_features:
        raise ModelFileError(f"{name} has {len(value)} numbers for {n_features} features")
    return np.array([finite(number) for number in value])
