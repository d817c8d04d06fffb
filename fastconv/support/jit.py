"""Numba's compiler with a disk cache that may fail but never stops anyone, and that a fork does not break."""

import hashlib
import os

try:
    import numba
    from numba.core.compiler_lock import global_compiler_lock

    from .cache import HASH_DIGITS, KernelCache, refusal, sources

    MISSING = None
except ImportError as error:  # not installed, or not for this NumPy
    MISSING = f"this needs numba ({error}); without it networks and estimators predict, and only "
    MISSING += "fastconv.train(backend='loop') trains"

if not MISSING and hasattr(os, "register_at_fork"):
    # A child that was forked while another thread compiled would wait for that thread, which it has not.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def kernel(function=None, *, key=None):
    """Compile `function` on its first call, without the GIL, and remember the machine code on disk.

    Unlike ``numba.njit(cache=True)``, which raises where no folder is writable or a file is damaged. A `key` names a folder of
    the cache: a hash over the sources of all that is compiled into a function, without it those of its own file.
    """
    if function is None:
        return lambda function: kernel(function, key=key)
    if MISSING:
        return lambda *_: require_numba()
    # No wrapper for C, and none for Python where only other kernels call: a fifth of the time of a first start.
    private = function.__name__.startswith("_")
    compiled = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=private)(function)
    if not is_off():
        compiled._cache = KernelCache(function, key or fingerprint(function.__module__))
    return compiled


def fingerprint(module):
    """Its name, and a hash over its file."""
    package, _, stem = module.rpartition(".")
    return f"{stem}-{hashlib.sha256(b''.join(sources(package, stem))).hexdigest()[:HASH_DIGITS]}"


def require_numba():
    """Raise, in one line, where Numba cannot be imported."""
    if MISSING:
        raise ModuleNotFoundError(MISSING, name="numba")


def is_off():
    """Whether nothing is compiled (NUMBA_DISABLE_JIT)."""
    return bool(numba.config.DISABLE_JIT)


def cache_folder(compiled):
    """Where a kernel made here is kept on disk, None where it is not: no folder is writable, or the JIT is off."""
    return getattr(getattr(compiled, "_cache", None), "cache_path", None)


def is_kept(compiled):
    """Whether what is compiled is found again by the next process."""
    folder = cache_folder(compiled)
    return folder is not None and not refusal(folder)


def is_warm(compiled):
    """Whether kernels were compiled before, on this machine and from these sources."""
    return is_kept(compiled) and bool(os.listdir(cache_folder(compiled)))
