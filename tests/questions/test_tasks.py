import random
from fractions import Fraction
from typing import Any

import pytest

from alsriaz.errors import BadValue
from alsriaz.questions.question import Limits, Question
from alsriaz.questions.tasks import TASKS, read_question
from alsriaz.rules.rows import NO_RULES, Rules
from alsriaz.scoring.history import HistoryEntry

LIMITS = Limits(most_k=9, most_ids=3, most_history=2)

READ: list[tuple[dict[str, Any], Question, str]] = [
    ({"customer": 17850}, Question(customer="17850"), "the default task, and a number that is an id"),
    (
        {"task": None, "history": ["figs"], "k": 2.0, "offset": 0, "show": ["brand", "brand"]},
        Question(history=[HistoryEntry("figs")], k=2, offset=0, show=["brand"]),
        "null is the default task; names to show count once",
    ),
    (
        {"task": "popular", "include": {"new": 1, "only": None}, "exclude": {"popular": 0.1}},
        Question(
            "popular",
            rules=Rules({"include.new": 1, "exclude.popular": Fraction(1, 10)}),
            named_rules=("include.new", "exclude.popular"),
        ),
        "rules are read together; those that are null say nothing",
    ),
    (
        {"task": "score", "customer": "ann", "items": ["b", "a", "b"], "order": "score"},
        Question("score", customer="ann", items=["b", "a", "b"], order="score"),
        "items to score stay as given",
    ),
]


@pytest.mark.parametrize(("record", "question", "why"), READ, ids=[why for *_, why in READ])
def test_a_record_is_read_into_a_question(record: dict[str, Any], question: Question, why: str) -> None:
    assert read_question(record, LIMITS) == question


NEEDED: dict[str, dict[str, Any]] = {
    "recommend": {"customer": "ann"},
    "popular": {},
    "similar": {"item": "figs"},
    "audience": {"items": ["figs"]},
    "score": {"customer": "ann", "items": ["figs"]},
    "explain": {"customer": "ann", "item": "figs"},
}


@pytest.mark.parametrize("task", TASKS)
def test_null_means_absent_in_every_field_of_every_task(task: str) -> None:
    nothing = {field.name: None for field in TASKS[task].fields}
    assert read_question({"task": task, **nothing, **NEEDED[task]}, LIMITS) == read_question(
        {"task": task, **NEEDED[task]}, LIMITS
    )
    assert read_question({"task": task, **NEEDED[task]}, LIMITS).rules is NO_RULES


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"task": "recomend"}, "task", "bad_value", "task is 'recomend', expected one of recommend, popular, similar, "),
    ({"task": "recomend"}, "task", "bad_value", ", explain, did you mean 'recommend'?"),
    ({"task": 1}, "task", "bad_value", "task is 1, expected one of recommend, "),
    ({"customer": "ann", "kk": 1}, "kk", "unknown_field", "There is no field 'kk'"),
    ({"customer": "ann", "item": "figs"}, "item", "unknown_field", "There is no field 'item'"),
    ({}, "customer", "missing_field", "The record has neither customer nor history, expected at least one of them."),
    ({"customer": "ann", "k": 10}, "k", "bad_value", "k is 10, expected a whole number from 1 to 9."),
    ({"customer": "ann", "history": ["a"] * 3}, "history", "bad_value", "history has 3 entries, expected at most 2."),
    (
        {"customer": "ann", "exclude": {"items": list("abcd")}},
        "exclude.items",
        "bad_value",
        "exclude.items has 4 entries, expected at most 3.",
    ),
    (
        {"task": "similar", "item": "a", "items": ["b"]},
        "item",
        "bad_value",
        "The record has both item and items, expected one of them.",
    ),
    (
        {"task": "audience"},
        "item",
        "missing_field",
        "The record has neither item nor items, expected one of them.",
    ),
    ({"task": "similar", "items": ["a"] * 1001}, "items", "bad_value", "items has 1001 ids, expected at most 1000."),
    ({"task": "similar", "items": None, "item": ""}, "item", "bad_value", "item is '': expected an id, which is never"),
    (
        {"task": "audience", "item": "a", "exclude": {"popular": 1}},
        "exclude.popular",
        "bad_value",
        "exclude.popular has no meaning in task audience: leave it out. It holds in recommend, popular, similar,",
    ),
]


@pytest.mark.parametrize(("record", "field", "fault", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_a_record_that_is_no_question(record: dict[str, Any], field: str, fault: str, words: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_question(record, LIMITS)
    assert (caught.value.field, caught.value.fault) == (field, fault)
    assert words in str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_of_several_faults_the_same_is_told_whatever_the_order_of_the_fields(task: str) -> None:
    wrong: list[tuple[str, Any]] = [(field.name, 7 if field.read is None else {}) for field in TASKS[task].fields]
    told = set()
    for seed in range(10):
        random.Random(seed).shuffle(wrong)
        with pytest.raises(BadValue) as caught:
            read_question({**dict(wrong), "task": task}, LIMITS)
        told.add(caught.value.field)
    assert len(told) == 1
