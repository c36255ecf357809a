"""Writes the model folder: into a staging folder inside it first, then in place, manifest.json last.

The folder itself is a mount on the platform and can't be replaced; its manifest is what makes it a model.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import ModelArrays
from alsriaz.model.attribute_files import ATTRIBUTES_NAME, attribute_arrays, attributes_as_json
from alsriaz.model.attributes import ItemTable
from alsriaz.model.folder import verify_model
from alsriaz.model.manifest import FORMAT, MANIFEST_NAME, Manifest, manifest_text
from alsriaz.platform.layout import RULES_NAME

_STAGING = ".unfinished"


class ModelWriter:
    """Writes the files of one model into a staging folder, then puts them in place."""

    def __init__(self, folder: Path) -> None:
        """Write the model that will stand in `folder`."""
        self._folder = folder
        self._staging = folder / _STAGING
        self._files: dict[str, dict[str, Any]] = {}

    def write(self, arrays: ModelArrays, standing: Mapping[str, Any], item_table: ItemTable | None = None) -> None:
        """Write all arrays, and the standing rules (as JSON has them) and what is known of the items, if any."""
        problem = next(arrays.problems(), None)
        if problem:
            raise ValueError(f"not a model: {problem}")
        for field in fields(arrays):
            self._array(field.name, getattr(arrays, field.name))
        if standing:
            self._json(RULES_NAME, standing)
        if item_table is not None:
            for name, array in attribute_arrays(item_table).items():
                self._array(name, array)
            self._json(ATTRIBUTES_NAME, attributes_as_json(item_table.attributes))

    def finish(self, facts: Mapping[str, Any], begin: Callable[[], None] = lambda: None) -> Manifest:
        """Put the files in place, the manifest last, and return it as it was read back and verified.

        A model that stood there before stays whole until this one is complete.

        Args:
            facts: what the manifest tells beside the files.
            begin: called when all is verified, just before the files are put in place: the last moment to give up.
        """
        values = {"format": FORMAT, **facts, "files": self._files}
        with self._file(MANIFEST_NAME) as stream:
            stream.write(manifest_text(values).encode())
        del self._files[MANIFEST_NAME]
        manifest = verify_model(self._staging)
        begin()
        self._remove_old()
        for name in self._files:
            (self._staging / name).replace(self._folder / name)
        _sync_folder(self._folder)
        (self._staging / MANIFEST_NAME).replace(self._folder / MANIFEST_NAME)
        _sync_folder(self._folder)
        return manifest

    def discard(self) -> None:
        """Remove what was written, unless the model is complete."""
        shutil.rmtree(self._staging, ignore_errors=True)
        if not (self._folder / MANIFEST_NAME).exists():
            for name in self._files:
                (self._folder / name).unlink(missing_ok=True)

    def _array(self, name: str, array: npt.NDArray[Any]) -> None:
        with self._file(f"{name}.npy") as stream:
            np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)

    def _json(self, name: str, value: Mapping[str, Any]) -> None:
        with self._file(name) as stream:
            stream.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())

    @contextmanager
    def _file(self, name: str) -> Iterator[BinaryIO]:
        with (self._staging / name).open("wb") as stream:
            hashing = _HashingWriter(stream)
            yield cast(BinaryIO, hashing)
            stream.flush()
            os.fsync(stream.fileno())
        self._files[name] = {"bytes": hashing.size, "sha256": hashing.digest.hexdigest()}

    def _remove_old(self) -> None:
        """Remove a model that a former run left, of any version, its manifest first: it is never taken for whole."""
        (self._folder / MANIFEST_NAME).unlink(missing_ok=True)
        for path in [*self._folder.glob("*.npy"), self._folder / RULES_NAME, self._folder / ATTRIBUTES_NAME]:
            path.unlink(missing_ok=True)


@contextmanager
def writing_model(folder: Path) -> Iterator[ModelWriter]:
    """Hold a writer for the model folder; however the block ends, no half-written model stays."""
    writer = ModelWriter(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / _STAGING, ignore_errors=True)
    (folder / _STAGING).mkdir()
    try:
        yield writer
    finally:
        writer.discard()


class _HashingWriter(io.RawIOBase):
    """Passes bytes on and notes their number and hash, to compare with what is read back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._stream.write(data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
