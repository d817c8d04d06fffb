"""Machine code on disk, where only this user can write: it is run as it is found.

Not Numba's own cache: that one reads pickles which others may have written, needs a source file beside the code, fails for
ever on a damaged index, and lets two processes that compile two signatures of a function mix them up. Here each signature is
one file: a SHA-256 and what it is of.
"""

import hashlib
import os
import pickle
import secrets
import stat
import sys
import warnings
from contextlib import suppress
from functools import cache
from importlib import resources

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

_POSIX = os.name == "posix"
HASH_DIGITS = 16
"""Of a SHA-256 in the name of a file or a folder."""
ADVICE = "set NUMBA_CACHE_DIR to a folder that only you can write to"


class KernelCache(NullCache):
    """The machine code of one function. Whatever is wrong with it costs a compilation, and one warning a process."""

    _has_warned = False

    def __init__(self, function, key):
        self._name, self._folder = function.__name__, folder_for(key)
        # What Numba's description of a signature and a CPU leaves open.
        settings = (numba.__version__, sys.version_info[:2], numba.config.BOUNDSCHECK)
        self._settings = repr((*settings, hashlib.sha256(function.__code__.co_code).hexdigest()))

    @property
    def cache_path(self):
        """The folder, or None where there is none."""
        return self._folder

    def load_overload(self, sig, target_context):
        """The compiled function, or None."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        try:
            found = _read(path) if path else None
            return found and CompileResult._rebuild(target_context, *pickle.loads(found))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            self._warn(f"compiles without its cache: {error}; {ADVICE}")
            return None
        except Exception as error:  # what was written by another NumPy, say, can raise anything
            self._warn(f"cannot use {path} and compiles it anew: {error}")
            return None

    def save_overload(self, sig, cres):
        """Remember a compiled function."""
        path = self._path(sig, cres.codegen)
        try:
            if path and not cres.library.has_dynamic_globals:
                _write(path, dumps(cres._reduce()))
        except OSError as error:
            self._warn(f"compiles without its cache: {error}; {ADVICE}")
        except Exception as error:  # another Numba's results may be made differently
            self._warn(f"compiles without its cache: {error!r}")

    def _path(self, sig, codegen):
        kind = hashlib.sha256(repr((sig, codegen.magic_tuple(), self._settings)).encode()).hexdigest()
        return self._folder and os.path.join(self._folder, f"{self._name}-{kind[:HASH_DIGITS]}.nbc")

    def _warn(self, message):
        if not KernelCache._has_warned:
            KernelCache._has_warned = True
            warnings.warn(f"fastconv {message}", stacklevel=2)


def sources(package, *stems):
    """The bytes of a package's Python files, or of those named, from a folder, a zip, or compiled files without sources."""
    files = [file for file in resources.files(package).iterdir() if file.name.endswith((".py", ".pyc"))]
    wanted = [file for file in files if not stems or file.name.rpartition(".")[0] in stems]
    return [file.read_bytes() for file in sorted(wanted, key=lambda file: file.name)]


@cache
def folder_for(key):
    """The folder named `key`, made where this user can write, or None.

    That is in NUMBA_CACHE_DIR, beside the package, or in the user's own cache.
    """
    own = f"fastconv-{os.getuid()}" if _POSIX else "fastconv"
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__pycache__")
    users = os.path.join(AppDirs(appname="numba", appauthor=False).user_cache_dir, own)
    asked = numba.config.CACHE_DIR and os.path.join(os.path.abspath(numba.config.CACHE_DIR), own)
    for place in (asked, beside, users):
        folder = os.path.join(place, key)
        with suppress(OSError):
            # Without a home the last one is no absolute path. One that was asked for is refused aloud, not passed over.
            if os.path.isabs(folder) and _is_writable(folder) and (place == asked or not refusal(folder)):
                return folder
    return None


def refusal(folder):
    """Why machine code is neither read from `folder` nor written there, or None."""
    try:
        _require_own(os.stat(folder), folder)
    except OSError as error:
        return str(error)
    return None


def _is_writable(folder):
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o755)  # others read at most, whatever the umask
    return os.path.isdir(folder) and os.access(folder, os.W_OK)


def _require_own(found, path):
    """As ssh asks it of its keys; no other owner but root, who can write everywhere."""
    if _POSIX and (found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise PermissionError(f"others can write to {path}")


def _read(path):
    """The content of a file, if nobody else can have written it and it is whole."""
    _require_own(os.stat(os.path.dirname(path)), os.path.dirname(path))
    with open(path, "rb") as file:
        _require_own(os.fstat(file.fileno()), path)
        digest, data = file.read(hashlib.sha256().digest_size), file.read()
    if digest != hashlib.sha256(data).digest():
        raise ValueError("it is damaged")
    return data


def _write(path, data):
    _require_own(os.stat(os.path.dirname(path)), os.path.dirname(path))
    temporary = f"{path}.{secrets.token_hex(8)}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        with os.fdopen(handle, "wb") as file:
            file.writelines((hashlib.sha256(data).digest(), data))
        os.replace(temporary, path)  # whole at every moment, however many processes write
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
