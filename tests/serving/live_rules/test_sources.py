"""Live rules from real files, some of which change while they are read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from alsriaz.serving.live_rules.file_source import FileSource
from alsriaz.serving.live_rules.source import REASONS, Unusable

MOST = 200_000
OLD = 1_000_000_000  # a moment of 2001


def a_file(path: Path, data: bytes = b"{}", at: float = OLD) -> Path:
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file's last change be long ago; its ctime can't be set."""
    monkeypatch.setattr("alsriaz.serving.live_rules.file_source._SURE_SECONDS", -1.0)


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
