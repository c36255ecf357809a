"""Where live rules may be, as a setting names it; and real files, some of which change while they are read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alsriaz.serving.live_rules.sources import (
    REASONS,
    FileLocation,
    FileSource,
    Location,
    S3Location,
    Unusable,
    parse_location,
)

GOOD: list[tuple[str, Location, str]] = [
    ("/data/rules.json", FileLocation(Path("/data/rules.json")), "an absolute path"),
    ("/data/../rules.json", FileLocation(Path("/rules.json")), "a path is made plain"),
    ("rules.json", FileLocation(Path.cwd() / "rules.json"), "a relative path is one from the working directory"),
    ("  /data/rules.json\n", FileLocation(Path("/data/rules.json")), "what surrounds it is nothing"),
    ("file:///data/rules.json", FileLocation(Path("/data/rules.json")), "a URL of a file"),
    ("file://localhost/data/rules.json", FileLocation(Path("/data/rules.json")), "of this machine, by its name"),
    ("file:///my%20data/r%C3%A9gles.json", FileLocation(Path("/my data/régles.json")), "a URL is decoded"),
    ("/my%20data/rules.json", FileLocation(Path("/my%20data/rules.json")), "a path is not"),
    ("s3://shop/rules.json", S3Location("shop", "rules.json"), "an object"),
    ("s3://shop.eu-1/a/b//c d%20?x#y", S3Location("shop.eu-1", "a/b//c d%20?x#y"), "a key is taken as it is"),
]
BAD_LOCATIONS = [
    ("", "nothing"),
    ("s3://shop", "no key"),
    ("s3://shop/", "an empty key"),
    ("s3://shop/rules/", "what S3's console calls a folder"),
    ("s3:///rules.json", "no bucket"),
    ("s3://no bucket/rules.json", "no name of a bucket"),
    ("s3:/shop/rules.json", "a slash too few"),
    ("s3://shop/" + "k" * 1025, "a key longer than S3 takes"),
    ("S3://shop/rules.json", "a scheme in capitals"),
    ("https://shop.s3.amazonaws.com/rules.json", "another scheme"),
    ("file://elsewhere/rules.json", "a file of another machine"),
    ("file:rules.json", "a URL without slashes"),
    ("file://", "a URL of nothing"),
    ("file:///rules.json?version=2", "a query"),
    ("/data/", "a folder"),
    ("/da\0ta", "NUL"),
    ("file:///da%00ta", "NUL, encoded"),
    ("s3://shop/\udcff", "no Unicode text"),
]


@pytest.mark.parametrize(("text", "location", "why"), GOOD, ids=[why for *_, why in GOOD])
def test_a_location_is_read(text: str, location: Location, why: str) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(("text", "location", "why"), GOOD, ids=[why for *_, why in GOOD])
def test_its_uri_is_read_as_the_same_location_from_any_folder(
    text: str, location: Location, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri = parse_location(text).uri
    monkeypatch.chdir(tmp_path)
    assert parse_location(uri) == location


@pytest.mark.parametrize(("text", "why"), BAD_LOCATIONS, ids=[why for _, why in BAD_LOCATIONS])
def test_what_names_no_place_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError):
        parse_location(text)


# Files.

MOST = 200_000
OLD = 1_000_000_000  # a moment of 2001


def a_file(path: Path, data: bytes = b"{}", at: float = OLD) -> Path:
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file's last change be long ago; its ctime can't be set."""
    monkeypatch.setattr("alsriaz.serving.live_rules.sources._SURE_SECONDS", -1.0)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 700  # more than is read at once
    fetched = FileSource(a_file(tmp_path / "rules.json", data), MOST).fetch(None)
    assert fetched is not None
    assert fetched.data == data


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch)
    source = FileSource(a_file(tmp_path / "rules.json"), MOST)
    first = source.fetch(None)
    assert first is not None
    assert first.tag is not None
    assert source.fetch(first.tag) is None


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    source = FileSource(a_file(tmp_path / "rules.json"), MOST)
    first = source.fetch(None)
    assert first is not None
    assert first.tag is None, "its times could not tell of a second change within the same tick of the clock"
    assert source.fetch(None) == first


def rewritten(path: Path) -> None:
    a_file(path, b"[]")


