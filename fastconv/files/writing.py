"""Files that are whole at every moment: written beside the old one, then put in its place."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nobody can delete a file that is open
    fcntl = None

_PREFIX, _SUFFIX = ".fastconv-", ".tmp"


def write_whole(path, *parts):
    """Write `parts`, one after the other, to a temporary file in the same folder, then rename it.

    So the old file or the new one is whole at every moment. A new file's mode follows the umask, that of a replaced one stays.
    A link is followed, and what is no file, such as /dev/stdout, is written to.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            with open(path, "wb") as file:
                file.writelines(parts)
        else:
            _clear_stale(path.parent)
            _replace(path, parts)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # not the temporary file's name


def _replace(path, parts):
    temporary, file = _temporary(path)
    try:
        with file:
            file.writelines(parts)
            file.flush()
            if path.exists():
                _take_mode(file.fileno(), os.stat(path))
            os.fsync(file.fileno())
            if fcntl:  # while it is locked, and cannot be taken for a stale one
                os.replace(temporary, path)
        if not fcntl:
            os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    with suppress(OSError, AttributeError):  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _temporary(path):
    """-> path and open file, locked, in the folder of `path`; its name is short, whatever that of `path` is."""
    # Not tempfile, whose files nobody else may read. What replaces a private file is private from its first byte.
    mode = 0o600 if path.exists() else 0o666
    while True:
        temporary = path.with_name(_PREFIX + secrets.token_hex(8) + _SUFFIX)
        file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb")
        with suppress(OSError):  # a file system without locks
            _lock(file.fileno(), wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # somebody took it for stale before it was locked


def _take_mode(handle, old):
    """The mode of the file that is replaced, and its owner where this user may give files away."""
    if hasattr(os, "fchown"):
        with suppress(OSError):
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _clear_stale(folder):
    """Delete what killed processes left of their writing: whoever still writes holds a lock, or on Windows an open file."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):
                    _delete_unlocked(entry.path)


def _delete_unlocked(path):
    if not fcntl:
        os.unlink(path)
        return
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        _lock(handle, wait=False)
        os.unlink(path)
    finally:
        os.close(handle)


def _lock(handle, wait):
    if fcntl:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
