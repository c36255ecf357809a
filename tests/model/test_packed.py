"""Models in archives: what is written of them, and what is not."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from alsriaz.errors import ModelError
from alsriaz.model.folder import verify_model
from alsriaz.model.manifest import read_manifest
from alsriaz.model.packed import unpack_files, unpack_head
from tests.small_models import cut, shop


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shop(standing={"exclude": {"items": ["figs"]}}).write(tmp_path / "model")
    return tmp_path / "model"


def pack(model: Path, archive: Path, prefix: str = "", mode: str = "w:gz") -> Path:
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for path in sorted(model.iterdir()):
            tar.add(path, arcname=f"{prefix}{path.name}")
    return archive


def unpack(archive: Path, folder: Path) -> None:
    manifest = unpack_head(archive, folder)
    unpack_files(archive, manifest.files, folder)


PACKED = [
    ("", "w:gz", "as the platform packs"),
    ("./", "w:gz", "as `tar -C model .` packs"),
    ("", "w", "not compressed"),
]


@pytest.mark.parametrize(("prefix", "mode", "why"), PACKED, ids=[why for *_, why in PACKED])
def test_a_model_comes_out_as_it_went_in(tmp_path: Path, model: Path, prefix: str, mode: str, why: str) -> None:
    unpack(pack(model, tmp_path / "a.tar.gz", prefix, mode), tmp_path / "out")
    assert verify_model(tmp_path / "out").short_hash == read_manifest(model).short_hash


def test_nothing_is_written_but_what_the_manifest_lists(tmp_path: Path, model: Path) -> None:
    archive = pack(model, tmp_path / "a.tar")
    with tarfile.open(archive, "w") as tar:
        for path in sorted(model.iterdir()):
            tar.add(path, arcname=path.name)
        for name in ("more.npy", "../item_gram.npy", str(tmp_path / "absolute"), "sub/item_gram.npy", "item_gram.npy "):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"bad"))
        link = tarfile.TarInfo("item_gram.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        other = tarfile.TarInfo("item_gram.npy")
        other.size = 3
        tar.addfile(other, io.BytesIO(b"bad"))
    unpack(archive, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in model.iterdir()}
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())
    assert verify_model(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "model", "out"]


def no_archive(archive: Path) -> None:
    archive.write_bytes(b"no archive")


def cut_short(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


def no_manifest(archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme"))


def in_a_folder(archive: Path) -> None:
    pack(archive.parent / "model", archive, "model/")


def other_format(archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = 13
        tar.addfile(member, io.BytesIO(b'{"format": 9}'))


BROKEN: list[tuple[Callable[[Path], None], str, str]] = [
    (no_archive, "The archive 'a.tar.gz' can't be read", "no archive at all"),
    (cut_short, "The archive 'a.tar.gz' can't be read", "half of it"),
    (no_manifest, "has no manifest.json at its top, so it is no finished model", "without a model"),
    (in_a_folder, "has no manifest.json at its top, so it is no finished model", "with the folder packed"),
    (other_format, "The model has format version 9", "of another format"),
]


@pytest.mark.parametrize(("breaks", "words", "why"), BROKEN, ids=[why for *_, why in BROKEN])
def test_an_archive_that_can_not_be_used(
    tmp_path: Path, model: Path, breaks: Callable[[Path], None], words: str, why: str
) -> None:
    archive = pack(model, tmp_path / "a.tar.gz")
    breaks(archive)
    with pytest.raises(ModelError) as caught:
        unpack(archive, tmp_path / "out")
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_byte_changed_anywhere_is_found(tmp_path: Path, model: Path) -> None:
    whole = pack(model, tmp_path / "a.tar.gz").read_bytes()
    for where in range(0, len(whole), 37):
        (tmp_path / "a.tar.gz").write_bytes(whole[:where] + bytes([whole[where] ^ 0xFF]) + whole[where + 1 :])
        folder = tmp_path / f"out-{where}"
        try:
            unpack(tmp_path / "a.tar.gz", folder)
            assert verify_model(folder) == read_manifest(model), "a byte that says nothing of the model"
        except ModelError as error:
            assert str(tmp_path) not in str(error)


def test_the_archive_s_own_check_sum_is_read(tmp_path: Path, model: Path) -> None:
    whole = pack(model, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[:-8] + bytes([whole[-8] ^ 0xFF]) + whole[-7:])
    with pytest.raises(ModelError, match="CRC check failed"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_what_is_missing_or_cut_is_for_hashes_to_tell(tmp_path: Path, model: Path) -> None:
    cut(model / "item_gram.npy")
    unpack(pack(model, tmp_path / "a.tar.gz"), tmp_path / "out")
    with pytest.raises(ModelError, match="item_gram.npy is missing"):
        verify_model(tmp_path / "out")


def test_a_gzip_of_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"sales"))
    with pytest.raises(ModelError, match="can't be read"):
        unpack_head(tmp_path / "a.tar.gz", tmp_path / "out")
