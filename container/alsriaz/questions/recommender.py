"""Answers to many questions at once. Knows no transport: the server, output.csv and the evaluation all ask here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from alsriaz.errors import BadValue, CallerError, RequestError
from alsriaz.questions.question import Question
from alsriaz.questions.shop import Listing, Prepared, Shop
from alsriaz.questions.tally import OTHER, Answer, Answered, Record, Tally
from alsriaz.questions.tasks import TASKS, label_of, read_question
from alsriaz.rules.lists import Page, make_pages
from alsriaz.scoring.scorers import Scorers

_SCORES_AT_ONCE = 1 << 22  # 16 MB of float32, a thread
_RECORDS_AT_ONCE = 256  # more are no faster: by then all costs of a block are spread thin
_IDS_AT_ONCE = 1 << 16  # in lists of records, of 60 to 400 bytes each: how much is read ahead and held
_CUSTOMERS_AN_ID = 32  # an audience holds 8 bytes for each customer who bought the item


class Recommender:
    """Answers from one model, under the rules that hold at the moment."""

    def __init__(self, shop: Shop, now: Callable[[], Shop] | None = None) -> None:
        """Answer from `shop`; where its rules change while it is open, `now` gives it under those of the moment."""
        self._now = now or (lambda: shop)
        self.model_hash = shop.model_hash
        self.n_customers = len(shop.model.customer_ids)
        self.n_items = len(shop.items.ids)

    def answers(self, records: Iterable[Record | CallerError], tally: Tally | None = None) -> Iterator[Answered]:
        """Yield each record with its answer, or with the error that it met; each is counted in `tally`.

        Records are read ahead by as many as are ranked together, fewer where they are long. No answer depends on the
        records beside it. The rules in force at the first record hold for all.
        """
        shop, counts = self._now(), Tally() if tally is None else tally
        counts.rules = shop.live_version
        for some in _blocks(shop, records):
            yield from zip(some, _answered(shop, some, counts), strict=True)

    def answer(self, record: Record) -> Answer:
        """Return the answer to one record.

        Raises:
            CallerError: a field is unknown, missing or can't be used, or what it names is unknown.
        """
        (answer,) = _answered(self._now(), [record], Tally())
        if isinstance(answer, CallerError):
            raise answer
        return answer


def pages_for(shop: Shop, questions: Sequence[Question]) -> list[Page]:
    """Return the page that each question asks for; all are of tasks that rank customers' lists of items.

    Raises:
        CallerError: a question can't be answered.
    """
    listings = [TASKS[question.task].prepare(shop, question) for question in questions]
    return _ranked(shop, Scorers.scorer, [one for one in listings if isinstance(one, Listing)], Tally())


def _answered(shop: Shop, records: Sequence[Record | CallerError], tally: Tally) -> list[Answer | CallerError]:
    """Return the answers to some records; lists that are ranked by the same are ranked together."""
    answers: list[Any] = []
    waiting: dict[Callable[..., Any], list[int]] = {}
    for place, record in enumerate(records):
        one = record if isinstance(record, CallerError) else _prepared(shop, record)
        if isinstance(one, Listing):
            waiting.setdefault(one.rank_by, []).append(place)
        answers.append(one)
    for rank_by, places in waiting.items():
        listings: list[Listing] = [answers[place] for place in places]
        for place, listing, page in zip(places, listings, _ranked(shop, rank_by, listings, tally), strict=True):
            answers[place] = listing.answer(page)
    for record, answer in zip(records, answers, strict=True):
        label = OTHER if isinstance(record, CallerError) else label_of(record)
        tally.add(label, failed=isinstance(answer, CallerError))
    return answers


def _prepared(shop: Shop, record: Record) -> Prepared | CallerError:
    try:
        question = read_question(record, shop.limits)
        return TASKS[question.task].prepare(shop, question)
    except (BadValue, RequestError) as error:
        return error


def _ranked(shop: Shop, rank_by: Callable[..., Any], listings: Sequence[Listing], tally: Tally) -> list[Page]:
    """Return the pages of listings that are ranked by the same, as many at a time as memory allows."""
    side = shop.customers if rank_by is Scorers.audience else shop.items
    n_ranked = len(side.ids)
    step = max(1, _SCORES_AT_ONCE // max(1, n_ranked))
    pages: list[Page] = []
    for start in range(0, len(listings), step):
        some = listings[start : start + step]
        asks = [listing.ask for listing in some]
        for ask in asks:
            tally.add_candidates(ask.candidates(n_ranked))
        pages += make_pages(rank_by(shop.scorers, [listing.row for listing in some]), asks, side)
    return pages


def _blocks(shop: Shop, records: Iterable[Record | CallerError]) -> Iterator[list[Record | CallerError]]:
    """Yield records in blocks of as many as are ranked together, fewer where they are long."""
    if isinstance(records, list) and len(records) == 1:
        yield records
        return
    n_items, n_customers = len(shop.items.ids), len(shop.model.customer_ids)
    at_once = min(_RECORDS_AT_ONCE, max(1, _SCORES_AT_ONCE // max(n_items, 1)))
    some: list[Record | CallerError] = []
    held = 0
    for record in records:
        some.append(record)
        if not isinstance(record, CallerError):
            held += _n_entries(record)
            held += n_customers // _CUSTOMERS_AN_ID if record.get("task") == "audience" else 0
        if len(some) >= at_once or held >= _IDS_AT_ONCE:
            yield some
            some, held = [], 0
    if some:
        yield some


def _n_entries(value: Any, depth: int = 4) -> int:
    """Return how many entries the lists in a record have, those of its rules and boosts too."""
    inner = value.values() if isinstance(value, dict) else value
    count = len(value) if isinstance(value, list) else 0
    if depth > 1:
        for one in inner:
            if isinstance(one, (list, dict)):
                count += _n_entries(one, depth - 1)
    return count
