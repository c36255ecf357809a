"""From a folder or an archive to a model that may answer: its size first, then its memory, then its hashes."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from alsriaz.model.manifest import Manifest, verify_files
from alsriaz.platform.layout import RULES_NAME, Layout
from alsriaz.questions.question import Limits
from alsriaz.questions.shop import open_shop
from alsriaz.serving.multi_model.archive import unpack_files, unpack_manifest
from alsriaz.serving.multi_model.cost import model_size
from alsriaz.serving.multi_model.entry import Entry
from alsriaz.serving.multi_model.places import manifest_of
from alsriaz.serving.multi_model.registry import Registry


@dataclass(frozen=True)
class Prepared:
    """A model whose size is known: `entry` is complete but for the registry's part, `archive` is where it is packed."""

    entry: Entry
    manifest: Manifest
    archive: Path | None


class Loader:
    """Loads models into the registry."""

    def __init__(self, registry: Registry, folder: Path, layout: Layout, workers: int, most_k: int) -> None:
        """Take where archives are unpacked, where models may lie, how many workers map each, and the largest k."""
        self._registry = registry
        self._folder = folder
        self._layout = layout
        self._workers = workers
        self._most_k = most_k

    @contextlib.contextmanager
    def prepared(self, entry: Entry) -> Iterator[Prepared]:
        """Read the manifest at `entry.folder`, a model folder or an archive of one; tidy up where loading fails.

        Raises:
            ModelError: there is no finished model.
            OSError: it can't be read, or there is no space to unpack it.
        """
        place = Path(entry.folder)
        archive = place if place.is_file() else None
        folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=self._folder)) if archive else place
        entry = replace(entry, folder=str(folder), unpacked=archive is not None)
        try:
            manifest = unpack_manifest(archive, folder) if archive else manifest_of(folder, self._layout)
            if archive and RULES_NAME in manifest.files:
                unpack_files(archive, {RULES_NAME: manifest.files[RULES_NAME]}, folder)
            size = model_size(manifest.files, _rules_text(folder, manifest), self._workers)
            yield Prepared(replace(entry, model=manifest.short_hash, size=size), manifest, archive)
        except BaseException:
            self.clean_up(entry)
            raise

    def fill(self, entry: Entry, prepared: Prepared) -> Entry:
        """Check a model whose memory is reserved, file by file, and let it answer; ModelError gives that back."""
        try:
            folder = Path(entry.folder)
            if prepared.archive is not None:
                unpack_files(prepared.archive, prepared.manifest.files, folder)
            verify_files(folder, prepared.manifest)
            open_shop(folder, Limits(self._most_k))
        except BaseException:
            self._registry.remove(entry)
            raise
        self._registry.finish(entry)
        return entry

    def clean_up(self, entry: Entry) -> None:
        """Remove what was unpacked for a model; another's files stay."""
        if entry.unpacked:
            shutil.rmtree(entry.folder, ignore_errors=True)


def _rules_text(folder: Path, manifest: Manifest) -> bytes:
    path = folder / RULES_NAME
    return path.read_bytes() if RULES_NAME in manifest.files and path.is_file() else b""
