"""The tasks, a row each: which fields a question of it may have, and what answers it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from alsriaz.errors import BadValue
from alsriaz.platform.values import check_fields, nearest, shown
from alsriaz.questions.question import (
    BOOST,
    BUYER_FIELDS,
    CUSTOMER,
    EXCLUDE,
    HISTORY,
    INCLUDE,
    ITEM,
    ITEMS,
    LIST_FIELDS,
    MEASURE,
    OFFSET,
    ORDER,
    SCORED_ITEMS,
    SHOW,
    Field,
    K,
    Limits,
    Question,
)
from alsriaz.questions.recommend import popular, recommend
from alsriaz.questions.score import explain, score
from alsriaz.questions.shop import Prepared, Shop
from alsriaz.questions.similar import audience, similar
from alsriaz.questions.tally import OTHER, Record
from alsriaz.rules.rows import BY_PATH, SECTIONS, Reading, named_rules, read_rules


class Task(NamedTuple):
    """A kind of question: the fields that it may have, what raises BadValue where it lacks one, what answers it."""

    name: str
    fields: tuple[Field, ...]
    needs: tuple[Callable[[Question], object], ...]
    prepare: Callable[[Shop, Question], Prepared]


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("recommend", (*BUYER_FIELDS, *LIST_FIELDS), (Question.need_buyer,), recommend),
        Task("popular", LIST_FIELDS, (), popular),
        Task("similar", (ITEM, ITEMS, MEASURE, *LIST_FIELDS), (Question.asked_items,), similar),
        Task("audience", (ITEM, ITEMS, K, OFFSET, INCLUDE, EXCLUDE), (Question.asked_items,), audience),
        Task(
            "score",
            (*BUYER_FIELDS, SCORED_ITEMS, ORDER, INCLUDE, EXCLUDE, BOOST, SHOW),
            (Question.need_buyer, Question.need_items),
            score,
        ),
        Task("explain", (CUSTOMER, HISTORY, ITEM, K, SHOW), (Question.need_buyer, Question.need_item), explain),
    )
}
"""By the name in the field `task`; the first is the default."""

_KNOWN = {task.name: dict.fromkeys(["task", *(field.name for field in task.fields)]).keys() for task in TASKS.values()}

# Read in the order of the table, whatever the record's own, and these last: of several faults, the same is always told.
_SHAPE = (K, OFFSET, SHOW)
_FIRST = {task.name: [f for f in task.fields if f not in _SHAPE and f.read is not None] for task in TASKS.values()}
_LAST = {task.name: [f for f in task.fields if f in _SHAPE] for task in TASKS.values()}


def read_question(record: Record, limits: Limits) -> Question:
    """Return the question that a record asks.

    Raises:
        BadValue: a field is unknown, can't be read, or a rule has no meaning in the task.
    """
    name = _task_of(record)
    if not isinstance(name, str) or name not in TASKS:
        hint = nearest(name, TASKS) if isinstance(name, str) else "."
        raise BadValue("task", f"task is {shown(name)}, expected one of {', '.join(TASKS)}{hint}")
    if not record.keys() <= _KNOWN[name]:
        check_fields(record, _KNOWN[name])
    question = Question(name)
    ruled = not record.keys().isdisjoint(SECTIONS)
    if ruled:
        question.named_rules = tuple(_check_rules(record, name))
    _read(record, _FIRST[name], limits, question)
    for need in TASKS[name].needs:
        need(question)
    if ruled:
        question.rules = read_rules(record, Reading(limits.most_ids))
    _read(record, _LAST[name], limits, question)
    return question


def _read(record: Record, fields: Iterable[Field], limits: Limits, question: Question) -> None:
    for field in fields:
        value = record.get(field.name)
        if value is not None and field.read is not None:
            setattr(question, field.name, field.read(value, field.name, limits))


def label_of(record: Record) -> str:
    """Return the task of a record as the log and the metrics name it."""
    name = _task_of(record)
    return name if isinstance(name, str) and name in TASKS else OTHER


def _task_of(record: Record) -> object:
    """Return the task that a record names, whether or not it exists."""
    task = record.get("task")
    return "recommend" if task is None else task


def _check_rules(record: Record, task: str) -> list[str]:
    """Return the rules that a record names; BadValue where one has no meaning in its task."""
    named = list(named_rules(record))
    for path in named:
        if path in BY_PATH and task not in BY_PATH[path].tasks:
            tasks = ", ".join(name for name in TASKS if name in BY_PATH[path].tasks) or "output.csv"
            raise BadValue(path, f"{path} has no meaning in task {task}: leave it out. It holds in {tasks}.")
    return named
