"""A model whose live rules change beneath it: what they mean, layer by layer, and that the last good ones stay."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alsriaz.questions.served_model import ServedModel
from alsriaz.rules.rules import parse_standing_rules

from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.tally import Tally
from alsriaz.questions.tasks import TASKS
from alsriaz.serving.live_rules.follower import Live
from alsriaz.serving.live_rules.model import LiveModel, LiveRules
from tests.small_models import shop

DEPARTMENT = {"department": ["FRUIT", "BAKERY", "SWEETS", "FRUIT", None, "FRUIT"]}


def live(version: str, **rules: Any) -> Live:
    return Live(version, parse_standing_rules(rules))


def served(**changes: Any) -> ServedModel:
    return ServedModel(shop(attributes=DEPARTMENT, **changes).in_memory(), Limits())


def under(rules: dict[str, Any], **changes: Any) -> ServedModel:
    return served(**changes).with_live("v", parse_standing_rules(rules))


def barred(model: ServedModel, record: dict[str, Any]) -> set[str]:
    """Return the items that may not fill a list."""
    rules = model.rules(record)
    ids = model.catalogue.ids
    every = set(range(len(ids)))
    kept = every if rules.among is None else set(rules.among.tolist())
    hidden = set() if rules.hidden is None else {position for position in every if rules.hidden[position]}
    out = {int(position) for some in rules.excluded for position in some}
    return {ids.id_at(position) for position in (every - kept) | hidden | out}


LAYERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], set[str], str]] = [
    # standing, live, the request's, what is barred, why
    ({}, {}, {}, set(), "live rules may be empty"),
    ({}, {"exclude": {"items": ["apple"]}}, {}, {"apple"}, "an item out of stock"),
    (
        {"exclude": {"items": ["figs"]}},
        {"exclude": {"items": ["apple"]}},
        {"exclude": {"items": ["eggs"]}},
        {"apple", "eggs", "figs"},
        "excluded ids unite over all three layers",
    ),
    (
        {"include": {"only": ["apple", "bread", "cocoa"]}},
        {"include": {"only": ["bread", "cocoa", "dates"]}},
        {"include": {"only": ["cocoa", "dates", "eggs"]}},
        {"apple", "bread", "dates", "eggs", "figs"},
        "only intersects",
    ),
    (
        {"exclude": {"popular": 3}},
        {"exclude": {"popular": 1}},
        {},
        {"bread"},
        "a live value replaces the standing one",
    ),
    (
        {"exclude": {"popular": 3}},
        {"exclude": {"popular": 1}},
        {"exclude": {"popular": 2}},
        {"bread", "apple"},
        "and a request's replaces both",
    ),
    ({}, {"exclude": {"items": ["no such", "apple"]}}, {}, {"apple"}, "an item that nobody knows has no effect"),
    ({}, {"exclude": {"where": {"department": "FRUIT"}}}, {}, {"apple", "dates", "figs"}, "a condition"),
]


@pytest.mark.parametrize(("standing", "rules", "record", "expected", "why"), LAYERS, ids=[why for *_, why in LAYERS])
def test_live_rules_lie_between_the_standing_ones_and_the_requests(
    standing: dict[str, Any], rules: dict[str, Any], record: dict[str, Any], expected: set[str], why: str
) -> None:
    assert barred(under(rules, standing=standing), record) == expected


def test_live_rules_lift_and_cap_until_a_request_says_otherwise() -> None:
    model = under({"boost": {"where": {"department": "FRUIT"}, "by": 2}, "at_most": {"department": 1}})
    assert [lift.by for lift in model.rules({}).lifts] == [2.0]
    assert [cap.most for cap in model.rules({}).caps] == [1]
    asked = model.rules({"boost": {"items": ["eggs"], "by": 3}, "at_most": {"department": 2}})
    assert [lift.by for lift in asked.lifts] == [3.0]
    assert [cap.most for cap in asked.caps] == [2]


def test_an_item_that_must_appear_does_and_an_excluded_one_is_told() -> None:
    model = under({"include": {"items": ["eggs", "figs"]}}, standing={"exclude": {"items": ["figs"]}})
    rules = model.rules({})
    assert rules.forced.tolist() == [4]
    assert [notice.code for notice in rules.notices] == ["include_overruled"]


def audience(model: ServedModel, record: dict[str, Any]) -> list[str]:
    rules = model.customer_rules(record)
    out = {int(position) for some in rules.excluded for position in some}
    among = range(3) if rules.among is None else rules.among.tolist()
    return [model.customer_catalogue.id_at(position) for position in among if position not in out]


CUSTOMERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str], str]] = [
    ({}, {"exclude": {"customers": ["bob"]}}, {}, ["ann", "cy"], "a customer who wants no mail"),
    (
        {"exclude": {"customers": ["ann"]}},
        {"exclude": {"customers": ["bob"]}},
        {"exclude": {"customers": ["cy"]}},
        [],
        "excluded customers unite over all three layers",
    ),
    (
        {"include": {"only_customers": ["ann", "bob"]}},
        {"include": {"only_customers": ["bob", "cy"]}},
        {},
        ["bob"],
        "only_customers intersects",
    ),
    ({}, {"include": {"customers": ["bob"]}}, {}, ["ann", "bob", "cy"], "include.customers is for output.csv"),
]


@pytest.mark.parametrize(("standing", "rules", "record", "expected", "why"), CUSTOMERS, ids=[w for *_, w in CUSTOMERS])
def test_live_rules_hold_for_customers_too(
    standing: dict[str, Any], rules: dict[str, Any], record: dict[str, Any], expected: list[str], why: str
) -> None:
    model = under(rules, standing=standing)
    assert audience(model, record) == expected
    assert model.customer_rules(record).forced.tolist() == []
    assert audience(model, record) == expected, "also when they have been looked up before"


def test_a_version_replaces_the_one_before_and_leaves_that_as_it_was() -> None:
    standing = served(standing={"exclude": {"items": ["figs"]}})
    first = standing.with_live("1", parse_standing_rules({"exclude": {"items": ["apple"], "customers": ["ann"]}}))
    assert audience(first, {}) == ["bob", "cy"]
    second = first.with_live("2", parse_standing_rules({"exclude": {"items": ["bread"]}}))
    assert [one.live_version for one in (standing, first, second)] == [None, "1", "2"]
    assert [barred(one, {}) for one in (standing, first, second)] == [{"figs"}, {"apple", "figs"}, {"bread", "figs"}]
    assert [audience(one, {}) for one in (first, second)] == [["bob", "cy"], ["ann", "bob", "cy"]]


def test_what_took_time_once_is_shared_by_all_versions() -> None:
    first = served()
    customers = first.customers
    second = first.with_live("1", parse_standing_rules({}))
    assert second.customers is customers
    assert second.items is first.items


def test_every_task_answers_under_live_rules() -> None:
    model = under(
        {"exclude": {"items": ["apple"]}, "boost": {"items": ["eggs"], "by": 2}, "at_most": {"department": 1}}
    )
    asked: dict[str, dict[str, Any]] = {
        "recommend": {"customer": "ann"},
        "similar": {"item": "bread"},
        "audience": {"item": "bread"},
        "score": {"customer": "ann", "items": ["bread", "apple"]},
        "explain": {"customer": "ann", "item": "bread"},
        "popular": {},
    }
    assert asked.keys() == TASKS.keys()
    for name, record in asked.items():
        assert TASKS[name].prepare(model, record)


def test_a_model_follows_the_versions() -> None:
    versions: list[Live | None] = [None]
    model = LiveModel(served(), LiveRules(lambda: versions[-1]))
    assert model.now().live_version is None
    versions.append(live("1", exclude={"items": ["apple"]}))
    assert barred(model.now(), {}) == {"apple"}
    first = model.now()
    assert model.now() is first, "a version is bound once"
    versions.append(live("2", exclude={"items": ["bread"]}))
    assert barred(model.now(), {}) == {"bread"}
    versions.append(None)
    assert model.now().live_version == "2", "rules that are no longer there stay"


IN_PART: list[tuple[dict[str, Any], str, str]] = [
    # what can't be kept, why not, why
    (
        {"exclude": {"where": {"brand": "ACME"}}},
        "exclude.where.brand names 'brand'",
        "a condition on what may not appear",
    ),
    ({"include": {"where": {"brand": "ACME"}}}, "include.where.brand names 'brand'", "a condition on what may"),
    ({"boost": {"where": {"brand": "ACME"}, "by": 2}}, "boost.where.brand names 'brand'", "a boost"),
    ({"at_most": {"brand": 1}}, "at_most.brand names 'brand'", "a cap"),
    (
        {"include": {"items": ["bread", "cocoa", "dates", "eggs"]}},
        "include.items has 4 items that must appear (standing rules count), but k is 3.",
        "more that must appear than a list has places",
    ),
]


@pytest.mark.parametrize(("rules", "reason", "why"), IN_PART, ids=[why for *_, why in IN_PART])
def test_a_model_that_can_not_keep_a_rule_keeps_the_others(
    rules: dict[str, Any], reason: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    all_rules = {name: dict(section) for name, section in rules.items()}
    all_rules.setdefault("exclude", {})["items"] = ["apple"]
    counted: list[str] = []
    version = live("1", **all_rules)
    model = LiveModel(served(), LiveRules(lambda: version, lambda: counted.append(version.version)))
    for _ in range(3):
        now = model.now()
        assert now.live_version == "1"
        assert barred(now, {}) == {"apple"}
        assert (now.rules({}).lifts, now.rules({}).caps, now.rules({}).forced.tolist()) == ((), (), [])
    assert counted == ["1"], "it is told once"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"model 0123456789ab keeps live rules 1 in part: {reason}")


def test_what_a_model_can_keep_of_rules_on_attributes_it_keeps() -> None:
    rules = {"include": {"where": {"brand": "ACME"}}, "exclude": {"where": {"department": "FRUIT"}}}
    model = under(rules | {"boost": {"items": ["eggs"], "by": 2}, "at_most": {"brand": 1, "department": 1}})
    assert barred(model, {}) == {"apple", "dates", "figs"}
    assert [lift.by for lift in model.rules({}).lifts] == [2.0]
    assert model.rules({}).caps == ()
    assert [error.field for error in model.left_out] == ["include.where.brand", "at_most.brand"]


def test_a_thread_that_waited_binds_what_is_newest_by_then() -> None:
    """Between a thread's look and its turn, another thread may have bound a newer version."""
    older, newer = live("1"), live("2")
    looks = [older, newer, older, newer]
    model = LiveModel(served(), LiveRules(lambda: looks.pop(0)))
    now = model.now()
    assert now.live_version == "2"
    assert model.now() is now, "which is not bound again"
    assert not looks


