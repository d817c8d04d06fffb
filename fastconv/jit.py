"""Numba's compiler with a disk cache that may fail but never stops anyone."""

import warnings
from contextlib import suppress

import numba
from numba.core.caching import FunctionCache


class _ForgivingCache(FunctionCache):
    """Compiles anew where the folder is read-only or full, or a cache file is damaged; says so once a process."""

    _has_warned = False

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a truncated pickle can raise anything
            self._warn(error)
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:  # OSError on a full disk, but also whatever loading a damaged index raises
            self._warn(error)

    def _warn(self, error):
        if not _ForgivingCache._has_warned:
            _ForgivingCache._has_warned = True
            warnings.warn(f"fastconv compiles without its cache in {self.cache_path}: {error!r}", stacklevel=2)


def kernel(function):
    """Compile `function` on its first call, without the GIL, and remember the machine code on disk.

    Unlike ``numba.njit(cache=True)``, which raises where no folder is writable or a file is damaged.
    """
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if not numba.config.DISABLE_JIT:
        # Where Numba finds no writable folder at all, every process compiles for itself.
        with suppress(RuntimeError, OSError):
            compiled._cache = _ForgivingCache(compiled.py_func)
    return compiled
