"""What one look after another for live rules leads to: real files, the real folder, a source that a test leads."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from alsriaz.platform.layout import Layout
from alsriaz.questions.shop import Shop
from alsriaz.rules.binding import Notice
from alsriaz.rules.rows import Rules
from alsriaz.serving.live_rules.following import Live, LiveRules, RulesFolder, Status, version_of
from alsriaz.serving.live_rules.poller import Check, Poller, check_for
from alsriaz.serving.live_rules.sources import Fetched, FileSource, Unusable
from alsriaz.serving.settings import read_settings
from tests.small_models import shop

URI = "s3://shop/live/stock.json"
FIRST = b'{"exclude": {"items": ["apple"]}}'
SECOND = b'{"exclude": {"items": ["bread"]}}'


def anything(_rules: Rules) -> Sequence[Notice]:
    """Take all rules, and have nothing to tell of them."""
    return ()


class Scripted:
    """A source that gives what a test says next; bytes are unchanged for whoever knows their tag."""

    def __init__(self, *given: bytes | Unusable) -> None:
        self.given = list(given)
        self.sent = 0

    def fetch(self, known: str | None) -> Fetched | None:
        now = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if isinstance(now, Unusable):
            raise now
        tag = version_of(now)
        if tag == known:
            return None
        self.sent += 1
        return Fetched(now, tag)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that a test sets, from 1000 on."""
    now = [1000.0]
    monkeypatch.setattr("alsriaz.serving.live_rules.poller.time.time", lambda: now[0])
    monkeypatch.setattr("alsriaz.serving.live_rules.poller.time.monotonic", lambda: now[0])
    yield now


def polls(folder: Path, *given: bytes | Unusable, check: Check = anything) -> list[Status]:
    poller = Poller(Scripted(*given), URI, RulesFolder(folder), check)
    return [poller.poll() for _ in given]


def in_force(folder: Path) -> bytes | None:
    version = RulesFolder(folder).version()
    return None if version is None else RulesFolder(folder).file_of(version).read_bytes()


def test_good_rules_are_in_force_after_the_first_look(tmp_path: Path) -> None:
    (status,) = polls(tmp_path, FIRST)
    assert status == Status(version_of(FIRST), 1000.0, 1000.0, 1000.0, None, {})
    assert in_force(tmp_path) == FIRST
    assert RulesFolder(tmp_path).status() == status


def test_what_is_unchanged_is_a_success_and_in_force_since_before(tmp_path: Path, clock: list[float]) -> None:
    source = Scripted(FIRST)
    poller = Poller(source, URI, RulesFolder(tmp_path), anything)
    poller.poll()
    clock[0] = 1015.0
    assert poller.poll() == Status(version_of(FIRST), 1000.0, 1015.0, 1015.0, None, {})
    assert source.sent == 1


def test_what_changed_is_in_force_from_then_on(tmp_path: Path, clock: list[float]) -> None:
    poller = Poller(Scripted(FIRST, SECOND), URI, RulesFolder(tmp_path), anything)
    poller.poll()
    clock[0] = 1015.0
    assert poller.poll() == Status(version_of(SECOND), 1015.0, 1015.0, 1015.0, None, {})
    assert in_force(tmp_path) == SECOND


def test_the_same_bytes_under_another_tag_are_the_same_version(tmp_path: Path, clock: list[float]) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(FIRST)
    folder = tmp_path / "folder"
    folder.mkdir()
    checked: list[Rules] = []

    def check(rules: Rules) -> Sequence[Notice]:
        checked.append(rules)
        return ()

    poller = Poller(FileSource(path, 1000), path.as_uri(), RulesFolder(folder), check)
    poller.poll()
    before = os.lstat(folder / "in-force").st_ino
    os.utime(path, (1, 1))
    clock[0] = 1015.0
    assert poller.poll().since == 1000.0
    assert len(checked) == 1, "and are not judged again"
    assert os.lstat(folder / "in-force").st_ino == before


def with_history(history: str) -> bytes:
    """Return rules that a customer, ann, gets a list by."""
    return b'{"include": {"customers": ["bob", {"customer": "ann", "history": %s}]}}' % history.encode()


def too_deep() -> bytes:
    return b'{"exclude": ' + b"[" * 200_000


