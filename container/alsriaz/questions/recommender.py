"""Answers the records of a request from one model, many at a time. Knows no transport."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np

from alsriaz.errors import CallerError, RequestError, RuleError
from alsriaz.model.folder import Model
from alsriaz.platform.setting import nearest, shown
from alsriaz.questions.fields import check_fields
from alsriaz.questions.question import Against, Prepared, Question
from alsriaz.questions.served_model import Limits, ServedModel
from alsriaz.questions.tasks import TASKS
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.lists import make_lists
from alsriaz.rules.rules import EXCLUDE, INCLUDE, Rules, named_rules
from alsriaz.scoring.scorers import FixedScorer, Scorer
from alsriaz.serving.tally import OTHER, Tally
from alsriaz.serving.wire import Answer, Answered, Record

__all__ = ["TASKS", "Limits", "Recommender", "label_of"]

_SCORES_AT_ONCE = 1 << 22  # 16 MB of float32, a thread
_RECORDS_AT_ONCE = 256
_IDS_AT_ONCE = 1 << 16  # in lists of records, of 60 to 400 bytes each: how much is read ahead and held
_CUSTOMERS_AN_ID = 32  # an audience holds 8 bytes for each customer who bought the item
_KNOWN_RULES = {f"include.{name}" for name in INCLUDE} | {f"exclude.{name}" for name in EXCLUDE} | {"boost", "at_most"}


class Recommender:
    """One model and the rules that hold for every request."""

    def __init__(self, model: Model, limits: Limits) -> None:
        """Answer from `model`, under its standing rules alone."""
        self._served = ServedModel(model, limits)
        widest = max(self.n_items, 1)
        self._at_once = min(_RECORDS_AT_ONCE, max(1, _SCORES_AT_ONCE // widest))

    def under(self, version: str, rules: Rules) -> "Recommender":
        """Return answers under live rules, which replace those that there are; all else is shared with this one."""
        other = copy(self)
        other._served = self._served.with_live(version, rules)
        return other

    @property
    def left_out(self) -> tuple[RuleError, ...]:
        """Why not all of the live rules hold."""
        return self._served.left_out

    @property
    def model_hash(self) -> str:
        """The short hash that answers carry."""
        return self._served.model_hash

    @property
    def n_customers(self) -> int:
        """How many customers the model knows."""
        return len(self._served.model.customer_ids)

    @property
    def n_items(self) -> int:
        """How many items the model knows."""
        return len(self._served.catalogue.ids)

    def answers(self, records: Iterable[Record | RequestError], tally: Tally | None = None) -> Iterator[Answered]:
        """Yield each record with its answer, or with the error that it met; each is counted in `tally`.

        Records are read ahead by as many as are ranked together, fewer where they are long. No answer depends on the
        records beside it.
        """
        counts = Tally() if tally is None else tally
        served = self._served
        counts.rules = served.live_version
        for some in self._blocks(records):
            for record, answer in zip(some, self._answers(served, some, counts), strict=True):
                counts.add(label_of(record), failed=isinstance(answer, CallerError))
                yield record, answer

    def answer(self, record: Record) -> Answer:
        """Return the answer to one record.

        Raises:
            RequestError: a field is unknown, missing or can't be used, or what it names is unknown.
            RuleError: the rules are malformed or can't be kept.
        """
        (answer,) = self._answers(self._served, [record], Tally())
        if isinstance(answer, CallerError):
            raise answer
        return answer

    def _blocks(self, records: Iterable[Record | RequestError]) -> Iterator[list[Record | RequestError]]:
        some: list[Record | RequestError] = []
        held = 0
        for record in records:
            some.append(record)
            held += 0 if isinstance(record, RequestError) else _n_entries(record)
            held += self.n_customers // _CUSTOMERS_AN_ID if label_of(record) == "audience" else 0
            if len(some) >= self._at_once or held >= _IDS_AT_ONCE:
                yield some
                some, held = [], 0
        if some:
            yield some

    def _answers(
        self, served: ServedModel, records: Sequence[Record | RequestError], tally: Tally
    ) -> list[Answer | CallerError]:
        prepared = [_prepared(served, record) for record in records]
        answers: list[Answer | CallerError] = [{}] * len(prepared)
        waiting: dict[Against, list[int]] = {}
        for number, one in enumerate(prepared):
            if isinstance(one, Question):
                waiting.setdefault(one.against, []).append(number)
            else:
                answers[number] = one
        for against, numbers in waiting.items():
            questions = [one for number in numbers if isinstance(one := prepared[number], Question)]
            for number, answer in zip(numbers, self._ranked(against, questions, tally), strict=True):
                answers[number] = answer
        return answers

    def _ranked(self, against: Against, questions: Sequence[Question], tally: Tally) -> Iterator[Answer]:
        catalogue = self._catalogue(against)
        step = max(1, min(len(questions), _SCORES_AT_ONCE // max(1, len(catalogue.ids))))
        for start in range(0, len(questions), step):
            some = questions[start : start + step]
            for question in some:
                tally.add_candidates(question.ask.candidates(len(catalogue.ids)))
            lists = make_lists(self._scorer(against, some), [question.ask for question in some], catalogue)
            yield from (question.body(found) for question, found in zip(some, lists, strict=True))

    def _catalogue(self, against: Against) -> Catalogue:
        return self._served.customer_catalogue if against is Against.CUSTOMERS else self._served.catalogue

    def _scorer(self, against: Against, questions: Sequence[Question]) -> Scorer:
        if against is Against.POPULARITY:
            return FixedScorer(self._served.popularity, len(questions))
        vectors: Any = np.stack([question.vector for question in questions if question.vector is not None])
        if against is Against.COSINES:
            return self._served.items.cosines(vectors)
        factors = self._served.customers if against is Against.CUSTOMERS else self._served.items
        return factors.scorer(vectors)


def _prepared(served: ServedModel, record: Record | RequestError) -> Prepared | CallerError:
    if isinstance(record, RequestError):
        return record
    try:
        name = _known_task(record)
        check_fields(record, ("task", *TASKS[name].fields))
        _check_rules(record, name)
        return TASKS[name].prepare(served, record)
    except (RequestError, RuleError) as error:
        return error


def _task_of(record: Record) -> Any:
    """Return the task that a record names, whether there is such a one or not."""
    task = record.get("task")
    return "recommend" if task is None else task


def _known_task(record: Record) -> str:
    task = _task_of(record)
    if isinstance(task, str) and task in TASKS:
        return task
    hint = nearest(task, list(TASKS)) if isinstance(task, str) else "."
    raise RequestError("bad_value", f"task is {shown(task)}, expected one of {', '.join(TASKS)}{hint}", "task")


def _check_rules(record: Record, task: str) -> None:
    """Raise RuleError where a record names a rule that has no meaning in its task."""
    for rule in named_rules(record):
        if rule in _KNOWN_RULES and rule not in TASKS[task].rules:
            tasks = ", ".join(name for name, other in TASKS.items() if rule in other.rules) or "output.csv"
            raise RuleError(rule, f"{rule} has no meaning in task {task}: leave it out. It holds in {tasks}.")


def _n_entries(value: Any, depth: int = 4) -> int:
    """Return how many entries the lists in a record have, those of its rules and boosts too."""
    if not depth or not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    deeper = sum(_n_entries(one, depth - 1) for one in inner if isinstance(one, list | dict))
    return deeper + (len(value) if isinstance(value, list) else 0)


def label_of(record: Record | RequestError) -> str:
    """Return the task of a record as the log and the metrics name it."""
    task = OTHER if isinstance(record, RequestError) else _task_of(record)
    return task if isinstance(task, str) and task in TASKS else OTHER
