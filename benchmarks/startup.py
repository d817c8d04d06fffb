"""How long a first training takes, from an empty cache and from a warm one, beside the imports alone of PyTorch.

python benchmarks/startup.py [--json FILE]        adds the numbers to FILE
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SCRIPT = Path(__file__).parent.parent / "scripts" / "train_digits.py"
DIGITS = [sys.executable, str(SCRIPT), "--epochs", "10"]
TORCH = [sys.executable, "-c", "import torch, sklearn.datasets"]
ROUNDS = 7


def seconds(command, cache):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"NUMBA_CACHE_DIR": cache})
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        found = {"cold": seconds(DIGITS, cache)}
        rounds = [(seconds(DIGITS, cache), seconds(TORCH, cache)) for _ in range(ROUNDS)]
    found["warm"], found["import torch, sklearn.datasets"] = (median(column) for column in zip(*rounds))
    for name, value in found.items():
        print(f"{name}: {value:.2f} s")
    if options.json:
        results = json.loads(options.json.read_text()) | {"startup": found}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
