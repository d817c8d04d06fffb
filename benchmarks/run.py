"""Loop against im2col, operation by operation and in whole training steps; with --peers beside PyTorch and JAX.

python benchmarks/run.py [--quick] [--json FILE] [--peers] [--plot FILE.png]        about 6 minutes, --quick half a minute

All contenders of a row run in turns in one process, and only after they agreed. Times are medians; a ratio is the median of the ratios
of the rounds. NumPy and PyTorch run with one thread and with two, and the better counts. Loops, whose time is proportional to the batch,
run on fewer images, and only where a step takes under 2 s.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import report
from cases import IMAGES, NETWORKS, operations
from contenders import BACKENDS, LR, MOMENTUM, limit_blas, require_agreement, require_equal
from peers import installed, limit_torch
from timing import Timed, best, measure, ratio

from fastconv import functional, reference

LOOP_LIMIT = 2.0
THREADS = (1, 2)
OPERATION_BATCH = 32


class Plan(NamedTuple):
    """What is run, and for about how many seconds each row is measured."""

    images: list
    networks: str
    batches: tuple
    seconds: float
    loop_seconds: float  # about what one step of a loop may take


FULL = Plan(IMAGES, "ABCD", (1, 32, 128, 1024), 3.0, 0.3)
QUICK = Plan(IMAGES[:2], "ABCD", (32,), 0.5, 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer shapes, one batch size, fewer rounds")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every number")
    parser.add_argument("--peers", action="store_true", help="also PyTorch and JAX, where installed")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw loop and im2col as bars")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    results = {"machine": report.machine()}
    report.print_machine(results["machine"])
    results["operations"] = operation_rows(plan)
    results["steps"] = step_rows(plan)
    if options.peers:
        results["peers"] = peer_rows(plan)
    if options.json:
        report.write_json(options.json, results)
    if options.plot:
        report.plot(options.plot, results, batch=32)


def operation_rows(plan):
    """One operation at a time, the loop on one image, im2col on a batch."""
    table = report.Table("One operation, us an image", ["images and filters: operation", "loop", "im2col", "speed-up"])
    rows = []
    for images in plan.images:
        loops, fast = operations(reference, images, 1), operations(functional, images, OPERATION_BATCH)
        for name, same in operations(functional, images, 1).items():
            require_equal(f"{name} of {images.text}", same(), loops[name]())
            contenders = [Timed("loop", loops[name], 1)]
            contenders += on_threads("im2col", fast[name], OPERATION_BATCH, limit_blas)
            measure(contenders, plan.seconds / 2)
            rows.append({"images": images.text, "operation": name, "batch": OPERATION_BATCH, **summary(contenders, ["im2col"])})
            table.row(f"{images.text}: {name}", *cells(rows[-1], ["loop", "im2col"]), rows[-1]["speed_up"]["im2col"])
    return rows


def step_rows(plan):
    """Whole training steps; the batch-last step says what the order N, C, H, W costs."""
    columns = ["network", "batch", "loop", "im2col", "speed-up", "batch-last", "NCHW costs"]
    table = report.Table("A whole training step, us an image", columns)
    rows = []
    for network in (NETWORKS[name] for name in plan.networks):
        for batch in plan.batches:
            contenders = loop_step(network, batch, plan.loop_seconds) + our_steps(network, batch)
            measure(contenders, plan.seconds)
            row = {"network": network.name, "text": network.text, "batch": batch, **summary(contenders, ["im2col"])}
            row["nchw_costs"] = ratio(best(contenders, "im2col"), best(contenders, "batch-last"))
            rows.append(row)
            ours = *cells(row, ["loop", "im2col"]), row["speed_up"].get("im2col"), *cells(row, ["batch-last"])
            table.row(network.name, batch, *ours, row["nchw_costs"])
    return rows


def peer_rows(plan):
    """Whole training steps beside PyTorch and JAX, microseconds a step; how many times slower than im2col the best of PyTorch is."""
    names = [contender.name for contender in peer_steps(NETWORKS["A"], 1)]
    shown = ["im2col", "batch-last", *names]
    found = list(installed())
    columns = ["network", "batch", *shown, *(f"{name} / im2col" for name in found), "PyTorch / b.-last"]
    table = report.Table("A whole training step beside peers, us a step", columns)
    rows = []
    for network in (NETWORKS[name] for name in plan.networks):
        for batch in plan.batches:
            contenders = our_steps(network, batch) + peer_steps(network, batch)
            measure(contenders, plan.seconds * 2)
            ratios = {name: ratio(best(contenders, name), best(contenders, "im2col")) for name in found}
            last = ratio(best(contenders, "PyTorch"), best(contenders, "batch-last")) if "PyTorch" in found else None
            row = {"network": network.name, "text": network.text, "batch": batch, **summary(contenders, found)}
            rows.append({**row, "over_im2col": ratios, "pytorch_over_batch_last": last})
            medians = [best(contenders, name).median for name in shown]
            table.row(network.name, batch, *medians, *ratios.values(), last)
    return rows


def loop_step(network, batch, seconds):
    """The loop on as many images as take about `seconds`, or nothing where even one image takes too long."""
    X, y = network.data(batch)
    loop = BACKENDS["loop"](network, X[:1], y[:1])
    loop.load(network.build().state_dict())
    start = time.perf_counter()
    loop.step()
    one = time.perf_counter() - start
    if one > LOOP_LIMIT:
        return []
    few = max(1, min(batch, int(seconds / one)))
    return ready_steps("loop", BACKENDS["loop"], network, X[:few], y[:few], (None,), None)


def our_steps(network, batch):
    """Every backend but the loop, and the batch-last step."""
    data = network.data(batch)
    fast = {name: make for name, make in BACKENDS.items() if name != "loop"}
    return [step for name, make in fast.items() for step in ready_steps(name, make, network, *data, THREADS, limit_blas)]


def peer_steps(network, batch):
    """PyTorch and JAX, as far as they are installed."""
    steps = []
    for name, (peer, threads) in installed().items():

        def make(*data, peer=peer):
            return peer(*data, lr=LR, momentum=MOMENTUM)

        steps += ready_steps(name, make, network, *network.data(batch), threads, limit_torch)
    return steps


def ready_steps(name, make, network, X, y, threads, limit):
    """The contender `name`, once for each number of threads, after it was found to agree with float64 im2col."""
    contender = make(network, X, y)
    require_agreement(name, contender, network, X, y)
    first = network.build().state_dict()

    def restart():
        # Or a batch learnt by heart would end in gradients too small for fast arithmetic.
        contender.load(first)

    return on_threads(name, contender.step, len(X), limit, threads, restart)


def on_threads(name, call, images, limit, threads=THREADS, restart=lambda: None):
    """One contender a number of threads, which `limit` sets; None leaves the threads alone."""

    def ready(count):
        restart()
        if count is not None:
            limit(count)

    labels = [name if count is None else f"{name}, {count} thread{'s' * (count > 1)}" for count in threads]
    return [Timed(label, call, images, lambda count=count: ready(count)) for label, count in zip(labels, threads)]


def summary(contenders, faster):
    """What of a row goes into JSON: every number, the best microseconds an image, and the speed-ups over the loop."""
    names = {contender.name.split(",")[0] for contender in contenders}
    fastest = {name: best(contenders, name) for name in sorted(names)}
    loop = fastest.get("loop")
    return {
        "per_image_us": {name: contender.per_image for name, contender in fastest.items()},
        "speed_up": {name: ratio(loop, fastest[name]) for name in faster if loop and name in fastest},
        "contenders": {contender.name: contender.as_json() for contender in contenders},
    }


def cells(row, names):
    return [row["per_image_us"].get(name) for name in names]


if __name__ == "__main__":
    main()
