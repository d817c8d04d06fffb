"""Model files as the command meets them: loaded, given data in their columns, and where a new one may stand."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def load(path):
    """The estimator in a model file, or the network where there is no more."""
    from .. import estimators
    from ..files import load_model
    from ..network import restored

    kinds = {kind.__name__: kind for kind in (estimators.ConvNetClassifier, estimators.ConvNetRegressor)}
    stored = load_model(path)
    if stored.estimator is None:
        return restored(stored)
    described = stored.estimator
    if described.get("class") not in kinds:
        raise ValueError(f"{path}: it holds {described.get('class')!r}, expected one of {', '.join(kinds)}")
    return kinds[described["class"]].load(path)


def samples_for(model, options, with_target=True):
    """X as `model` was trained to take it, in columns of the same names where there were any, and the answers, if there are."""
    from .tables import read_data

    features = getattr(model, "feature_names_in_", None)
    X, y, names = read_data(options.data, options.target, None if features is None else list(features), with_target=with_target)
    if features is not None:
        if names is None:
            raise ValueError(f"{options.data}: {options.model} was trained on named columns of a table")
        X = X.reshape(len(X), -1)  # whatever was seen in the names of its columns
        del model.feature_names_in_  # columns are in order now, and scikit-learn would warn of an array without names
    return X, y


def require_writable(path, *sources):
    """Before an hour of training, not after it; an existing file stays as it is, and one that is read is not replaced."""
    for source in sources:
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise ValueError(f"{path} is read from, it cannot be written to as well")
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file to write")
    if not real.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {real.parent}")
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(real).st_mode):  # which a name that is too long fails, too
                return  # such as /dev/stdout
        tempfile.TemporaryFile(dir=real.parent).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # not the temporary file's name
