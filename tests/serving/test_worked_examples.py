"""The examples of tests/serving/worked_examples.py, asked of real nginx and gunicorn: one for each row of the docs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alsriaz.model.folder import open_model
from alsriaz.questions.tasks import TASKS
from alsriaz.rules.rows import RULES, SECTIONS
from alsriaz.training.customer_lists import customer_lists
from tests.serving.serving_process import HttpServer, Serving
from tests.serving.worked_examples import DEFAULTS, EXAMPLES, OUTPUT, STANDING, Csv, Example, brief, example_shop

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")
COLUMNS = {"score, by score": "score"}  # of the table which rules hold where, by the task's name


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    example_shop(**STANDING).write(root / "model")
    return root


@pytest.fixture(scope="module")
def model_hash(root: Path) -> str:
    return open_model(root / "model").manifest.short_hash


@pytest.fixture(scope="module")
def server(serving: Serving, root: Path) -> Iterator[HttpServer]:
    with serving.running(root, {"ALSRIAZ_WORKERS": "2"}) as server:
        yield server


def post(server: HttpServer, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = server.request("POST", "/invocations", json.dumps(request), {"Content-Type": "application/json"})
    return answer.status, answer.json()


def asked(task: str, request: dict[str, Any]) -> dict[str, Any]:
    named = {} if task == "recommend" else {"task": task}
    return {**named, **DEFAULTS[task], **request}


CASES = [(task, one) for task, examples in EXAMPLES.items() for one in examples]
IDS = [f"{task}: {one.covers}, {one.why}" for task, one in CASES]


@pytest.mark.process
@pytest.mark.parametrize(("task", "example"), CASES, ids=IDS)
def test_an_example_is_answered_as_it_says(server: HttpServer, model_hash: str, task: str, example: Example) -> None:
    status, answer = post(server, asked(task, example.request))
    assert brief(answer) == example.expected
    if "error" in answer:
        assert status in (400, 404)
        return
    assert status == 200
    answer["warnings"] = [warning["code"] for warning in answer.get("warnings", [])] or None
    assert {name: answer.get(name) for name in example.has} == example.has
    assert answer["model"] == model_hash


@pytest.mark.process
def test_the_examples_are_answered_the_same_in_one_request(server: HttpServer) -> None:
    alone = [post(server, asked(task, one.request))[1] for task, one in CASES]
    status, together = post(server, {"instances": [asked(task, one.request) for task, one in CASES]})
    assert status == 200
    assert together["predictions"] == alone


@pytest.mark.parametrize("example", OUTPUT, ids=[f"{one.covers}: {one.why}" for one in OUTPUT])
def test_output_csv_holds_what_an_example_says(example: Csv) -> None:
    lists = {
        customer: " ".join(
            item + ("" if reason == "model" else f":{reason}")
            for item, reason in zip(page.ids, page.reasons, strict=True)
        )
        for customer, page in customer_lists(example_shop(**example.rules).in_memory(), lambda text: None)
    }
    assert {customer: lists.get(customer) for customer in example.lists} == example.lists
    if "customers" in example.covers:
        assert list(lists) == list(example.lists)


def section(title: str) -> str:
    """Return the page's text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the header and the rows of each table, a list of cells each."""
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
        yield rows[0], rows[2:]


def names(cell: str) -> list[str]:
    """Return what the first cell of a row names: its words in backticks, or itself."""
    return re.findall(r"`([\w.]+)`", cell) or [cell]


def holding() -> Iterator[tuple[str, str, bool]]:
    """Yield column, rule, and whether it holds there, from the table which rules hold where."""
    header, rows = next(table for table in tables(section("Rules")) if "output.csv" in table[0])
    assert len(rows) > 5
    for first, *cells in rows:
        for column, cell in zip(header[1:], cells, strict=True):
            assert cell in ("yes", "")
            yield from ((COLUMNS.get(column, column), rule, cell == "yes") for rule in names(first))


COVERED = {(task, one.covers) for task, one in CASES} | {("output.csv", one.covers) for one in OUTPUT}
WORDS = {word for _, word in COVERED}
HELD = [(column, rule) for column, rule, holds in holding() if holds]
NOT_HELD = [(column, rule) for column, rule, holds in holding() if not holds and column != "output.csv"]


@pytest.mark.parametrize(("column", "rule"), HELD)
def test_each_rule_has_an_example_wherever_it_holds(column: str, rule: str) -> None:
    assert (column, rule) in COVERED


@pytest.mark.parametrize("title", ["Rules", "Item attributes", "Warnings"])
def test_each_row_of_the_docs_has_an_example(title: str) -> None:
    rows = [name for _, rows in tables(section(title)) for first, *_ in rows for name in names(first)]
    assert rows
    assert [name for name in rows if name not in WORDS] == []


@pytest.mark.parametrize("task", TASKS)
def test_each_field_of_each_task_stands_in_the_docs_and_has_an_example(task: str) -> None:
    text = section(f"Task `{task}`")
    rows = [name for _, rows in tables(text) for first, *_ in rows for name in names(first)]
    fields = [field.name for field in TASKS[task].fields if field.name not in SECTIONS]
    assert [name for name in {*rows, *fields} - {*SECTIONS} if (task, name) not in COVERED] == []
    assert [name for name in fields if f"`{name}`" not in text] == []


SAMPLES: dict[str, dict[str, Any]] = {
    "include.items": {"include": {"items": ["apple"]}},
    "include.new": {"include": {"new": 1}},
    "include.only": {"include": {"only": ["apple"]}},
    "include.where": {"include": {"where": {"department": "fruit"}}},
    "include.placement": {"include": {"placement": "first"}},
    "include.customers": {"include": {"customers": ["ann"]}},
    "include.only_customers": {"include": {"only_customers": ["ann"]}},
    "exclude.items": {"exclude": {"items": ["apple"]}},
    "exclude.purchased": {"exclude": {"purchased": True}},
    "exclude.popular": {"exclude": {"popular": 1}},
    "exclude.where": {"exclude": {"where": {"department": "fruit"}}},
    "exclude.customers": {"exclude": {"customers": ["ann"]}},
    "boost": {"boost": {"items": ["apple"], "by": 2}},
    "at_most": {"at_most": {"department": 1}},
}


@pytest.mark.process
@pytest.mark.parametrize(("task", "rule"), NOT_HELD)
def test_a_rule_is_refused_where_it_has_no_meaning(server: HttpServer, task: str, rule: str) -> None:
    by_score = {"order": "score"} if task == "score" else {}
    status, answer = post(server, asked(task, {**SAMPLES[rule], **by_score}))
    error = answer["error"]
    assert status == 400
    assert error["field"] == rule
    assert error["code"] == (
        "bad_rule" if rule in error["message"] and "has no meaning" in error["message"] else "unknown_field"
    )
    assert rule in error["message"]


def test_the_table_of_what_holds_where_is_what_the_code_says() -> None:
    for task in TASKS:
        if task != "explain":
            assert {rule for column, rule in HELD if column == task} == {one.path for one in RULES if task in one.tasks}
    assert set(SAMPLES) == {rule for _, rule, _ in holding()}
