"""fastconv: train small convolutional networks fast on a CPU, with every gradient open to inspection."""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(["Conv2d", "ReLU", "Flatten", "Dropout", "MaxPool2d", "AvgPool2d", "Linear"], "layers"),
    **dict.fromkeys(["Sequential", "tiny_net"], "network"),
    **dict.fromkeys(["SGD", "Adam"], "optim"),
    **dict.fromkeys(["train", "History"], "training"),
    **dict.fromkeys(["DivergenceError"], "losses"),
    **dict.fromkeys(["load_digits"], "data"),
    **dict.fromkeys(["ModelFileError"], "files"),
    **dict.fromkeys(["TrainingCurveDisplay", "FilterDisplay"], "plots"),
    **dict.fromkeys(["ConvNetClassifier", "ConvNetRegressor"], "estimators"),
}
_MODULES = ("functional", "reference", "explain", "estimators", "engine")

__all__ = [*_HOMES]


def __getattr__(name):
    # Lazy, so that `import fastconv` costs nothing until something of it is used.
    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__, *_MODULES})
