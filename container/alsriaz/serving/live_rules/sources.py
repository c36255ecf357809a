"""Where live rules are, as ALSRIAZ_RULES_URI names it, and what reading them there comes to; the file among them."""

import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from alsriaz.errors import AlsriazError

EXPECTED = "a path, file:///path or s3://bucket/key"
REASONS = (
    "missing",  # there is nothing at the location
    "denied",  # we may not read it
    "unreachable",  # the network or the service fails
    "unreadable",  # it is there, but is not a file, or its disk fails
    "too_large",  # see ALSRIAZ_RULES_MAX_MB
    "changed",  # it changed, or was cut, while it was read
    "malformed",  # not a JSON object
    "refused",  # not rules, or none that this model can keep
    "not_stored",  # they are good, but our own folder can't take them
)
"""Why a look for live rules can fail: labels of a metric, so they are few and don't change."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_S3 = re.compile(r"s3://(?P<bucket>[A-Za-z0-9._-]{3,255})/(?P<key>.*[^/])", re.DOTALL)
_LONGEST_KEY = 1024  # bytes; S3's own limit
_AT_ONCE = 1 << 16
_SURE_SECONDS = 3.0  # how old a file's last change must be for its times to tell of the next one: clocks are coarse


class FileLocation(NamedTuple):
    """A file of this machine, or of a mount; `path` is absolute."""

    path: Path

    @property
    def uri(self) -> str:
        """What `parse_location` reads as this location, in whatever working directory."""
        return self.path.as_uri()


class S3Location(NamedTuple):
    """An object of S3. The key is taken as it is written: nothing in it is decoded."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """What `parse_location` reads as this location."""
        return f"s3://{self.bucket}/{self.key}"


Location = FileLocation | S3Location


def parse_location(text: str) -> Location:
    """Return the location that `text` names; a relative path is one from the working directory.

    Raises:
        ValueError: it names no single file or object, or something elsewhere.
    """
    text = text.strip()
    if not text or "\0" in text or text.endswith("/"):
        raise ValueError
    if found := _S3.fullmatch(text):
        if len(found["key"].encode()) > _LONGEST_KEY:
            raise ValueError
        return S3Location(found["bucket"], found["key"])
    if text.startswith("file://"):
        parts = urlsplit(text)
        text = unquote(parts.path, errors="surrogateescape")
        if parts.netloc not in ("", "localhost") or parts.query + parts.fragment or "\0" in text or text[:1] != "/":
            raise ValueError
    elif _SCHEME.match(text):  # s3:/bucket/key would be a path too, but nobody means it
        raise ValueError
    return FileLocation(Path(os.path.abspath(text)))


class Unusable(AlsriazError):
    """The live rules can't be taken from where they are; those that were in force stay."""

    def __init__(self, reason: str, message: str) -> None:
        """Take one of `REASONS`, and a sentence for whoever keeps the rules."""
        super().__init__(message)
        self.reason = reason


class Fetched(NamedTuple):
    """What was read, and a tag by which its source tells next time whether it has changed; None where it can't."""

    data: bytes
    tag: str | None


class Source(Protocol):
    """A place that live rules are read from, again and again."""

    def fetch(self, known: str | None) -> Fetched | None:
        """Return all that is there now; None where it is still what had the tag `known`. Unusable where it can't."""


class FileSource:
    """A file that is read whole, or not at all. Whoever writes it does best to rename a finished file over it."""

    def __init__(self, path: Path, most_bytes: int, read: Callable[[int, int], bytes] = os.read) -> None:
        """Take the file and the most bytes that it may have; `read` is for tests, which change the file meanwhile."""
        self._path = path
        self._most_bytes = most_bytes
        self._read = read

    def fetch(self, known: str | None) -> Fetched | None:
        """Return what is in the file; None where nothing about it has changed since it had the tag `known`."""
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


def too_large(size: int | None, most: int) -> Unusable:
    """Return the error for rules of more than `most` bytes; None is an unknown size."""
    told = "more" if size is None else f"{size:,} bytes"
    return Unusable(
        "too_large", f"It has {told}, expected at most {most:,} bytes: shorten it, or raise ALSRIAZ_RULES_MAX_MB."
    )


def _tag(status: os.stat_result) -> str:
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
