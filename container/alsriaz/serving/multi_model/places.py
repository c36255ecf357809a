"""Where a model may lie: a folder below the platform's own, whatever a caller writes, wherever links lead."""

import os
from collections.abc import Iterable, Iterator
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
    path = _path_of(url)
    folder = _resolved(path) if path is not None else None
    if folder is None or not _is_below(folder, layout.models):
        message = (
            f"url is {shown(url)}, expected the path of a folder below models/ in the platform's base folder "
            "(/opt/ml, or ALSRIAZ_ML_ROOT), plain or after file://."
        )
        raise RequestError("bad_value", message, "url")
    if not os.path.isdir(folder):  # unlike Path's, False where the name is too long
        message = f"There is no folder at url {shown(url)}: the model has to be there before it is loaded."
        raise RequestError("not_found", message, "url")
    found = _model_in(folder, layout.models)
    return folder if found is None else found


def place_of_target(target: str, layout: Layout) -> Path | None:
    """Return where the model that a request targets lies: a model folder or an archive of one; None where none is.

    It is looked for in the platform's folder of models, then in its model folder, under its own name and under that
    without ``.tar.gz``. The archive is what the SDK's local mode leaves there. A folder without a finished model is
    returned where there is nothing better, so that its error can be told.
    """
    unfinished = None
    for root, place in _candidates(target, layout):
        resolved = _resolved(place)
        if resolved is None or not _is_below(resolved, root):
            continue
        if os.path.isdir(resolved):
            found = _model_in(resolved, root)
            if found is not None:
                return found
            unfinished = unfinished or resolved
        elif os.path.isfile(resolved) and target.endswith(_ARCHIVE):
            return resolved
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


def _candidates(target: str, layout: Layout) -> Iterator[tuple[Path, Path]]:
    """Yield folders that a target may lie in, with each its place there; none for a target that is no relative path."""
    path = PurePosixPath(target)
    if not target or "\0" in target or path.is_absolute() or ".." in path.parts or not path.parts:
        return
    names = dict.fromkeys((target, target.removesuffix(_ARCHIVE)))
    for root in (layout.models, layout.model):
        for name in names:
            if name and not name.endswith("/"):
                yield root, root / name


def _model_in(folder: Path, root: Path) -> Path | None:
    """Return `folder` where it is a finished model, else `model` in it where that is one, else None."""
    for candidate in (folder, folder / "model"):
        resolved = _resolved(candidate)
        if resolved is not None and _is_below(resolved, root) and os.path.isfile(resolved / MANIFEST_NAME):
            return resolved
    return None


def _path_of(url: str) -> Path | None:
    """Return the absolute path that a url names, or None where it names none."""
    if url.startswith("file:"):
        parts = urlsplit(url)
        url = unquote(parts.path) if parts.netloc in ("", "localhost") and not parts.query + parts.fragment else ""
    return Path(url) if url.startswith("/") and "\0" not in url else None


def _resolved(path: Path) -> Path | None:
    """Return `path` with all links followed, a loop left as it is; None where no file system could hold it."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return None


def _is_below(path: Path, root: Path) -> bool:
    return root.resolve() in path.parents


def _check_links(folder: Path, names: Iterable[str], layout: Layout) -> None:
    for name in names:
        resolved = _resolved(folder / name)
        if resolved is None or not any(_is_below(resolved, root) for root in (layout.models, layout.model)):
            raise ModelError(f"The model's file {shown(name)} is a link that leads out of the models' folders.")