BAD: list[tuple[bytes | Unusable, str, str, str]] = [
    (Unusable("missing", "It has gone."), "missing", "It has gone.", "a source that is gone"),
    (Unusable("denied", "No."), "denied", "No.", "a source that we may not read"),
    (b"", "malformed", "stock.json is not JSON: Expecting value at line 1, column 1.", "an empty file"),
    (b"<html>", "malformed", "stock.json is not JSON: Expecting value at line 1, column 1.", "a page of an error"),
    (b"\x89PNG\r\n\xff", "malformed", "stock.json is not UTF-8 text (byte 0).", "garbage"),
    (
        FIRST[:-3],
        "malformed",
        "stock.json is not JSON: Expecting ',' delimiter at line 1, column 31.",
        "a file that is cut",
    ),
    (FIRST + FIRST, "malformed", "stock.json is not JSON: Extra data at line 1, column 34.", "a file twice in one"),
    (b'["apple"]', "malformed", "stock.json holds ['apple'], expected a JSON object.", "no object"),
    (too_deep(), "malformed", "stock.json is nested too deeply.", "too deep"),
    (b'{"exclude": {}, "exclude": {}}', "malformed", "stock.json: 'exclude' is given twice: keep one.", "a key twice"),
    (b'{"boost": NaN}', "malformed", "stock.json: NaN is no JSON number.", "no number of JSON"),
    (b'{"exlude": {}}', "refused", "'exlude' is no field of the rules, did you mean 'exclude'?", "a field misspelt"),
    (b'{"exclude": {"item": ["a"]}}', "refused", "exclude has no field 'item', did you mean 'items'?", "one in it"),
    (
        b'{"include": {"items": ["a"]}, "exclude": {"items": ["a"]}}',
        "refused",
        "'a' stands in both include.items and exclude.items: keep one.",
        "a contradiction",
    ),
    (
        json.dumps({"exclude": {"items": [str(number) for number in range(100_001)]}}).encode(),
        "refused",
        "exclude.items has 100001 entries, expected at most 100000.",
        "more ids than rules.json may have",
    ),
    (
        with_history("[" * 500 + "]" * 500),
        "refused",
        f"the history of 'ann' in include.customers: history[0] is {'[' * 77}...: expected an id as text.",
        "a history that is nested",
    ),
    (
        with_history('[{"item": "a", "date": [2]}]'),
        "refused",
        "the history of 'ann' in include.customers: history[0].date is [2], expected a day as yyyymmdd or yyyy-mm-dd.",
        "one whose entry is nested",
    ),
    (
        with_history('"a"'),
        "refused",
        "the history of 'ann' in include.customers: history is 'a', expected a list of purchases.",
        "one that is no list",
    ),
    (
        with_history(json.dumps(["a"] * 10_001)),
        "refused",
        "the history of 'ann' in include.customers: history has 10001 entries, expected at most 10000.",
        "one that is longer than rules.json may have",
    ),
]


@pytest.mark.parametrize(("bad", "reason", "message", "why"), BAD, ids=[why for *_, why in BAD])
def test_the_last_good_rules_stay_in_force_whatever_comes(
    bad: bytes | Unusable, reason: str, message: str, why: str, tmp_path: Path, clock: list[float]
) -> None:
    poller = Poller(Scripted(FIRST, bad, bad, SECOND), URI, RulesFolder(tmp_path), anything)
    poller.poll()
    clock[0] = 1015.0
    assert poller.poll() == Status(version_of(FIRST), 1000.0, 1015.0, 1000.0, message, {reason: 1})
    assert in_force(tmp_path) == FIRST
    assert poller.poll().failures == {reason: 2}, "a bad file that stays is told again each time"
    clock[0] = 1030.0
    assert poller.poll() == Status(version_of(SECOND), 1030.0, 1030.0, 1030.0, None, {reason: 2})
    assert in_force(tmp_path) == SECOND


def test_a_history_that_rules_json_may_have_is_good(tmp_path: Path) -> None:
    given = [
        with_history(history) for history in ('["a", {"item": "b", "quantity": 2, "date": 20260131}]', "[]", "null")
    ]
    assert [status.error for status in polls(tmp_path, *given)] == [None] * 3


def deeper(frames: int, live: LiveRules) -> Live | None:
    return deeper(frames - 1, live) if frames else live.current()


def test_what_is_in_force_can_be_read_however_deep_the_stack_of_a_worker(tmp_path: Path) -> None:
    depths = range(700, 1000, 5)  # beyond the last of them we can't read it ourselves
    poller = Poller(
        Scripted(FIRST, *(with_history("[" * n + "]" * n) for n in depths)), URI, RulesFolder(tmp_path), anything
    )
    for _ in (FIRST, *depths):
        status = poller.poll()
        live = deeper(200, LiveRules(RulesFolder(tmp_path)))
        assert live is not None
        assert live[0] == status.version


def test_the_first_rules_may_be_bad_and_then_none_are_in_force(tmp_path: Path) -> None:
    status, _ = polls(tmp_path, b"{", SECOND)
    assert (status.version, status.since, status.succeeded) == (None, None, None)
    assert in_force(tmp_path) == SECOND


def test_rules_go_back_to_what_they_were(tmp_path: Path) -> None:
    *_, last = polls(tmp_path, FIRST, b"{", FIRST)
    assert (last.version, last.error) == (version_of(FIRST), None)
    assert in_force(tmp_path) == FIRST


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (
        {"exclude": {"where": {"departmant": ["GROCERY"]}}},
        "exclude.where.departmant names 'departmant', which is no attribute of the items, did you mean 'department'? "
        "Known are 'department'.",
        "a condition on an attribute that the items don't have",
    ),
    (
        {"at_most": {"brand": 2}},
        "at_most.brand names 'brand', which is no attribute of the items. Known are 'department'.",
        "a cap on one that they don't have",
    ),
    (
        {"include": {"items": ["apple", "bread", "cocoa"]}},
        "include.items has 4 items that must appear (standing rules count), but k is 3.",
        "more that must appear, with the standing rules' own, than a list has places",
    ),
]


