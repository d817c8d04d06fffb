"""Files as bytes: regular ones only, gzipped or not, and none that would fill the memory."""

import gzip
import os
import stat
import zlib
from contextlib import contextmanager

from ...support.arrays import physical_memory

SUSPECT_SIZE, SUSPECT_RATIO = 256 * 2**20, 100
"""A file that unpacks to more than both is a bomb, not data."""


class Refused(ValueError):
    """A file that is not read further, whatever it holds."""


@contextmanager
def opened(source):
    """-> the content as a binary file, unpacked, and the size on disk. A FIFO would hang, a device has no end."""
    status = os.stat(source)
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise Refused(f"{source} is {what}, expected a regular file")
    with open(source, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            yield gzip.GzipFile(fileobj=file) if is_packed else file, status.st_size
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Refused(f"{source}: damaged, or cut off: it does not unpack") from None


def require_no_bomb(source, unpacked, size):
    """A file of `size` bytes unpacks to `unpacked`, which is neither suspicious nor more than there is room for."""
    if unpacked > SUSPECT_SIZE and unpacked > SUSPECT_RATIO * size:
        raise Refused(f"{source}: {size:,} bytes that unpack to {unpacked:,} or more; refused")
    require_room(source, unpacked)


def require_room(source, needed):
    """`needed` bytes are at most half of this machine's memory."""
    if needed > physical_memory() / 2:
        raise Refused(f"{source}: it needs {needed:,} bytes or more, over half of this machine's memory")