def replaced(path: Path) -> None:
    a_file(path.with_name("new"), b"{}").replace(path)


def touched(path: Path) -> None:
    os.utime(path)


CHANGES = [
    (rewritten, "written over, with the same size and the same time set"),
    (replaced, "another file of the same size and time"),
    (touched, "a later time"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES, ids=[why for _, why in CHANGES])
def test_any_change_is_seen(
    change: Callable[[Path], None], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch)
    path = a_file(tmp_path / "rules.json")
    source = FileSource(path, MOST)
    first = source.fetch(None)
    assert first is not None
    change(path)
    second = source.fetch(first.tag)
    assert second is not None
    assert second.data == path.read_bytes()


def nothing(path: Path) -> None:
    pass


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def folder(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path)


def large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(50 * 2**20)


BROKEN = [
    (nothing, "missing", "There is no such file.", "nothing there"),
    (below_a_file, "missing", "There is no such file.", "its folder is a file"),
    (dangling, "missing", "There is no such file.", "a link to nothing"),
    (folder, "unreadable", "It is no regular file, expected one that holds a JSON object.", "a folder"),
    (fifo, "unreadable", "It is no regular file, expected one that holds a JSON object.", "a FIFO nobody writes to"),
    (endless, "unreadable", "It is no regular file, expected one that holds a JSON object.", "a device without end"),
    (circle, "unreadable", "The file can't be read: Too many levels of symbolic links.", "a link to itself"),
    (
        large,
        "too_large",
        "It has 52,428,800 bytes, expected at most 200,000 bytes: shorten it, or raise ALSRIAZ_RULES_MAX_MB.",
        "50 MB",
    ),
]


@pytest.mark.parametrize(("make", "reason", "message", "why"), BROKEN, ids=[why for *_, why in BROKEN])
def test_what_is_no_file_to_read_is_told(
    make: Callable[[Path], None], reason: str, message: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "rules" / "rules.json"
    path.parent.mkdir()
    make(path)
    with pytest.raises(Unusable) as caught:
        FileSource(path, MOST).fetch(None)
    assert (caught.value.reason, str(caught.value)) == (reason, message)
    assert reason in REASONS


def as_nobody(run: Callable[[], None]) -> None:
    """Run as a user who owns nothing, where we are root: root may read all."""
    if os.geteuid() != 0:
        run()
        return
    os.seteuid(65534)
    try:
        run()
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = a_file(tmp_path / "rules.json")
    path.chmod(0)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)

    def run() -> None:
        with pytest.raises(Unusable) as caught:
            FileSource(path, MOST).fetch(None)
        told = "The file can't be read: this process has no permission to."
        assert (caught.value.reason, str(caught.value)) == ("denied", told)

    as_nobody(run)


def grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"x")


def cut(path: Path) -> None:
    os.truncate(path, 100_000)


def removed(path: Path) -> None:
    path.unlink()


MEANWHILE = [
    (grown, "it grows"),
    (cut, "it is cut"),
    (rewritten, "it is written anew"),
    (touched, "it is written over, byte by byte the same so far"),
    (replaced, "another one is put in its place"),
    (removed, "it is removed"),
]


@pytest.mark.parametrize(("change", "why"), MEANWHILE, ids=[why for _, why in MEANWHILE])
def test_a_file_that_changes_while_it_is_read_is_not_taken(
    change: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    path = a_file(tmp_path / "rules.json", b"x" * 150_000)
    reads: list[int] = []

    def read(descriptor: int, most: int) -> bytes:
        data = os.read(descriptor, most)
        if not reads:
            change(path)
        reads.append(len(data))
        return data

    with pytest.raises(Unusable) as caught:
        FileSource(path, MOST, read).fetch(None)
    told = "The file changed while it was read: it is read again next time."
    assert (caught.value.reason, str(caught.value)) == ("changed", told)
    assert len(reads) > 1, "the file was read in several steps"


def test_a_file_that_grows_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    path = a_file(tmp_path / "rules.json")
    total = 0

    def read(descriptor: int, most: int) -> bytes:
        nonlocal total
        total += most
        return b"x" * most

    with pytest.raises(Unusable, match="changed while it was read"):
        FileSource(path, MOST, read).fetch(None)
    assert total < MOST + 100_000
