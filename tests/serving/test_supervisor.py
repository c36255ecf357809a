"""The processes of serve, real ones: what they answer by themselves, and how they start and end."""

import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alsriaz.serving.supervisor import heartbeat_folder
from tests.serving.serving_process import (
    PATIENCE,
    ROOT,
    SERVE,
    Answer,
    Server,
    alive,
    descendants,
    free_port,
    listening,
    running_server,
    started_server,
    until,
)
from tests.small_models import shop

pytestmark = pytest.mark.process

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TINY = (sys.executable, str(ROOT / "tests" / "serving" / "serve_tiny.py"))


@contextlib.contextmanager
def tiny_server(folder: Path, environ: Mapping[str, str] | None = None, **options: Any) -> Iterator[Server]:
    with running_server(tiny_environ(folder, environ), command=TINY, **options) as server:
        yield server


def tiny_environ(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    given = {"TINY_FOLDER": str(folder), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT), "ALSRIAZ_WORKERS": "1"}
    return given | dict(environ or {})


def running_requests(folder: Path) -> int:
    return len(list(folder.glob("running-*")))


def left_behind(folder: Path) -> list[Path]:
    return list((folder / "tmp").iterdir())


def masters(server: Server) -> dict[str, int]:
    """Return the pids of the two children by their names: nginx, and the interpreter that is gunicorn."""
    direct = {pid: name for pid, name in descendants(server.process.pid).items() if os.getpgid(pid) == pid}
    return {"nginx" if name.startswith("nginx") else "gunicorn": pid for pid, name in direct.items()}


def error_of(answer: Answer) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert list(error) == ["code", "message", "field"]
    assert isinstance(error, dict)
    return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with tiny_server(folder, {"ALSRIAZ_MAX_BODY_MB": "2", "ALSRIAZ_TIMEOUT_SECONDS": "2"}) as server:
        yield server


def test_ping_is_answered_once_serve_says_so(server: Server) -> None:
    answer = server.request("GET", "/ping")
    assert (answer.status, answer.body) == (200, b"")
    until(lambda: "ready in" in server.log())
    assert f"serving on port {server.port}: 1 workers x 4 threads, ready in " in server.log()


def test_body_up_to_the_limit_arrives_and_one_beyond_it_does_not(server: Server) -> None:
    assert server.request("POST", "/length", b"x" * 2 * 2**20).json()["length"] == 2 * 2**20
    answer = server.request("POST", "/length", b"x" * (2 * 2**20 + 1))
    assert answer.status == 413
    assert error_of(answer) == {
        "code": "too_large",
        "message": "The request body has more than 2 MB, the most that is accepted: send it in parts, or raise "
        "ALSRIAZ_MAX_BODY_MB.",
        "field": None,
    }


def test_custom_attributes_pass_both_ways(server: Server) -> None:
    answer = server.request("POST", "/length", b"", {CUSTOM_ATTRIBUTES: "shop=7; c000b4f9"})
    assert answer.headers[CUSTOM_ATTRIBUTES] == "shop=7; c000b4f9, seen"


def test_what_the_application_answers_is_not_touched(server: Server) -> None:
    assert server.request("GET", "/refuse").json() == {"app": "its own 502"}
    assert server.request("GET", "/other").json() == {"app": "no such path"}


