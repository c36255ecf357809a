"""Pipe mode: what comes through a FIFO is copied into a folder, as sales are read more than once.

A FIFO can be read once, by one process, and gives the channel's S3 objects end to end.
"""

import errno
import gzip
import io
import json
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from alsriaz.errors import DataError
from alsriaz.platform.progress import Progress
from alsriaz.tables.objects import one_table
from alsriaz.tables.reading import TableKind

PATIENCE: Final = 60.0  # seconds
MOST_JSON: Final = 16 << 20
_PIECE: Final = 1 << 20
_TOLD_EVERY: Final = 5.0  # seconds
_GZIP, _PARQUET, _RECORD_IO = b"\x1f\x8b", b"PAR1", b"\x0a\x23\xd7\xce"


@contextmanager
def open_pipe(path: Path, channel: str, progress: Progress, patience: float = PATIENCE) -> Iterator[BinaryIO]:
    """Open a channel's FIFO, unbuffered; the platform may make it, and open its own end, a little later.

    A signal interrupts each wait. A plain file in the FIFO's place is taken too.

    Raises:
        DataError: there is none after `patience` seconds.
    """
    progress(f"channel '{channel}' is in Pipe mode: reading it through {path.name}")
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise DataError(
                f"Channel '{channel}' is in Pipe mode, but there was no FIFO input/data/{path.name} within "
                f"{patience:g} seconds: if its data lie in a folder, set TrainingInputMode to File."
            )
        time.sleep(0.1)
    if stat.S_ISDIR(path.stat().st_mode):
        raise DataError(f"input/data/{path.name} is a folder, expected the FIFO of channel '{channel}' in Pipe mode.")
    with path.open("rb", buffering=0) as stream:
        yield cast(BinaryIO, stream)


def copy_json(stream: BinaryIO, channel: str, target: Path) -> None:
    """Copy what a FIFO gives into `target`, where it is small.

    Raises:
        DataError: it is empty, or too large for settings or rules.
    """
    text = b""
    while len(text) <= MOST_JSON and (piece := stream.read(_PIECE)):
        text += piece
    if not text.strip():
        raise DataError(f"Channel '{channel}' gave nothing through its pipe, expected one JSON object.")
    if len(text) > MOST_JSON:
        raise DataError(
            f"Channel '{channel}' gave more than {MOST_JSON >> 20} MB through its pipe, expected one JSON object: is "
            "it a channel of sales?"
        )
    if _holds_more(text):
        raise DataError(
            f"Channel '{channel}' gave more than one JSON object through its pipe, end to end: keep one object below "
            "its S3 URI, and give als_spec.json in channel 'spec', rules.json in channel 'rules'."
        )
    target.write_bytes(text)


def copy_table(stream: BinaryIO, channel: str, folder: Path, kind: TableKind[Any], progress: Progress) -> Path:
    """Copy the table that a FIFO gives into `folder`, as one file that reads like each object by itself.

    What it is, is told by its first bytes: gzip is unpacked, Parquet stays as it is, all else is CSV.

    Returns:
        The file, named after the FIFO: ``training_0.csv`` or ``training_0.parquet``.

    Raises:
        DataError: nothing came, or it is damaged, of an unknown kind, several Parquet files, or objects of several
            layouts; or there is no room for it.
    """
    source = _refilled(_beginning(stream), stream)
    try:
        beginning = _beginning(source)
        if beginning.startswith(_GZIP):
            source = cast(BinaryIO, gzip.GzipFile(fileobj=_refilled(beginning, source)))
            beginning = _beginning(source)
        if not beginning:
            raise DataError(f"Channel '{channel}' gave nothing through its pipe: is there an object at its S3 URI?")
        if beginning.startswith(_RECORD_IO):
            refuse_record_io(channel)
        source = _refilled(beginning, source)
        if beginning.startswith(_PARQUET):
            return _written(folder / f"{channel}_0.parquet", _one_parquet(source, channel), channel, progress)
        table = one_table(source, kind)
        return _written(folder / f"{channel}_0.csv", table, channel, progress)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"Channel '{channel}' can't be unpacked: {error}. In Pipe mode either all its objects are whole gzip files "
            "or none is; or set CompressionType to Gzip."
        ) from None


def _holds_more(text: bytes) -> bool:
    """Return whether something follows a JSON value; what else may be wrong with it, its reader tells."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return "Extra data" in str(error)
    return False


def refuse_record_io(channel: str) -> None:
    """Raise the DataError of a channel whose objects are wrapped."""
    raise DataError(
        f"Channel '{channel}' comes as RecordIO, expected plain CSV or Parquet: set RecordWrapperType (record_wrapping "
        "in the SDK) to None."
    )


def _beginning(stream: BinaryIO) -> bytes:
    """Return the first bytes; fewer than eight only where there are no more."""
    beginning = b""
    while len(beginning) < 8 and (more := stream.read(8 - len(beginning))):
        beginning += more
    return beginning


def _refilled(beginning: bytes, stream: BinaryIO) -> BinaryIO:
    """Return `stream` as it was before its beginning was read; a read is short at the end only."""
    return cast(BinaryIO, io.BufferedReader(_Refilled(beginning, stream), _PIECE))


class _Refilled(io.RawIOBase):
    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning = beginning
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._beginning or self._stream.read(len(buffer))
        self._beginning = data[len(buffer) :] if self._beginning else b""
        data = data[: len(buffer)]
        buffer[: len(data)] = data
        return len(data)


def _one_parquet(source: BinaryIO, channel: str) -> Iterator[bytes]:
    """Yield a Parquet file's bytes; one that follows it begins with the mark with which the first one ends."""
    before = b""
    while piece := source.read(_PIECE):
        if _PARQUET + _PARQUET in before + piece:
            raise DataError(
                f"Channel '{channel}' gives several Parquet files end to end through its pipe, which can't be told "
                "apart: use File or FastFile mode, or one file."
            )
        before = piece[-7:]
        yield piece


def _written(path: Path, pieces: Iterator[bytes], channel: str, progress: Progress) -> Path:
    size, told = 0, time.monotonic()
    try:
        with path.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
                size += len(piece)
                if time.monotonic() - told > _TOLD_EVERY:
                    told = time.monotonic()
                    progress(f"channel '{channel}': {size >> 20:,} MB so far")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"There is no space left after {size >> 20:,} MB of channel '{channel}'. In Pipe mode the sales are kept, "
            "unpacked, in the folder for temporary files: give the job a larger volume (VolumeSizeInGB)."
        ) from None
    progress(f"channel '{channel}': {size:,} bytes came through the pipe")
    return path
