"""The registry of models: against a plain dict, as several workers share it, and die."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from alsriaz.errors import RequestError
from alsriaz.serving.multi_model.pool import Lease, Pool
from alsriaz.serving.multi_model.registry import Entry, Registry

BUDGET = 100
NAMES = ["a", "b", "a/b", "ü", "{}", "a b", "z" * 1024]


class Opened(str):
    """What stands for a model; it can be referred to weakly."""


def opened(_folder: Path, model: str) -> tuple[str, str]:
    both = Opened(model)
    return both, both


class Worker:
    """A process that loads, maps and unloads; all that ends with a process here is closed when it dies."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(folder)
        self.pool = Pool(self.registry, opened)  # type: ignore[arg-type]
        self.loading = contextlib.ExitStack()
        self.leases: list[Lease] = []

    def begin(self, name: str, size: int, *, on_demand: bool) -> tuple[Entry, contextlib.ExitStack]:
        """Reserve a name and memory; what is given ends the load, well or not."""
        with contextlib.ExitStack() as load:
            place = load.enter_context(self.registry.begun())
            (place / "model").mkdir()
            entry = Entry(place, name, "url", "", "0123456789ab", size, on_demand)
            if not self.registry.reserve(entry, BUDGET):
                raise NoRoom
            kept = load.pop_all()
        self.loading.push(kept)
        return entry, kept

    def die(self) -> None:
        """Close what the kernel closes: descriptors, and with them locks; nothing else happens."""
        self.loading.close()
        for slot in [*self.pool._slots.values(), *self.pool._leaving]:
            slot.held.close()


class NoRoom(Exception):
    pass


