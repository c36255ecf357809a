"""Lists of a large shop, page by page, beside a plain greedy one. Most of the best items share one department."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from alsriaz.errors import BadValue
from alsriaz.model.attributes import Attributes
from alsriaz.model.ids import NO_IDS, IdTable, pack_ids
from alsriaz.rules.binding import Bound, bind, make_layer
from alsriaz.rules.lists import Ask, Page, make_pages
from alsriaz.rules.rows import read_rules
from alsriaz.rules.side import Side
from alsriaz.scoring.best import Ranked, Wanted, best_of_each
from alsriaz.scoring.scorer import Scorer
from tests.scorers import given_scores

N_ITEMS = 2_000
GROCERY = 1_500  # so many of the best items: far more than are ranked at first
IDS = [f"i{number:04}" for number in range(N_ITEMS)]
RNG = np.random.default_rng(5)
SCORES = np.round(RNG.normal(size=N_ITEMS), 2).astype(np.float32)  # rounded, so that ties are real
ORDER = np.lexsort((np.arange(N_ITEMS), -SCORES)).tolist()
DEPARTMENT: list[Any] = [None] * N_ITEMS
for place, position in enumerate(ORDER):
    DEPARTMENT[position] = "GROCERY" if place < GROCERY else [f"D{place % 19}", None][place % 20 == 0]
BRAND = [f"B{number}" for number in RNG.integers(0, 40, N_ITEMS).tolist()]
NEW = np.zeros(N_ITEMS, dtype=np.bool_)
NEW[ORDER[1_000:1_400:7]] = True  # groceries, none of them among the best
SIDE = Side(
    kind="item",
    ids=IdTable(*pack_ids(IDS)),
    by_popularity=np.arange(N_ITEMS, dtype=np.int32),
    new=NEW,
    unsold=NO_IDS,
    attributes=Attributes.of({"department": DEPARTMENT, "brand": BRAND}, N_ITEMS),
)


def bound(**rules: Any) -> Bound:
    return bind([make_layer(read_rules(rules), SIDE)], SIDE)


def listed(k: int, offset: int = 0, **rules: Any) -> Page:
    (found,) = make_pages(given_scores(SCORES), [Ask(k, bound(**rules), offset=offset)], SIDE)
    return found


def items(found: Page) -> list[int]:
    return [int(item[1:]) for item in found.ids]


def fits(position: int, page: list[int], caps: dict[str, int]) -> bool:
    for column, name in ((DEPARTMENT, "department"), (BRAND, "brand")):
        value = column[position]
        if name in caps and value is not None and sum(column[other] == value for other in page) >= caps[name]:
            return False
    return True


def greedy(candidates: list[int], k: int, caps: dict[str, int], held: list[int]) -> list[int]:
    page: list[int] = []
    for position in candidates:
        if len(page) < k and fits(position, held + page, caps):
            page.append(position)
    return page


CAPS = [
    ({}, 100, "without caps"),
    ({"department": 2}, 10, "two of a department: 8 of 10 come from far down"),
    ({"department": 1}, 60, "one of each department, and of those without one as many as there are"),
    ({"department": 2, "brand": 1}, 20, "two caps"),
    ({"department": 3000}, 10, "a cap that nothing meets"),
]


@pytest.mark.parametrize(("caps", "k", "why"), CAPS, ids=[why for *_, why in CAPS])
def test_pages_are_those_of_a_greedy_list(caps: dict[str, int], k: int, why: str) -> None:
    left = list(ORDER)
    for number in range(25):
        page = greedy(left, k, caps, [])
        left = [position for position in left if position not in page]
        found = listed(k, number * k, at_most=caps)
        assert items(found) == page
        assert found.more == bool(left)
        if caps == {"department": 2} and not number:
            assert max(ORDER.index(position) for position in page) >= GROCERY, "caps starve what is ranked at first"


@pytest.mark.parametrize("caps", [{}, {"department": 3}], ids=["without caps", "with a cap"])
def test_pages_hold_every_candidate_once(caps: dict[str, int]) -> None:
    rules = {"exclude": {"where": {"brand": [f"B{number}" for number in range(20)]}}, "at_most": caps}
    seen: list[int] = []
    for offset in itertools.count(0, 200):
        found = listed(200, offset, **rules)
        seen += items(found)
        if not found.more:
            break
    assert sorted(seen) == [position for position in range(N_ITEMS) if int(BRAND[position][1:]) >= 20]


def test_pages_far_beyond_the_last_are_empty() -> None:
    for beyond in (listed(1000, 10_000), listed(1000, 10_000, at_most={"brand": 1000})):
        assert [len(column) for column in beyond[:5]] == [0] * 5
        assert not beyond.more


def test_what_must_appear_counts_for_the_caps_and_is_never_taken_off() -> None:
    forced = [position for position in ORDER if DEPARTMENT[position] == "GROCERY"][1200:1203]
    found = listed(12, include={"items": [IDS[position] for position in forced]}, at_most={"department": 2})
    expected = greedy([position for position in ORDER if position not in forced], 9, {"department": 2}, forced)
    assert sorted(items(found)) == sorted(forced + expected)
    assert not any(DEPARTMENT[position] == "GROCERY" for position in expected)


@pytest.mark.parametrize(("wanted", "most"), [(2, 4), (5, 4), (9, None)])
def test_new_items_get_their_places_as_far_as_caps_let_them(wanted: int, most: int | None) -> None:
    caps = {} if most is None else {"department": most}
    found = listed(10, include={"new": wanted}, at_most=caps)
    new = greedy([position for position in ORDER if NEW[position]], wanted, caps, [])
    rest = greedy([position for position in ORDER if position not in new], 10 - len(new), caps, new)
    assert sorted(items(found)) == sorted(new + rest)
    assert list(found.reasons).count("new") == len(new)
    assert [notice.code for notice in found.notices] == ["too_few_new"] * (len(new) < wanted)
    following = listed(10, 10, include={"new": wanted}, at_most=caps)
    left = [position for position in ORDER if position not in new + rest]
    assert items(following) == greedy(left, 10, caps, [])
    assert not following.notices, "page 1 has told"


def test_what_caps_close_is_not_searched_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []

    def counted(scorer: Scorer, wanted: Sequence[Wanted]) -> list[Ranked]:
        depths.extend(one.k for one in wanted)
        return best_of_each(scorer, wanted)

    monkeypatch.setattr("alsriaz.rules.lists.best_of_each", counted)
    groceries = {"where": {"department": "GROCERY"}}
    found = listed(10, include=groceries, at_most={"department": 3})
    assert items(found) == greedy(ORDER[:GROCERY], 10, {"department": 3}, [])
    assert len(depths) == 1
    assert found.more, "page 2 has room for three others"
    assert items(listed(10, include=groceries, at_most={"brand": 1})) == greedy(ORDER[:GROCERY], 10, {"brand": 1}, [])
    mixed = listed(10, include={"where": {"department": ["GROCERY", "D1"]}}, at_most={"department": 3})
    assert len(mixed.ids) == 6, "D1 is far down, and searched for"


def test_rows_are_listed_as_if_each_were_alone() -> None:
    asks = [
        Ask(10, bound(at_most={"department": 2})),
        Ask(3, bound()),
        Ask(10, bound(at_most={"department": 1}), offset=20),
        Ask(5, bound(include={"new": 3})),
        Ask(5, bound(boost={"where": {"brand": "B7"}, "by": 3.0})),
    ]
    together = make_pages(given_scores(SCORES, len(asks)), asks, SIDE)
    for ask, found in zip(asks, together, strict=True):
        (alone,) = make_pages(given_scores(SCORES), [ask], SIDE)
        assert [list(column) for column in alone[:5]] == [list(column) for column in found[:5]]
        assert alone.more == found.more


def test_more_that_must_appear_than_the_list_holds() -> None:
    with pytest.raises(BadValue, match=r"include\.items has 2 items that must appear .*, but k is 1") as caught:
        Ask(1, bound(include={"items": ["i0001", "i0002"]}))
    assert caught.value.field == "include.items"
