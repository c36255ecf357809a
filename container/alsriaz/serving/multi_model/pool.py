"""The models that one worker has mapped: each on first use, until it has left the registry."""

import threading
import time
from collections.abc import Callable

from alsriaz.questions.recommender import Recommender
from alsriaz.serving.multi_model.entry import Entry
from alsriaz.serving.multi_model.freed import give_memory_back
from alsriaz.serving.multi_model.registry import Registry


class Lease:
    """A model in use by one request. It stays mapped until `release`, even where it is unloaded meanwhile."""

    def __init__(self, entry: Entry, recommender: Recommender, release: Callable[[], None]) -> None:
        """Take the model, and what is to be done once it is no longer in use."""
        self.entry = entry
        self._recommender: Recommender | None = recommender
        self._release = release

    @property
    def recommender(self) -> Recommender:
        """The model's answers; ValueError after `release`."""
        if self._recommender is None:
            raise ValueError("the lease has ended")
        return self._recommender

    def release(self) -> None:
        """Say that the request is done; a second time does nothing."""
        if self._recommender is not None:
            self._recommender = None
            self._release()


class Pool:
    """This worker's recommenders. Every method may be called from any thread."""

    def __init__(self, registry: Registry, open_recommender: Callable[[Entry], Recommender]) -> None:
        """Take the registry that says what may be mapped, and how a model is opened."""
        self._registry = registry
        self._open = open_recommender
        self._slots: dict[int, _Slot] = {}
        self._changed = threading.Condition()

    def lease(self, name: str) -> Lease | None:
        """Return the model of that name for one request, mapped now if it was not; None where it is not loaded.

        Raises:
            ModelError: the model folder is no longer what was loaded.
        """
        with self._changed:
            entry = self._registry.snapshot().loaded(name)
            if entry is None:
                return None
            slot = self._slots.setdefault(entry.serial, _Slot())
            slot.leases += 1
        try:
            recommender = slot.opened(entry, self._open)
        except BaseException:
            self._release(slot)
            raise
        return Lease(entry, recommender, lambda: self._release(slot))

    def drop_gone(self, seconds: float) -> int:
        """Unmap all that has left the registry, and wait at most `seconds` for the requests that still use it.

        Returns:
            How many models are still in use then; the last request to end gives their memory back.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            kept = {entry.serial for entry in self._registry.snapshot().models.values() if entry.state == "loaded"}
            gone = [self._slots.pop(serial) for serial in list(self._slots) if serial not in kept]
            while any(slot.leases for slot in gone) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            held = sum(slot.leases > 0 for slot in gone)
        if gone:
            gone.clear()
            give_memory_back()
        return held

    def _release(self, slot: "_Slot") -> None:
        with self._changed:
            slot.leases -= 1
            self._changed.notify_all()


class _Slot:
    """A place for one model, taken before the model is opened, so that whoever unloads it meanwhile waits for that."""

    def __init__(self) -> None:
        self.leases = 0
        self._opening = threading.Lock()
        self._recommender: Recommender | None = None

    def opened(self, entry: Entry, open_recommender: Callable[[Entry], Recommender]) -> Recommender:
        """Return the recommender, opened by whoever comes first."""
        with self._opening:
            if self._recommender is None:
                self._recommender = open_recommender(entry)
                give_memory_back()  # what opening needed for a moment
            return self._recommender
