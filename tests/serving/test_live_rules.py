"""Live rules in a real serve: workers follow them, whatever happens to where they come from."""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alsriaz.serving.live_rules.following import version_of
from tests.serving.live_rules.s3 import URI, moto_s3
from tests.serving.multi_model_platform import MULTI_MODEL, Platform
from tests.serving.serving_process import ROOT, Server, alive, descendants, running_server, started_server, until
from tests.serving.test_metrics import counts_in
from tests.small_models import shop

pytestmark = pytest.mark.process

JSON = {"Content-Type": "application/json"}
QUICK = {"ALSRIAZ_RULES_POLL_SECONDS": "1", "ALSRIAZ_WORKERS": "2"}


def rules_without(*items: str) -> bytes:
    return json.dumps({"exclude": {"items": items}}).encode()


def recommended(server: Server, **fields: Any) -> list[str]:
    """Return what is recommended to ann: of apple, bread, cocoa, dates, eggs, figs by score, the first three."""
    answer = server.request("POST", "/invocations", json.dumps({"customer": "ann", **fields}), JSON)
    assert answer.status == 200, answer.body
    return [place["item"] for place in answer.json()["recommendations"]]


def counts(server: Server) -> dict[str, float]:
    return counts_in(server.request("GET", "/metrics").body.decode())


def live(server: Server) -> dict[str, float]:
    """Return the counts of live rules, those that are 0 left out."""
    found = {name.removeprefix("alsriaz_live_rules_"): value for name, value in counts(server).items() if value}
    return {name: value for name, value in found.items() if not name.startswith("alsriaz_")}


def failures(server: Server, reason: str) -> float:
    return counts(server)[f"alsriaz_live_rules_failures_total{{reason={reason}}}"]


def leads_group(pid: int) -> bool | None:
    """Whether a process leads its process group; None where it has ended, as any may once it was looked for."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return None


def poller_of(server: Server) -> int | None:
    """Return the pid of the poller: it leads a process group, and its command says what it is."""
    for pid in descendants(server.process.pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"alsriaz.serving.live_rules.poller" in command and leads_group(pid):
                return pid
    return None


def workers_of(server: Server) -> list[int]:
    family = descendants(server.process.pid)
    return [pid for pid in family if leads_group(pid) is False and not family[pid].startswith("nginx")]


@dataclass(frozen=True)
class Rules:
    """A place that live rules are read from, and its setting."""

    environ: dict[str, str]
    put: Callable[[bytes], None]
    remove: Callable[[], None]


def replaced(path: Path, data: bytes) -> None:
    staged = path.with_name("staged")
    staged.write_bytes(data)
    staged.replace(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform folder whose model keeps figs off every list."""
    root = tmp_path_factory.mktemp("ml")
    department = {"department": ["FRUIT", "BAKERY", "SWEETS", "FRUIT", None, "FRUIT"]}
    shop(standing={"exclude": {"items": ["figs"]}}, attributes=department).write(root / "model")
    return root


@pytest.fixture(scope="module", params=["a file", "s3"])
def rules(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rules]:
    if request.param == "a file":
        path = tmp_path_factory.mktemp("rules") / "rules.json"
        yield Rules({"ALSRIAZ_RULES_URI": str(path)}, lambda data: replaced(path, data), path.unlink)
        return
    with moto_s3() as s3:
        yield Rules({"ALSRIAZ_RULES_URI": URI, **s3.environment}, s3.put, s3.delete)


@pytest.fixture(scope="module")
def server(model: Path, rules: Rules) -> Iterator[Server]:
    rules.put(b"{}")
    with two_workers({"ALSRIAZ_ML_ROOT": str(model), **rules.environ}) as server:
        yield server


@contextlib.contextmanager
def two_workers(environ: dict[str, str]) -> Iterator[Server]:
    """Like `running_server`, but go on once both workers are there: /ping is answered by the first of them."""
    with running_server({**QUICK, **environ}) as server:
        until(lambda: len(workers_of(server)) == 2, server.log)
        yield server


