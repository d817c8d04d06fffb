"""Estimators in files: what it takes to predict, beside the network's weights; and as ONNX models."""

from math import prod

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..files import ModelFileError, build_layers, describe_layers, load_model, save_model
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
        from ..export import estimator_model, write_model

        check_is_fitted(self, "network_")
        write_model(estimator_model(self), path)

    def _description(self):
        """What a file says of the estimator, as JSON: parameters that are plain values, preprocessing, names, and the target.

        A `RandomState` comes back as None.
        """
        params = {name: _plain(value) for name, value in self.get_params(deep=False).items() if name != "layers"}
        params["layers"] = self.layers if isinstance(self.layers, str) else describe_layers(self.layers)
        if isinstance(self.random_state, np.random.RandomState):
            params["random_state"] = None
        return {
            "class": type(self).__name__,
            "params": params,
            "mean": self.mean_,
            "scale": self.scale_,
            "n_features": self.n_features_in_,
            "is_picture": self._is_picture,
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
        if isinstance(params.get("class_weight"), dict):
            params["class_weight"] = dict(params["class_weight"]["items"])
        self = cls(**params)
        self._validate_params()
        self.network_, self.image_shape_, self._dtype = net, net.input_shape, net.dtype.type
        self.n_features_in_, self.n_layers_ = expect(described["n_features"], int), len(net.layers) + 1
        self.mean_, self.scale_ = expect(described["mean"], float), expect(described["scale"], float)
        self._is_picture = expect(described.get("is_picture", is_picture(net.input_shape)), bool)
        if not 0 < self.scale_ < np.inf:
            raise ModelFileError(f"a scale of {self.scale_}")
        if prod(net.input_shape) != self.n_features_in_:
            raise ModelFileError(f"{self.n_features_in_} features for images {net.input_shape}")
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


def _plain(value):
    """A parameter as JSON; scalars of NumPy, as a grid search sets them, become Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):  # keys are classes, not only text
        return {"items": [[_plain(key), _plain(part)] for key, part in value.items()]}
    return value
