"""The models that one worker has mapped: each on first use, held by a lock of the kernel's until it is let go."""

import contextlib
import fcntl
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from alsriaz.model.folder import Model
from alsriaz.platform.freed_memory import give_memory_back
from alsriaz.questions.recommender import Recommender
from alsriaz.serving.multi_model.registry import Entry, Registry, hold, read

LOOK_AGAIN_SECONDS = 0.02
"""How often we look whether somebody else is done: a look takes some microseconds, and who unloads waits for one."""

_LOOK_THROUGH_SECONDS = 1.0  # how long what a dead worker leaves may take up its disk


class _Slot:
    """A place for one model, taken before that is opened."""

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.leases = 0
        self.on_demand = False
        self.recommender: Recommender | None = None
        self.model: Callable[[], object | None] = lambda: None  # a weak reference
        self.held = contextlib.ExitStack()


class Lease:
    """A model in use by one request: it stays mapped until `release`, even where it is unloaded meanwhile."""

    def __init__(self, slot: _Slot, end: Callable[[], None]) -> None:
        """Take the model, and what ends the lease, which does nothing a second time."""
        self._slot: _Slot | None = slot
        self._end = end

    @property
    def recommender(self) -> Recommender:
        """The model's answers; ValueError after `release`."""
        if self._slot is None or self._slot.recommender is None:
            raise ValueError("the lease has ended")
        return self._slot.recommender

    def release(self) -> None:
        """Say that the request is done; a second time does nothing."""
        self._slot = None
        self._end()


class Pool:
    """This worker's models. Every method may be called from any thread."""

    def __init__(self, registry: Registry, open_model: Callable[[Path, str], tuple[Recommender, Model]]) -> None:
        """Take the registry that says what may be mapped, and what opens a model folder, given the hash expected."""
        self._registry = registry
        self._open = open_model
        self._slots: dict[tuple[Path, int], _Slot] = {}  # by place, and which folder that is
        self._leaving: list[_Slot] = []
        self._changing = threading.Lock()
        self._dropping = threading.Lock()

    def lease(self, name: str) -> Lease | None:
        """Return the model of that name for one request, mapped now if it was not; None where it is not loaded.

        ModelError where the model folder can no longer be opened, or holds another one than was loaded.
        """
        place = self._registry.place(name)
        with contextlib.ExitStack() as lease:
            with self._changing:
                folder = _folder_at(place)
                if folder is None:
                    return None
                slot = self._slots.setdefault((place, folder), _Slot())
                slot.leases += 1  # from here on whoever unloads it waits for us
                lease.callback(self._release, slot)
            with slot.opening:
                if slot.recommender is None:
                    self._fill(slot, place, folder)
            if slot.recommender is None:
                return None
            if slot.on_demand:
                Entry(place).touch()
            return Lease(slot, lease.pop_all().close)

    def watch(self) -> None:
        """Let go of what is unloaded from now on, and remove what dead workers leave; to be called after the fork."""

        def keep_watching() -> None:
            look_through_at = 0.0
            while True:
                self.drop_gone()
                if time.monotonic() >= look_through_at:
                    with contextlib.suppress(OSError):  # such as no descriptor left for a moment
                        self._registry.look_through()
                    look_through_at = time.monotonic() + _LOOK_THROUGH_SECONDS
                time.sleep(LOOK_AGAIN_SECONDS)

        threading.Thread(target=keep_watching, daemon=True).start()

    def drop_gone(self) -> None:
        """Let go of all that answers no more, but for what is in use: that goes when this is called again."""
        with self._dropping:
            with self._changing:
                left = [(place, folder) for place, folder in self._slots if _folder_at(place) != folder]
                self._leaving += [self._slots.pop(key) for key in left]
                unused = [slot for slot in self._leaving if not slot.leases]
            for slot in unused:
                slot.recommender = None
            if unused:
                give_memory_back()
            for slot in unused:
                if slot.model() is None:  # else a request that has just ended is about to forget it
                    slot.held.close()
                    self._leaving.remove(slot)

    def _fill(self, slot: _Slot, place: Path, folder: int) -> None:
        """Map a model, unless it has left meanwhile."""
        with contextlib.ExitStack() as on_failure:
            try:
                held = hold(place, fcntl.LOCK_SH)
            except FileNotFoundError:
                return
            on_failure.callback(os.close, held)
            entry = read(place)
            if not os.fstat(held).st_ino == folder == _folder_at(place):  # what nobody held may be half removed
                return
            files = Path(entry.folder or f"/proc/self/fd/{held}/model")  # a path that stays when the model leaves
            slot.recommender, model = self._open(files, entry.model)
            slot.model, slot.on_demand = weakref.ref(model), entry.on_demand
            slot.held = on_failure.pop_all()
        give_memory_back()  # what opening needed for a moment

    def _release(self, slot: _Slot) -> None:
        with self._changing:
            slot.leases -= 1


def _folder_at(place: Path) -> int | None:
    """Return which folder lies at a place: a number that no other one has as long as somebody holds it."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(place).st_ino
    return None
