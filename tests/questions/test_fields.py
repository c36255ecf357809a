from typing import Any

import pytest

from alsriaz.errors import RequestError
from alsriaz.questions import fields


def test_an_unknown_field_is_named_with_its_path_and_the_nearest_one() -> None:
    with pytest.raises(RequestError, match="no field 'quantiti', did you mean 'quantity'?") as caught:
        fields.check_fields({"quantiti": 1}, ("item", "quantity"), "history[2]")
    assert caught.value.field == "history[2].quantiti"


def test_ids_are_kept_as_given() -> None:
    assert fields.ids(["b", 7, "a", "b"], "items", 9) == ["b", "7", "a", "b"]


REFUSED: list[tuple[Any, str, str]] = [
    (None, "items", "items is null, expected a list of at least one id"),
    ([], "items", "items is [], expected a list of at least one id"),
    (["a", "b", "c"], "items", "items has 3 ids, expected at most 2"),
    (["a", ""], "items[1]", "items[1] is '': expected an id"),
]


@pytest.mark.parametrize(("value", "field", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_is_no_list_of_ids(value: Any, field: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        fields.ids(value, "items", 2)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_a_choice_is_the_first_where_nothing_is_said() -> None:
    assert fields.choice({}, "order", ("given", "score")) == "given"
    assert fields.choice({"order": "score"}, "order", ("given", "score")) == "score"
    with pytest.raises(RequestError, match='order is \'best\', expected "given" or "score"'):
        fields.choice({"order": "best"}, "order", ("given", "score"))


@pytest.mark.parametrize("value", [0, 10, 1.5, True, "2", [2]])
def test_what_is_no_whole_number_in_the_range(value: Any) -> None:
    with pytest.raises(RequestError, match="expected a whole number from 1 to 9"):
        fields.whole({"k": value}, "k", 1, 9)


def test_a_whole_number_may_be_absent() -> None:
    assert fields.whole({"k": None}, "k", 1, 9) is None
    assert fields.whole({"k": 2.0}, "k", 1, 9) == 2