def test_a_request_is_answered_under_one_version_to_its_end() -> None:
    versions = [live("1", exclude={"items": ["apple"]})]
    recommender = Recommender(shop().in_memory(), Limits(), LiveRules(lambda: versions[-1]))

    def records() -> Iterator[dict[str, Any]]:
        for number in range(1000):  # more than are read ahead
            if number == 500:
                versions.append(live("2", exclude={"items": ["bread"]}))
            yield {"customer": "ann", "k": 1}

    tally = Tally()
    answers = [answer for _, answer in recommender.answers(records(), tally)]
    assert {answer["recommendations"][0]["item"] for answer in answers if isinstance(answer, dict)} == {"bread"}
    assert (len(answers), tally.rules) == (1000, "1")
    assert recommender.answer({"customer": "ann", "k": 1})["recommendations"][0]["item"] == "apple"


def test_many_threads_see_whole_versions_in_order() -> None:
    """Version n excludes the first n items, so that a mix of two versions would show."""
    items = ["apple", "bread", "cocoa", "dates", "eggs", "figs"]
    versions = [live("0")]
    model = LiveModel(served(), LiveRules(lambda: versions[-1]))
    done = threading.Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            now = model.now()
            number = int(now.live_version or 0)
            assert barred(now, {}) == set(items[: number % 7])
            seen.append(number)
        return seen

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        try:
            for number in range(1, 300):
                versions.append(live(str(number), exclude={"items": items[: number % 7]}))
        finally:
            done.set()
        for reader in readers:
            assert reader.result() == sorted(reader.result())
