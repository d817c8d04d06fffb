"""README's tables of speed, from results.json: `python benchmarks/readme.py` writes them between their marks."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
PEERS = ("PyTorch", "torch.compile", "JAX", "JAX scan")


def section(results):
    """The text between the marks."""
    return "\n\n".join(
        [
            _machine(results["machine"]),
            _landscape(results["landscape"]),
            _backends(results["steps"]),
            _peers(results),
            _startup(results),
            _estimators(results["estimators"]),
        ]
    )


def _machine(machine):
    names = ("numpy", "numba", "scikit-learn", "torch", "jax")
    packages = ", ".join(f"{name} {machine[name]}" for name in names)
    return (f"Measured on {machine['date'][:10]}: {machine['CPU']}, {machine['cores']} cores, Python {machine['Python']}, "
            f"{packages}. Every number is in [`benchmarks/results.json`](benchmarks/results.json).")  # fmt: skip


def _landscape(found):
    names = list(found)
    rows = {
        "installed, beyond what scikit-learn needs": [f"{found[name]['megabytes']:,.0f} MB" for name in names],
        "import": [f"{found[name]['import_seconds']:.2f} s" for name in names],
        "a training step of network C, batch 128": [f"{found[name]['us_a_step']:,.0f} us" for name in names],
        "the same bits for any number of threads": ["yes" if name == "fastconv" else "no promise" for name in names],
        "any layer and loss, recurrent networks, GPUs": [
            "yes" if name in ("PyTorch", "Keras (JAX)", "JAX") else "no" for name in names
        ],
    }
    lines = ["**Side by side**: `python benchmarks/landscape.py`, one run, agreement checked first.", "",
             f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]  # fmt: skip
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())])


def _backends(rows):
    lines = ["**Loop, im2col, compiled**: microseconds an image of training, batch 32.", "",
             "| network | loop | im2col | compiled | loop / im2col | im2col / compiled |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        if row["batch"] == 32:
            times = row["per_image_us"]
            lines.append(f"| {row['network']}: {row['text']} | {times['loop']:,.0f} | {times['im2col']:.3g} | "
                         f"{times['compiled']:.3g} | {row['speed_up']['im2col']:,.0f} | "
                         f"{row['im2col_over_compiled']:.1f} |")  # fmt: skip
    return "\n".join(lines)


def _peers(results):
    lines = [
        "**Beside the frameworks**: microseconds a step in whole epochs, shuffled and gathered by each side. PyTorch and "
        "fastconv: the better of one and two threads; torch.compile at batch 128 only; JAX: a jitted step, or an epoch in "
        "`lax.scan`. *Ratio*: the best of them over fastconv; below 1 they win. *Of the peak*: fastconv's multiply-adds on one "
        f"thread, padded taps counted as `summary()` does, of the core's {results['peak']:.0f} GFLOP/s.",
        "",
        "| network | batch | fastconv | PyTorch | torch.compile | JAX | JAX scan | ratio | of the peak | MLPClassifier\\* |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["peers"]:
        times = row["us_a_step"]
        best = {
            name: min((value for key, value in times.items() if key.split(",")[0] == name), default=None)
            for name in ("compiled", *PEERS)
        }
        cells = [_number(best[name]) for name in ("compiled", *PEERS)]
        lines.append(f"| {row['network']} | {row['batch']:,} | {' | '.join(cells)} | **{row['ratio']:.1f}** | "
                     f"{row['share_of_peak']:.0%} | {_number(times['MLPClassifier'])} |")  # fmt: skip
    memory = ", ".join(f"{name} {value:,.0f} MB" for name, value in results["memory"].items())
    lines += [
        "",
        "\\* scikit-learn's, with its default hidden layer: another network, as a footnote. *odd*: 12x10 images of 3 channels, "
        "two convolutions of 12 filters, the first with stride 2, 7 classes.",
        "",
        f"**Memory** above data and weights, network E at batch 1,024: {memory}.",
    ]
    return "\n".join(lines)


def _startup(results):
    found = results["startup"]
    return (f"**Start**: `python scripts/train_digits.py --epochs 10`, the whole process, takes {found['cold']:.1f} s the "
            f"first time, when kernels are compiled, and {found['warm']:.2f} s from then on; `import torch, sklearn.datasets` "
            f"alone takes {found['import torch, sklearn.datasets']:.2f} s (`python benchmarks/startup.py`).")  # fmt: skip


def _estimators(results):
    lines = [
        "**Out of the box**: default parameters, mean accuracy over `random_state` 0 to 4 and the lowest of the five, median "
        "seconds a fit (`python benchmarks/estimators.py`).",
        "",
        "| data | model | accuracy, or R2 | lowest | fit |",
        "|---|---|---|---|---|",
    ]
    for data, models in results.items():
        for name, found in models.items():
            scores = found["scores"]
            lines.append(
                f"| {data} | {name} | {sum(scores) / len(scores):.4f} | {min(scores):.4f} | {found['fit_seconds']:.2f} s |"
            )
    return "\n".join(lines)


def _number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    readme.write_text(before + BEGIN + "\n" + section(results) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
