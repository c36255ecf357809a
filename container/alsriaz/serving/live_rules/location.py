"""Where live rules are: a file, or an object of S3, as ALSRIAZ_RULES_URI names it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

EXPECTED = "a path, file:///path or s3://bucket/key"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_S3 = re.compile(r"s3://(?P<bucket>[A-Za-z0-9._-]{3,255})/(?P<key>.*[^/])", re.DOTALL)
_LONGEST_KEY = 1024  # bytes; S3's own limit


@dataclass(frozen=True)
class FileLocation:
    """A file of this machine, or of a mount; `path` is absolute."""

    path: Path

    @property
    def uri(self) -> str:
        """What `parse_location` reads as this location, in whatever working directory."""
        return self.path.as_uri()


@dataclass(frozen=True)
class S3Location:
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
        path = unquote(parts.path, errors="surrogateescape")
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or "\0" in path:
            raise ValueError
        text = path
        if not text.startswith("/"):
            raise ValueError
    elif _SCHEME.match(text):  # s3:/bucket/key would be a path too, but nobody means it
        raise ValueError
    return FileLocation(Path(os.path.abspath(text)))
