"""The table of journeys: data, ways to a model, and what is done with it; every two levels meet in some journey.

Pixels are whole numbers that every type holds, so that a sample is the same in all of them.
"""

import copy
import importlib
import pickle
import random
from itertools import combinations

import joblib
import numpy as np
import scipy.sparse

from fastconv import AvgPool2d, Conv2d, ConvNetClassifier, ConvNetRegressor, Dropout, Flatten, Linear, MaxPool2d, ReLU

SHAPES = {
    **{"5x5": (1, 5, 5), "8x8": (1, 8, 8), "3x6x7": (3, 6, 7), "28x28": (1, 28, 28), "48x48": (1, 48, 48)},
    **{"3x32x32": (3, 32, 32), "a row of 30": (1, 1, 30)},
}
DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64"),
    *(">f4", ">f8", ">i2"),
)
FORMS = ("rows", "(n, H, W)", "(n, C, H, W)", "pandas", "polars", "csr", "csc", "lists")
MEMORY = ("C", "Fortran", "read-only", "every other", "backwards")
TARGETS = {
    "0 and 1": lambda k: k % 2,
    "gapped": lambda k: np.array([-5, 3, 1000])[k],
    "uint8": lambda k: (k * 100).astype(np.uint8),
    "big-endian": lambda k: k.astype(">i4"),
    "bool": lambda k: k > 0,
    "text": lambda k: np.array(["no", "yes", "Zoë"])[k],
    "objects": lambda k: np.array(["b", "a", "a longer name"], object)[k],
    "float": lambda k: np.array([-1.0, 0.0, 2.0])[k],
    "several": lambda k: np.stack([k == 0, k < 2, k == 2], axis=1).astype(int),
    "sparse": lambda k: scipy.sparse.csr_matrix(np.stack([k == 0, k < 2], axis=1).astype(int)),
    "one number": lambda k: 1e6 + k.astype(np.float32),
    "whole numbers": lambda k: k * 7,
    "a column": lambda k: k[:, None] * 0.5,
    "huge": lambda k: k * 1e160,
    "many": lambda k: np.stack([k - 1.5, 9.0 - k, np.full(len(k), 0.1)], axis=1),
}
NUMBERS = ("one number", "whole numbers", "a column", "huge", "many")
LAYERS = {
    "auto": "auto",
    "none": [],
    "hidden": (Flatten(), Linear(7, bias=False), ReLU(), Dropout(0.1), Linear(5), ReLU()),
    "every field": [
        Conv2d(4, [2, 1], stride=[1, 2], padding=[[1, 0], [0, 1]], dilation=(1, 1), bias=False),
        ReLU(),
        Conv2d(np.int64(6), np.array([1, 2]), padding="same", groups=np.int32(2), dilation=(2, 1)),
        MaxPool2d((1, 2), np.int64(1), padding=((0, 0), (1, 1))),
        AvgPool2d(1, [1, 2], padding="valid"),
        Dropout(np.float32(0.25)),
    ],
}
SETTINGS = {
    "plain": {},
    "NumPy's": {
        **{"batch_size": np.int64(16), "learning_rate_init": np.float32(0.0005), "alpha": np.float64(0), "tol": np.float16(0)},
        **{"max_iter": np.int32(2), "shuffle": np.bool_(True), "random_state": np.int64(3), "average": np.bool_(False)},
    },
    "others": {"random_state": np.random.RandomState(5), "n_threads": 2, "augment": 1, "shuffle": False, "batch_size": 1000},
}
SOLVERS = {
    "adam": {},
    "constant": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "nesterovs_momentum": False},
}
WAYS = (
    *("fit", "fit twice", "warm start", "partial_fit", "refused", "interrupted", "early stopping", "validation", "weights"),
    *("class weights", "balanced"),
)
AFTERWARDS = ("save", "save again", "pickle", "joblib", "deepcopy", "clone", "ONNX", "trace", "without Numba", "two processes")
THEN = ("predict", "partial_fit", "warm start", "fit")
FACTORS = {
    **{"shape": SHAPES, "dtype": DTYPES, "form": FORMS, "memory": MEMORY, "target": TARGETS, "layers": LAYERS},
    **{"settings": SETTINGS, "solver": SOLVERS, "way": WAYS, "afterwards": AFTERWARDS, "then": THEN},
}


def is_possible(row):
    """Whether the levels in `row`, which may lack some, can stand together."""
    get = row.get
    return not (
        (get("form") == "(n, H, W)" and get("shape") in ("3x6x7", "3x32x32", "a row of 30"))
        or (get("form") in ("csr", "csc") and get("dtype") in ("float16", ">f4", ">f8", ">i2"))  # SciPy has none
        or (get("form") in ("polars", "pandas") and get("dtype", "")[:1] == ">")
        or (get("form") in ("csr", "csc", "lists", "pandas", "polars") and get("memory", "C") != "C")
        or (get("form") in ("pandas", "polars") and get("shape") in ("48x48", "3x32x32"))  # seconds for thousands of columns
        or (get("way") in ("class weights", "balanced") and get("target") in (*NUMBERS, "several", "sparse"))
        or (get("way") == "balanced" and get("then") == "partial_fit")  # refused, and tested elsewhere
        or (get("target") == "huge" and get("afterwards") == "ONNX")  # refused, and tested elsewhere
    )


def journeys(seed=0, rounds=1):
    """Rows, a level of each factor, in which every two possible levels stand together at least `rounds` times."""
    rng = random.Random(seed)
    rows = []
    for _ in range(rounds):
        missing = dict.fromkeys(possible_pairs())
        while missing:
            rows.append(_row(next(iter(missing)), missing, rng))
            for pair in combinations(rows[-1].items(), 2):
                missing.pop(pair, None)
    return rows


