"""Where the poller and the workers meet."""

from pathlib import Path

import pytest
from alsriaz.serving.live_rules.folder import RulesFolder, version_of
from alsriaz.serving.live_rules.status import Status


def put(folder: RulesFolder, data: bytes) -> str:
    version = version_of(data)
    folder.put_in_force(folder.stage(data, "rules.json"), version)
    return version


def files(path: Path) -> set[str]:
    return {entry.name for entry in path.rglob("*") if not entry.is_dir() and not entry.is_symlink()}


def test_a_version_is_that_of_its_bytes() -> None:
    assert version_of(b"{}") == "44136fa355b3"  # sha256sum
    assert version_of(b"{ }") != version_of(b"{}")


def test_nothing_is_in_force_at_first(tmp_path: Path) -> None:
    assert RulesFolder(tmp_path).version() is None
    assert RulesFolder(tmp_path).read_status() is None


def test_what_was_put_in_force_is_found_by_all(tmp_path: Path) -> None:
    version = put(RulesFolder(tmp_path), b'{"a": 1}')
    other = RulesFolder(tmp_path)
    assert other.version() == version
    assert other.file_of(version).read_bytes() == b'{"a": 1}'


def test_what_is_only_staged_is_not_in_force(tmp_path: Path) -> None:
    folder = RulesFolder(tmp_path)
    first = put(folder, b"{}")
    folder.stage(b"[]", "rules.json")
    assert folder.version() == first
    assert folder.file_of(first).read_bytes() == b"{}"


def test_the_version_before_is_kept_for_who_has_just_looked(tmp_path: Path) -> None:
    folder = RulesFolder(tmp_path)
    first, second, third = put(folder, b"1"), put(folder, b"2"), put(folder, b"3")
    assert files(tmp_path) == {f"rules-{second}.json", f"rules-{third}.json"}
    assert put(folder, b"1") == first
    assert files(tmp_path) == {f"rules-{third}.json", f"rules-{first}.json"}


def test_a_link_that_leads_elsewhere_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "in-force").symlink_to("/etc/passwd")
    assert RulesFolder(tmp_path).version() is None


def test_what_a_writer_left_half_done_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "in-force.new").symlink_to("nowhere")
    folder = RulesFolder(tmp_path)
    folder.stage(b"{", "rules.json")
    assert folder.version() is None
    version = put(folder, b"{}")
    assert folder.version() == version


NAMES = [
    ("rules.json", "rules.json", "a plain name"),
    ("out of stock:now\n.json", "out_of_stock_now_.json", "what could break a line"),
    ("régles.json", "r_gles.json", "what is not ASCII"),
    ("k" * 1000 + ".json", "k" * 75 + ".json", "longer than a file's name can be"),
    ("..", "rules.json", "what would lead out of the folder"),
    ("", "rules.json", "nothing"),
]


@pytest.mark.parametrize(("name", "expected", "why"), NAMES, ids=[why for *_, why in NAMES])
def test_a_staged_file_has_the_name_that_messages_tell(name: str, expected: str, why: str, tmp_path: Path) -> None:
    staged = RulesFolder(tmp_path).stage(b"{}", name)
    assert staged.name == expected
    assert staged.parent.parent == tmp_path


def test_the_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    status = Status("0123456789ab", 1.5, 2.5, 2.5, "It ✗.", {"missing": 3})
    RulesFolder(tmp_path).write_status(status)
    assert RulesFolder(tmp_path).read_status() == status


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"verson": null}', b"\xff"])
def test_a_status_that_is_none_counts_as_not_there(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(data)
    assert RulesFolder(tmp_path).read_status() is None
