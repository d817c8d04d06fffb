"""Loop against im2col, operation by operation and in training; the compiled engine; with --peers beside PyTorch and JAX.

python benchmarks/run.py [--quick] [--json FILE] [--peers] [--plot FILE.png]

It takes about 15 minutes with peers, --quick half a minute. All contenders of a row run in turns in one process, and only after
they agreed with im2col in float64. Times are medians; a ratio is the median of the ratios of the rounds. With threads to
choose, one and two are tried and the better counts. Training is whole epochs, shuffled and gathered by each side in its own
way. Loops, whose time is proportional to the batch, run on fewer images, and only where a step takes under 2 s.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import report
from cases import IMAGES, NETWORKS, operations
from contenders import Ours, limit_blas, require_agreement, require_equal
from memory import peaks
from peak import peak
from peers import Perceptron, installed, limit_torch
from timing import Timed, best, measure, ratio

from fastconv import functional, reference

LOOP_LIMIT = 2.0
THREADS = (1, 2)
OPERATION_BATCH = 32
STEPS = 4
"""Steps an epoch in the table of the backends."""


class Plan(NamedTuple):
    """What is run, and for about how many seconds each row is measured."""

    images: list
    networks: str
    batches: tuple
    seconds: float
    loop_seconds: float  # about what one step of a loop may take


FULL = Plan(IMAGES, "ABCD", (1, 32, 128, 1024), 3.0, 0.3)
QUICK = Plan(IMAGES[:2], "ABCD", (32,), 0.5, 0.1)
PEER_ROWS = [(name, batch) for name in "ABCDE" for batch in (1, 32, 128, 1024) if (name, batch) != ("E", 1024)]
PEER_ROWS += [("odd", 50), ("odd", 200)]


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
        results["peak"] = peak()
        results["peers"] = peer_rows(plan, results["peak"])
        results["memory"] = peaks()
        print(
            ", ".join(f"{name} {megabytes:,.0f} MB" for name, megabytes in results["memory"].items()),
            "at most, network E, batch 1024",
        )
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
    """Training with each backend."""
    columns = ["network", "batch", "loop", "im2col", "compiled", "loop / im2col", "im2col / compiled"]
    table = report.Table("Training, us an image", columns)
    rows = []
    for network in (NETWORKS[name] for name in plan.networks):
        for batch in plan.batches:
            contenders = loop_epoch(network, batch, plan.loop_seconds) + our_epochs(
                network, batch, STEPS * batch, ("im2col", "compiled")
            )
            measure(contenders, plan.seconds)
            row = {"network": network.name, "text": network.text, "batch": batch, **summary(contenders, ["im2col", "compiled"])}
            row["im2col_over_compiled"] = ratio(best(contenders, "im2col"), best(contenders, "compiled"))
            rows.append(row)
            shown = cells(row, ["loop", "im2col", "compiled"])
            table.row(network.name, batch, *shown, row["speed_up"].get("im2col"), row["im2col_over_compiled"])
    return rows


def peer_rows(plan, most):
    """Epochs beside the peers; the share of one core's peak counts multiply-adds as `summary()` does, padded taps included."""
    found = [name for name, _ in installed().items()]
    columns = ["network", "batch", "compiled", "1 thread", "of the peak", *found, "best / compiled", "MLP"]
    table = report.Table("Epochs beside peers, us a step", columns)
    rows = []
    for name, batch in PEER_ROWS:
        network, (samples, epochs) = NETWORKS[name], protocol(name, batch)
        contenders = our_epochs(network, batch, samples, ("compiled",), epochs) + peer_epochs(network, batch, samples, epochs)
        measure(contenders, plan.seconds * 2)
        steps = epochs * -(-samples // batch)
        medians = {contender.name: contender.median / steps for contender in contenders}
        peers = [contender for contender in contenders if contender.name.split(",")[0] in found]
        ours, one = best(contenders, "compiled"), medians["compiled, 1 thread"]
        row = {
            "network": name,
            "text": network.text,
            "batch": batch,
            "samples": samples,
            "epochs": epochs,
            "us_a_step": medians,
        }
        row["share_of_peak"] = 2e-3 * training_multiply_adds(network) * min(batch, samples) / one / most
        row["ratio"] = ratio(min(peers, key=lambda peer: peer.median), ours) if peers else None
        rows.append(row | {"contenders": {contender.name: contender.as_json() for contender in contenders}})
        fastest = [best(contenders, name) for name in found]
        shown = [peer.median / steps if peer else None for peer in fastest]
        table.row(name, batch, ours.median / steps, one, row["share_of_peak"], *shown, row["ratio"], medians["MLPClassifier"])
    return rows


def protocol(name, batch):
    """(samples, epochs) of one call."""
    if batch == 1:
        return 64, 10 if name in "AB" else 1
    samples, epochs = (1024, 10) if name in "AB" else (512, 2)
    return max(samples // batch * batch, batch), epochs


def training_multiply_adds(network):
    """Of a sample's forward and backward pass: the first layer with weights needs no gradient to its input."""
    net = network.build()
    counts = [layer.multiply_adds(shape) for layer, shape in zip(net.layers, net.shapes)]
    return 3 * sum(counts) - next(count for count in counts if count)


def loop_epoch(network, batch, seconds):
    """The loop on as many images as take about `seconds`, or nothing where even one image takes too long."""
    X, y = network.data(batch)
    loop = Ours(network, X[:1], y[:1], 1, backend="loop")
    loop.load(network.build().state_dict())
    start = time.perf_counter()
    loop.train(1, shuffle=False)
    one = time.perf_counter() - start
    if one > LOOP_LIMIT:
        return []
    few = max(1, min(batch, int(seconds / one)))
    make = partial(Ours, backend="loop")
    return ready_epochs("loop", make, network, few, few, 1, (None,), None)


def our_epochs(network, batch, samples, backends, epochs=1):
    """im2col with one and two threads of NumPy's, the engine with one and two of its own."""
    found = []
    for backend in backends:
        if backend == "im2col":
            found += ready_epochs(backend, partial(Ours, backend=backend), network, batch, samples, epochs, THREADS, limit_blas)
            continue
        for count in THREADS:
            label, make = f"{backend}, {threads(count)}", partial(Ours, backend=backend, n_threads=count)
            found += ready_epochs(label, make, network, batch, samples, epochs, (None,), None)
    return found


def peer_epochs(network, batch, samples, epochs):
    """The peers that are installed; left out is what was slower than its like everywhere else, and takes long to compile."""
    # After eight compilations PyTorch falls back to eager: network E would be the ninth.
    left_out = {"JAX scan": network.name not in "AB", "torch.compile": batch != 128 or network.name == "E"}
    found = []
    for name, (peer, counts) in installed().items():
        if not left_out.get(name):
            found += ready_epochs(name, peer, network, batch, samples, epochs, counts, limit_torch)
    perceptron = Perceptron(network, *network.data(samples), batch)
    return [*found, Timed("MLPClassifier", partial(perceptron.train, epochs, True), samples * epochs)]


def ready_epochs(name, make, network, batch, samples, epochs, counts, limit):
    """The contender `name`, once for each number of threads, after it was found to agree with float64 im2col."""
    X, y = network.data(samples)
    require_agreement(name, make, network, X, y, batch)
    contender, first = make(network, X, y, batch), network.build().state_dict()

    def restart():
        # Or a batch learnt by heart would end in gradients too small for fast arithmetic.
        contender.load(first)

    return on_threads(name, lambda: contender.train(epochs, shuffle=True), samples * epochs, limit, counts, restart)


def on_threads(name, call, images, limit, counts=THREADS, restart=lambda: None):
    """One contender a number of threads, which `limit` sets; None leaves the threads alone."""

    def ready(count):
        restart()
        if count is not None:
            limit(count)

    labels = [name if count is None else f"{name}, {threads(count)}" for count in counts]
    return [Timed(label, call, images, lambda count=count: ready(count)) for label, count in zip(labels, counts)]


def threads(count):
    return f"{count} thread{'s' * (count > 1)}"


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
