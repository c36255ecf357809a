"""Live rules from S3: a moto server that speaks its protocol, and servers that break it."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alsriaz.serving.live_rules.poller import open_source
from alsriaz.serving.live_rules.s3 import S3Source
from alsriaz.serving.live_rules.sources import REASONS, S3Location, Unusable
from tests.serving.live_rules.s3 import BUCKET, KEY, S3, answering, environment_of, moto_s3

MOST = 200_000


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with moto_s3() as s3:
        yield s3


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    use(monkeypatch, server.environment)
    server.put("{}")
    return server


def use(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def source(bucket: str = BUCKET, key: str = KEY, seconds: float = 25.0) -> S3Source:
    return S3Source(S3Location(bucket, key), MOST, seconds)


def unusable(one: S3Source) -> tuple[str, str]:
    with pytest.raises(Unusable) as caught:
        one.fetch(None)
    assert caught.value.reason in REASONS
    return caught.value.reason, str(caught.value)


def test_an_object_is_read_whole(s3: S3) -> None:
    data = bytes(range(256)) * 700
    s3.put(data)
    fetched = source().fetch(None)
    assert fetched is not None
    assert fetched.data == data


def test_a_key_is_taken_as_it_is(s3: S3) -> None:
    key = "a b/ü%20?x=#1+&"
    s3.put("{}", key)
    assert source(key=key).fetch(None) is not None


def test_what_has_not_changed_is_not_sent_again(s3: S3) -> None:
    one = source()
    first = one.fetch(None)
    assert first is not None
    assert one.fetch(first.tag) is None
    s3.put('{"exclude": {"items": ["a"]}}')
    second = one.fetch(first.tag)
    assert second is not None
    assert b"exclude" in second.data
    assert one.fetch(second.tag) is None


def test_an_object_or_a_bucket_that_is_not_there_is_told(s3: S3) -> None:
    assert unusable(source(key="none")) == ("missing", "There is no such object in the bucket.")
    assert unusable(source("no-such-bucket")) == ("missing", "There is no such bucket.")


def test_an_object_that_is_deleted_and_comes_back_is_read_again(s3: S3) -> None:
    one = source()
    first = one.fetch(None)
    assert first is not None
    s3.delete()
    assert unusable(one)[0] == "missing"
    s3.put("{}")
    assert source().fetch(None) == first


def test_an_object_that_is_too_large_is_not_read(s3: S3) -> None:
    s3.put(b" " * (MOST + 1))
    message = "It has 200,001 bytes, expected at most 200,000 bytes: shorten it, or raise ALSRIAZ_RULES_MAX_MB."
    assert unusable(source()) == ("too_large", message)


def test_whoever_may_not_read_it_is_told(s3: S3) -> None:
    with s3.permissions_checked():
        reason, message = unusable(source())
    assert reason == "denied"
    assert message == (
        "S3 denies it (InvalidAccessKeyId): allow s3:GetObject on the object; without s3:ListBucket, S3 answers so too "
        "where there is no such object."
    )


def test_without_credentials_it_is_told_where_they_come_from(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    message = "There are no AWS credentials: give the container a role that allows s3:GetObject, or set AWS_*."
    assert unusable(source()) == ("denied", message)


def credentials_in(monkeypatch: pytest.MonkeyPatch, path: Path) -> Callable[[str], None]:
    """Let credentials come from this file alone, not there yet; return what writes a key id into it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    def write(key: str) -> None:
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = x\n")

    return write


