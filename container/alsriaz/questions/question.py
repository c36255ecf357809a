"""A record that has been understood: either its answer is there already, or a list is still to be ranked for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.questions.served_model import MOST_OFFSET
from alsriaz.rules.lists import Ask, ItemList, Pick
from alsriaz.rules.notices import Notice
from alsriaz.serving.wire import Answer

ITEM_RULES = (
    "include.items",
    "include.new",
    "include.only",
    "include.where",
    "include.placement",
    "exclude.items",
    "exclude.purchased",
    "exclude.popular",
    "exclude.where",
    "boost",
    "at_most",
)


class Against(Enum):
    """What a list is ranked by; lists that are ranked by the same are ranked together."""

    ITEMS = auto()
    COSINES = auto()
    POPULARITY = auto()
    CUSTOMERS = auto()


@dataclass(frozen=True)
class Question:
    """A list that is wanted.

    Attributes:
        against: what it is ranked by.
        vector: shape (rank,), the row of the scorer; None for popularity.
        ask: what the list shall be.
        body: turns the list into the answer.
    """

    against: Against
    vector: npt.NDArray[np.floating] | None
    ask: Ask
    body: Callable[[ItemList], Answer]


Prepared = Question | Answer


def page(entries: Sequence[Any], name: str, ask: Ask, found: ItemList, *, paged: bool) -> dict[str, Any]:
    """Return the part of an answer that holds a list: its entries, and where it goes on if the request pages."""
    body: dict[str, Any] = {name: entries}
    if paged and found.more and ask.offset + ask.k <= MOST_OFFSET:
        body["next_offset"] = ask.offset + ask.k
    return body


def entry(pick: Pick, kind: str = "item", shown: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return one place of a list as JSON has it."""
    place = {kind: pick.item, "score": json_score(pick.score), "reason": pick.reason}
    return place if shown is None else {**place, "attributes": shown}


def with_warnings(body: dict[str, Any], notices: Sequence[Notice]) -> dict[str, Any]:
    """Return an answer with its warnings, where there are any."""
    return {**body, "warnings": [notice._asdict() for notice in notices]} if notices else body


def json_score(score: np.float32 | None) -> float | None:
    """Return the shortest decimal number that is this float32: 0.3, not 0.30000001192092896."""
    return None if score is None else float(str(score))
