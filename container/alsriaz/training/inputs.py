"""The job's input, wherever it is: files in folders, or FIFOs (Pipe mode) that are copied into scratch space first.

A FIFO can be read once, by one process, and gives the channel's S3 objects end to end; sales are read more than once.
"""

import errno
import gzip
import json
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from alsriaz.errors import DataError
from alsriaz.platform.channels import Channel
from alsriaz.platform.layout import ITEMS_CHANNEL, RULES_CHANNEL, RULES_NAME, SPEC_CHANNEL, SPEC_NAME, Layout
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.tables.given_items import ItemsKind
from alsriaz.tables.objects import one_table
from alsriaz.tables.reading import TableKind
from alsriaz.tables.sales import SalesKind

PATIENCE: Final = 60.0  # seconds: the platform makes its FIFOs at the job's start, give or take a few
MOST_JSON: Final = 16 << 20  # as many ids as anybody lists; a channel of sales has more, and is told apart so
_PIECE: Final = 1 << 20
_TOLD_EVERY: Final = 5.0  # seconds
_GZIP, _PARQUET, _RECORD_IO = b"\x1f\x8b", b"PAR1", b"\x0a\x23\xd7\xce"


class Inputs:
    """Finds spec, rules and sales. Nothing below /opt/ml/input is written: a channel's folder may be read-only."""

    def __init__(self, layout: Layout, channels: Mapping[str, Channel], folder: Path, progress: Progress) -> None:
        """Look below `layout`; what comes through FIFOs is copied into `folder`, which is empty."""
        self._layout = layout
        self._channels = channels
        self._folder = folder
        self._progress = progress
        self._piped = {name for name, channel in channels.items() if channel.piped}

    def spec_file(self) -> Path | None:
        """Return the one als_spec.json, or None; SpecError where there are two."""
        return self._json_file(self._layout.spec_file(self._piped), SPEC_CHANNEL, SPEC_NAME)

    def rules_file(self) -> Path | None:
        """Return the one rules.json, or None; SpecError where there are two."""
        return self._json_file(self._layout.rules_file(self._piped), RULES_CHANNEL, RULES_NAME)

    def sales_files(self) -> list[Path]:
        """Return the sales files, or the one FIFO that `readable` makes a file of; DataError where there are none."""
        channel = self._layout.training_channel(self._piped)
        if channel not in self._piped:
            return self._layout.sales_files()
        self._refuse_record_io(channel)
        return [self._layout.pipe(channel)]

    def readable(self, files: list[Path], spec: Spec) -> list[Path]:
        """Return what `sales_files` gave as files that can be read from the start, and more than once."""
        channel = self._layout.training_channel(self._piped)
        return [self._copied(channel, spec, SalesKind)] if channel in self._piped else files

    def items_files(self, spec: Spec) -> list[Path]:
        """Return the files of the shop's table of items, which can be read more than once; none where there is none."""
        if ITEMS_CHANNEL not in self._piped:
            return self._layout.items_files()
        self._refuse_record_io(ITEMS_CHANNEL)
        return [self._copied(ITEMS_CHANNEL, spec, ItemsKind)]

    def drop_copies(self) -> None:
        """Free the space that copies take, once they have been read."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _copied(self, channel: str, spec: Spec, kind: Callable[[Spec, str], TableKind[Any]]) -> Path:
        pipe = self._layout.pipe(channel)
        with open_pipe(pipe, channel, self._progress) as stream:
            return copy_table(stream, channel, self._folder, kind(spec, pipe.name), self._progress)

    def _json_file(self, path: Path | None, channel: str, name: str) -> Path | None:
        if path is None or path != self._layout.pipe(channel):
            return path
        self._refuse_record_io(channel)
        with open_pipe(path, channel, self._progress) as stream:
            _copy_json(stream, channel, self._folder / name)
        return self._folder / name

    def _refuse_record_io(self, channel: str) -> None:
        if self._channels[channel].record_io:
            raise _record_io(channel)


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


def _copy_json(stream: BinaryIO, channel: str, target: Path) -> None:
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

    Its first bytes say what it is: gzip is unpacked, Parquet stays as it is, all else is CSV.

    Returns:
        The file, named after the FIFO: ``training_0.csv`` or ``training_0.parquet``.

    Raises:
        DataError: nothing came, or it is damaged, of an unknown kind, several Parquet files, or objects of several
            layouts; or there is no room for it.
    """
    name = f"{channel}_0"
    try:
        source = _Peeked(stream)
        if source.beginning.startswith(_GZIP):
            source = _Peeked(cast(BinaryIO, gzip.GzipFile(fileobj=cast(BinaryIO, source))))
        if not source.beginning:
            raise DataError(f"Channel '{channel}' gave nothing through its pipe: is there an object at its S3 URI?")
        if source.beginning.startswith(_RECORD_IO):
            raise _record_io(channel)
        if source.beginning.startswith(_PARQUET):
            return _written(folder / f"{name}.parquet", _one_parquet(source, channel), channel, progress)
        return _written(folder / f"{name}.csv", one_table(cast(BinaryIO, source), kind), channel, progress)
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


def _record_io(channel: str) -> DataError:
    return DataError(
        f"Channel '{channel}' comes as RecordIO, expected plain CSV or Parquet: set RecordWrapperType (record_wrapping "
        "in the SDK) to None."
    )


class _Peeked:
    """A stream whose first bytes are known, but not gone; its reads are short at the end only."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ahead = b""
        self.beginning = self._ahead = self.read(8)

    def read(self, size: int) -> bytes:
        pieces, missing = [self._ahead[:size]], size - len(self._ahead)
        self._ahead = self._ahead[size:]
        while missing > 0 and (piece := self._stream.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


def _one_parquet(source: _Peeked, channel: str) -> Iterator[bytes]:
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
