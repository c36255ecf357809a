"""Live rules from a file. Whoever writes it does best to rename a finished file over it; others are found out."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from alsriaz.serving.live_rules.source import Fetched, Unusable, too_large

_AT_ONCE = 1 << 16
_SURE_SECONDS = 3.0
"""How old a file's last change must be for its times to tell of the next one: clocks of file systems are coarse."""


class FileSource:
    """A file that is read whole, or not at all."""

    def __init__(self, path: Path, most_bytes: int, read: Callable[[int, int], bytes] = os.read) -> None:
        """Take the file and the most bytes that it may have; `read` is for tests, which change the file meanwhile."""
        self._path = path
        self._most_bytes = most_bytes
        self._read = read

    def fetch(self, known: str | None) -> Fetched | None:
        """Return what is in the file; None where nothing about it has changed since it had the tag `known`.

        Raises:
            Unusable: there is no such file, it can't be read, is too large, or changed meanwhile.
        """
        try:
            if known is not None and known == _tag(os.stat(self._path)):
                return None
            # A FIFO that nobody writes to would hold us in open.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return self._whole(descriptor)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            raise Unusable("missing", "There is no such file.") from None
        except PermissionError:
            raise Unusable("denied", "The file can't be read: this process has no permission to.") from None
        except OSError as error:
            raise Unusable("unreadable", f"The file can't be read: {error.strerror}.") from None

    def _whole(self, descriptor: int) -> Fetched:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Unusable("unreadable", "It is no regular file, expected one that holds a JSON object.")
        if before.st_size > self._most_bytes:
            raise too_large(before.st_size, self._most_bytes)
        data = bytearray()
        while len(data) <= self._most_bytes and (some := self._read(descriptor, _AT_ONCE)):
            data += some
        after = _tag(os.fstat(descriptor))
        if after != _tag(before) or len(data) != before.st_size:
            raise Unusable("changed", "The file changed while it was read: it is read again next time.")
        is_old = abs(time.time() - max(before.st_mtime, before.st_ctime)) > _SURE_SECONDS
        return Fetched(bytes(data), after if is_old else None)


def _tag(status: os.stat_result) -> str:
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
