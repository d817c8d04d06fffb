"""Size, start-up and speed beside PyTorch, Keras on JAX, JAX and MLPClassifier: python benchmarks/landscape.py [--json FILE]"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

os.environ.setdefault("KERAS_BACKEND", "jax")

from cases import NETWORKS
from contenders import Ours, require_agreement
from peers import Jax, Keras, Perceptron, Torch, limit_torch

NEEDS = {
    "fastconv": ["numba", "tqdm"],
    "PyTorch": ["torch"],
    "Keras (JAX)": ["keras", "jax", "jaxlib"],
    "JAX": ["jax", "jaxlib"],
    "MLPClassifier\\*": [],
}
IMPORTS = {
    "fastconv": "from fastconv import ConvNetClassifier",
    "PyTorch": "import torch",
    "Keras (JAX)": "import keras",
    "JAX": "import jax, jax.numpy",
    "MLPClassifier\\*": "from sklearn.neural_network import MLPClassifier",
}
CONTENDERS = {
    "fastconv": partial(Ours, backend="compiled"),
    "PyTorch": Torch,
    "Keras (JAX)": Keras,
    "JAX": Jax,
    "MLPClassifier\\*": Perceptron,
}
ROUNDS = 7


def closure(names):
    """Every distribution that these need, themselves included."""
    found, waiting = set(), list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform
            continue
        found.add(name)
        waiting += [re.match(r"[\w.-]+", line)[0] for line in requires if "extra ==" not in line]
    return found


def megabytes(names):
    """On the disk, without compiled bytecode."""
    files = [file.locate() for name in names for file in distribution(name).files or [] if file.suffix != ".pyc"]
    return sum(os.path.getsize(path) for path in map(str, files) if os.path.isfile(path)) / 1e6


def import_seconds(statement):
    """A whole process that does nothing else."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
    return time.perf_counter() - start


def step_times():
    """Microseconds a step of network C at batch 128, alternated, after the check that all but the perceptron agree."""
    network, batch, samples, epochs = NETWORKS["C"], 128, 1024, 2
    X, y = network.data(samples)
    limit_torch(os.cpu_count())
    made = {}
    for name, make in CONTENDERS.items():
        made[name] = make(network, X, y, batch)
        if name != "MLPClassifier\\*":
            require_agreement(name, make, network, X, y, batch)
            made[name].load(network.build().state_dict())
        made[name].train(epochs, True)
    times = {name: [] for name in made}
    for _ in range(ROUNDS):
        for name, contender in made.items():
            start = time.perf_counter()
            contender.train(epochs, True)
            times[name].append((time.perf_counter() - start) / (epochs * samples / batch) * 1e6)
    return {name: min(values) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    learn = closure(["scikit-learn"])
    imports = {name: [] for name in IMPORTS}
    for _ in range(ROUNDS):
        for name, statement in IMPORTS.items():
            imports[name].append(import_seconds(statement))
    steps = step_times()
    found = {}
    for name, needs in NEEDS.items():
        own = megabytes(closure(needs) - learn)
        if name == "fastconv":  # installed from a checkout here
            own += sum(path.stat().st_size for path in (Path(__file__).parent.parent / "fastconv").rglob("*.py")) / 1e6
        found[name] = {"megabytes": own, "import_seconds": median(imports[name]), "us_a_step": steps[name]}
        print(
            f"{name:<16} {own:7.0f} MB   import {found[name]['import_seconds']:.2f} s   {steps[name]:8.0f} us a step",
            flush=True,
        )
    if options.json:
        results = json.loads(options.json.read_text()) | {"landscape": found}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
