"""The memory that training needs at most: network E at batch 1024, in a process of its own for each contender.

python benchmarks/memory.py [compiled | im2col | PyTorch]
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

BATCH = 1024


def peaks():
    """name -> MB above what the process held with the data and the network before the first step."""
    found = {}
    for name in ("compiled", "im2col", "PyTorch"):
        run = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True)
        if run.returncode == 0:
            found[name] = float(run.stdout)
    return found


def measure(name):
    from cases import NETWORKS
    from contenders import Ours
    from peers import Torch

    network = NETWORKS["E"]
    X, y = network.data(BATCH)
    make = Torch if name == "PyTorch" else partial(Ours, backend=name, n_threads=2)
    # Libraries are loaded and kernels compiled on a batch of 16, whose memory does not count.
    small = make(network, X[:16], y[:16], 16)
    small.load(network.build().state_dict())
    small.train(1, shuffle=True)
    contender = make(network, X, y, BATCH)
    contender.load(network.build().state_dict())
    before = _status("VmRSS")
    contender.train(1, shuffle=True)
    return (_status("VmHWM") - before) / 1024


def _status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(measure(sys.argv[1]))
    else:
        for name, megabytes in peaks().items():
            print(f"{name}: {megabytes:,.0f} MB")
