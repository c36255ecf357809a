"""The class-data archive: made by a real java, mapped by the next one, and never in the way where it doesn't fit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from alsriaz.errors import CallerError
from alsriaz.platform.spec import parse_spec
from alsriaz.training.engines import FittedFactors, RatingMatrix, blocks_for, class_data, spark
from alsriaz.training.engines.class_data import main
from alsriaz.training.engines.jvm import class_data_file, spark_jars
from alsriaz.training.engines.spark import SparkEngine

pytestmark = pytest.mark.spark

SPEC = parse_spec({"als_rank": 3, "max_itter": 2})
MATRIX = RatingMatrix(
    np.array([0, 0, 1, 1, 2, 3, 3], dtype=np.int32),
    np.array([0, 1, 1, 2, 0, 1, 2], dtype=np.int32),
    np.array([1, 2, 1, 5, 3, 1, 1], dtype=np.float32),
    4,
    3,
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The archive that tests/run.sh makes by the same program, or one made now where there is none yet."""
    if is_accepted(class_data_file()):
        yield class_data_file()
        return
    folder = tmp_path_factory.mktemp("archive") / "not made yet"
    assert main([str(folder / "classes.jsa")]) == 0
    yield folder / "classes.jsa"
    shutil.rmtree(folder)  # it is large


def is_accepted(archive: Path) -> bool:
    """True where there is an archive that fits this java and these jars."""
    try:
        class_data._check(archive)
    except CallerError:
        return False
    return True


def fitted(scratch: Path) -> tuple[FittedFactors, str, str]:
    """Return what the engine learns with the archive that it finds, java's memory map, and java's log."""
    scratch.mkdir()
    with SparkEngine(scratch, heap_mb=600) as engine:
        factors = engine.fit(MATRIX, blocks_for(MATRIX), SPEC, lambda text: None)
        maps = Path(f"/proc/{engine._jvm.process.pid}/maps").read_text()
        return factors, maps, (scratch / "jvm.log").read_text()


def test_the_archive_is_mapped_and_changes_no_factor(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(archive.parent.iterdir()) == [archive], "nothing else is left"
    assert archive.stat().st_mode & 0o444 == 0o444, "whoever trains may read it"
    monkeypatch.setattr(spark, "class_data_file", lambda: archive)
    ours, maps, _ = fitted(tmp_path / "with")
    assert str(archive) in maps
    monkeypatch.setattr(spark, "class_data_file", lambda: tmp_path / "none")
    without, maps, _ = fitted(tmp_path / "without")
    assert str(archive) not in maps
    assert ours.customers.tobytes() == without.customers.tobytes()
    assert ours.items.tobytes() == without.items.tobytes()


def test_an_archive_of_another_class_path_is_passed_over_in_silence(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.jar"
    shutil.copy(next(jar for jar in spark_jars() if jar.name.startswith("jsr305")), other)
    monkeypatch.setattr("alsriaz.training.engines.jvm.spark_jars", lambda: [other, *spark_jars()])
    monkeypatch.setattr(spark, "class_data_file", lambda: archive)
    factors, _, log = fitted(tmp_path / "scratch")
    assert np.isfinite(factors.items).all()
    assert "archive" not in log


def test_a_file_that_is_no_archive_is_passed_over_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "classes.jsa").write_bytes(b"not an archive")
    monkeypatch.setattr(spark, "class_data_file", lambda: tmp_path / "classes.jsa")
    factors, _, log = fitted(tmp_path / "scratch")
    assert np.isfinite(factors.items).all()
    assert "archive" not in log


def test_java_that_refuses_the_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "made.jsa").write_bytes(b"not an archive")
    with pytest.raises(CallerError, match=r"^Java refuses the archive that it has just made: \S"):
        class_data._check(tmp_path / "made.jsa")


def test_java_that_makes_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"/java wrote no archive, expected one of HotSpot's"):
        class_data._check(tmp_path / "made.jsa")


def test_an_archive_that_can_not_be_written_is_told_before_spark_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "folder" / "classes.jsa")]) == 1
    assert capsys.readouterr().err == (
        f"error: The archive '{tmp_path}/file/folder/classes.jsa' can't be written: Not a directory.\n"
    )
