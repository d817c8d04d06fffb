"""Numba's compiler with a disk cache that may fail but never stops anyone."""

import os
import warnings
from contextlib import suppress

try:
    import numba
    from numba.core.caching import FunctionCache, IndexDataCacheFile

    MISSING = None
except ImportError as error:  # not installed, or not for this NumPy
    FunctionCache, IndexDataCacheFile = object, None
    MISSING = f"this needs numba ({error}); without it networks and estimators predict, and only fastconv.train(backend='loop') trains"


class _ForgivingCache(FunctionCache):
    """Compiles anew where the folder is read-only or full, or a cache file is damaged; says so once a process."""

    _has_warned = False

    def __init__(self, function, key=None):
        super().__init__(function)
        if key:
            self._cache_path = os.path.join(self._cache_path, f"engine-{key}")
            self._cache_file = IndexDataCacheFile(
                cache_path=self._cache_path,
                filename_base=self._impl.filename_base,
                source_stamp=self._impl.locator.get_source_stamp(),
            )

    def save_overload_folder(self):
        """Make the folder; Numba makes only its own."""
        os.makedirs(self._cache_path, exist_ok=True)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a truncated pickle can raise anything
            self._warn(error)
            return None

    def save_overload(self, sig, data):
        try:
            self.save_overload_folder()
            super().save_overload(sig, data)
        except Exception as error:  # OSError on a full disk, but also whatever loading a damaged index raises
            self._warn(error)

    def _warn(self, error):
        if not _ForgivingCache._has_warned:
            _ForgivingCache._has_warned = True
            warnings.warn(f"fastconv compiles without its cache in {self.cache_path}: {error!r}", stacklevel=2)


def kernel(function=None, *, key=None):
    """Compile `function` on its first call, without the GIL, and remember the machine code on disk.

    Unlike ``numba.njit(cache=True)``, which raises where no folder is writable or a file is damaged. A `key` names a folder of the
    cache: a hash over whatever Numba's own key does not see.
    """
    if function is None:
        return lambda function: kernel(function, key=key)
    if MISSING:
        return lambda *_: require_numba()
    # No wrapper for C, and none for Python where only other kernels call: a fifth of the time of a first start.
    private = function.__name__.startswith("_")
    compiled = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=private)(function)
    if not numba.config.DISABLE_JIT:
        # Where Numba finds no writable folder at all, every process compiles for itself.
        with suppress(RuntimeError, OSError):
            compiled._cache = _ForgivingCache(compiled.py_func, key)
    return compiled


def require_numba():
    """Raise, in one line, where Numba cannot be imported."""
    if MISSING:
        raise ModuleNotFoundError(MISSING, name="numba")


def cache_folder(compiled):
    """Where a kernel made here is kept on disk, None where it is not: no folder is writable, or the JIT is off."""
    cache = getattr(compiled, "_cache", None)
    return cache.cache_path if isinstance(cache, _ForgivingCache) else None


def is_warm(compiled):
    """Whether a kernel made here was compiled before, on this machine and from these sources."""
    return os.path.isdir(cache_folder(compiled) or "")
