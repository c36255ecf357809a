"""A request's body, kept where it takes little memory: a short one there, a long one in a file without a name."""

import io
import os
import tempfile
from typing import IO, Protocol

from alsriaz.errors import RequestError

_IN_MEMORY = 1 << 20
_AT_ONCE = 1 << 18


class Stream(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


def receive(stream: Stream) -> IO[bytes]:
    """Return all of `stream` as a file at its begin; the caller closes it.

    It is taken whole before anything is answered: nginx sends no more of a body once the answer has begun.

    Raises:
        RequestError: `unavailable`, where the folder for temporary files is full or can't be written.
    """
    begun = bytearray()
    while len(begun) <= _IN_MEMORY:
        part = stream.read(_AT_ONCE)
        if not part:
            return io.BytesIO(begun)
        begun += part
    try:
        return _in_file(bytes(begun), stream)
    except OSError as error:
        message = f"The body can't be stored ({os.strerror(error.errno or 0)}): send it in smaller parts."
        raise RequestError("unavailable", message) from error


def _in_file(begun: bytes, stream: Stream) -> IO[bytes]:
    file = tempfile.TemporaryFile()
    try:
        file.write(begun)
        while part := stream.read(_AT_ONCE):
            file.write(part)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