@pytest.mark.parametrize(("rules", "message", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_the_model_can_not_keep_is_not_put_in_force(
    rules: dict[str, Any], message: str, why: str, tmp_path: Path
) -> None:
    standing = {"include": {"items": ["dates"]}}
    department = {"department": ["GROCERY", None, "PASTRY", None, None, None]}
    model = Shop(shop(attributes=department, standing=standing).in_memory())
    status, after = polls(
        tmp_path,
        json.dumps(rules).encode(),
        b'{"exclude": {"where": {"department": "GROCERY"}}}',
        check=model.check_live,
    )
    assert (status.version, status.error, status.failures) == (None, message, {"refused": 1})
    assert after.error is None


def test_what_has_no_effect_is_told_once_in_force(
    tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    attributes = {"department": ["GROCERY", None, "PASTRY", None, None, None]}
    standing = {"include": {"items": ["soap"]}}
    folder = tmp_path / "ml" / "model"
    shop(attributes=attributes, standing=standing).write(folder)
    check = check_for(read_settings({}), Layout(tmp_path / "ml"))
    misspelt = json.dumps({"include": {"where": {"department": "grocery"}, "items": ["yam"]}}).encode()
    poller = Poller(Scripted(misspelt, misspelt), URI, RulesFolder(tmp_path), check)
    for _ in range(2):
        poller.poll()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    version = version_of(misspelt)
    assert told == [
        f"live rules {version}: No item has 'department grocery' as a condition asks.",
        f"live rules {version}: Included item 'yam' was never sold: it has no score.",
    ], "and nothing of soap, of which the model's own rules speak"


def test_what_can_not_be_stored_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RulesFolder(tmp_path)
    poller = Poller(Scripted(FIRST, SECOND, SECOND), URI, folder, anything)
    poller.poll()
    (tmp_path / "staged" / "stock.json").mkdir()  # a folder where the file would be written
    status = poller.poll()
    assert status.failures == {"not_stored": 1}
    assert status.error == "The rules can't be stored in ALSRIAZ_LIVE_RULES_FOLDER: Is a directory."
    assert in_force(tmp_path) == FIRST
    (tmp_path / "staged" / "stock.json").rmdir()
    assert poller.poll().error is None
    assert in_force(tmp_path) == SECOND


def test_a_status_that_can_not_be_written_is_told_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "status.json").mkdir()
    polls(tmp_path, FIRST)
    assert in_force(tmp_path) == FIRST
    assert "what is known of the live rules can't be written: Is a directory" in caplog.text


def test_a_new_poller_goes_on_where_the_last_one_ended(tmp_path: Path, clock: list[float]) -> None:
    polls(tmp_path, FIRST, Unusable("missing", "It has gone."))
    clock[0] = 2000.0
    (status,) = polls(tmp_path, Unusable("missing", "It has gone."))
    assert status == Status(version_of(FIRST), 1000.0, 2000.0, 1000.0, "It has gone.", {"missing": 2})
    assert in_force(tmp_path) == FIRST
    clock[0] = 2015.0
    (status,) = polls(tmp_path, FIRST)
    assert status == Status(version_of(FIRST), 1000.0, 2015.0, 2015.0, None, {"missing": 2})


def test_a_new_poller_believes_the_folder_more_than_the_status(tmp_path: Path, clock: list[float]) -> None:
    polls(tmp_path, FIRST)
    folder = RulesFolder(tmp_path)
    folder.put_in_force(folder.stage(SECOND, "x"), version_of(SECOND))  # and was killed before it could say so
    clock[0] = 2000.0
    (status,) = polls(tmp_path, Unusable("missing", "It has gone."))
    assert (status.version, status.since) == (version_of(SECOND), 2000.0)


def test_the_log_tells_each_failure_once_and_reminds(
    tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone, other = Unusable("missing", "It has gone."), Unusable("denied", "No.")
    poller = Poller(
        Scripted(gone, gone, FIRST, FIRST, gone, gone, gone, other, FIRST), URI, RulesFolder(tmp_path), anything
    )
    for moment in (0, 15, 30, 45, 60, 75, 700, 715, 730):
        clock[0] = 1000.0 + moment
        poller.poll()
    version = version_of(FIRST)
    none, stay = (
        "None were in force yet: the model's standing rules hold alone.",
        f"The last good ones, {version}, stay in force.",
    )
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"live rules {URI!r} can't be used: It has gone. {none}"),
        ("INFO", f"live rules {version} are in force, from {URI!r}"),
        ("INFO", f"live rules can be used again: {URI!r}"),
        ("WARNING", f"live rules {URI!r} can't be used: It has gone. {stay}"),
        ("WARNING", f"live rules {URI!r} can't be used: It has gone. {stay}"),
        ("WARNING", f"live rules {URI!r} can't be used: No. {stay}"),
        ("INFO", f"live rules can be used again: {URI!r}"),
    ]
