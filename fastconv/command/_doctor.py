"""`fastconv doctor`: what was found on this machine, and compiling everything ahead."""

import platform
import time
from pathlib import Path

from .output import print_found

ABOUT = "what was found on this machine"
PACKAGES = ("numpy", "numba", "llvmlite", "scikit-learn")


def add_options(command):
    """To argparse's `command`."""
    command.add_argument("--warm", action="store_true", help="compile everything ahead")


def run(options):
    """Print a line each."""
    seconds = warm() if options.warm else None
    print_found(examine() | ({"compiled in": f"{seconds:.1f} s"} if options.warm else {}), options.json)


def examine():
    """What decides how fast fastconv is here.

    Returns
    -------
    dict of str to str or int
    """
    from ..support.jit import MISSING

    found = {
        "fastconv": _version("fastconv"),
        "Python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "CPU": platform.processor() or platform.machine(),
    }
    return found | ({"engine": MISSING} if MISSING else _engine())


def _engine():
    """How the engine runs here, and where its kernels are kept."""
    from ..engine.machine.crew import MAX_THREADS
    from ..engine.vector import lanes
    from ..engine.vector.product import product
    from ..support.jit import cache_folder, is_warm
    from ..support.threads import cores

    folder = cache_folder(product)
    lanes_used = f"{lanes.T} float32 lanes" + ", fused multiply-add" * lanes.HAS_FMA
    return {
        "vectors": "plain loops (the twin)" if lanes.USE_TWIN else lanes_used,
        "threads": min(cores(), MAX_THREADS),
        "cache folder": folder or "none",
        "cache": _cache_state(folder, is_warm(product)),
    }


def warm():
    """Compile every kernel ahead.

    Returns
    -------
    float
        Seconds it took.
    """
    import numpy as np

    from .. import Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, train

    start, N = time.perf_counter(), 20  # more samples than any vector has lanes
    layers = [Conv2d(2, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(2)]
    for dtype, backend, loss in (
        *(("float32", "compiled", "cross_entropy"), ("float32", "compiled", "mse")),
        *(("float32", "im2col", "cross_entropy"), ("float64", "im2col", "cross_entropy")),
    ):
        net = Sequential(layers, (1, 5, 5), random_state=0, dtype=dtype)
        x, y = np.zeros((N, *net.input_shape), dtype), np.zeros(N, int) if loss == "cross_entropy" else np.zeros((N, 2))
        train(net, x, y, epochs=1, batch_size=N, optimizer=Adam(), backend=backend, loss=loss, random_state=0)
        net.predict(x)
    return time.perf_counter() - start


def _version(package):
    from importlib.metadata import PackageNotFoundError, version  # here: every command would wait 25 ms for it

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cache_state(folder, warm):
    """Whether machine code is found there, and what to do if it never will be."""
    from ..support.cache import ADVICE, refusal
    from ..support.jit import is_off

    if is_off():
        return "off: nothing is compiled (NUMBA_DISABLE_JIT)"
    if folder is None:
        return f"off: no folder is writable, every process compiles for itself; {ADVICE}"
    if reason := refusal(folder):
        return f"refused: {reason}; {ADVICE}"
    files = [path for path in Path(folder).parent.rglob("*.nbc") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    state = "warm" if warm else "cold: the first training compiles; `fastconv doctor --warm` does it ahead"
    return f"{state} ({len(files)} files, {size:.1f} MB)"
