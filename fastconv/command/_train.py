"""`fastconv train`: an estimator on data, measured on what is held out, and its model file."""

import json
import time
from math import isqrt

from . import options as types
from .models import require_writable
from .output import print_found

ABOUT = "train on digits, a table, or arrays"
BYTES_A_COLUMN = 50
"""Of a model file's header, for the mean and the scale of a table's column."""


def add_options(command):
    """To argparse's `command`."""
    command.add_argument(
        "data",
        metavar="DATA",
        help='"digits", a table (.csv, .tsv, .txt, .data), an .npz file with arrays X and y, or x_train, y_train, '
        "x_test and y_test, or an idx file of images with its labels beside it; tables and idx files may be gzipped",
    )
    command.add_argument(
        "--target",
        metavar="NAME",
        help="the column or array to predict (default: y, target, label or class); "
        "without names a column's number: 0 is the first, -1 the last",
    )
    command.add_argument("--regression", action="store_true", help="predict numbers, not classes")
    command.add_argument("--image-shape", metavar="CxHxW", type=types.shape, help="of a flat row, such as 28x28 or 3x32x32")
    command.add_argument("--epochs", type=types.count, help="default: 24 for pictures, 40 from 12x12 on, 200 for anything else")
    command.add_argument("--batch-size", type=types.count)
    command.add_argument("--lr", type=types.rate, default=1e-3, help="learning rate of Adam (default: 0.001)")
    command.add_argument(
        "--test-size", type=types.share, default=0.2, metavar="SHARE", help="held out to measure (default: 0.2, or x_test)"
    )
    command.add_argument("--seed", type=types.seed, default=0, help="of the split, the first weights and the order")
    command.add_argument("--save", metavar="FILE", help="the trained model, a .safetensors file")


def run(options):
    """Train, print what came of it, and save the model where that was asked for."""
    from .tables import read_data

    if options.save:
        require_writable(options.save, options.data)
    X, y, names = read_data(options.data, options.target)
    _require_target(options, y)
    if options.save:
        _require_describable(options.save, X, names)
    if options.image_shape and names is not None:
        X = X.reshape(len(X), -1)  # said, so not read from the names of the columns
    X, y, X_test, y_test = _parted(X, y, options)
    model = _estimator(options)
    start = time.perf_counter()
    model.fit(X, y, X_val=X_test, y_val=y_test)
    seconds = time.perf_counter() - start
    found = {
        "model": options.save,
        "estimator": type(model).__name__,
        "image_shape": model.image_shape_,
        "samples": len(X),
        "epochs": model.n_iter_,
        "train_seconds": seconds,
        "test_samples": len(X_test),
        "test_r2" if options.regression else "test_accuracy": float(model.score(X_test, y_test)),
    }
    if options.save:
        _save(model, names, options.save)
    print_found(found, options.json)


def _estimator(options):
    from ..estimators import ConvNetClassifier, ConvNetRegressor

    kind = ConvNetRegressor if options.regression else ConvNetClassifier
    return kind(
        image_shape=options.image_shape, max_iter=options.epochs, batch_size=options.batch_size or "auto",
        learning_rate_init=options.lr, random_state=options.seed, verbose=not options.json,
    )  # fmt: skip


def _save(model, names, path):
    import numpy as np

    if names is not None:
        model.feature_names_in_ = np.array(names, object)
    model.save(path)


def _require_describable(path, X, names):
    """Before training, too: a model file's header, which is limited, holds a table's names, means and scales."""
    from ..files import LONGEST_HEADER

    columns = X[0].size
    is_table = X.ndim == 2 and isqrt(columns) ** 2 != columns
    size = BYTES_A_COLUMN * columns * is_table + sum(len(json.dumps(name)) + 1 for name in names or ())
    if size > LONGEST_HEADER:
        raise ValueError(
            f"{path}: a model of {columns:,} columns would need about {size:,} bytes to describe them, "
            f"a model file has room for {LONGEST_HEADER:,}; train without --save, or on fewer columns"
        )


def _require_target(options, y):
    import numpy as np

    if y is None:
        raise ValueError(f"{options.data}: nothing to predict; name it with --target")
    if options.regression and y.dtype.kind not in "biuf":
        raise ValueError(f"{options.data}: the target is {y.flat[0]!s}, no number; --regression predicts numbers")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{options.data}: the target of sample {np.argwhere(~np.isfinite(y))[0][0] + 1} is no finite number")
    if not options.regression and y.dtype.kind == "f" and (y != y.round()).any():
        raise ValueError(
            f"{options.data}: the target has numbers such as {y[y != y.round()][0]:g}; --regression predicts numbers"
        )
    if y.ndim == 1 and (y == y[0]).all():
        raise ValueError(f"{options.data}: the target of every sample is {y[0]!s}; there is nothing to learn")


def _parted(X, y, options):
    """-> X, y to train on, X, y to test with: the data's own test part, or a share of all."""
    from .tables import read_test

    apart = read_test(options.data, options.target)
    if apart is not None:
        return X, y, *apart
    training, test = _split(y, options)
    return X[training], y[training], X[test], y[test]


def _split(y, options):
    """Indices to train and to test with; classes keep their shares where there is room, and each has a sample to train."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    alone, stratify = np.zeros(len(y), bool), None
    if not options.regression and y.ndim == 1:
        _, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
        alone, stratify = counts[inverse] == 1, y
    rest = np.flatnonzero(~alone)
    if len(rest) < 2:
        raise ValueError(f"{options.data}: {len(y)} samples, none can be spared to test with")
    settings = {"test_size": options.test_size, "random_state": options.seed}
    try:
        training, test = train_test_split(rest, stratify=None if stratify is None else stratify[rest], **settings)
    except ValueError:  # too few for a share of each class
        training, test = train_test_split(rest, **settings)
    training = np.r_[training, np.flatnonzero(alone)]
    if stratify is not None:
        lacking = np.flatnonzero(~np.isin(y[test], y[training]))
        moved = lacking[np.unique(y[test][lacking], return_index=True)[1]]
        training, test = np.r_[training, test[moved]], np.delete(test, moved)
    if len(test) == 0:
        raise ValueError(f"{options.data}: {len(y)} samples, none can be spared to test with")
    return training, test