def possible_pairs():
    """Every two levels of two factors, in the factors' order, that can stand together."""
    levels = {name: [(name, level) for level in FACTORS[name]] for name in FACTORS}
    pairs = [(a, b) for x, y in combinations(FACTORS, 2) for a in levels[x] for b in levels[y]]
    return [pair for pair in pairs if is_possible(dict(pair))]


def _row(pair, missing, rng):
    """A row with `pair` that takes as many others of `missing` along as a greedy choice does."""
    while True:
        row = dict(pair)
        for name in rng.sample(list(FACTORS), len(FACTORS)):
            levels = [level for level in FACTORS[name] if is_possible(row | {name: level})]
            if name not in row and levels:
                rng.shuffle(levels)
                row[name] = max(levels, key=lambda level: _new(name, level, row, missing))
        if len(row) == len(FACTORS):
            return {name: row[name] for name in FACTORS}


def _new(name, level, row, missing):
    order = list(FACTORS)
    pairs = (sorted([(name, level), item], key=lambda pair: order.index(pair[0])) for item in row.items())
    return sum(tuple(pair) in missing for pair in pairs)


def samples(row, n, seed=0):
    """-> X in its plainest form, float64 (n, C, H, W), and the numbers of the kinds of sample, 0 to 2."""
    rng, shape = np.random.default_rng(seed), SHAPES[row["shape"]]
    kinds = np.resize(np.arange(3), n)
    coarse = np.random.default_rng(9).integers(0, 9, (3, 1, 1, -(-shape[1] // 4), -(-shape[2] // 4)))
    smooth = coarse.repeat(4, axis=3).repeat(4, axis=4)[..., : shape[1], : shape[2]]
    pixels = smooth[kinds, 0] + rng.integers(0, 4, (n, *shape))
    return (pixels > 5 if row["dtype"] == "bool" else pixels).astype(np.float64), kinds


def shown(row, X, names="pixel"):
    """X (n, C, H, W) in the form, the type and the place in memory that `row` names."""
    rows = X.reshape(len(X), -1)
    X = {"(n, H, W)": X[:, 0], "(n, C, H, W)": X}.get(row["form"], rows).astype(row["dtype"])
    if row["form"] in ("pandas", "polars"):
        frames = importlib.import_module(row["form"])
        return frames.DataFrame({f"{names} {i}": column for i, column in enumerate(np.ascontiguousarray(X.T))})
    if row["form"] in ("csr", "csc", "lists"):
        return X.tolist() if row["form"] == "lists" else getattr(scipy.sparse, f"{row['form']}_matrix")(X)
    if row["memory"] == "Fortran":
        X = np.asfortranarray(X)
    elif row["memory"] == "every other":
        X = X.repeat(2, axis=-1)[..., ::2]
    elif row["memory"] == "backwards":
        X = X[::-1].copy()[::-1]
    X.flags.writeable = row["memory"] != "read-only"
    return X


def target(row, kinds):
    """y of the kinds of sample, a column of a table where X is one."""
    y = TARGETS[row["target"]](kinds)
    if row["form"] in ("pandas", "polars") and getattr(y, "ndim", 2) == 1 and not scipy.sparse.issparse(y):
        frames = importlib.import_module(row["form"])
        y = y.astype(y.dtype.newbyteorder("="))
        return frames.Series(y.tolist() if y.dtype.kind in "UO" else y)
    return y


def made(row):
    """The estimator of `row`, not yet fitted."""
    is_classifier = row["target"] not in NUMBERS
    C, H, W = SHAPES[row["shape"]]
    is_flat = row["form"] not in ("(n, H, W)", "(n, C, H, W)")
    settings = {"max_iter": 2, "random_state": 0, "image_shape": [np.int64(C), H, W] if C > 1 and is_flat else None}
    layers = LAYERS[row["layers"]]
    if row["layers"] == "every field" and H == 1:
        layers = layers[:2]
    settings |= copy.deepcopy(SETTINGS[row["settings"]]) | SOLVERS[row["solver"]] | {"layers": layers}
    if row["way"] == "early stopping":
        settings |= {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 1}
    if row["way"] == "balanced":
        settings["class_weight"] = "balanced"
    if row["way"] == "class weights":
        labels = np.unique(TARGETS[row["target"]](np.arange(3)))
        settings["class_weight"] = dict(zip(labels, np.linspace(1, 2, len(labels))))
    return (ConvNetClassifier if is_classifier else ConvNetRegressor)(**settings)


def fitted(row, X, y, kinds):
    """The estimator of `row`, fitted the way it says."""
    model = made(row)
    if row["way"] == "partial_fit":
        classes = {"classes": np.unique(TARGETS[row["target"]](kinds))} if hasattr(model, "predict_proba") else {}
        if row["target"] in ("several", "sparse"):
            classes = {}
        return model.partial_fit(X, y, **classes).partial_fit(X, y)
    if row["way"] == "weights":
        return model.fit(X, y, np.linspace(0, 2, len(kinds)))
    if row["way"] == "validation":
        return model.fit(X, y, X_val=X, y_val=y)
    model.fit(X, y)
    if row["way"] == "fit twice":
        model.fit(X, y)
    if row["way"] == "warm start":
        model.set_params(warm_start=True).fit(X, y)
    return model


def answers(model, X):
    """What a model says of X, as one array of numbers."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def copied(model, how, folder):
    """The model after one of the ways to copy it."""
    path = folder / "model"
    if how in ("save", "save again"):
        model.save(path)
        again = type(model).load(path)
        if how == "save again":
            again.save(path)
            again = type(model).load(path)
        return again
    if how == "joblib":
        joblib.dump(model, path)
        return joblib.load(path, mmap_mode="r")
    return {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy}.get(how, lambda m: m)(model)
