"""How workers follow the live rules: by the real folder, whatever the poller does, for many threads."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.questions.tally import Tally
from alsriaz.rules.rows import read_rules_file
from alsriaz.serving.live_rules import following as module
from alsriaz.serving.live_rules.following import Follower, Live, LiveRules, RulesFolder, Status, version_of
from tests.small_models import shop

ITEMS = ["apple", "bread", "cocoa", "dates", "eggs", "figs"]


def put_in(folder: RulesFolder, data: bytes) -> str:
    version = version_of(data)
    folder.put_in_force(folder.stage(data, "rules.json"), version)
    return version


def files(path: Path) -> set[str]:
    return {entry.name for entry in path.rglob("*") if not entry.is_dir() and not entry.is_symlink()}


def test_a_version_is_that_of_its_bytes() -> None:
    assert version_of(b"{}") == "44136fa355b3"  # sha256sum
    assert version_of(b"{ }") != version_of(b"{}")


def test_nothing_is_in_force_at_first(tmp_path: Path) -> None:
    assert RulesFolder(tmp_path).version() is None
    assert RulesFolder(tmp_path).status() == Status()


def test_what_was_put_in_force_is_found_by_all(tmp_path: Path) -> None:
    version = put_in(RulesFolder(tmp_path), b'{"a": 1}')
    other = RulesFolder(tmp_path)
    assert other.version() == version
    assert other.file_of(version).read_bytes() == b'{"a": 1}'


def test_what_is_only_staged_is_not_in_force(tmp_path: Path) -> None:
    folder = RulesFolder(tmp_path)
    first = put_in(folder, b"{}")
    folder.stage(b"[]", "rules.json")
    assert folder.version() == first
    assert folder.file_of(first).read_bytes() == b"{}"


def test_the_version_before_is_kept_for_who_has_just_looked(tmp_path: Path) -> None:
    folder = RulesFolder(tmp_path)
    first, second, third = put_in(folder, b"1"), put_in(folder, b"2"), put_in(folder, b"3")
    assert files(tmp_path) == {f"rules-{second}.json", f"rules-{third}.json"}
    assert put_in(folder, b"1") == first
    assert files(tmp_path) == {f"rules-{third}.json", f"rules-{first}.json"}


def test_a_link_that_leads_elsewhere_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "in-force").symlink_to("/etc/passwd")
    assert RulesFolder(tmp_path).version() is None


def test_what_a_writer_left_half_done_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "in-force.new").symlink_to("nowhere")
    folder = RulesFolder(tmp_path)
    folder.stage(b"{", "rules.json")
    assert folder.version() is None
    version = put_in(folder, b"{}")
    assert folder.version() == version


NAMES = [
    ("rules.json", "rules.json", "a plain name"),
    ("out of stock:now\n.json", "out_of_stock_now_.json", "what could break a line"),
    ("régles.json", "r_gles.json", "what is not ASCII"),
    ("k" * 1000 + ".json", "k" * 75 + ".json", "longer than a file's name can be"),
    ("..", "rules.json", "what would lead out of the folder"),
    ("", "rules.json", "nothing"),
]


@pytest.mark.parametrize(("name", "expected", "why"), NAMES, ids=[why for *_, why in NAMES])
def test_a_staged_file_has_the_name_that_messages_tell(name: str, expected: str, why: str, tmp_path: Path) -> None:
    staged = RulesFolder(tmp_path).stage(b"{}", name)
    assert staged.name == expected
    assert staged.parent.parent == tmp_path


def test_the_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    status = Status("0123456789ab", 1.5, 2.5, 2.5, "It ✗.", {"missing": 3})
    RulesFolder(tmp_path).write_status(status)
    assert RulesFolder(tmp_path).status() == status


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"verson": null}', b"\xff"])
def test_a_status_that_is_none_counts_as_not_there(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(data)
    assert RulesFolder(tmp_path).status() == Status()


def put(path: Path, item: str) -> str:
    data = b'{"exclude": {"items": ["%s"]}}' % item.encode()
    folder, version = RulesFolder(path), version_of(data)
    folder.put_in_force(folder.stage(data, "rules.json"), version)
    return version


def excluded(live: LiveRules) -> set[str] | None:
    now = live.current()
    return None if now is None else set(now[1].get("exclude.items", ()))


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def live(tmp_path: Path, clock: list[float]) -> LiveRules:
    return LiveRules(RulesFolder(tmp_path), clock=lambda: clock[0])


def test_there_are_none_at_first(live: LiveRules) -> None:
    assert live.current() is None


def test_a_new_version_is_seen_within_a_second(live: LiveRules, tmp_path: Path, clock: list[float]) -> None:
    put(tmp_path, "apple")
    assert excluded(live) == {"apple"}
    put(tmp_path, "bread")
    clock[0] += 0.99
    assert excluded(live) == {"apple"}, "the folder is looked at once a second at most"
    clock[0] += 0.01
    assert excluded(live) == {"bread"}


def test_a_worker_that_was_idle_for_hours_is_up_to_date_at_once(
    live: LiveRules, tmp_path: Path, clock: list[float]
) -> None:
    put(tmp_path, "apple")
    live.current()
    for item in ("bread", "cocoa", "dates"):
        put(tmp_path, item)
    clock[0] += 10_000
    assert excluded(live) == {"dates"}


def test_a_version_is_read_once(live: LiveRules, tmp_path: Path, clock: list[float]) -> None:
    version = put(tmp_path, "apple")
    first = live.current()
    assert first is not None
    assert first[0] == version
    clock[0] += 5
    assert live.current() is first


def broken(path: Path) -> None:
    version = put(path, "bread")
    RulesFolder(path).file_of(version).write_bytes(b"{")


def no_rules(path: Path) -> None:
    version = put(path, "bread")
    RulesFolder(path).file_of(version).write_bytes(b'{"exlude": {}}')


def gone(path: Path) -> None:
    version = put(path, "bread")
    RulesFolder(path).file_of(version).unlink()


def no_link(path: Path) -> None:
    (path / "in-force").unlink()
    (path / "in-force").mkdir()


HARM = [
    (broken, "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2.", "garbage"),
    (no_rules, "'exlude' is no field of the rules, did you mean 'exclude'?", "no rules"),
    (gone, "can't be read: No such file or directory.", "a version whose file is gone"),
    (no_link, "Invalid argument.", "no link"),
]


@pytest.mark.parametrize(("harm", "message", "why"), HARM, ids=[why for *_, why in HARM])
def test_a_worker_that_can_not_read_a_version_keeps_what_it_has_and_says_so_once(
    harm: object, message: str, why: str, tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveRules(RulesFolder(tmp_path), clock=lambda: clock[0])
    version = put(tmp_path, "apple")
    live.current()
    assert callable(harm)
    harm(tmp_path)
    for _ in range(3):
        clock[0] += 1
        assert excluded(live) == {"apple"}
    (record,) = caplog.records
    told = f"this worker can't read the live rules, and keeps what it has ({version}): "
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(told)
    assert record.getMessage().endswith(message)
    if harm is not no_link:
        put(tmp_path, "cocoa")
        clock[0] += 1
        assert excluded(live) == {"cocoa"}


def test_readers_do_not_wait_while_nothing_is_new(
    live: LiveRules, tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "apple")
    live.current()
    with live._looking:  # somebody holds the lock: whoever takes it would hang here
        assert excluded(live) == {"apple"}


def test_many_threads_see_whole_versions_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    live = LiveRules(RulesFolder(tmp_path))
    versions = [put(tmp_path, "0")]
    done = threading.Event()

    def read() -> list[str]:
        seen = []
        while not done.is_set():
            now = live.current()
            assert now is not None
            (item,) = now[1].get("exclude.items")
            seen.append(item)
        return seen

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        try:
            for number in range(1, 200):
                versions.append(put(tmp_path, str(number)))
        finally:
            done.set()
        for reader in readers:
            numbers = [int(item) for item in reader.result()]
            assert numbers == sorted(numbers)
            assert len(set(numbers)) > 1


# A model that follows.


class Said(LiveRules):
    """Live rules as a test says, of which one version after the other is current."""

    def __init__(self, *versions: Live | None) -> None:
        super().__init__(None, lambda: self.counted.append(self.said[-1]))
        self.said = list(versions)
        self.counted: list[Live | None] = []

    def current(self) -> Live | None:
        return self.said[-1]


def version(name: str, **rules: Any) -> Live:
    return name, read_rules_file(rules)


def follower(live: LiveRules) -> Follower:
    return Follower(Shop(shop().in_memory()), live)


def barred(served: Shop) -> set[str]:
    answer = Recommender(served).answer({"customer": "ann", "k": 6})
    return set(ITEMS) - {place["item"] for place in answer["recommendations"]}


def test_a_model_follows_the_versions() -> None:
    live = Said(None)
    model = follower(live)
    assert model.now().live_version is None
    live.said.append(version("1", exclude={"items": ["apple"]}))
    assert barred(model.now()) == {"apple"}
    first = model.now()
    assert model.now() is first, "a version is bound once"
    live.said.append(version("2", exclude={"items": ["bread"]}))
    assert barred(model.now()) == {"bread"}
    live.said.append(None)
    assert model.now().live_version == "2", "rules that are no longer there stay"


def test_what_a_model_can_not_keep_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    live = Said(version("1", at_most={"brand": 1}, exclude={"items": ["apple"]}))
    model = follower(live)
    for _ in range(3):
        assert barred(model.now()) == {"apple"}
    assert live.counted == live.said
    (record,) = caplog.records
    told = "model 0123456789ab keeps live rules 1 in part: at_most.brand names "
    assert record.getMessage().startswith(told)


def test_a_thread_that_waited_binds_what_is_newest_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a thread's look and its turn, another thread may have bound a newer version."""
    older, newer = version("1"), version("2")
    looks = [older, newer, older, newer]
    live = Said()
    monkeypatch.setattr(live, "current", lambda: looks.pop(0))
    model = follower(live)
    now = model.now()
    assert now.live_version == "2"
    assert model.now() is now, "which is not bound again"
    assert not looks


