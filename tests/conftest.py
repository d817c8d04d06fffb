"""How hypothesis searches here: the same examples every time, all in `make test-more`, few where kernels run as Python."""

import os

import numpy as np
from examples import examples
from hypothesis import settings

SLOW = any(os.environ.get(name, "0") not in ("", "0") for name in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"))

settings.register_profile("default", deadline=None, derandomize=True, max_examples=examples(100, 500), database=None)
settings.register_profile("slow", settings.get_profile("default"), max_examples=20)
settings.load_profile("slow" if SLOW else "default")

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    # The kernels as plain Python let NumPy warn of inf - inf, which the compiled ones never do.
    np.seterr(all="ignore")
