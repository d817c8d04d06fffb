"""Test accuracy on the digits beside PyTorch: the script's network, initialisation scheme, optimizer, epochs and splits.

python benchmarks/accuracy.py [--json FILE]        five seeds at 8x8 and at 5x5, about two minutes
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

import fastconv

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from train_digits import build, split

EPOCHS, BATCH_SIZE, LR, MOMENTUM = 20, 32, 0.05, 0.9


def ours(net, X_train, y_train, X_test, y_test, seed):
    """Test accuracy after training `net` with fastconv."""
    optimizer = fastconv.SGD(LR, momentum=MOMENTUM)
    fastconv.train(*(net, X_train, y_train), epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=optimizer, random_state=seed)
    return (net.predict(X_test).argmax(axis=1) == y_test).mean()


def as_torch(net, seed):
    """The same layers in PyTorch, with PyTorch's own first weights."""
    torch.manual_seed(seed)
    modules = []
    for layer, before in zip(net.layers, net.shapes):
        if isinstance(layer, fastconv.Conv2d):
            modules.append(torch.nn.Conv2d(before[0], layer.out_channels, layer.kernel_size, padding=layer.padding))
        elif isinstance(layer, fastconv.Linear):
            modules.append(torch.nn.Linear(before[0], layer.out_features))
        else:
            modules.append(getattr(torch.nn, type(layer).__name__)(*vars(layer).values()))
    return torch.nn.Sequential(*modules)


def theirs(net, X_train, y_train, X_test, y_test, seed):
    """Test accuracy after training the same architecture with PyTorch."""
    model = as_torch(net, seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    X, y, rng = torch.from_numpy(X_train), torch.from_numpy(y_train), np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for batch in torch.from_numpy(rng.permutation(len(X))).split(BATCH_SIZE):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        return (model(torch.from_numpy(X_test)).argmax(1).numpy() == y_test).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    results = {}
    for size, name in ((8, "deep"), (5, "tiny")):
        found = {"fastconv": [], "PyTorch": []}
        for seed in range(5):
            data = split(*fastconv.load_digits(size), seed)
            found["fastconv"].append(float(ours(build(name, size, seed), *data, seed)))
            found["PyTorch"].append(float(theirs(build(name, size, seed), *data, seed)))
        results[f"{size}x{size}, {name}"] = found
        means = ", ".join(f"{who} {np.mean(values):.4f} (sd {np.std(values):.4f})" for who, values in found.items())
        print(f"{size}x{size} --net {name}, mean of 5 seeds: {means}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