def test_client_connections_are_kept(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        ends = set()
        for _ in range(3):
            connection.request("POST", "/length", b"12345")
            connection.getresponse().read()
            ends.add(connection.sock.getsockname())
    assert len(ends) == 1


MALFORMED = [
    # what is sent, why
    (b"NONSENSE\r\n\r\n", "no HTTP at all"),
    (b"GET /ping HTTP/1.1\r\n\r\n", "HTTP/1.1 without Host"),
    (b"get /ping HTTP/1.1\r\nHost: a\r\n\r\n", "a method in small letters"),
    (b"X /ping HTTP/1.1\r\nHost: a\r\n\r\n", "a method of one letter, which gunicorn would refuse in HTML"),
    ("GET /pïng HTTP/1.1\r\nHost: a\r\n\r\n".encode(), "a path that is not ASCII"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "a path of 9,000 characters"),
    (b"GET /ping HTTP/1.1\r\nHost: a\r\nB: " + b"b" * 9000 + b"\r\n\r\n", "a header of 9,000 characters"),
    (b"POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", "a transfer encoding that nobody knows"),
    (b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "a negative length"),
]


@pytest.mark.parametrize("sent", [row[0] for row in MALFORMED], ids=[row[1] for row in MALFORMED])
def test_malformed_request(server: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        answer = Answer(response.status, response.headers, response.read())
    assert answer.status == 400
    assert error_of(answer)["code"] == "malformed"
    assert error_of(answer)["message"].startswith("This is not an HTTP request that can be read: expected ")


def test_paths_of_nginx_itself_look_like_any_unknown_path(server: Server) -> None:
    answer = server.request("GET", "/.nginx/malformed")
    assert answer.status == 404
    assert error_of(answer)["code"] == "not_found"


def test_worker_that_dies_is_a_502_in_json_and_is_replaced(server: Server) -> None:
    answer = server.request("POST", "/die", b"{}")
    assert answer.status == 502
    assert error_of(answer)["code"] == "no_answer"
    assert error_of(answer)["message"].startswith("The worker that held this request ended before it answered.")
    until(server.answers_ping, server.log)


def test_ping_is_answered_while_one_worker_is_at_a_long_request(server: Server, folder: Path) -> None:
    before = running_requests(folder)
    with ThreadPoolExecutor() as pool:
        long = pool.submit(server.request, "GET", "/wait?1.5")
        until(lambda: running_requests(folder) > before)
        assert server.request("GET", "/ping").status == 200
        assert not long.done()
        assert long.result().status == 200


def test_ping_is_answered_while_every_thread_is_at_a_long_request(short_path: Path) -> None:
    environ = {"ALSRIAZ_WORKERS": "1", "ALSRIAZ_THREADS": "2", "ALSRIAZ_TIMEOUT_SECONDS": "60"}
    with tiny_server(short_path, environ) as server, ThreadPoolExecutor() as pool:
        before = running_requests(short_path)
        long = [pool.submit(server.request, "GET", "/wait?3") for _ in range(2)]
        until(lambda: running_requests(short_path) == before + 2)
        assert server.request("GET", "/ping").status == 200
        assert not any(request.done() for request in long), "it was answered though nobody was free to"
        assert [request.result().status for request in long] == [200, 200]


def test_overdue_request_is_a_504_in_json_and_its_worker_is_replaced(server: Server) -> None:
    worker = server.request("POST", "/length").json()["worker"]
    answer = server.request("GET", "/wait?1000")
    assert answer.status == 504
    assert error_of(answer)["code"] == "timeout"
    assert error_of(answer)["message"] == (
        "There was no answer within 2 seconds: send smaller batches, or raise ALSRIAZ_TIMEOUT_SECONDS."
    )
    until(lambda: not alive(worker), server.log)
    assert f"A request has run for more than 2 seconds (ALSRIAZ_TIMEOUT_SECONDS): worker {worker} " in server.log()
    until(server.answers_ping, server.log)
    assert server.request("POST", "/length").json()["worker"] != worker


def test_matrix_products_get_one_thread_unless_the_user_says_otherwise(server: Server, short_path: Path) -> None:
    found = server.request("POST", "/length").json()
    assert (found["OPENBLAS_NUM_THREADS"], found["OMP_NUM_THREADS"]) == ("1", "1")
    with tiny_server(short_path, {"OMP_NUM_THREADS": "3", "ALSRIAZ_ML_ROOT": "here/ml"}, cwd=short_path) as other:
        found = other.request("POST", "/length").json()
        assert (found["OPENBLAS_NUM_THREADS"], found["OMP_NUM_THREADS"]) == ("1", "3")
        assert found["ALSRIAZ_ML_ROOT"] == str(short_path / "here/ml"), "gunicorn has another working directory"


def test_modules_in_the_working_directory_shadow_nothing(short_path: Path) -> None:
    for name in ("json.py", "logging.py", "gunicorn.py", "alsriaz.py", "gunicorn.conf.py"):
        (short_path / name).write_text("raise RuntimeError('a stranger was imported')")
    with tiny_server(short_path, cwd=short_path) as server:
        assert server.stop() == 0
        assert "stranger" not in server.log()


# How it ends.


def test_killed_worker_loses_only_what_it_held(short_path: Path) -> None:
    """16 clients, 2 workers x 2 threads, one worker killed: at most its 2 requests fail, and service goes on."""
    answers: list[tuple[int, int]] = []
    ending = threading.Event()

    def client(server: Server) -> None:
        while not ending.is_set():
            answer = server.request("GET", "/wait?0.01")
            answers.append((answer.status, answer.json().get("worker", 0)))

    with (
        tiny_server(short_path, {"ALSRIAZ_WORKERS": "2", "ALSRIAZ_THREADS": "2"}) as server,
        ThreadPoolExecutor(16) as pool,
    ):
        clients = [pool.submit(client, server) for _ in range(16)]
        try:
            until(lambda: len(answers) >= 100, server.log)
            victim = answers[-1][1]
            os.kill(victim, signal.SIGKILL)
            killed_at = len(answers)
            until(lambda: len({worker for _, worker in answers[killed_at + 16 :]} - {victim, 0}) >= 2, server.log)
        finally:
            ending.set()
        for each in clients:
            each.result()
        assert server.stop() == 0
    statuses = [status for status, _ in answers]
    assert set(statuses) <= {200, 502}
    assert statuses.count(502) <= 2


KILLED = [
    # which, signal, status of serve, why
    ("gunicorn", signal.SIGKILL, 137, "gunicorn killed"),
    ("nginx", signal.SIGKILL, 137, "nginx killed; its workers hold the port"),
    ("nginx", signal.SIGTERM, 1, "nginx asked to end by a stranger: 0 would look like success"),
    ("gunicorn", signal.SIGTERM, 1, "gunicorn asked to end by a stranger"),
]


@pytest.mark.parametrize(("which", "signum", "status"), [row[:3] for row in KILLED], ids=[row[3] for row in KILLED])
def test_child_that_ends_unasked_ends_serve(short_path: Path, which: str, signum: signal.Signals, status: int) -> None:
    with tiny_server(short_path) as server:
        family = descendants(server.process.pid)
        assert len(family) == 4, family  # two masters, a worker each
        os.kill(masters(server)[which], signum)
        assert server.process.wait(PATIENCE) == status
        assert f"{which} ended with status {0 if status == 1 else status}, unasked: serve ends too" in server.log()
        assert not listening(server.port)
        assert not [pid for pid in family if alive(pid)]
        assert not left_behind(short_path)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_are_finished(short_path: Path, signum: signal.Signals) -> None:
    with tiny_server(short_path) as server, ThreadPoolExecutor() as pool:
        family = descendants(server.process.pid)
        requests = [pool.submit(server.request, "GET", "/wait?1") for _ in range(4)]
        until(lambda: running_requests(short_path) == 4, server.log)
        server.process.send_signal(signum)
        server.process.send_signal(signum)  # a second one changes nothing
        assert [request.result().status for request in requests] == [200] * 4
        assert server.process.wait(10) == 0
        assert not listening(server.port)
        assert not [pid for pid in family if alive(pid)]
        assert not left_behind(short_path)


def test_requests_that_do_not_finish_are_cut(short_path: Path) -> None:
    with tiny_server(short_path, {"ALSRIAZ_SHUTDOWN_SECONDS": "1"}) as server, ThreadPoolExecutor() as pool:
        family = descendants(server.process.pid)
        request = pool.submit(server.request, "GET", "/wait?1000")
        until(lambda: running_requests(short_path) == 1, server.log)
        assert server.stop() == 0
        assert "running requests were not finished in time (ALSRIAZ_SHUTDOWN_SECONDS) and are cut" in server.log()
        assert request.result().status == 502, "who waits is told"
        assert not [pid for pid in family if alive(pid)]


def test_children_do_not_outlive_a_killed_supervisor(short_path: Path) -> None:
    with tiny_server(short_path) as server:
        family = descendants(server.process.pid)
        server.process.kill()
        server.process.wait(PATIENCE)
        until(lambda: not any(alive(pid) for pid in family), server.log)
        assert not listening(server.port)


# How it starts, and why it may not.


def test_port_opens_only_when_the_application_is_ready(short_path: Path) -> None:
    (short_path / "not-ready").touch()
    with started_server(tiny_environ(short_path), command=TINY) as server:
        until(lambda: "Booting worker" in server.log(), server.log)
        assert not listening(server.port)
        (short_path / "not-ready").unlink()
        until(server.answers_ping, server.log)


def test_stopped_while_it_starts(short_path: Path) -> None:
    (short_path / "not-ready").touch()
    with started_server(tiny_environ(short_path), command=TINY) as server:
        until(lambda: "Booting worker" in server.log(), server.log)
        family = descendants(server.process.pid)
        assert family
        assert server.stop() == 0
        assert not [pid for pid in family if alive(pid)]
        assert not left_behind(short_path)


def test_application_that_can_not_be_loaded(short_path: Path) -> None:
    (short_path / "broken").touch()
    with started_server(tiny_environ(short_path), command=TINY) as server:
        assert server.process.wait(PATIENCE) == 1
        assert "ValueError: the tiny application was told to be broken" in server.log()
        assert "gunicorn ended with status 1, unasked" in server.log()
        assert not listening(server.port)


def refusal(environ: Mapping[str, str], command: tuple[str, ...] = TINY) -> str:
    """Return what serve says, having checked that it ended with 1 and said one sentence."""
    with started_server(environ, command=command) as server:
        assert server.process.wait(PATIENCE) == 1
        lines = server.log().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("serve: ")
    return lines[0].removeprefix("serve: ")


def test_no_model(short_path: Path) -> None:
    (short_path / "no-model").touch()
    assert refusal(tiny_environ(short_path)) == "The model was told not to be there."


def test_no_model_in_the_folder_of_the_platform(short_path: Path) -> None:
    assert "model" in refusal({"ALSRIAZ_ML_ROOT": str(short_path / "ml")}, SERVE)


def test_no_list_has_room_for_what_the_model_includes(short_path: Path) -> None:
    standing = {"include": {"items": ["apple", "bread"]}}
    shop(standing=standing).write(short_path / "model")
    assert refusal({"ALSRIAZ_ML_ROOT": str(short_path), "ALSRIAZ_MAX_K": "1"}, SERVE) == (
        "ALSRIAZ_MAX_K is 1, but the model's rules.json has 2 items that must appear in every list. Raise it, or train "
        "with fewer."
    )


def test_bad_setting(short_path: Path) -> None:
    words = refusal(tiny_environ(short_path, {"ALSRIAZ_THREADS": "many"}))
    assert words.startswith("The environment variable ALSRIAZ_THREADS is 'many', expected a whole number from 1 to 64")


def test_port_taken(short_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104
        taken.listen()
        port = taken.getsockname()[1]
        assert refusal(tiny_environ(short_path, {"SAGEMAKER_BIND_TO_PORT": str(port)})) == (
            f"Port {port} can't be listened on (Address already in use): free it, or name another one in the "
            "environment variable SAGEMAKER_BIND_TO_PORT."
        )


def test_no_temporary_folder_that_can_hold_a_socket(short_path: Path) -> None:
    long = short_path / ("long" * 25)
    long.mkdir()
    words = refusal(tiny_environ(short_path, {"TMPDIR": str(long)}))
    assert words.startswith(f"The temporary folder '{short_path}")
    assert words.endswith("Name another one in TMPDIR.")
    assert not list(long.iterdir())


def test_temporary_folder_with_a_blank(short_path: Path) -> None:
    blank = short_path / "a b"
    blank.mkdir()
    with tiny_server(short_path, {"TMPDIR": str(blank)}) as server:
        assert server.request("POST", "/length", b"x" * 2**20).json()["length"] == 2**20


def test_port_is_free_again_at_once(short_path: Path) -> None:
    port = {"SAGEMAKER_BIND_TO_PORT": str(free_port())}
    for _ in range(2):
        with started_server(tiny_environ(short_path, port), command=TINY) as server:
            chosen = Server(int(port["SAGEMAKER_BIND_TO_PORT"]), server.process, server._log)
            until(chosen.answers_ping, server.log)
            assert server.stop() == 0


def test_heartbeat_needs_no_shared_memory(short_path: Path) -> None:
    private = str(short_path)
    assert heartbeat_folder(private, "/nowhere") == private, "a serverless endpoint may have none"
    (short_path / "shm").mkdir()
    assert heartbeat_folder(private, str(short_path / "shm")) == str(short_path / "shm")


def test_runs_as_an_ordinary_user(short_path: Path) -> None:
    """Root starts it as somebody with no rights and no home; in a run without root, it is an ordinary user anyway."""
    somebody: dict[str, Any] = {}
    if os.geteuid() == 0:
        somebody = {"user": 65534, "group": 65534, "extra_groups": []}
    environ = tiny_environ(short_path, {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"})
    for path in (short_path, short_path / "tmp"):
        path.chmod(0o777)
    needed = (short_path, ROOT, Path(sys.executable), Path(sys.executable).resolve(), Path(sys.base_prefix))
    with open_to_all(*needed), tiny_server(short_path, environ, **somebody) as server:
        found = server.request("POST", "/length", b"x" * 2**20).json()
        assert found["length"] == 2**20
        assert found["uid"] != 0
        assert server.stop() == 0
        assert "[warn]" not in server.log()
        assert "[alert]" not in server.log()
        assert not left_behind(short_path)


@contextlib.contextmanager
def open_to_all(*paths: Path) -> Iterator[None]:
    """Let everybody pass through the folders above `paths`: pytest, and whoever made a home for root, closed some."""
    above = {folder for path in paths for folder in path.parents}
    closed = {folder: mode for folder in above if not (mode := folder.stat().st_mode) & 0o001}
    for folder, mode in closed.items():
        folder.chmod(mode | 0o001)
    try:
        yield
    finally:
        for folder, mode in closed.items():
            folder.chmod(mode)
