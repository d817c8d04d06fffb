"""Training with every core free, and with one held by another process: python benchmarks/busy_core.py"""

import subprocess
import sys
import time
from statistics import median

from cases import NETWORKS
from contenders import Ours

ROUNDS = 9


def seconds(contender, weights):
    found = []
    for _ in range(ROUNDS):
        contender.load(weights)
        start = time.perf_counter()
        contender.train(4, shuffle=True)
        found.append(time.perf_counter() - start)
    return median(found)


def main():
    for name in "BCD":
        network = NETWORKS[name]
        contender, weights = Ours(network, *network.data(512), 128, backend="compiled"), network.build().state_dict()
        seconds(contender, weights)
        quiet = seconds(contender, weights)
        other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            time.sleep(0.5)
            busy = seconds(contender, weights)
        finally:
            other.kill()
            other.wait()
        print(f"{name}: quiet {quiet * 1e3:.1f} ms, one core busy {busy * 1e3:.1f} ms, {busy / quiet:.2f} times")


if __name__ == "__main__":
    main()
