"""Which models there are: a folder each, whose name says how things stand. The kernel owns whatever can end.

    lock                held, for moments, by whoever looks through the models in order to change something
    loading-<moment>/   a model on its way in: its entry, and its files where they came in an archive
    loaded-<hash>/      the same folder once the model answers by the name with that hash
    unloading-<until>/  and on its way out; after that moment (time.monotonic_ns) others may have its name

Whoever works with a model holds a lock on its folder, which renaming doesn't touch: its loader an exclusive one, each
worker that has it mapped a shared one. So a model counts while it is loaded or somebody holds it, and no longer: a
process that dies lets go of all it held, and what nobody holds is removed by whoever looks next.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alsriaz.errors import RequestError
from alsriaz.platform.values import shown

_ENTRY = "entry.json"
_DOING = {
    "loading": "is being loaded: ask for it once it is",
    "loaded": "is already loaded: use it, or unload it first",
    "unloading": "is being unloaded: try again once it is gone",
}


@dataclass(frozen=True)
class Entry:
    """What is known of one load of a model; `place` is its folder here, at the moment when one looked."""

    place: Path
    name: str = ""  # what the caller named it; none until that is reserved
    url: str = ""  # where the caller said it is; answers repeat it
    folder: str = ""  # the model folder, which workers map; "" for `model` in `place`
    model: str = ""  # the manifest's short hash
    size: int = 0  # bytes of memory that it is counted with
    on_demand: bool = False  # loaded because a request named it, so that it may make room for others

    @property
    def state(self) -> str:
        """A key of `_DOING`: only a loaded model answers, the others hold their memory and their name."""
        return self.place.name.partition("-")[0]

    @property
    def keeps_name(self) -> bool:
        """Whether nobody else may have its name."""
        return self.state != "unloading" or time.monotonic_ns() < int(self.place.name.partition("-")[2])

    @property
    def used(self) -> int:
        """When it was last used, by the clock of `touch`."""
        with contextlib.suppress(FileNotFoundError):
            return (self.place / _ENTRY).stat().st_mtime_ns
        return 0

    def touch(self) -> None:
        """Note that it is used now."""
        now = time.monotonic_ns()  # one clock for all processes, and nobody sets it
        with contextlib.suppress(FileNotFoundError):  # it is being unloaded
            os.utime(self.place / _ENTRY, ns=(now, now))


class Registry:
    """The models of all workers of one serve. Every method may be called from any thread of any of them."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that is closed to other users."""
        self._folder = folder

    def place(self, name: str) -> Path:
        """Return where the model of that name lies while it is loaded."""
        return self._folder / f"loaded-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"

    def loaded(self, name: str) -> Entry:
        """Return the model that answers by this name; RequestError `model_not_loaded` where none does."""
        entry = read(self.place(name))
        if not entry.name:
            raise not_loaded(name)
        return entry

    def all_loaded(self) -> list[Entry]:
        """Return the models that answer, in the order of their names."""
        entries = map(read, self._folder.glob("loaded-*"))
        return sorted((entry for entry in entries if entry.name), key=lambda entry: entry.name)

    def models(self) -> list[Entry]:
        """Return all models that count, whatever their state; what dead processes had begun is removed."""
        with self._changing() as places:
            return list(map(read, places))

    def look_through(self) -> None:
        """Remove what dead processes had begun."""
        with self._changing():
            pass

    @contextlib.contextmanager
    def begun(self) -> Iterator[Path]:
        """Give a new place, held for a load: what is not finished at the end, or when we die, is removed."""
        with self._changing():
            place = self._folder / f"loading-{time.monotonic_ns()}"
            place.mkdir()
            held = hold(place, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            os.close(held)
            self.look_through()

    def reserve(self, entry: Entry, budget: int) -> bool:
        """Take the name and the memory for a load that was begun; False where all models would take more than `budget`.

        RequestError `model_loaded` where the name is taken.
        """
        with self._changing() as places:
            models = list(map(read, places))
            for other in models:
                if other.name == entry.name and other.keeps_name:
                    message = f"A model named {shown(other.name)} {_DOING[other.state]}."
                    raise RequestError("model_loaded", message, "model_name")
            fits = sum(other.size for other in models) + entry.size <= budget
            if fits:
                text = json.dumps({name: value for name, value in asdict(entry).items() if name != "place"})
                (entry.place / _ENTRY).write_text(text, encoding="utf-8")  # whoever reads it holds the lock too
            return fits

    def finish(self, entry: Entry) -> None:
        """Let a model that was reserved answer."""
        entry.touch()
        with self._changing():
            entry.place.rename(self.place(entry.name))

    def leave(self, name: str, seconds: float, *, evict: bool = False) -> tuple[Entry, bool]:
        """Stop a model from answering; return it as it is then, and whether it answered: it may be leaving already.

        Its name is taken until nobody holds the model any more, and for no longer than `seconds`. RequestError
        `model_not_loaded` where there is none of that name, or, to `evict`, none that was loaded on demand.
        """
        with self._changing() as places:
            entry = read(self.place(name))
            if entry.name and evict and not entry.on_demand:
                raise not_loaded(name)
            if entry.name:
                place = self._folder / f"unloading-{time.monotonic_ns() + int(seconds * 1e9)}"
                return replace(entry, place=entry.place.rename(place)), True
            leaving = map(read, (place for place in places if place.name.startswith("unloading-")))
            entry = next((entry for entry in leaving if entry.name == name), entry)
        if not entry.name:
            raise not_loaded(name)
        return entry, False

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Path]]:
        """Hold the lock, and give the places of all models that count."""
        with (self._folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            places = self._folder.glob("*-*")
            yield [place for place in places if place.name.startswith("loaded-") or not _removed(place)]


def hold(place: Path, how: int) -> int:
    """Return a descriptor that holds a model's place until it is closed."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def not_loaded(name: str) -> RequestError:
    """Return the error that tells a caller that no model has this name."""
    message = f"No model named {shown(name)} is loaded: load it by POST /models, GET /models lists those that are."
    return RequestError("model_not_loaded", message)


def read(place: Path) -> Entry:
    """Return what is known of the model at a place; where it is gone, or has reserved nothing yet, it has no name."""
    with contextlib.suppress(FileNotFoundError):
        return Entry(place, **json.loads((place / _ENTRY).read_bytes()))
    return Entry(place)


def _removed(place: Path) -> bool:
    """Remove what nobody holds; return whether it is gone."""
    try:
        held = hold(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError) as error:
        return isinstance(error, FileNotFoundError)
    shutil.rmtree(place, ignore_errors=True)
    os.close(held)
    return True
