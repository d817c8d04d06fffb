"""How wide this machine's vectors are, and whether vector code may be emitted for them at all."""

import hashlib
import os
import platform
from functools import partial

import numba

from ...support.cache import sources
from ...support.jit import is_off
from ...support.jit import kernel as compiled


def _features():
    """CPU features, as Numba will compile for: NUMBA_CPU_NAME and NUMBA_CPU_FEATURES go before the host's own."""
    given = os.environ.get("NUMBA_CPU_FEATURES")
    if given is not None:
        return {name[1:] for name in given.split(",") if name.startswith("+")}
    if os.environ.get("NUMBA_CPU_NAME") == "generic":
        return set()
    from llvmlite.binding import get_host_cpu_features

    return {name for name, present in get_host_cpu_features().items() if present}


FEATURES = _features()
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
USE_TWIN = is_off() or not IS_X86 or os.environ.get("FASTCONV_TWIN") == "1"
"""Whether plain Numba loops stand in for the vector code: without the JIT, and where only x86 was tested."""
HAS_FMA = "fma" in FEATURES or "avx512f" in FEATURES
# The tile's width is the vector's. As many accumulators as lanes leave room in AVX-512's 32 and AVX2's 16 registers.
T = 8 if USE_TWIN else 16 if "avx512f" in FEATURES else 8 if "avx2" in FEATURES or "avx" in FEATURES else 4
"""Lanes: samples side by side in a tile."""


def _fingerprint():
    """A hash over everything that decides what the engine's kernels are compiled to: sources, and the settings above."""
    digest = hashlib.sha256(f"{T} {USE_TWIN} {HAS_FMA} {numba.config.BOUNDSCHECK}".encode())
    engine, _, here = __package__.rpartition(".")
    package = engine.rpartition(".")[0]
    for folder, *names in (
        *((f"{engine}.program", "lines", "table", "registers"), (f"{engine}.{here}",), (f"{engine}.machine",)),
        (f"{package}.support", "jit", "cache"),
    ):
        for source in sources(folder, *names):
            digest.update(source)
    return f"engine-{digest.hexdigest()[:16]}"


FINGERPRINT = _fingerprint()
kernel = partial(compiled, key=FINGERPRINT)
"""Compiles a function of the engine: another file's change is seen in the name of the cache's folder."""
