"""Names of models, what the platform says of them, and the tokens between pages."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alsriaz.errors import RequestError
from alsriaz.serving.multi_model.interface import check_name, load_request, model_in_path, name_after, token_after
from tests.serving.multi_model_platform import path_of

GOOD = ["a", ".", "..a", "a/b", "/", " ", "\n", "é" * 1024, "z" * 1024, "%2F", "🧀" * 500]
BAD = [
    ("", "has 0 characters, expected a name of 1 to 1024 characters", "empty"),
    ("z" * 1025, "has 1,025 characters, expected a name of 1 to 1024", "longer than the platform's longest"),
    ("猫" * 1000, "has 9,000 bytes when it is encoded for a path, expected at most 7,000", "too long for a path"),
    ("a\0b", "is 'a\\x00b', expected a name of 1 to 1024 characters, without NUL", "NUL"),
    ("..", "is '..', expected a name of 1 to 1024 characters, without NUL, and without '..'", "a step up"),
    ("a/../b", "without '..' between slashes", "a step up within, which servers take out of paths"),
    ("a\ud800", "in Unicode text without lone surrogates", "half a character"),
]


@pytest.mark.parametrize("name", GOOD, ids=range(len(GOOD)))
def test_a_name_is_any_text(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(("name", "words", "why"), BAD, ids=[why for *_, why in BAD])
def test_no_name(name: str, words: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_name(name)
    assert (caught.value.code, caught.value.field) == ("bad_value", "model_name")
    assert words in str(caught.value)


@given(name=st.text(min_size=1))
def test_a_token_leads_back_to_its_name(name: str) -> None:
    assume("\ud800" not in name)
    assert name_after(token_after(name)) == name


@given(name=st.text(min_size=1, max_size=50))
def test_a_path_leads_back_to_its_name(name: str) -> None:
    assert model_in_path(path_of(name)) == name
    assert model_in_path(f"{path_of(name)}/invoke?x=/y", "/invoke") == name


TOKENS = {"no base64": "!", "cut": "a", "padding": "====", "no ASCII": "é", "no UTF-8": "_w"}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_that_is_none_of_ours(token: str) -> None:
    with pytest.raises(RequestError) as caught:
        name_after(token)
    assert caught.value.field == "next_page_token"
    assert f"next_page_token is {token!r}, expected the nextPageToken of an earlier answer." == str(caught.value)


PATHS = [
    ("/models/a/b", "", "a/b", "a slash that was not encoded"),
    ("/models/a%2Finvoke", "", "a/invoke", "a name that ends like a path of ours"),
    ("/models/a%2Finvoke/invoke", "/invoke", "a/invoke", "and its own invoke"),
    ("/models/a%2finvoke", "/invoke", None, "which is not that of a"),
    ("/models//invoke", "/invoke", None, "no name"),
    ("/models/%C3", "", None, "not UTF-8"),
    ("/other/a", "", None, "another path"),
]


@pytest.mark.parametrize(("path", "action", "name", "why"), PATHS, ids=[why for *_, why in PATHS])
def test_the_name_in_a_path(path: str, action: str, name: str | None, why: str) -> None:
    if name is not None:
        assert model_in_path(path, action) == name
        return
    with pytest.raises(RequestError) as caught:
        model_in_path(path, action)
    assert caught.value.code == ("bad_value" if why == "not UTF-8" else "not_found")


def test_fields_that_we_do_not_know_are_let_through() -> None:
    body = {"model_name": "a", "url": "/b", "region": "anywhere", "priority": 1}
    assert load_request(json.dumps(body).encode()) == ("a", "/b")
