"""The tasks: what each may be asked, which rules hold in it, and what answers it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from alsriaz.questions.audience import AUDIENCE_FIELDS, AUDIENCE_RULES, audience
from alsriaz.questions.explain import EXPLAIN_FIELDS, explain
from alsriaz.questions.question import ITEM_RULES, Prepared
from alsriaz.questions.recommend import POPULAR_FIELDS, RECOMMEND_FIELDS, popular, recommend
from alsriaz.questions.score import SCORE_FIELDS, SCORE_RULES, score
from alsriaz.questions.served_model import ServedModel
from alsriaz.questions.similar import SIMILAR_FIELDS, similar
from alsriaz.serving.wire import Record


class Task(NamedTuple):
    """A kind of question: its fields beside `task`, the rules that hold in it, and what prepares its answer."""

    fields: tuple[str, ...]
    rules: tuple[str, ...]
    prepare: Callable[[ServedModel, Record], Prepared]


_NO_CUSTOMER = tuple(rule for rule in ITEM_RULES if rule != "exclude.purchased")

TASKS: Mapping[str, Task] = {
    "recommend": Task(RECOMMEND_FIELDS, ITEM_RULES, recommend),
    "popular": Task(POPULAR_FIELDS, _NO_CUSTOMER, popular),
    "similar": Task(SIMILAR_FIELDS, _NO_CUSTOMER, similar),
    "audience": Task(AUDIENCE_FIELDS, AUDIENCE_RULES, audience),
    "score": Task(SCORE_FIELDS, SCORE_RULES, score),
    "explain": Task(EXPLAIN_FIELDS, (), explain),
}
"""By the name in the field `task`; the first is the default."""