@pytest.fixture
def serving(server: Server, rules: Rules) -> Server:
    """The server, under the rule that bread is out of stock."""
    in_force(server, rules, rules_without("bread"))
    return server


def in_force(server: Server, rules: Rules, data: bytes) -> None:
    """Put rules where they are looked for, and return once no answer of any worker is under others."""
    rules.put(data)
    for worker in workers_of(server):
        with only(server, worker):
            until(lambda: answered_under(server) == version_of(data), server.log)


def answered_under(server: Server) -> str | None:
    """Ask, and return the version of the live rules that the access log tells for the answer."""
    number = secrets.token_hex(8)
    headers = {**JSON, "X-Amzn-SageMaker-Inference-Id": number}
    assert server.request("POST", "/invocations", '{"customer": "ann"}', headers).status == 200
    until(lambda: f" inference_id={number} " in server.log(), server.log)  # written once the answer is sent
    line = next(line for line in server.log().splitlines() if f" inference_id={number} " in line)
    found = re.search(r" rules=(\w+)", line)
    return found[1] if found else None


@contextlib.contextmanager
def only(server: Server, worker: int) -> Iterator[None]:
    """Let one worker answer everything: the others stand still, and take no request."""
    others = [pid for pid in workers_of(server) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def test_what_is_out_of_stock_is_no_longer_recommended_by_any_worker(serving: Server, rules: Rules) -> None:
    assert recommended(serving) == ["apple", "cocoa", "dates"]
    rules.put(rules_without("apple", "cocoa"))
    workers = workers_of(serving)
    assert len(workers) == 2
    for worker in workers:
        with only(serving, worker):
            until(lambda: recommended(serving) == ["bread", "dates", "eggs"], serving.log)
    assert recommended(serving, exclude={"items": ["bread"]}) == ["dates", "eggs"], "standing, live, and the request's"


def test_the_log_and_the_metrics_tell_what_is_in_force(serving: Server) -> None:
    version = version_of(rules_without("bread"))
    recommended(serving)
    until(lambda: f" rules={version}\n" in serving.log(), serving.log)
    assert f"live rules {version} are in force, from " in serving.log()
    told = live(serving)
    assert told[f"info{{version={version}}}"] == 1
    since, checked = told["since_timestamp_seconds"], told["checked_timestamp_seconds"]
    assert since <= checked == told["succeeded_timestamp_seconds"]
    until(lambda: live(serving)["checked_timestamp_seconds"] > checked, serving.log)
    assert live(serving)["since_timestamp_seconds"] == since


BAD: list[tuple[bytes, str, str, str]] = [
    (b"\x00\x01garbage\xff", "malformed", "is not UTF-8 text", "garbage"),
    (rules_without("apple")[:-5], "malformed", "is not JSON", "a file that is cut"),
    (b'{"exclude": {"itmes": ["apple"]}}', "refused", "did you mean 'items'?", "a field misspelt"),
    (b'{"exclude": {"where": {"brand": "ACME"}}}', "refused", "is no attribute of the items", "no such attribute"),
    (b'{"include": {"items": ["1", "2", "3", "4"]}}', "refused", "but k is 3", "more than a list has places"),
    (b'{"exclude": {"items": ["apple"]}' + b" " * 50 * 2**20 + b"}", "too_large", "52,428,833 bytes", "50 MB"),
]


def test_the_last_good_rules_stay_whatever_is_put_there(serving: Server, rules: Rules) -> None:
    version = version_of(rules_without("bread"))
    for bad, reason, words, why in BAD:
        before = failures(serving, reason)
        rules.put(bad)
        until(lambda: failures(serving, reason) > before, serving.log)  # noqa: B023 - waited for at once
        line = next(line for line in reversed(serving.log().splitlines()) if "can't be used" in line)
        assert words in line, why
        assert line.endswith(f"The last good ones, {version}, stay in force.")
    assert live(serving)[f"info{{version={version}}}"] == 1
    assert recommended(serving) == ["apple", "cocoa", "dates"]
    before = failures(serving, reason)
    until(lambda: failures(serving, reason) > before, serving.log)  # it is told again each time
    in_force(serving, rules, rules_without("apple"))
    assert recommended(serving) == ["bread", "cocoa", "dates"]


def test_the_last_good_rules_stay_when_they_are_removed(serving: Server, rules: Rules) -> None:
    before = failures(serving, "missing")
    rules.remove()
    until(lambda: failures(serving, "missing") > before, serving.log)
    assert recommended(serving) == ["apple", "cocoa", "dates"]


def test_rules_end_where_an_empty_object_is_put(serving: Server, rules: Rules) -> None:
    in_force(serving, rules, b"{}")
    assert recommended(serving) == ["apple", "bread", "cocoa"]


def test_a_poller_that_is_killed_is_started_again(serving: Server, rules: Rules) -> None:
    poller = poller_of(serving)
    assert poller is not None
    os.kill(poller, signal.SIGKILL)
    until(lambda: "the poller of live rules ended with status 137, unasked" in serving.log(), serving.log)
    assert recommended(serving) == ["apple", "cocoa", "dates"]
    rules.put(rules_without("apple"))
    until(lambda: recommended(serving) == ["bread", "cocoa", "dates"], serving.log)
    assert poller_of(serving) not in (None, poller)
    assert serving.ended() is None


def test_a_worker_that_is_replaced_answers_under_the_rules_from_the_start(serving: Server) -> None:
    for worker in workers_of(serving):
        os.kill(worker, signal.SIGKILL)
        until(lambda: len(set(workers_of(serving)) - {worker}) == 2, serving.log)  # noqa: B023 - waited for at once
    for worker in workers_of(serving):
        with only(serving, worker):
            assert recommended(serving) == ["apple", "cocoa", "dates"]


# Servers of their own.


def test_the_poller_ends_when_serve_is_killed(model: Path, tmp_path: Path) -> None:
    replaced(tmp_path / "rules.json", b"{}")
    environ = {"ALSRIAZ_ML_ROOT": str(model), "ALSRIAZ_WORKERS": "1"}
    with running_server({**environ, "ALSRIAZ_RULES_URI": str(tmp_path / "rules.json")}) as server:
        family = descendants(server.process.pid)
        server.process.kill()
        server.wait()
        until(lambda: not any(alive(pid) for pid in family))


def test_the_first_answer_is_under_the_rules_and_all_ends_when_serve_is_asked_to_stop(
    model: Path, tmp_path: Path
) -> None:
    replaced(tmp_path / "rules.json", rules_without("apple"))
    environ = {"ALSRIAZ_ML_ROOT": str(model), **QUICK, "ALSRIAZ_RULES_POLL_SECONDS": "3600"}
    with running_server({**environ, "ALSRIAZ_RULES_URI": "rules.json"}, cwd=tmp_path) as server:
        assert recommended(server) == ["bread", "cocoa", "dates"], "a relative path is one from serve's own folder"
        family = descendants(server.process.pid)
        assert poller_of(server) in family
        assert server.stop() == 0
    assert not any(alive(pid) for pid in family), "all ends at once, whatever is waited for"


def test_serve_starts_without_rules_and_says_so_and_takes_them_when_they_come(model: Path) -> None:
    with moto_s3() as s3:
        port = s3.port
    environ = {"ALSRIAZ_ML_ROOT": str(model), **QUICK, "ALSRIAZ_RULES_URI": URI, **s3.environment}
    with running_server(environ) as server:
        assert recommended(server) == ["apple", "bread", "cocoa"]
        told = re.search(r"ERROR alsriaz.live_rules: live rules .*", server.log())
        assert told is not None
        assert "S3 can't be asked: Could not connect to the endpoint URL" in told[0]
        assert told[0].endswith("None were in force yet: the model's standing rules hold alone.")
        assert failures(server, "unreachable") >= 1
        assert counts(server)["alsriaz_live_rules_succeeded_timestamp_seconds"] == 0
        with moto_s3(port) as s3:
            s3.put(rules_without("apple"))
            until(lambda: recommended(server) == ["bread", "cocoa", "dates"], server.log)
        before = failures(server, "unreachable")
        until(lambda: failures(server, "unreachable") > before, server.log)
        assert recommended(server) == ["bread", "cocoa", "dates"], "S3 is gone again, the rules are not"


WRITER = """
import sys, time
path, end = sys.argv[1], time.monotonic() + 600
while time.monotonic() < end:
    with open(path, "w") as stream:  # in place, as it should not be done
        stream.write('{"exclude": {"items": ["bread"')
        stream.flush()
        time.sleep(0.01)
        for number in range(20_000):
            stream.write(f', "item {number}"')
        stream.write("]}}")
"""


def test_a_file_that_is_written_over_all_the_time_is_only_ever_taken_whole(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    replaced(path, rules_without("bread"))
    environ = {"ALSRIAZ_ML_ROOT": str(model), **QUICK, "ALSRIAZ_RULES_URI": path.as_uri()}
    with running_server(environ) as server:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        try:
            for _ in range(3):
                checked = live(server)["checked_timestamp_seconds"]
                until(lambda: live(server)["checked_timestamp_seconds"] > checked, server.log)  # noqa: B023
                assert recommended(server) == ["apple", "cocoa", "dates"]
        finally:
            writer.kill()
            writer.wait()
        for line in server.log().splitlines():
            assert "live rules" not in line or re.search(r"in force|can be used again|changed while|is not JSON", line)


def test_each_of_several_models_keeps_what_it_can(tmp_path: Path) -> None:
    department = {"department": ["FRUIT", "BAKERY", "SWEETS", "FRUIT", None, "FRUIT"]}
    shop(attributes=department).write(tmp_path / "models" / "told")
    shop().write(tmp_path / "models" / "bare")
    path = tmp_path / "rules.json"
    replaced(path, rules_without("bread"))
    environ = {"ALSRIAZ_ML_ROOT": str(tmp_path), **MULTI_MODEL, "ALSRIAZ_RULES_URI": str(path)}
    with two_workers(environ) as server:
        platform = Platform(server, str(tmp_path))

        def lists() -> list[list[str]]:
            answers = [platform.ask(name, name, {"customer": "ann"}).json() for name in ("told", "bare")]
            return [[place["item"] for place in answer["recommendations"]] for answer in answers]

        assert lists() == [["apple", "cocoa", "dates"], ["apple", "cocoa", "dates"]]
        replaced(path, b'{"exclude": {"items": ["bread"], "where": {"department": "FRUIT"}}}')
        for worker in workers_of(server):
            with only(server, worker):
                until(lambda: lists() == [["cocoa", "eggs"], ["apple", "cocoa", "dates"]], server.log)
        assert "exclude.where.department names the attribute 'department', but the model knows nothing" in server.log()
        assert counts(server)["alsriaz_live_rules_kept_in_part_total"] == 2, "one model, in two workers"


def test_a_setting_that_names_no_place_ends_serve_before_it_begins(model: Path) -> None:
    with started_server({"ALSRIAZ_ML_ROOT": str(model), "ALSRIAZ_RULES_URI": "https://shop/rules.json"}) as server:
        assert server.wait() == 1
        assert server.log().strip() == (
            "serve: The environment variable ALSRIAZ_RULES_URI is 'https://shop/rules.json', expected a path, "
            "file:///path or s3://bucket/key. Correct or unset it."
        )


def test_without_the_setting_there_is_no_poller_and_nothing_is_told(model: Path) -> None:
    with running_server({"ALSRIAZ_ML_ROOT": str(model), "ALSRIAZ_WORKERS": "1"}) as server:
        recommended(server)
        assert poller_of(server) is None
        assert live(server) == {}
        assert " rules=" not in server.log()


def test_the_poller_tells_what_is_missing() -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "container")}
    command = [sys.executable, "-P", "-m", "alsriaz.serving.live_rules.poller"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "live rules: ALSRIAZ_RULES_URI is not set: there are no live rules to look for.\n"


def test_a_process_that_has_ended_leads_no_group() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert leads_group(child.pid) is None