def test_credentials_that_come_later_are_found(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write = credentials_in(monkeypatch, tmp_path / "credentials")
    one = source()
    assert unusable(one)[0] == "denied"
    write("KEY")
    assert one.fetch(None) is not None


DENIALS = [
    ("401 Unauthorized", "", "a 401"),
    ("403 Forbidden", "", "a 403"),
    ("400 Bad Request", "ExpiredToken", "a session that has ended"),
    ("400 Bad Request", "InvalidToken", "a session that is none"),
]


@pytest.mark.parametrize(("status", "code", "why"), DENIALS, ids=[why for *_, why in DENIALS])
def test_credentials_that_were_changed_are_found_once_the_old_ones_are_denied(
    status: str, code: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
    heads: list[bytes] = []
    with answering(sends(f"HTTP/1.1 {status}\nContent-Length: {len(body)}\nConnection: close\n", body), heads) as port:
        use(monkeypatch, environment_of(port))
        write = credentials_in(monkeypatch, tmp_path / "credentials")
        write("OLD")
        one = source()
        assert unusable(one)[0] == "denied"
        write("NEW")
        assert unusable(one)[0] == "denied"
    assert [key for head in heads for key in re.findall(rb"Credential=(\w+)/", head)] == [b"OLD", b"NEW"]


REGIONS = [
    ({"AWS_REGION": "eu-west-3"}, b"eu-west-3", "AWS_REGION alone"),
    ({"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-2"}, b"eu-west-3", "AWS_REGION comes first"),
    ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, b"eu-west-2", "an empty one counts as not set"),
    ({"AWS_DEFAULT_REGION": "eu-west-2"}, b"eu-west-2", "what boto3 finds by itself"),
]


@pytest.mark.parametrize(("environ", "region", "why"), REGIONS, ids=[why for *_, why in REGIONS])
def test_the_region_is_that_of_the_environment(
    environ: dict[str, str], region: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []
    with answering(sends("HTTP/1.1 200 OK\nContent-Length: 2\nConnection: close\n", b"{}"), heads) as port:
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        use(monkeypatch, environment_of(port))
        monkeypatch.delenv("AWS_REGION")
        use(monkeypatch, environ)
        assert open_source(S3Location(BUCKET, KEY), MOST, environ).fetch(None) is not None
    (asked,) = heads
    assert b"/%s/s3/aws4_request" % region in asked


def test_a_server_that_is_gone_is_told_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_s3() as s3:
        use(monkeypatch, s3.environment)
        s3.put("{}")
        one = source()
        first = one.fetch(None)
        assert first is not None
        port = s3.port
    reason, message = unusable(one)
    assert reason == "unreachable"
    assert message.startswith("S3 can't be asked: Could not connect to the endpoint URL")
    with moto_s3(port):
        assert one.fetch(first.tag) is None


def test_an_endpoint_that_is_no_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, environment_of(1) | {"AWS_ENDPOINT_URL": "nonsense"})
    assert unusable(source()) == ("unreachable", "S3 can't be asked: Invalid endpoint: nonsense.")


def sends(head: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)


def never_ends(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


CHUNK = b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n"
BROKEN: list[tuple[Callable[[socket.socket], None], str, str, str]] = [
    (sends("HTTP/1.1 200 OK\nContent-Length: 1000\n", b"{"), "changed", "The object came incomplete", "half an object"),
    (
        sends("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n", CHUNK * 3),
        "too_large",
        "It has more, expected at most 200,000 bytes: shorten it, or raise ALSRIAZ_RULES_MAX_MB.",
        "more than it may have, and no length told",
    ),
    (
        sends("HTTP/1.1 200 OK\nContent-Length: 2\nx-amz-checksum-crc32: AAAAAA==\n", b"{}"),
        "changed",
        "The object came incomplete or damaged: Expected checksum AAAAAA== did not match calculated checksum",
        "another checksum than S3 tells",
    ),
    (
        sends("HTTP/1.1 503 Slow Down\nContent-Length: 0\n"),
        "unreachable",
        "S3 answers 503 (503): An error occurred (503) when calling the GetObject operation",
        "a service that is busy",
    ),
    *(
        (
            sends(f"HTTP/1.1 {status}\nLocation: https://shop.internal/\nContent-Length: 0\nConnection: close\n"),
            "unreachable",
            "S3 can't be asked: it redirects every request, and to no region.",
            f"a redirect without a region, {status}",
        )
        for status in ("301 Moved Permanently", "302 Found", "307 Temporary Redirect")
    ),
    (sends("HTTP/1.1 403 Forbidden\nContent-Length: 0\n"), "denied", "S3 denies it (403): allow s3:GetObject", "a 403"),
    (sends("HTTP/1.1 404 Not Found\nContent-Length: 0\n"), "missing", "There is no such object.", "a bare 404"),
    (sends("garbage"), "unreachable", "S3 can't be asked: ", "what is no HTTP"),
    (lambda connection: None, "unreachable", "S3 can't be asked: ", "a connection that is closed at once"),
    (never_ends, "unreachable", "S3 took longer than 2 s to send it.", "byte after byte, without end"),
]


@pytest.mark.parametrize(("respond", "reason", "begin", "why"), BROKEN, ids=[why for *_, why in BROKEN])
def test_what_a_broken_service_sends_is_not_taken(
    respond: Callable[[socket.socket], None], reason: str, begin: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(respond) as port:
        use(monkeypatch, environment_of(port))
        found, message = unusable(source(seconds=2.0 if respond is never_ends else 25.0))
    assert (found, message[: len(begin)]) == (reason, begin)
    assert message.endswith(".")
    assert "\n" not in message
