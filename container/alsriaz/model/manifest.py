"""manifest.json: what a model folder is, and proof that its files are whole."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsriaz.errors import ModelError, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.platform.values import shown

FORMAT = 1
MANIFEST_NAME = "manifest.json"
_READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """The parsed manifest.

    Attributes:
        values: the whole JSON object; docs/artifact.md tells its fields.
        short_hash: the first 12 hexadecimal digits of the file's sha256, by which answers name their model.
    """

    values: dict[str, Any]
    short_hash: str

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Each file's size in bytes and sha256, by name."""
        files: dict[str, dict[str, Any]] = self.values["files"]
        return files


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a model folder.

    Raises:
        ModelError: there is no model, an unfinished one, or one of another format version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        if not folder.is_dir() or not any(folder.iterdir()):
            raise ModelError(f"There is no model in {folder.name}/: run train first, or mount the folder it wrote.")
        raise ModelError(
            f"The model folder {folder.name}/ has no {MANIFEST_NAME}, so it was never finished: "
            "the training job failed or was stopped. Train again."
        )
    try:
        values = read_object(path)
    except SpecError as error:
        raise ModelError(f"The model can't be read: {error}") from None
    if values.get("format") != FORMAT:
        raise ModelError(
            f"The model has format version {shown(values.get('format'))}, this server reads {FORMAT}: "
            "train again with the same version of the image."
        )
    if not _lists_files(values.get("files")):
        raise ModelError(f"The model's {MANIFEST_NAME} doesn't list its files: it was changed after training.")
    return Manifest(values, hashlib.sha256(path.read_bytes()).hexdigest()[:12])


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Read every file of the model once, and raise ModelError where one differs from what training wrote."""
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"The model's file {name} is missing: copy the folder again, or train again.")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise ModelError(
                f"The model's file {name} has {size:,} bytes, expected {expected['bytes']:,}: "
                "it was cut or replaced. Copy the folder again, or train again."
            )
        if file_hash(path) != expected["sha256"]:
            raise ModelError(
                f"The model's file {name} is damaged: its sha256 is not the one that training noted. "
                "Copy the folder again, or train again."
            )


def manifest_text(values: dict[str, Any]) -> str:
    """Return a manifest as it is written: readable, and the same text for the same values."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _lists_files(files: Any) -> bool:
    return isinstance(files, dict) and all(
        Path(name).name == name
        and isinstance(entry, dict)
        and type(entry.get("bytes")) is int
        and isinstance(entry.get("sha256"), str)
        for name, entry in files.items()
    )
