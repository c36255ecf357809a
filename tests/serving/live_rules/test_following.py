"""How a worker sees the live rules: versions come and go, by the real folder, for many threads."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alsriaz.serving.live_rules.folder import RulesFolder, version_of
from alsriaz.serving.live_rules.follower import Follower

from alsriaz.serving.live_rules import follower as module


def put(path: Path, item: str) -> str:
    data = b'{"exclude": {"items": ["%s"]}}' % item.encode()
    folder, version = RulesFolder(path), version_of(data)
    folder.put_in_force(folder.stage(data, "rules.json"), version)
    return version


def excluded(follower: Follower) -> set[str] | None:
    live = follower.live()
    return None if live is None else set(live.rules.exclude_items)


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def follower(tmp_path: Path, clock: list[float]) -> Follower:
    return Follower(tmp_path, lambda: clock[0])


def test_there_are_none_at_first(follower: Follower) -> None:
    assert follower.live() is None


def test_a_new_version_is_seen_within_a_second(follower: Follower, tmp_path: Path, clock: list[float]) -> None:
    put(tmp_path, "apple")
    assert excluded(follower) == {"apple"}
    put(tmp_path, "bread")
    clock[0] += 0.99
    assert excluded(follower) == {"apple"}, "the folder is looked at once a second at most"
    clock[0] += 0.01
    assert excluded(follower) == {"bread"}


def test_a_worker_that_was_idle_for_hours_is_up_to_date_at_once(
    follower: Follower, tmp_path: Path, clock: list[float]
) -> None:
    put(tmp_path, "apple")
    follower.live()
    for item in ("bread", "cocoa", "dates"):
        put(tmp_path, item)
    clock[0] += 10_000
    assert excluded(follower) == {"dates"}


def test_a_version_is_read_once(follower: Follower, tmp_path: Path, clock: list[float]) -> None:
    version = put(tmp_path, "apple")
    first = follower.live()
    assert first is not None
    assert first.version == version
    clock[0] += 5
    assert follower.live() is first


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
    follower = Follower(tmp_path, lambda: clock[0])
    version = put(tmp_path, "apple")
    follower.live()
    assert callable(harm)
    harm(tmp_path)
    for _ in range(3):
        clock[0] += 1
        assert excluded(follower) == {"apple"}
    (record,) = caplog.records
    told = f"this worker can't read the live rules, and keeps what it has ({version}): "
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(told)
    assert record.getMessage().endswith(message)
    if harm is not no_link:
        put(tmp_path, "cocoa")
        clock[0] += 1
        assert excluded(follower) == {"cocoa"}


def test_readers_do_not_wait_while_nothing_is_new(
    follower: Follower, tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "apple")
    follower.live()
    with follower._looking:  # somebody holds the lock: whoever takes it would hang here
        assert excluded(follower) == {"apple"}


def test_many_threads_see_whole_versions_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    follower = Follower(tmp_path)
    versions = [put(tmp_path, "0")]
    done = threading.Event()

    def read() -> list[str]:
        seen = []
        while not done.is_set():
            live = follower.live()
            assert live is not None
            (item,) = live.rules.exclude_items
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
