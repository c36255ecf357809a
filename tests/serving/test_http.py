"""The HTTP API through real nginx and gunicorn, as a client meets it: on this machine, and in the image."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.image.serving_container import InContainer
from tests.serving.serving_process import HttpServer, Locally, Serving, running_server
from tests.small_models import cut, flip, shop

pytestmark = pytest.mark.process

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    shop(standing={"exclude": {"items": ["dates"]}}).write(root / "model")
    return root


@pytest.fixture(scope="module")
def server(serving: Serving, root: Path) -> Iterator[HttpServer]:
    with serving.running(root, {"ALSRIAZ_WORKERS": "2"}) as server:
        yield server


def post(server: HttpServer, body: Any, kind: str = JSON, **headers: str) -> tuple[int, str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.request("POST", "/invocations", data, {"Content-Type": kind} | headers)
    media = answer.headers["Content-Type"]
    return answer.status, media, answer.json() if media == JSON else answer.body.decode()


def test_a_question_is_answered_under_the_standing_rules(server: HttpServer) -> None:
    status, media, answer = post(server, {"customer": "ann", "k": 4})
    assert (status, media) == (200, JSON)
    assert [entry["item"] for entry in answer["recommendations"]] == ["apple", "bread", "cocoa", "eggs"]


def test_instances(server: HttpServer) -> None:
    _, _, answer = post(server, {"instances": [{"customer": "ann", "k": 1}, {"customer": "bob", "k": 1}, {"k": 1}]})
    first, second, third = answer["predictions"]
    assert [a["recommendations"][0]["item"] for a in (first, second)] == ["apple", "figs"]
    assert third["error"]["code"] == "missing_field"


def test_json_lines(server: HttpServer) -> None:
    _, media, answer = post(server, b'{"customer": "ann", "k": 1}\n\n{"task": "popular", "k": 1}\n', LINES)
    assert media == LINES
    first, second, third = map(json.loads, answer.split("\n"))
    assert first["recommendations"][0]["item"] == "apple"
    assert second["error"]["code"] == "bad_json"
    assert third["recommendations"][0]["item"] == "bread"


def test_csv(server: HttpServer) -> None:
    _, media, answer = post(server, b"customer\nann\nzoe\n\nbob\n", CSV)
    assert (media, answer) == (CSV, "ann,apple,bread,cocoa\nzoe,bread,apple,cocoa\n,\nbob,figs,eggs,cocoa")


BAD: list[tuple[str, bytes, dict[str, str], int, str, str]] = [
    ("an empty body", b"", {}, 400, "empty_body", "The body is empty"),
    ("not UTF-8", b"\xff\xfe", {}, 400, "bad_encoding", "not UTF-8"),
    ("not JSON", b"customer=ann", {}, 400, "bad_json", "not JSON"),
    ("nested 10,000 deep", b'{"a":' * 10_000, {}, 400, "bad_json", "nested too deeply"),
    ("k 0", b'{"customer": "ann", "k": 0}', {}, 400, "bad_value", "k is 0, expected"),
    ("k -1", b'{"customer": "ann", "k": -1}', {}, 400, "bad_value", "k is -1, expected"),
    ("k 1e9", b'{"customer": "ann", "k": 1e9}', {}, 400, "bad_value", "k is 1000000000.0, expected"),
    ('k "ten"', b'{"customer": "ann", "k": "ten"}', {}, 400, "bad_value", "k is 'ten', expected"),
    ("k 2.5", b'{"customer": "ann", "k": 2.5}', {}, 400, "bad_value", "k is 2.5, expected"),
    ("an unknown field", b'{"customer": "ann", "limit": 3}', {}, 400, "unknown_field", "no field 'limit'"),
    (
        "include.items of 100,000 ids",
        json.dumps({"customer": "ann", "include": {"items": [str(n) for n in range(100_000)]}}).encode(),
        {},
        400,
        "bad_rule",
        "include.items has 100000 items",
    ),
    (
        "contradictory lists",
        b'{"customer": "ann", "include": {"items": ["figs"]}, "exclude": {"items": ["figs"]}}',
        {},
        400,
        "bad_rule",
        "'figs' stands in both",
    ),
    ("a wrong Content-Type", b"{}", {"Content-Type": "text/html"}, 415, "unsupported_media_type", "'text/html'"),
    ("a wrong Accept", b'{"customer": "ann"}', {"Accept": "text/html"}, 406, "not_acceptable", "'text/html'"),
]


@pytest.mark.parametrize(("why", "body", "headers", "status", "code", "words"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_requests(
    server: HttpServer, why: str, body: bytes, headers: dict[str, str], status: int, code: str, words: str
) -> None:
    answer = server.request("POST", "/invocations", body, {"Content-Type": JSON} | headers)
    assert answer.status == status
    assert answer.json()["error"]["code"] == code
    assert words in answer.json()["error"]["message"]
    assert len(answer.body) < 500


def test_get_on_invocations(server: HttpServer) -> None:
    answer = server.request("GET", "/invocations")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_a_path_that_begins_like_ping_is_not_ping(server: HttpServer) -> None:
    answer = server.request("GET", "/pingpong")
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")


def other_format(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 99'), encoding="utf-8")


UNUSABLE: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("no model", "", shutil.rmtree, "There is no model in model/"),
    ("another format version", "manifest.json", other_format, "format version 99, this server reads 1"),
    ("a truncated array", "item_factors.npy", cut, "item_factors.npy has 168 bytes, expected 176"),
    ("a flipped byte", "customer_factors.npy", flip, "customer_factors.npy is damaged"),
    ("no manifest", "manifest.json", Path.unlink, "no manifest.json, so it was never finished"),
]


# All of them here; in the image, whose program is the same, one shows that its status and words come out.
UNUSABLE_THERE = [pytest.param(Locally(), *case, id=case[0]) for case in UNUSABLE]
UNUSABLE_THERE += [pytest.param(InContainer(), *UNUSABLE[0], id="container", marks=pytest.mark.image)]


@pytest.mark.parametrize(("way", "why", "name", "harm", "words"), UNUSABLE_THERE)
def test_an_unusable_model_ends_serve_with_one_sentence(
    way: Serving, tmp_path: Path, why: str, name: str, harm: Callable[[Path], object], words: str
) -> None:
    shop().write(tmp_path / "model")
    harm(tmp_path / "model" / name)
    with way.started(tmp_path) as server:
        assert server.wait() == 1
        assert words in server.log()
        assert len(server.log().strip().splitlines()) == 1, server.log()
        assert str(tmp_path) not in server.log()


def test_a_model_folder_is_never_written(tmp_path: Path) -> None:
    """In the image it is mounted read-only: there, that any answer comes shows it."""
    shop().write(tmp_path / "model")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    with running_server({"ALSRIAZ_ML_ROOT": str(tmp_path), "ALSRIAZ_WORKERS": "1"}) as server:
        assert post(server, {"customer": "ann"})[0] == 200
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()} == before


def test_large_answers_and_bodies_pass(server: HttpServer) -> None:
    lines = b"\n".join([b'{"customer": "ann", "k": 5}'] * 20_000)
    status, _, answer = post(server, lines, LINES)
    assert status == 200
    assert len(set(answer.split("\n"))) == 1
    assert answer.count("\n") == 19_999
    assert np.isfinite(json.loads(answer.split("\n")[0])["recommendations"][0]["score"])
