"""Answers the records of a request from one model. Knows no transport."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alsriaz.core.artifact import Model
from alsriaz.core.errors import CallerError, RequestError, RuleError
from alsriaz.core.ids import Position, parse_id
from alsriaz.core.lists import BoundRules, Notice, Pick, bind, make_layer, make_lists
from alsriaz.core.ranking import FixedScorer, Scorer
from alsriaz.core.rules import parse_rules
from alsriaz.core.setting import nearest, shown, whole_number
from alsriaz.serving.history import Bought, factors_from, parse_history, stored, with_history
from alsriaz.serving.tally import OTHER, Tally
from alsriaz.serving.wire import Answer, Answered, Record, check_fields

TASKS = ("recommend", "popular")
RECOMMEND_FIELDS = ("task", "customer", "k", "include", "exclude", "history", "on_unknown")
POPULAR_FIELDS = ("task", "k", "include", "exclude")
ON_UNKNOWN = ("popular", "error")


@dataclass(frozen=True)
class Limits:
    """How much one record may ask for: recommendations, ids in one list, entries of a history."""

    most_k: int = 1000
    most_ids: int = 100_000
    most_history: int = 10_000


class Recommender:
    """One model and the standing rules that travel with it."""

    def __init__(self, model: Model, limits: Limits) -> None:
        """Answer from `model`; what costs time once is done here, so that the first request is as fast as the next."""
        self._model = model
        self._limits = limits
        self._catalogue = model.catalogue
        self._items = model.item_factors
        self._standing = make_layer(model.standing_rules, model.catalogue)
        self._bound = bind([self._standing], model.catalogue)
        self._popularity = model.arrays.item_customers.astype(np.float32)

    @cached_property
    def model_hash(self) -> str:
        """The short hash that answers carry."""
        return self._model.manifest.short_hash

    @property
    def n_customers(self) -> int:
        """How many customers the model knows."""
        return len(self._model.customer_ids)

    @property
    def n_items(self) -> int:
        """How many items the model knows."""
        return len(self._catalogue.ids)

    def answers(self, records: Iterable[Record | RequestError], tally: Tally | None = None) -> Iterator[Answered]:
        """Yield each record with its answer, or with the error that it met; each is counted in `tally`."""
        counts = Tally() if tally is None else tally
        for record in records:
            answer = record if isinstance(record, RequestError) else self._answer_or_error(record, counts)
            counts.add(_label(record), failed=isinstance(answer, CallerError))
            yield record, answer

    def answer(self, record: Record, tally: Tally | None = None) -> dict[str, Any]:
        """Return the answer to one record; how many candidates it had is noted in `tally`.

        Raises:
            RequestError: a field is unknown, missing or can't be used, or the customer is unknown and the record asks
                for an error then.
            RuleError: the rules are malformed or can't be kept.
        """
        task, counts = task_of(record), Tally() if tally is None else tally
        if task == "recommend":
            return self._recommend(record, counts)
        if task == "popular":
            return self._popular(record, counts)
        hint = nearest(task, TASKS) if isinstance(task, str) else "."
        raise RequestError("bad_value", f"task is {shown(task)}, expected one of {', '.join(TASKS)}{hint}", "task")

    def _answer_or_error(self, record: Record, tally: Tally) -> Answer | CallerError:
        try:
            return self.answer(record, tally)
        except (RequestError, RuleError) as error:
            return error

    def _recommend(self, record: Record, tally: Tally) -> dict[str, Any]:
        check_fields(record, RECOMMEND_FIELDS)
        customer, on_unknown, k, rules = _customer(record), _on_unknown(record), self._k(record), self._rules(record)
        position = None if customer is None else self._model.customer_ids.position_of(customer)
        history = record.get("history")
        source = "popular" if position is None else "model"
        notices: list[Notice] = []
        bought: Bought | None = None
        if rules.purchased or history is not None:
            bought = stored(self._model, position)
        if bought is not None and history is not None:
            entries = parse_history(history, self._model.last_day, self._limits.most_history)
            joined, notices = with_history(self._model, bought, entries)
            source, bought = source if joined is bought else "history", joined
        if source == "popular" and on_unknown == "error":
            raise _unknown(customer)
        picks, more = self._list(self._scorer(position, bought, source), k, rules, bought, source)
        tally.add_candidates(rules.candidates(self.n_items, None if bought is None else bought.items))
        return self._body(picks, source, [*notices, *rules.notices, *more], {"customer": customer})

    def _popular(self, record: Record, tally: Tally) -> dict[str, Any]:
        check_fields(record, POPULAR_FIELDS)
        k, rules = self._k(record), self._rules(record)
        if (record.get("exclude") or {}).get("purchased"):
            message = "exclude.purchased needs a customer, and task popular has none: leave it out."
            raise RuleError("exclude.purchased", message)
        nothing = stored(self._model, None)
        picks, more = self._list(self._scorer(None, nothing, "popular"), k, rules, nothing, "popular")
        tally.add_candidates(rules.candidates(self.n_items, nothing.items))
        return self._body(picks, "popular", [*rules.notices, *more], {})

    def _scorer(self, position: Position | None, bought: Bought | None, source: str) -> Scorer:
        if source == "history" and bought is not None:
            return self._items.scorer(factors_from(self._model, bought)[None, :])
        if source == "model" and position is not None:
            return self._items.scorer(self._model.arrays.customer_factors[position : position + 1])
        return FixedScorer(self._popularity)

    def _list(
        self, scorer: Scorer, k: int, rules: BoundRules, bought: Bought | None, source: str
    ) -> tuple[list[Pick], list[Notice]]:
        reason = "popular" if source == "popular" else "model"
        purchased = None if bought is None else [bought.items]
        return make_lists(scorer, k, rules, self._catalogue, purchased, reason)[0]

    def _rules(self, record: Record) -> BoundRules:
        if record.get("include") is None and record.get("exclude") is None:
            return self._bound
        layer = make_layer(parse_rules(record, self._limits.most_ids), self._catalogue)
        return bind([self._standing, layer], self._catalogue)

    def _k(self, record: Record) -> int:
        value = record.get("k")
        if value is None:
            return min(self._model.spec.reco_item, self._limits.most_k)
        k = whole_number(value)
        if k is None or not 1 <= k <= self._limits.most_k:
            message = f"k is {shown(value)}, expected a whole number from 1 to {self._limits.most_k}."
            raise RequestError("bad_value", message, "k")
        return k

    def _body(self, picks: list[Pick], source: str, notices: list[Notice], first: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {
            **first,
            "source": source,
            "recommendations": [
                {"item": pick.item, "score": _json_score(pick.score), "reason": pick.reason} for pick in picks
            ],
            "model": self.model_hash,
        }
        if notices:
            body["warnings"] = [notice._asdict() for notice in notices]
        return body


def task_of(record: Record) -> Any:
    """Return the task that a record names, whether there is such a one or not."""
    task = record.get("task")
    return "recommend" if task is None else task


def _label(record: Record | RequestError) -> str:
    """Return the task of a record as the log and the metrics name it."""
    task = OTHER if isinstance(record, RequestError) else task_of(record)
    return task if isinstance(task, str) and task in TASKS else OTHER


def _unknown(customer: str | None) -> RequestError:
    if customer is None:
        message = "There is neither a known customer nor a history with a known item."
        return RequestError("unknown_customer", message, "history")
    return RequestError("unknown_customer", f"Customer {shown(customer)} is not in the model.", "customer")


def _customer(record: Record) -> str | None:
    value = record.get("customer")
    if value is None:
        if record.get("history") is None:
            message = "The record has neither customer nor history, expected at least one of them."
            raise RequestError("missing_field", message, "customer")
        return None
    try:
        return parse_id(value)
    except ValueError as error:
        raise RequestError("bad_value", f"customer is {shown(value)}: {error}.", "customer") from None


def _on_unknown(record: Record) -> str:
    value = record.get("on_unknown")
    if value is None:
        return "popular"
    if value not in ON_UNKNOWN:
        raise RequestError("bad_value", f'on_unknown is {shown(value)}, expected "popular" or "error".', "on_unknown")
    return str(value)


def _json_score(score: np.float32 | None) -> float | None:
    """Return the shortest decimal number that is this float32: 0.3, not 0.30000001192092896."""
    return None if score is None else float(str(score))
