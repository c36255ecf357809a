"""The registry of models: against a plain dict, and as several workers share it."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from alsriaz.errors import RequestError
from alsriaz.serving.multi_model.entry import Entry
from alsriaz.serving.multi_model.registry import NoRoom, Registry

BUDGET = 100
NAMES = ["a", "b", "a/b", "ü", "{}", "a b", "z" * 1024]


def entry(name: str, size: int = 10, owner: str = "w1", *, on_demand: bool = False) -> Entry:
    return Entry(name, f"/opt/ml/models/{name}", "/folder", "0123456789ab", size, on_demand, owner=owner)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path, BUDGET, lambda owner: True)


class AgainstADict(RuleBasedStateMachine):
    """Two workers do anything in any order; a dict and a set of living workers say what must come of it."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.names = ["w1", "w2"]  # of the two workers now; a name never comes back
        self.living = set(self.names)
        self.registries = [Registry(Path(self.folder.name), BUDGET, self.living.__contains__) for _ in range(2)]
        self.oracle: dict[str, Entry] = {}
        self.used: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(
        which=st.integers(0, 1), name=st.sampled_from(NAMES), size=st.integers(1, 60), mine=st.integers(0, 1),
        on_demand=st.booleans(),
    )  # fmt: skip
    def begin(self, which: int, name: str, size: int, mine: int, on_demand: bool) -> None:
        wanted = entry(name, size, self.names[mine], on_demand=on_demand)
        self.forget_what_the_dead_began()
        if wanted.owner not in self.living:
            return
        if name in self.oracle:
            with pytest.raises(RequestError) as caught:
                self.registries[which].begin(wanted)
            assert caught.value.code == "model_loaded"
        elif sum(other.size for other in self.oracle.values()) + size > BUDGET:
            with pytest.raises(NoRoom):
                self.registries[which].begin(wanted)
        else:
            begun = self.registries[which].begin(wanted)
            assert replace(begun, serial=0) == wanted
            assert begun.serial not in {other.serial for other in self.oracle.values()}
            self.oracle[name] = begun

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def finish(self, which: int, name: str) -> None:
        begun = self.oracle.get(name)
        if begun is not None and begun.state == "loading" and begun.owner in self.living:
            self.forget_what_the_dead_began()
            self.registries[which].finish(begun)
            self.oracle[name] = replace(begun, state="loaded")
            self.used = [*self.used, name]

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def touch(self, which: int, name: str) -> None:
        known = self.oracle.get(name)
        if known is not None and known.state == "loaded":
            self.registries[which].touch(known)
            self.used = [*(other for other in self.used if other != name), name]

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def leave(self, which: int, name: str) -> None:
        self.forget_what_the_dead_began()
        known = self.oracle.get(name)
        if known is None or known.state != "loaded":
            with pytest.raises(RequestError) as caught:
                self.registries[which].leave(name, "w1")
            assert caught.value.code == "model_not_loaded"
        else:
            self.oracle[name] = replace(known, state="unloading", owner="w1")
            assert self.registries[which].leave(name, "w1") == self.oracle[name]
            self.used.remove(name)

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def remove(self, which: int, name: str) -> None:
        known = self.oracle.get(name)
        if known is not None and known.state != "loaded":
            self.forget_what_the_dead_began()
            self.registries[which].remove(known)
            self.oracle.pop(name, None)

    @precondition(lambda self: len(self.living) > 1)
    @rule()
    def a_worker_dies(self) -> None:
        self.living.remove(self.names[1])

    @rule()
    def another_takes_its_place(self) -> None:
        self.living.discard(self.names[1])
        self.names[1] = f"w{int(self.names[1][1:]) + 1}"
        self.living.add(self.names[1])
        self.registries[1] = Registry(Path(self.folder.name), BUDGET, self.living.__contains__)

    @rule(which=st.integers(0, 1))
    def all_workers_see_the_same(self, which: int) -> None:
        seen = self.registries[which].snapshot()
        kept = {name for name, known in self.oracle.items() if known.state == "loaded"}
        assert {name for name in seen.models if seen.loaded(name)} == kept
        assert seen.models.items() >= {(name, self.oracle[name]) for name in kept}
        on_demand = [name for name in self.used if self.oracle[name].on_demand]
        assert [known.name for known in self.registries[which].least_used()] == on_demand

    @rule(which=st.integers(0, 1), most=st.integers(1, 3))
    def pages_hold_each_model_once(self, which: int, most: int) -> None:
        names = [known.name for page in pages(self.registries[which], most) for known in page]
        assert names == sorted(name for name, known in self.oracle.items() if known.state == "loaded")

    def forget_what_the_dead_began(self) -> None:
        self.oracle = {
            name: known for name, known in self.oracle.items() if known.state == "loaded" or known.owner in self.living
        }


def pages(registry: Registry, most: int) -> Iterator[list[Entry]]:
    after: str | None = None
    more = True
    while more:
        page, more = registry.page(after, most)
        yield page
        after = page[-1].name if page else None


AgainstADict.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAgainstADict = AgainstADict.TestCase


def test_pages_neither_repeat_nor_skip_a_model_while_others_come_and_go(registry: Registry) -> None:
    stays = [f"m{number:02}" for number in range(25)]
    for name in stays:
        registry.finish(registry.begin(entry(name, 0)))
    seen: list[str] = []
    for page in pages(registry, 5):
        seen += [known.name for known in page]
        for name in (f"a{len(seen)}", f"{seen[-1]}x"):  # before the reader's place, and right after it
            registry.finish(registry.begin(entry(name, 0)))
        registry.remove(registry.leave(page[0].name, "w1"))
    assert seen == sorted(set(seen))
    assert [name for name in seen if name in stays] == stays


def test_a_model_loaded_again_under_its_name_is_another_one(registry: Registry) -> None:
    first = registry.begin(entry("a"))
    registry.finish(first)
    registry.remove(registry.leave("a", "w1"))
    second = registry.begin(entry("a"))
    assert second.serial > first.serial
    registry.remove(first)
    assert "a" in registry.snapshot().models, "the first one's end is not the second one's"


TAKEN = [
    ("loading", "A model named 'a' is being loaded: ask for it once it is.", "while it is on its way in"),
    ("loaded", "A model named 'a' is already loaded: use it, or unload it first.", "while it is there"),
    ("unloading", "A model named 'a' is being unloaded: try again once it is gone.", "while it is on its way out"),
]


@pytest.mark.parametrize(("state", "words", "why"), TAKEN, ids=[why for *_, why in TAKEN])
def test_a_name_is_taken(registry: Registry, state: str, words: str, why: str) -> None:
    begun = registry.begin(entry("a"))
    if state != "loading":
        registry.finish(begun)
    if state == "unloading":
        registry.leave("a", "w1")
    with pytest.raises(RequestError) as caught:
        registry.begin(entry("a"))
    assert (str(caught.value), caught.value.field) == (words, "model_name")


def test_what_is_not_loaded_can_not_leave(registry: Registry) -> None:
    with pytest.raises(RequestError) as caught:
        registry.leave("a", "w1")
    assert str(caught.value).startswith("No model named 'a' is loaded: load it by POST /models")
