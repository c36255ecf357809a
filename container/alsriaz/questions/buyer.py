"""Who a question is about: a known customer, a basket, both, or neither; and the scores that follow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alsriaz.errors import RequestError
from alsriaz.model.ids import Position
from alsriaz.platform.values import shown
from alsriaz.questions import fields
from alsriaz.questions.question import Against
from alsriaz.questions.served_model import ServedModel
from alsriaz.rules.notices import Notice
from alsriaz.scoring.history import Bought, factors_from, parse_history, stored, with_history
from alsriaz.serving.wire import Record

BUYER_FIELDS = ("customer", "history", "on_unknown")
ON_UNKNOWN = ("popular", "error")


@dataclass(frozen=True)
class Buyer:
    """A customer as a record describes one.

    Attributes:
        customer: the id, None where there is only a history.
        position: the customer's, None for one that the model doesn't know.
        bought: stored purchases and those of the history.
        history: the ids of the history's items, whether anybody knows them or not.
        source: where scores come from: "model", "history" or "popular".
        notices: history's items that nobody knows.
    """

    customer: str | None
    position: Position | None
    bought: Bought
    history: frozenset[str]
    source: str
    notices: tuple[Notice, ...]

    @property
    def reason(self) -> str:
        """What picks by score are called."""
        return "popular" if self.source == "popular" else "model"

    @property
    def against(self) -> Against:
        """What the customer's lists are ranked by."""
        return Against.POPULARITY if self.source == "popular" else Against.ITEMS

    def vector(self, served: ServedModel) -> npt.NDArray[np.float32] | None:
        """Return the customer's factors, shape (rank,); None where scores are popularity."""
        if self.source == "history":
            return factors_from(served.model, self.bought)
        if self.position is None:
            return None
        factors: npt.NDArray[np.float32] = served.model.arrays.customer_factors[self.position]
        return factors


def read_buyer(served: ServedModel, record: Record) -> Buyer:
    """Return who a record asks about.

    Raises:
        RequestError: a field can't be used, there is neither customer nor history, or the customer is unknown and the
            record asks for an error then.
    """
    customer = _customer(record)
    on_unknown = fields.choice(record, "on_unknown", ON_UNKNOWN)
    position = None if customer is None else served.model.customer_ids.position_of(customer)
    bought = stored(served.model, position)
    source = "popular" if position is None else "model"
    told: list[Notice] = []
    history: frozenset[str] = frozenset()
    if record.get("history") is not None:
        entries = parse_history(record["history"], served.model.last_day, served.limits.most_history)
        history = frozenset(entry.item for entry in entries)
        joined, told = with_history(served.model, bought, entries)
        source, bought = source if joined is bought else "history", joined
    if source == "popular" and on_unknown == "error":
        raise unknown_customer(customer)
    return Buyer(customer, position, bought, history, source, tuple(told))


def unknown_customer(customer: str | None) -> RequestError:
    """Return the error for a customer without any score of its own."""
    if customer is None:
        message = "There is neither a known customer nor a history with a known item."
        return RequestError("unknown_customer", message, "history")
    return RequestError("unknown_customer", f"Customer {shown(customer)} is not in the model.", "customer")


def _customer(record: Record) -> str | None:
    value = record.get("customer")
    if value is not None:
        return fields.an_id(value, "customer")
    if record.get("history") is None:
        message = "The record has neither customer nor history, expected at least one of them."
        raise RequestError("missing_field", message, "customer")
    return None