def test_a_request_is_answered_under_one_version_to_its_end() -> None:
    live = Said(version("1", exclude={"items": ["apple"]}))
    recommender = module.follow(Shop(shop().in_memory()), live)

    def records() -> Iterator[dict[str, Any]]:
        for number in range(1000):  # more than are read ahead
            if number == 500:
                live.said.append(version("2", exclude={"items": ["bread"]}))
            yield {"customer": "ann", "k": 1}

    tally = Tally()
    answers = [answer for _, answer in recommender.answers(records(), tally)]
    assert {answer["recommendations"][0]["item"] for answer in answers if isinstance(answer, dict)} == {"bread"}
    assert (len(answers), tally.rules) == (1000, "1")
    assert recommender.answer({"customer": "ann", "k": 1})["recommendations"][0]["item"] == "apple"


def test_many_threads_see_whole_models_in_order() -> None:
    """Version n excludes the first n items, so that a mix of two versions would show."""
    live = Said(version("0"))
    model = follower(live)
    done = threading.Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            now = model.now()
            number = int(now.live_version or 0)
            assert barred(now) == set(ITEMS[: number % 6])
            seen.append(number)
        return seen

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        try:
            for number in range(1, 300):
                live.said.append(version(str(number), exclude={"items": ITEMS[: number % 6]}))
        finally:
            done.set()
        for reader in readers:
            assert reader.result() == sorted(reader.result())
