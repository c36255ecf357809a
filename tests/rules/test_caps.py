import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.rules.caps import dealt, with_room, within_caps
from alsriaz.rules.rows import Cap

DEPARTMENT = np.array([0, 0, 0, 1, 1, -1, -1, 2], dtype=np.int32)
BRAND = np.array([0, 1, 0, 0, 1, 0, 2, -1], dtype=np.int32)
EVERYTHING = np.arange(8)
NOTHING = np.empty(0, dtype=np.int64)


def by_department(most: int) -> Cap:
    return Cap("department", DEPARTMENT, most)


def by_brand(most: int) -> Cap:
    return Cap("brand", BRAND, most)


EXAMPLES = [
    ([], 4, NOTHING, [0, 1, 2, 3], "without caps the first ones"),
    ([by_department(1)], 9, NOTHING, [0, 3, 5, 6, 7], "one of each; items without a value have no cap"),
    ([by_department(2)], 4, NOTHING, [0, 1, 3, 4], "no more than are wanted"),
    (
        [by_department(1), by_brand(1)],
        9,
        NOTHING,
        [0, 4, 6, 7],
        "what one cap keeps out does not use up another",
    ),
    ([by_department(2)], 9, np.array([0, 3]), [0, 3, 5, 6, 7], "what the list holds already counts"),
    (
        [by_department(1)],
        9,
        np.array([0, 1]),
        [3, 5, 6, 7],
        "even where it is more than the cap lets through",
    ),
    ([by_department(1)], 0, NOTHING, [], "none wanted"),
]


@pytest.mark.parametrize(("caps", "most", "counted", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_what_a_list_takes(
    caps: list[Cap], most: int, counted: np.ndarray[tuple[int], np.dtype[np.int64]], expected: list[int], why: str
) -> None:
    assert within_caps(EVERYTHING, most, caps, counted).tolist() == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=30),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 12),
    st.integers(0, 5),
)
def test_the_same_as_going_through_one_by_one(
    codes: list[tuple[int, int]], first: int, second: int, most: int, held: int
) -> None:
    caps = [Cap(str(n), np.array([c[n] for c in codes], dtype=np.int32), cap) for n, cap in enumerate((first, second))]
    counted, left = np.arange(min(held, len(codes))), np.arange(min(held, len(codes)), len(codes))
    page = counted.tolist()
    taken: list[int] = []
    for place, position in enumerate(left.tolist()):
        values = [int(cap.codes[position]) for cap in caps]
        full = (
            value >= 0 and sum(int(cap.codes[other]) == value for other in page) >= cap.most
            for value, cap in zip(values, caps, strict=True)
        )
        if len(taken) < most and not any(full):
            page.append(position)
            taken.append(place)
    assert within_caps(left, most, caps, counted).tolist() == taken
    alone = [bool(len(within_caps(np.array([position]), 1, caps, counted))) for position in range(len(codes))]
    assert with_room(caps, counted).tolist() == alone


# Departments by place: 0 0 0 1 1 - - 2
PAGES: list[tuple[list[Cap], int, int, list[int], int, str]] = [
    ([], 3, 1, [0, 1, 2], 3, "without caps the first ones"),
    ([], 3, 2, [3, 4, 5], 6, "then the next ones"),
    ([], 3, 3, [6, 7], 8, "the last page is shorter"),
    ([], 3, 9, [], 8, "and beyond it there is nothing"),
    ([by_department(1)], 3, 1, [0, 3, 5], 3, "what a cap keeps off the first page"),
    ([by_department(1)], 3, 2, [1, 4, 6], 6, "stands on the second"),
    ([by_department(1)], 3, 3, [2, 7], 8, "and what it keeps off that, on the third"),
    ([by_department(1)], 2, 3, [2, 5], 6, "as soon as it has room"),
    ([by_department(1), by_brand(1)], 9, 2, [1, 3], 6, "a page keeps every cap"),
    ([by_department(3)], 4, 2, [4, 5, 6, 7], 8, "a cap that nothing meets"),
]


@pytest.mark.parametrize(("caps", "k", "pages", "places", "held", "why"), PAGES, ids=[why for *_, why in PAGES])
def test_pages_are_dealt(caps: list[Cap], k: int, pages: int, places: list[int], held: int, why: str) -> None:
    page, count = dealt(EVERYTHING, k, caps, pages)
    assert (page.tolist(), count) == (places, held)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 6)), max_size=60),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 12),
)
def test_pages_are_those_of_one_after_the_other(
    codes: list[tuple[int, int]], first: int, second: int, k: int, pages: int
) -> None:
    caps = [Cap(str(n), np.array([c[n] for c in codes], dtype=np.int32), cap) for n, cap in enumerate((first, second))]
    left = np.arange(len(codes))
    for _ in range(pages):
        places = within_caps(left, k, caps, NOTHING)
        page, left = left[places], np.delete(left, places)
    last, held = dealt(np.arange(len(codes)), k, caps, pages)
    assert last.tolist() == page.tolist()
    assert held == len(codes) - len(left)
