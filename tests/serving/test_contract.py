"""What the platform's serving side relies on: batch transform, headers, HTTP as its clients speak it."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.serving_container import InContainer
from tests.serving.serving_process import (
    PATIENCE,
    Answer,
    HttpServer,
    Locally,
    Server,
    Serving,
    descendants,
    running_server,
    until,
)
from tests.small_models import shop

pytestmark = pytest.mark.process

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
GOOD = b'{"customer": "ann", "k": 1}'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    shop().write(root / "model")
    return root


@pytest.fixture(scope="module")
def endpoint(serving: Serving, root: Path) -> Iterator[HttpServer]:
    environ = {
        "ALSRIAZ_WORKERS": "1",
        "ALSRIAZ_MAX_BODY_MB": "2",
        "SAGEMAKER_REGION": "eu-west-1",
        "SAGEMAKER_SAFE_PORT_RANGE": "30000-30009",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_PROGRAM": "inference.py",
    }
    with serving.running(root, environ) as server:
        yield server


@pytest.fixture(scope="module")
def transform(serving: Serving, root: Path) -> Iterator[HttpServer]:
    environ = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0", "ALSRIAZ_WORKERS": "1"}
    with serving.running(root, environ) as server:
        yield server


def post(server: HttpServer, body: bytes | str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", "/invocations", body, {"Content-Type": JSON} | named)


# Batch transform.


def test_execution_parameters(transform: HttpServer) -> None:
    answer = transform.request("GET", "/execution-parameters")
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
    assert answer.json() == {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 1}


def of_platform(server: HttpServer, file: bytes, kind: str, strategy: str, accept: str | None) -> bytes:
    """Do what the platform does with a file: SplitType=Line, AssembleWith=Line; every body must be answered 200."""
    lines = file.removesuffix(b"\n").split(b"\n")
    bodies = lines
    if strategy == "MULTI_RECORD":  # each line with the newline that it has in the file
        bodies = [b"\n".join([*lines[:3], b""]), b"\n".join(lines[3:])]
    out = b""
    for body in bodies:
        answer = server.request(
            "POST", "/invocations", body, {"Content-Type": kind} | ({"Accept": accept} if accept else {})
        )
        assert answer.status == 200, (body, answer.body)
        out += answer.body + b"\n"
    return out


FILES: list[tuple[str, bytes, str, str | None, list[str], str]] = [
    # file, type, accept, a line's first item or its error, why
    (
        "lines",
        b'{"customer": "ann", "k": 1}\n{"customer": \n\n{"customer": "bob", "k": 1}\n7\n{"k": 1}\n\xff\n',
        LINES,
        None,
        ["apple", "bad_json", "bad_json", "figs", "bad_json", "missing_field", "bad_encoding"],
        "JSON Lines",
    ),
    (
        "json",
        b'{"customer": "ann", "k": 1}\n{"customer": \n\n{"customer": "bob", "k": 1}\n7\n{"k": 1}\n',
        JSON,
        None,
        ["apple", "bad_json", "bad_json", "figs", "bad_json", "missing_field"],
        "lines that are sent as JSON",
    ),
    (
        "csv",
        b'customer\nann\n\nbob\nann,bob\n"ann\nbob\n',
        CSV,
        None,
        ["", "apple", "", "figs", "", "", "figs"],
        "CSV, its header a failed line in its place",
    ),
    (
        "csv to json",
        b"ann\n\nbob\nann,bob\n",
        CSV,
        JSON,
        ["apple", "bad_csv", "figs", "bad_csv"],
        "CSV answered by JSON, a line each",
    ),
    (
        "lines to csv",
        b'{"customer": "ann", "k": 1}\n{"task": "popular"}\n{"customer": "bob", "k": 1}\n{}\n',
        LINES,
        CSV,
        ["apple", "", "figs", ""],
        "a task that CSV can't answer fails by itself",
    ),
]


@pytest.mark.parametrize("strategy", ["SINGLE_RECORD", "MULTI_RECORD"])
@pytest.mark.parametrize(("name", "file", "kind", "accept", "expected", "why"), FILES, ids=[why for *_, why in FILES])
def test_lines_pair_one_to_one(
    transform: HttpServer,
    name: str,
    file: bytes,
    kind: str,
    accept: str | None,
    expected: list[str],
    why: str,
    strategy: str,
) -> None:
    out = of_platform(transform, file, kind, strategy, accept).decode()
    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    lines = out.removesuffix("\n").split("\n")
    if (accept or kind) == CSV:
        assert [line.split(",")[1] for line in lines] == expected
    else:
        values = [json.loads(line) for line in lines]
        assert [v["error"]["code"] if "error" in v else v["recommendations"][0]["item"] for v in values] == expected


def test_a_record_alone_fails_with_its_status_on_an_endpoint_and_in_its_place_in_a_transform_job(
    endpoint: HttpServer, transform: HttpServer
) -> None:
    alone = post(endpoint, b'{"customer": "ann", "k": 0}')
    in_place = post(transform, b'{"customer": "ann", "k": 0}')
    assert (alone.status, in_place.status) == (400, 200)
    assert alone.json() == in_place.json()
    assert post(transform, GOOD, Content_Type="image/png").status == 415, "that is no record's fault"


# Large bodies.


def chunked(server: HttpServer, kind: str, pieces: Iterable[bytes]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE * 5)
    with contextlib.closing(connection):
        connection.request("POST", "/invocations", iter(pieces), {"Content-Type": kind}, encode_chunked=True)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def test_a_body_in_chunks(endpoint: HttpServer) -> None:
    answer = chunked(endpoint, CSV, [b"an", b"n\nb", b"ob\n"])
    assert (answer.status, answer.body) == (200, b"ann,apple,bread,cocoa\nbob,figs,eggs,cocoa")
    answer = chunked(endpoint, LINES, [b"x" * 2**20] * 3)
    assert (answer.status, answer.json()["error"]["code"]) == (413, "too_large")


def most_memory(server: Server) -> int:
    """Return the most MB that any process of `server` has had at a time, by the kernel's own account."""
    peaks = []
    for pid in descendants(server.process.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        peaks += [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return max(peaks)


PADDING = b" " * 100_000
LONG: list[tuple[str, bytes, str]] = [
    (CSV, b"ann" + PADDING + b"\n", "CSV"),
    (LINES, b'{"customer": "ann", "k": 1' + PADDING + b"}\n", "JSON Lines"),
]


@pytest.mark.parametrize(("kind", "line", "why"), LONG, ids=[why for *_, why in LONG])
def test_100_mb_in_chunks_take_no_memory(root: Path, kind: str, line: bytes, why: str) -> None:
    """Long lines, so that it is over soon; benchmarks measure short ones."""
    environ = {"ALSRIAZ_ML_ROOT": str(root), "SAGEMAKER_BATCH": "true", "ALSRIAZ_WORKERS": "1"}
    with running_server(environ) as server:
        assert post(server, GOOD).status == 200
        before = most_memory(server)
        answer = chunked(server, kind, [line * 10] * 104)  # 104 million bytes: just below 100 x 2^20
        assert answer.status == 200
        assert answer.body.count(b"\n") == 1039
        assert len(set(answer.body.split(b"\n"))) == 1
        assert most_memory(server) - before < 30


# Headers.

ATTRIBUTES = [
    ("shop=7; c000b4f9", True, "as it was sent"),
    ("x" * 1024, True, "the longest that the platform lets through"),
    ("x" * 1025, False, "a longer one is nobody's"),
    ("caf\u00e9", False, "nor is one that is not ASCII"),
    ("a\tb", False, "nor one that can't be seen"),
]


@pytest.mark.parametrize(("sent", "echoed", "why"), ATTRIBUTES, ids=[why for *_, why in ATTRIBUTES])
def test_custom_attributes_are_echoed(endpoint: HttpServer, sent: str, echoed: bool, why: str) -> None:
    expected = [sent] if echoed else None
    for body, status in ((GOOD, 200), (b"{", 400), (b" " * (2**21 + 1), 413)):
        answer = post(endpoint, body, X_Amzn_SageMaker_Custom_Attributes=sent)
        assert (answer.status, answer.headers.get_all(CUSTOM_ATTRIBUTES)) == (status, expected)


def test_no_custom_attributes_are_made_up(endpoint: HttpServer) -> None:
    assert post(endpoint, GOOD).headers[CUSTOM_ATTRIBUTES] is None
    assert post(endpoint, GOOD, X_Amzn_SageMaker_Custom_Attributes="").headers[CUSTOM_ATTRIBUTES] is None


def test_all_other_headers_are_ignored(endpoint: HttpServer) -> None:
    answer = post(
        endpoint,
        GOOD,
        X_Amzn_SageMaker_Target_Model="other.tar.gz",
        X_Amzn_SageMaker_Target_Variant="b",
        X_Amzn_SageMaker_Session_Id="NEW_SESSION",
        X_Amzn_SageMaker_Enable_Explanations="true",
        X_Whatever="1",
    )
    assert (answer.status, answer.json()["customer"]) == (200, "ann")


def test_the_log_tells_of_a_request_and_not_of_its_customer(endpoint: HttpServer) -> None:
    body = b'{"customer": "ann", "k": 1, "exclude": {"items": ["bread"]}}'
    answer = post(endpoint, body, X_Amzn_SageMaker_Inference_Id="trace-4711")
    until(lambda: "inference_id=trace-4711" in endpoint.log(), endpoint.log)  # written once the answer has been sent
    (line,) = [line for line in endpoint.log().splitlines() if "inference_id=trace-4711" in line]
    assert " alsriaz.access: method=POST path=/invocations status=200 tasks=recommend:1 records=1 failed=0 " in line
    assert " candidates=5 ms=" in line
    assert line.endswith(f" bytes={len(answer.body)} inference_id=trace-4711 model={answer.json()['model']}")
    endpoint.request("GET", "/invocations/ann?customer=ann")
    until(lambda: "path=other status=404" in endpoint.log(), endpoint.log)
    lines = [line for line in endpoint.log().splitlines() if "alsriaz.access" in line]
    assert not [line for line in lines if "ann" in line or "bread" in line or "/ping" in line]
    assert "Logging error" not in endpoint.log(), "gunicorn has a form of its own"


# HTTP.


def talk(server: HttpServer, *sent: bytes) -> bytes:
    """Send each part once something came back for the one before; return all that came until the server closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        got = b""
        for number, part in enumerate(sent):
            if number:
                got += connection.recv(65_536)
            connection.sendall(part)
        while piece := connection.recv(65_536):
            got += piece
        return got


HEAD = b"POST /invocations HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 27\r\n"


def test_continue_is_answered_before_the_body_is_sent(endpoint: HttpServer) -> None:
    got = talk(endpoint, HEAD + b"Expect: 100-continue\r\n\r\n", GOOD)
    first, _, second = got.partition(b"\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue"
    assert second.startswith(b"HTTP/1.1 200 OK\r\n")


def test_http_1_0(endpoint: HttpServer) -> None:
    got = talk(endpoint, b"POST /invocations HTTP/1.0\r\nContent-Length: 27\r\n\r\n" + GOOD)
    assert got.split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
    head, _, body = got.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["customer"] == "ann"
    assert talk(endpoint, b"GET /ping HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_a_streamed_answer_over_http_1_0_ends_with_the_connection(endpoint: HttpServer) -> None:
    body = b"\n".join([b'{"customer": "ann", "k": 6}'] * 5_000)
    head = f"POST /invocations HTTP/1.0\r\nContent-Type: {LINES}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    head, _, answer = talk(endpoint, head + body).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert len(answer) > 2**20
    assert answer.count(b"\n") == 4_999


METHODS = [
    ("HEAD", "/ping", 200, None),
    ("HEAD", "/metrics", 200, None),
    ("OPTIONS", "/ping", 405, "GET, HEAD"),
    ("OPTIONS", "/invocations", 405, "POST"),
    ("POST", "/metrics", 405, "GET, HEAD"),
    ("POST", "/execution-parameters", 405, "GET, HEAD"),
    ("GET", "/models", 404, None),
]


@pytest.mark.parametrize(("method", "path", "status", "allowed"), METHODS)
def test_other_methods(endpoint: HttpServer, method: str, path: str, status: int, allowed: str | None) -> None:
    answer = endpoint.request(method, path)
    assert (answer.status, answer.headers["Allow"]) == (status, allowed)
    if method == "HEAD":
        assert not answer.body


def test_connections_are_kept_over_errors_and_long_answers(endpoint: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=PATIENCE)
    lines = b"\n".join([GOOD] * 20_000)
    with contextlib.closing(connection):
        ends = set()
        for body, kind, status in ((GOOD, JSON, 200), (b"{", JSON, 400), (lines, LINES, 200), (GOOD, JSON, 200)):
            connection.request("POST", "/invocations", body, {"Content-Type": kind})
            response = connection.getresponse()
            response.read()
            assert response.status == status
            ends.add(connection.sock.getsockname())
    assert len(ends) == 1


# The environment.

WRONG: list[tuple[dict[str, str], str]] = [
    ({"SAGEMAKER_BATCH": "perhaps"}, "SAGEMAKER_BATCH is 'perhaps', expected true or false"),
    ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "lots"}, "SAGEMAKER_MAX_PAYLOAD_IN_MB is 'lots', expected a whole number"),
    ({"SAGEMAKER_BATCH_STRATEGY": "ONE"}, "SAGEMAKER_BATCH_STRATEGY is 'ONE', expected MULTI_RECORD or"),
]


# All of them here; in the image, whose program is the same, one shows that the container's environment is read.
WRONG_THERE = [pytest.param(Locally(), *case, id=next(iter(case[0]))) for case in WRONG]
WRONG_THERE += [pytest.param(InContainer(), *WRONG[0], id="container", marks=pytest.mark.image)]


@pytest.mark.parametrize(("way", "environ", "words"), WRONG_THERE)
def test_a_wrong_variable_ends_serve_with_one_sentence(
    way: Serving, root: Path, environ: dict[str, str], words: str
) -> None:
    with way.started(root, environ) as server:
        assert server.wait() == 1
        assert words in server.log()
        assert len(server.log().strip().splitlines()) == 1


def test_bodies_beyond_100_mb_on_an_asynchronous_endpoint(root: Path) -> None:
    environ: dict[str, Any] = {
        "ALSRIAZ_ML_ROOT": str(root),
        "ALSRIAZ_WORKERS": "1",
        "ALSRIAZ_TIMEOUT_SECONDS": "3600",
        "ALSRIAZ_MAX_BODY_MB": "1024",
    }
    with running_server(environ) as server:
        answer = chunked(server, CSV, [b"ann" + b" " * (2**20 - 4) + b"\n"] * 120)
        assert (answer.status, answer.body.count(b"\n")) == (200, 119)
