"""Which models are loaded: one file, shared by all workers, replaced as a whole under a lock.

A worker that ends takes nothing of it along, and one that starts finds it. Workers look at its generation before each
request and read the rest only where that has changed.
"""

import bisect
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from alsriaz.errors import RequestError
from alsriaz.platform.values import shown
from alsriaz.serving.multi_model.entry import EMPTY, Entry, Snapshot, pack, unpack


class NoRoom(Exception):
    """The memory budget has no room for a model."""


class Registry:
    """The models of all workers of one serve."""

    def __init__(self, folder: Path, budget: int, alive: Callable[[str], bool]) -> None:
        """Take where the registry's files are to be.

        Args:
            folder: exists, and is closed to other users.
            budget: bytes that all models together may take.
            alive: tells whether a worker, by its name, still runs; what a dead one had begun is forgotten.
        """
        self.budget = budget
        self._alive = alive
        self._folder = folder
        self._file = folder / "models.json"
        self._known = EMPTY

    def snapshot(self) -> Snapshot:
        """Return the registry as it is now."""
        try:
            with self._file.open("rb") as stream:
                known = self._known
                if int(stream.readline()) != known.generation:
                    stream.seek(0)
                    known = self._known = unpack(stream.read())
                return known
        except FileNotFoundError:
            return EMPTY

    def begin(self, entry: Entry) -> Entry:
        """Hold the name and the memory for a model that `entry.owner` is about to load; return it with its serial.

        Raises:
            RequestError: `model_loaded`, where the name is taken.
            NoRoom: the budget is spent.
        """
        with self._changing() as (models, serial):
            taken = models.get(entry.name)
            if taken is not None:
                raise RequestError("model_loaded", _taken(taken), "model_name")
            if sum(other.size for other in models.values()) + entry.size > self.budget:
                raise NoRoom
            models[entry.name] = replace(entry, state="loading", serial=serial)
            return models[entry.name]

    def finish(self, entry: Entry) -> None:
        """Let a model that was begun answer."""
        self._used(entry.serial).touch()
        self.touch(entry)
        with self._changing() as (models, _):
            if models.get(entry.name) == entry:
                models[entry.name] = replace(entry, state="loaded")

    def leave(self, name: str, owner: str) -> Entry:
        """Stop a loaded model from answering, while workers drop it; `remove` then gives its memory back.

        Raises:
            RequestError: `model_not_loaded`, where there is none of that name.
        """
        with self._changing() as (models, _):
            entry = models.get(name)
            if entry is None or entry.state != "loaded":
                raise not_loaded(name)
            models[name] = replace(entry, state="unloading", owner=owner)
            return models[name]

    def remove(self, entry: Entry) -> None:
        """Forget a model, and free its name and memory."""
        with self._changing() as (models, _):
            if entry.name in models and models[entry.name].serial == entry.serial:
                del models[entry.name]
        self._used(entry.serial).unlink(missing_ok=True)

    def touch(self, entry: Entry) -> None:
        """Note that a model is used now."""
        now = time.monotonic_ns()  # one clock for all processes, and nobody sets it
        with contextlib.suppress(FileNotFoundError):  # it is being unloaded
            os.utime(self._used(entry.serial), ns=(now, now))

    def least_used(self) -> list[Entry]:
        """Return the loaded models that may make room for others, the one used longest ago first."""
        loaded = [entry for entry in self.snapshot().models.values() if entry.on_demand and entry.state == "loaded"]
        return sorted(loaded, key=lambda entry: (self._last_used(entry), entry.serial))

    def page(self, after: str | None, most: int) -> tuple[list[Entry], bool]:
        """Return the loaded models in the order of their names, at most `most`, from the first name past `after` on.

        A model that stays while the pages are read stands in exactly one of them, whatever comes and goes meanwhile.

        Returns:
            The models, and whether there are more.
        """
        loaded = {name: entry for name, entry in self.snapshot().models.items() if entry.state == "loaded"}
        names = sorted(loaded)
        start = 0 if after is None else bisect.bisect_right(names, after)
        return [loaded[name] for name in names[start : start + most]], len(names) > start + most

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[dict[str, Entry], int]]:
        """Give the models, to be changed, and an unused serial; what is left at the end is what the registry holds."""
        with (self._folder / "models.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.snapshot()
            models = {name: entry for name, entry in before.models.items() if self._is_cared_for(entry)}
            yield models, before.serials + 1
            if models != before.models:
                self._write(Snapshot(before.generation + 1, before.serials + 1, models))

    def _write(self, snapshot: Snapshot) -> None:
        staged = self._folder / "models.new"
        staged.write_bytes(pack(snapshot))
        staged.replace(self._file)

    def _is_cared_for(self, entry: Entry) -> bool:
        return entry.state == "loaded" or self._alive(entry.owner)

    def _used(self, serial: int) -> Path:
        return self._folder / f"used-{serial}"

    def _last_used(self, entry: Entry) -> int:
        try:
            return self._used(entry.serial).stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def not_loaded(name: str) -> RequestError:
    """Return the error that tells a caller that no model has this name."""
    message = f"No model named {shown(name)} is loaded: load it by POST /models, GET /models lists those that are."
    return RequestError("model_not_loaded", message)


def _taken(entry: Entry) -> str:
    doing = {
        "loading": "is being loaded: ask for it once it is",
        "loaded": "is already loaded: use it, or unload it first",
        "unloading": "is being unloaded: try again once it is gone",
    }
    return f"A model named {shown(entry.name)} {doing[entry.state]}."
