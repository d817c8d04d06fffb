"""The `fastconv` command. A subcommand is a function of its options."""

import csv
import json
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from math import isfinite, isqrt
from pathlib import Path

from .options import build, printable


class Terminated(KeyboardInterrupt):
    """SIGTERM: what cleans up after Ctrl-C cleans up after it, too."""


def main(arguments=None):
    """Run the command; -> its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated."""
    parser = build(train=_train, predict=_predict, export=_export, explain=_explain, doctor=_doctor)
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    try:
        with _terminable(), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _warn_once(set())
            options.run(options)
    except Terminated:
        print("fastconv: terminated", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("fastconv: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `fastconv predict ... | head`
        sys.stderr.close()
        return 0
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"fastconv: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 1
    return 0


def _warn_once(said):
    """What shows a warning, as one line, and none twice."""

    def show(message, *_):
        line = printable(" ".join(str(message).split()))
        if line not in said:
            said.add(line)
            print(f"fastconv: warning: {line}", file=sys.stderr)

    return show


@contextmanager
def _terminable():
    """SIGTERM raises `Terminated` meanwhile; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(options):
    import numpy as np

    from ..estimators import ConvNetClassifier, ConvNetRegressor
    from .tables import read_data

    if options.save:
        _require_writable(options.save, options.data)
    X, y, names = read_data(options.data, options.target)
    _require_target(options, y)
    if options.save:
        _require_describable(options.save, X, names)
    if options.image_shape and names is not None:
        X = X.reshape(len(X), -1)  # said, so not read from the names of the columns
    X, y, X_test, y_test = _parted(X, y, options)
    kind = ConvNetRegressor if options.regression else ConvNetClassifier
    model = kind(
        image_shape=options.image_shape, max_iter=options.epochs, batch_size=options.batch_size or "auto",
        learning_rate_init=options.lr, random_state=options.seed, verbose=not options.json,
    )  # fmt: skip
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
        if names is not None:
            model.feature_names_in_ = np.array(names, object)
        model.save(options.save)
    _print(found, options.json)


def _require_writable(path, *sources):
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
        if os.path.lexists(real) and not real.is_file():
            return  # such as /dev/stdout
        if len(os.fsencode(real.name)) > os.pathconf(real.parent, "PC_NAME_MAX") if hasattr(os, "pathconf") else False:
            raise ValueError(f"{path}: the name is too long")
        tempfile.TemporaryFile(dir=real.parent).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # not the temporary file's name


def _require_describable(path, X, names):
    """Before training, too: a model file's header, which is limited, holds every column's name and, of a table, its mean and scale."""
    from ..files import LONGEST_HEADER

    columns = X[0].size
    is_table = X.ndim == 2 and isqrt(columns) ** 2 != columns
    size = 50 * columns * is_table + sum(len(json.dumps(name)) + 1 for name in names or ())
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


def _predict(options):
    import numpy as np

    model = _load(options.model)
    if not hasattr(model, "network_"):
        raise ValueError(
            f"{options.model} holds a network without preprocessing and classes; `fastconv train --save` writes them"
        )
    X, _ = _samples_for(model, options, with_target=False)
    if options.proba and not hasattr(model, "classes_"):
        raise ValueError(f"{options.model} predicts numbers; --proba is for classes")
    found = (model.predict_proba if options.proba else model.predict)(X)
    rows = np.reshape(found, (len(found), -1))
    columns = [f"prediction {k}" for k in range(rows.shape[1])] if found.ndim == 2 else ["prediction"]
    if options.proba:
        columns = [f"p({c})" for c in model.classes_.tolist()]
    if options.json:
        print(json.dumps({"columns": columns, "predictions": found.tolist()}, allow_nan=False))
        return
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a class's name may have letters that a terminal has not
    table = csv.writer(sys.stdout, lineterminator="\n")
    shown = printable if sys.stdout.isatty() else str
    table.writerow([shown(column) for column in columns])
    table.writerows([f"{v:.6g}" if isinstance(v, float) else shown(v) for v in row] for row in rows.tolist())


def _export(options):
    _require_writable(options.output, options.model)
    _load(options.model).to_onnx(options.output)
    _print({"model": options.model, "onnx": options.output}, options.json)


def _explain(options):
    from .. import explain
    from ..files.writing import write_whole

    net, x, answers, loss = _explained(options)
    trace = explain.trace(net, x, answers, loss=loss)
    found = {"loss": float(trace["loss"]), "html": options.html, "markdown": options.markdown}
    if options.why:
        ledger = trace.why(options.why)
        terms = [{"value": term.value, "factors": term.factors, "sources": term.sources} for term in ledger.terms]
        found |= {"entry": ledger.entry, "value": ledger.value, "terms": terms}
    if options.html:
        trace.to_html(options.html)
    if options.markdown:
        write_whole(Path(options.markdown), trace.to_markdown(worksheet=options.worksheet).encode())
    if options.json:
        print(json.dumps(found, indent=1))
    elif options.why:
        print(trace.why(options.why))
    elif not (options.html or options.markdown):
        print(trace.to_text(worksheet=options.worksheet))
    for path in filter(None, () if options.json else (options.html, options.markdown)):
        print(path)


def _explained(options):
    """-> network, samples, labels or targets, loss"""
    if options.model is None:
        from ..explain import integer_example

        return *integer_example(samples=options.samples, random_state=options.seed), "cross_entropy"
    from ..data import load_digits

    model = _load(options.model)
    net = getattr(model, "network_", model)
    C, H, W = net.input_shape
    if options.data is not None:
        X, y = _samples_for(model, options)
    elif C == 1 and H == W <= 8:
        X, y = load_digits(H)
    else:
        raise ValueError(
            f"{options.model} takes images {net.input_shape}; name the data with --data, digits are at most (1, 8, 8)"
        )
    if y is None:
        raise ValueError(f"{options.data}: no answers, which a loss needs; name them with --target")
    X, y = X[: options.samples], y[: options.samples]
    return (net, *model.as_trained(X, y)) if net is not model else (net, X.reshape(-1, C, H, W), y, "cross_entropy")


def _samples_for(model, options, with_target=True):
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


def _doctor(options):
    from .doctor import examine, warm

    seconds = warm() if options.warm else None
    _print(examine() | ({"compiled in": f"{seconds:.1f} s"} if options.warm else {}), options.json)


def _load(path):
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


def _print(found, as_json):
    found = {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in found.items()}
    if as_json:
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    for name, value in found.items():
        if value is not None:
            print(f"{name:<14} {f'{value:.4f}' if isinstance(value, float) else printable(value)}")


if __name__ == "__main__":
    sys.exit(main())
