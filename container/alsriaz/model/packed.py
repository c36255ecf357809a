"""A model in an archive, as a training job's model.tar.gz is: the SDK's local mode leaves it packed.

Nothing is written but the files that the manifest in it lists, under the names and of the sizes that stand there.
"""

import contextlib
import gzip
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from alsriaz.errors import ModelError
from alsriaz.model.manifest import MANIFEST_NAME, Manifest, read_manifest
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.values import shown

_LARGEST_MANIFEST = 2**24  # bytes; it is read whole, and has some hundred in each of at most some hundred entries


def unpack_head(archive: Path, folder: Path) -> Manifest:
    """Write the manifest in `archive` and the rules beside it into a new `folder`; return the manifest.

    Raises:
        ModelError: it is not an archive, or there is no finished model of this format in it.
    """
    folder.mkdir()
    with _reading(archive) as tar:
        found = next((member for member in tar if _name(member) == MANIFEST_NAME), None)
        if found is not None and found.size <= _LARGEST_MANIFEST:
            _write(tar, found, folder)
    if not any(folder.iterdir()):
        raise ModelError(
            f"The archive {shown(archive.name)} has no {MANIFEST_NAME} at its top, so it is no finished model: "
            "expected the model.tar.gz of a training job."
        )
    manifest = read_manifest(folder)
    if RULES_NAME in manifest.files:
        unpack_files(archive, {RULES_NAME: manifest.files[RULES_NAME]}, folder)
    return manifest


def unpack_files(archive: Path, files: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write those `files` of a manifest into `folder`; what is missing then, or differs, is for hashes to tell.

    Raises:
        ModelError: the archive can't be read to its end.
        OSError: there is no space left for them.
    """
    with _reading(archive) as tar:
        for member in tar:
            expected = files.get(_name(member))
            if expected is not None and expected["bytes"] == member.size:
                _write(tar, member, folder)
        assert tar.fileobj is not None  # noqa: S101 - it is open
        while tar.fileobj.read(1 << 20):
            pass  # to the end, where gzip's check sum is: the manifest has no other


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        message = f"The archive {shown(archive.name)} can't be read: {error}. Copy it again, or train again."
        raise ModelError(message) from None


def _name(member: tarfile.TarInfo) -> str:
    """Return the name of a plain file at the archive's top, "" for anything else."""
    path = PurePosixPath(member.name)
    return path.name if member.isfile() and len(path.parts) == 1 else ""


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101 - it is a file
    with source, (folder / _name(member)).open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
