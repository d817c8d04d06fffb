"""What a model file says of an estimator, in the types that JSON has: written from parameters and parts, read with distrust."""

import numpy as np

from ..files import ModelFileError, build_layers, describe_layers
from ..layers import Layer


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


def describe_parameters(params):
    """An estimator's parameters; a `RandomState` comes back as None."""
    return {name: _described(value) for name, value in params.items()}


def _described(value):
    if isinstance(value, np.random.RandomState):
        return None
    if isinstance(value, dict):  # class_weight, whose keys are classes and not only text
        return {"items": list(value.items())}
    if isinstance(value, (list, tuple)) and all(isinstance(part, Layer) for part in value):
        return describe_layers(value)
    if isinstance(value, list):
        return [_described(part) for part in value]
    return value


def restore_parameters(described):
    """What `describe_parameters` described."""
    params = dict(described)
    if not isinstance(params.get("layers", "auto"), str):
        params["layers"] = build_layers(params["layers"])
    if params.get("image_shape") is not None:
        params["image_shape"] = tuple(params["image_shape"])
    weights = params.get("class_weight")
    if isinstance(weights, dict):
        params["class_weight"] = dict(weights["items"])
    elif isinstance(weights, list):  # one for each of several labels
        params["class_weight"] = [dict(part["items"]) for part in weights]
    return params


def restore_names(described, n_features):
    """The names of X's columns, None where it had none."""
    if not described:
        return None
    names = np.array([expect(name, str) for name in described], object)
    if len(names) != n_features:
        raise ModelFileError(f"{len(names)} feature names for {n_features} features")
    return names
