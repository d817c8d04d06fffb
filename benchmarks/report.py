"""What a run prints, writes and draws."""

import importlib.metadata
import importlib.util
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = ("numpy", "numba", "scikit-learn", "torch", "jax")
COLOURS = {"loop": "#d55e00", "im2col": "#0072b2", "compiled": "#009e73"}  # Okabe and Ito's, told apart by everyone


def machine():
    """name -> value: what the numbers depend on."""
    found = {"CPU": _cpu(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}
    found["Python"] = platform.python_version()
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    return found


def _cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_machine(found):
    print(", ".join(f"{name} {value}" for name, value in found.items()))


class Table:
    """A table printed row by row as the numbers come in; the first column is text, the others are numbers."""

    def __init__(self, title, columns):
        self.widths = [34, *(max(len(column), 9) for column in columns[1:])]
        print(f"\n{title}\n", flush=True)
        self.row(columns[0], *columns[1:])
        print("  ".join("-" * width for width in self.widths))

    def row(self, name, *values):
        cells = [number(value).rjust(width) for value, width in zip(values, self.widths[1:])]
        print("  ".join([name.ljust(self.widths[0]), *cells]), flush=True)


def number(value):
    """Three digits, thousands apart; a dash for what was not measured."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_json(path, results):
    path.write_text(json.dumps(results, indent=1) + "\n")


def plot(path, results, batch):
    """Microseconds an image, a group of bars for each operation and for each network at the batch size `batch`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = [row for row in results["steps"] if row["batch"] == batch]
    panels = [
        ("One operation", results["operations"], "{images}\n{operation}"),
        (f"Training, batch {batch}", steps, "{network}: {text}"),
    ]
    heights = [max(len(rows), 2) for _, rows, _ in panels]
    figure, axes = pyplot.subplots(
        2, 1, figsize=(8.5, 1.5 + 0.45 * sum(heights)), height_ratios=heights, sharex=True, layout="constrained"
    )
    for axis, (title, rows, label) in zip(axes, panels):
        _bars(axis, title, rows, label)
    handles, names = axes[-1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=len(names), fontsize=9, frameon=False)
    axes[0].set_xlim(right=1e7)
    axes[-1].set_xlabel("microseconds an image, log scale: shorter is faster")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _bars(axis, title, rows, label):
    names = [name for name in COLOURS if any(name in row["per_image_us"] for row in rows)]
    thickness = 0.8 / len(names)
    for position, name in enumerate(names):
        shown = [(y, row) for y, row in enumerate(rows) if row["per_image_us"].get(name)]
        places = [y + (position - (len(names) - 1) / 2) * thickness for y, _ in shown]
        values = [row["per_image_us"][name] for _, row in shown]
        axis.barh(places, values, thickness * 0.92, color=COLOURS[name], label=name)
        for place, value, (_, row) in zip(places, values, shown):
            faster = row["speed_up"].get(name)
            text = f" {number(value)}" + (f"   {number(faster)} x faster" if faster else "")
            axis.text(value, place, text, va="center", fontsize=8)
    axis.set_yticks(range(len(rows)), [label.format(**row) for row in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xscale("log")
    axis.grid(axis="x", color="#dddddd")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(title, loc="left", fontsize=11)