class AgainstADict(RuleBasedStateMachine):
    """Two workers do anything in any order, and die; a dict says what must come of it."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.workers = [Worker(Path(self.folder.name)) for _ in range(2)]
        self.loads: dict[str, tuple[int, Entry, contextlib.ExitStack]] = {}  # with which worker is at it
        self.loaded: dict[str, Entry] = {}
        self.used: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            for worker in self.workers:
                worker.die()
            self.folder.cleanup()

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), size=st.integers(1, 60), on_demand=st.booleans())
    def begin(self, which: int, name: str, size: int, on_demand: bool) -> None:
        taken = {**self.loaded, **{name: entry for name, (_, entry, _) in self.loads.items()}}
        if name in taken:
            with pytest.raises(RequestError) as caught:
                self.workers[which].begin(name, size, on_demand=on_demand)
            assert caught.value.code == "model_loaded"
        elif sum(entry.size for entry in taken.values()) + size > BUDGET:
            with pytest.raises(NoRoom):
                self.workers[which].begin(name, size, on_demand=on_demand)
        else:
            self.loads[name] = (which, *self.workers[which].begin(name, size, on_demand=on_demand))

    @rule(name=st.sampled_from(NAMES), well=st.booleans())
    def end_load(self, name: str, well: bool) -> None:
        if name in self.loads:
            which, entry, load = self.loads.pop(name)
            if well:
                self.workers[which].registry.finish(entry)
                self.loaded[name] = entry
                self.used.append(name)
            load.close()

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def use(self, which: int, name: str) -> None:
        lease = self.workers[which].pool.lease(name)
        assert (lease is not None) == (name in self.loaded)
        if lease is not None:
            assert str(lease.recommender) == self.loaded[name].model
            lease.release()
            lease.release()
            if self.loaded[name].on_demand:
                self.used = [*(other for other in self.used if other != name), name]

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def unload(self, which: int, name: str) -> None:
        if name not in self.loaded:
            with pytest.raises(RequestError) as caught:
                self.workers[which].registry.leave(name, 60)
            assert caught.value.code == "model_not_loaded"
            return
        entry, answered = self.workers[which].registry.leave(name, 60)
        assert answered
        assert entry.state == "unloading"
        for worker in self.workers:
            worker.pool.drop_gone()
        self.workers[which].registry.look_through()
        assert not entry.place.exists()
        del self.loaded[name]
        self.used.remove(name)

    @rule(which=st.integers(0, 1))
    def a_worker_dies_and_another_takes_its_place(self, which: int) -> None:
        self.workers[which].die()
        self.workers[which] = Worker(Path(self.folder.name))
        self.loads = {name: load for name, load in self.loads.items() if load[0] != which}

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def a_worker_dies_while_it_unloads(self, which: int, name: str) -> None:
        if name in self.loaded:
            self.workers[which].registry.leave(name, 60)
            del self.loaded[name]
            self.used.remove(name)
            self.workers[1 - which].pool.drop_gone()  # as it does of itself
            self.a_worker_dies_and_another_takes_its_place(which)

    @precondition(lambda self: hasattr(self, "workers"))
    @rule(which=st.integers(0, 1))
    def all_workers_see_the_same_and_nothing_else_is_there(self, which: int) -> None:
        registry = self.workers[which].registry
        assert [entry.name for entry in registry.all_loaded()] == sorted(self.loaded)
        states = {name: "loaded" for name in self.loaded} | {name: "loading" for name in self.loads}
        found = registry.models()
        assert {entry.name: entry.state for entry in found} == states
        right = [*self.loaded.values(), *(entry for _, entry, _ in self.loads.values())]
        assert sum(entry.size for entry in found) == sum(entry.size for entry in right)
        assert len([*Path(self.folder.name).iterdir()]) == len(states) + 1, "a folder each, and the lock"
        on_demand = [entry for entry in found if entry.on_demand and entry.state == "loaded"]
        least_first = [entry.name for entry in sorted(on_demand, key=lambda entry: entry.used)]
        assert least_first == [name for name in self.used if self.loaded[name].on_demand]


AgainstADict.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAgainstADict = AgainstADict.TestCase


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def load(worker: Worker, name: str, size: int = 10) -> Entry:
    entry, loading = worker.begin(name, size, on_demand=False)
    worker.registry.finish(entry)
    loading.close()
    return worker.registry.loaded(name)


TAKEN = [
    ("loading", "A model named 'a' is being loaded: ask for it once it is.", "while it is on its way in"),
    ("loaded", "A model named 'a' is already loaded: use it, or unload it first.", "while it is there"),
    ("unloading", "A model named 'a' is being unloaded: try again once it is gone.", "while it is on its way out"),
]


@pytest.mark.parametrize(("state", "words", "why"), TAKEN, ids=[why for *_, why in TAKEN])
def test_a_name_is_taken(worker: Worker, state: str, words: str, why: str) -> None:
    if state == "loading":
        worker.begin("a", 1, on_demand=False)
    else:
        load(worker, "a")
        lease = worker.pool.lease("a")
        assert lease is not None
    if state == "unloading":
        worker.registry.leave("a", 60)
    with pytest.raises(RequestError) as caught:
        worker.begin("a", 1, on_demand=False)
    assert (str(caught.value), caught.value.field) == (words, "model_name")


def test_what_is_in_use_when_its_time_is_over_keeps_its_memory_and_not_its_name(worker: Worker) -> None:
    load(worker, "a", 60)
    lease = worker.pool.lease("a")
    assert lease is not None
    entry, _ = worker.registry.leave("a", 0.0)
    worker.pool.drop_gone()
    assert sum(other.size for other in worker.registry.models()) == 60
    with pytest.raises(NoRoom):
        worker.begin("a", 60, on_demand=False)
    assert load(worker, "a", 40).place != entry.place
    assert str(lease.recommender) == "0123456789ab", "the request ends on the model that it began with"
    lease.release()
    worker.pool.drop_gone()
    assert [other.size for other in worker.registry.models()] == [40]
    with pytest.raises(ValueError, match="the lease has ended"):
        lease.recommender  # noqa: B018


def test_one_that_is_leaving_already_is_returned_and_what_is_not_loaded_can_not_leave(worker: Worker) -> None:
    load(worker, "a")
    lease = worker.pool.lease("a")
    assert lease is not None
    assert [worker.registry.leave("a", 60)[1] for _ in range(2)] == [True, False]
    lease.release()
    worker.pool.drop_gone()
    worker.registry.look_through()
    with pytest.raises(RequestError) as caught:
        worker.registry.leave("a", 60)
    assert str(caught.value).startswith("No model named 'a' is loaded: load it by POST /models")
