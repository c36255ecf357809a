"""One question: a record, read once against a table of fields. Nothing downstream sees a dict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from alsriaz.errors import BadValue, RequestError
from alsriaz.platform import values
from alsriaz.platform.limits import (
    MOST_ASKED_ITEMS,
    MOST_COLUMNS,
    MOST_HISTORY,
    MOST_K,
    MOST_OFFSET,
    MOST_RULE_IDS,
    MOST_SCORED_ITEMS,
)
from alsriaz.platform.values import an_id, shown
from alsriaz.rules.rows import NO_RULES, SECTIONS, Rules
from alsriaz.scoring.history import HistoryEntry, read_history


class Limits(NamedTuple):
    """How much one record may ask for: recommendations, ids in one list of rules, entries of a history."""

    most_k: int = MOST_K
    most_ids: int = MOST_RULE_IDS
    most_history: int = MOST_HISTORY


@dataclass(slots=True)
class Question:
    """A record that has been read; a field that it lacks is None, or has the value that it means.

    Attributes:
        task: one of `questions.tasks.TASKS`.
        history: purchases that the model doesn't know of.
        on_unknown: what is done for a customer of whom nothing is known: "popular" or "error".
        measure: what `similar` goes by: "cosine" or "inner_product".
        order: of `score`: "given" or "score".
        show: names of attributes, each once.
        named_rules: the paths of the rules that the record asks for.
    """

    task: str = "recommend"
    customer: str | None = None
    history: Sequence[HistoryEntry] | None = None
    on_unknown: str = "popular"
    item: str | None = None
    items: Sequence[str] | None = None
    measure: str = "cosine"
    order: str = "given"
    k: int | None = None
    offset: int | None = None
    show: Sequence[str] | None = None
    rules: Rules = NO_RULES
    named_rules: Sequence[str] = ()

    def need_buyer(self) -> None:
        """Raise BadValue where there is neither customer nor history."""
        if self.customer is None and self.history is None:
            message = "The record has neither customer nor history, expected at least one of them."
            raise BadValue("customer", message, "missing_field")

    def need_items(self) -> None:
        """Raise BadValue where there are no items to score."""
        if self.items is None:
            message = "The record has no items, expected a list of what to score."
            raise BadValue("items", message, "missing_field")

    def need_item(self) -> None:
        """Raise BadValue where there is no item to explain."""
        if self.item is None:
            message = "The record has no item, expected the one whose score to explain."
            raise BadValue("item", message, "missing_field")

    def asked_items(self) -> list[str]:
        """Return the ids in the field `item` or `items`, each once; BadValue unless there is one of these fields."""
        if self.items is not None:
            if self.item is not None:
                raise BadValue("item", "The record has both item and items, expected one of them.")
            return list(dict.fromkeys(self.items))
        if self.item is None:
            message = "The record has neither item nor items, expected one of them."
            raise BadValue("item", message, "missing_field")
        return [self.item]

    def unknown_items(self) -> RequestError:
        """Return the error where none of the asked items was ever sold."""
        items = self.asked_items()
        more = len(items) - 1
        others = f", nor {'was the other one' if more == 1 else f'were the other {more}'}" if more else ""
        message = f"Item {shown(items[0])} was never sold{others}: the model has nothing to go by."
        return RequestError("unknown_item", message, "item" if self.items is None else "items")

    def unknown_customer(self) -> RequestError:
        """Return the error for a customer without any score of its own."""
        if self.customer is None:
            message = "There is neither a known customer nor a history with a known item."
            return RequestError("unknown_customer", message, "history")
        return RequestError("unknown_customer", f"Customer {shown(self.customer)} is not in the model.", "customer")


@dataclass(frozen=True)
class Field:
    """A field of records: where its value goes in `Question`, and how it is read; rules are read together."""

    name: str
    read: Callable[[Any, str, Limits], Any] | None


def _ids(most: int) -> Callable[[Any, str, Limits], list[str]]:
    def read(value: Any, path: str, _: Limits) -> list[str]:
        if not isinstance(value, list) or not value:
            raise values.unexpected(value, path, "a list of at least one id")
        if len(value) > most:
            raise BadValue(path, f"{path} has {len(value)} ids, expected at most {most}.")
        return values.ids(value, path)

    return read


def _show(value: Any, path: str, _: Limits) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_COLUMNS or not all(isinstance(name, str) for name in value):
        raise values.unexpected(value, path, f"a list of at most {MOST_COLUMNS} names of attributes")
    return list(dict.fromkeys(value))


def _one_of(*names: str) -> Callable[[Any, str, Limits], str]:
    kind = values.one_of(*names, quoted=True)
    return lambda value, path, _: kind.read(value, path)


@cache
def _count(most: int) -> values.Kind[int]:
    return values.whole(1, most)


_OFFSET = values.whole(0, MOST_OFFSET)

CUSTOMER = Field("customer", lambda value, path, _: an_id(value, path))
HISTORY = Field("history", lambda value, path, limits: read_history(value, path, limits.most_history))
ON_UNKNOWN = Field("on_unknown", _one_of("popular", "error"))
ITEM = Field("item", lambda value, path, _: an_id(value, path))
ITEMS = Field("items", _ids(MOST_ASKED_ITEMS))
SCORED_ITEMS = Field("items", _ids(MOST_SCORED_ITEMS))
MEASURE = Field("measure", _one_of("cosine", "inner_product"))
ORDER = Field("order", _one_of("given", "score"))
K = Field("k", lambda value, path, limits: _count(limits.most_k).read(value, path))
OFFSET = Field("offset", lambda value, path, _: _OFFSET.read(value, path))
SHOW = Field("show", _show)
INCLUDE, EXCLUDE, BOOST, AT_MOST = RULE_FIELDS = tuple(Field(name, None) for name in SECTIONS)

BUYER_FIELDS = (CUSTOMER, HISTORY, ON_UNKNOWN)
LIST_FIELDS = (K, OFFSET, *RULE_FIELDS, SHOW)
