"""Where a model may lie: a folder below the platform's own, whatever a caller writes, wherever links lead."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from alsriaz.errors import ModelError, RequestError
from alsriaz.model.manifest import MANIFEST_NAME, Manifest, read_manifest
from alsriaz.platform.layout import Layout
from alsriaz.platform.values import shown

_ARCHIVE = ".tar.gz"


def folder_of_url(url: str, layout: Layout) -> Path:
    """Return the model folder that a load request names: the folder at `url`, or `model` in it.

    Raises:
        RequestError: `bad_value` where `url` is no path below the models' folder, `not_found` where nothing is there.
    """
    told = url
    if url.startswith("file:"):
        parts = urlsplit(url)
        url = unquote(parts.path) if parts.netloc in ("", "localhost") and not parts.query + parts.fragment else ""
    folder = _below(Path(url), layout.models) if url.startswith("/") else None
    if folder is None:
        message = (
            f"url is {shown(told)}, expected the path of a folder below models/ in the platform's base folder "
            "(/opt/ml, or ALSRIAZ_ML_ROOT), plain or after file://."
        )
        raise RequestError("bad_value", message, "url")
    if not os.path.isdir(folder):  # unlike Path's, False where the name is too long
        message = f"There is no folder at url {shown(told)}: the model has to be there before it is loaded."
        raise RequestError("not_found", message, "url")
    return _model_in(folder, layout.models) or folder


def place_of_target(target: str, layout: Layout) -> Path | None:
    """Return where the model that a request targets lies: a model folder or an archive of one; None where none is.

    It is looked for in the platform's folder of models, then in its model folder, under its own name and under that
    without ``.tar.gz``. The archive is what the SDK's local mode leaves there. A folder without a finished model is
    returned where there is nothing better, so that its error can be told.
    """
    path = PurePosixPath(target)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return None
    unfinished = None
    for root in (layout.models, layout.model):
        for name in dict.fromkeys((target, target.removesuffix(_ARCHIVE))):
            place = _below(root / name, root) if name and not name.endswith("/") else None
            if place is None:
                continue
            if os.path.isdir(place):
                found = _model_in(place, root)
                if found is not None:
                    return found
                unfinished = unfinished or place
            elif os.path.isfile(place) and target.endswith(_ARCHIVE):
                return place
    return unfinished


def manifest_of(folder: Path, layout: Layout) -> Manifest:
    """Return the manifest of a model folder all of whose files lie below the platform's folders.

    Raises:
        ModelError: there is no finished model, or a link leads out of those folders.
    """
    _check_links(folder, [MANIFEST_NAME], layout)
    manifest = read_manifest(folder)
    _check_links(folder, manifest.files, layout)
    return manifest


def _check_links(folder: Path, names: Iterable[str], layout: Layout) -> None:
    for name in names:
        if not any(_below(folder / name, root) for root in (layout.models, layout.model)):
            raise ModelError(f"The model's file {shown(name)} is a link that leads out of the models' folders.")


def _model_in(folder: Path, root: Path) -> Path | None:
    """Return `folder` where it is a finished model, else `model` in it where that is one, else None."""
    for candidate in (folder, folder / "model"):
        place = _below(candidate, root)
        if place is not None and os.path.isfile(place / MANIFEST_NAME):
            return place
    return None


def _below(path: Path, root: Path) -> Path | None:
    """Return `path` with all links followed where that is below `root`; a loop stays as it is."""
    try:
        place = Path(os.path.realpath(path))
    except (OSError, ValueError):  # no file system could hold it, as where it has a NUL
        return None
    return place if root.resolve() in place.parents else None
