"""Which java is run, with which class path, and that it never outlives whoever started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alsriaz.errors import CallerError
from alsriaz.training.engines.jvm import (
    LARGEST_ARCHIVED_HEAP_MB,
    Jvm,
    class_data_file,
    class_data_options,
    find_java,
    spark_jars,
)

CONTAINER = Path(__file__).resolve().parents[3] / "container"
PATIENCE = 60  # seconds; only ever used up where a test fails


def java_home(folder: Path, *, release: str | None, says: str) -> Path:
    """Lay out a Java that prints `says`, and has a release file where that is given."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    java.chmod(0o755)
    if release is not None:
        (folder / "release").write_text(release, encoding="utf-8")
    return folder


GOOD = [
    # the release file                      java itself                                   why
    ('JAVA_VERSION="17"\n', "exit 1", "the release file tells, and java is not asked"),
    ('IMPLEMENTOR="x"\nJAVA_VERSION="21.0.13"\n', "exit 1", "the line may stand anywhere"),
    (None, "echo 'openjdk version \"17.0.15\"' >&2", "without the file java is asked"),
    ('IMPLEMENTOR="x"\n', "echo 'openjdk version \"25\"' >&2", "nor does a file without that line tell"),
    (
        None,
        'echo \'Picked up JAVA_TOOL_OPTIONS: -Dx="9"\nopenjdk version "17"\' >&2',
        "other lines are not the version",
    ),
    (None, "exit 1", "a java that tells nothing is tried"),
]


@pytest.mark.parametrize(("release", "says", "why"), GOOD, ids=[why for *_, why in GOOD])
def test_a_java_that_will_do(
    release: str | None, says: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = java_home(tmp_path / "java", release=release, says=says)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert find_java() == home / "bin" / "java"


OLD = [
    ('JAVA_VERSION="11.0.2"\n', "exit 1", 'found java version "11.0.2"', "too old by its release file"),
    (None, "echo 'openjdk version \"11.0.2\" 2019' >&2", 'found openjdk version "11.0.2" 2019', "too old by its word"),
    (None, "echo 'java version \"1.8.0_392\"' >&2", 'found java version "1.8.0_392"', "Java 8 calls itself 1.8"),
]


@pytest.mark.parametrize(("release", "says", "words", "why"), OLD, ids=[why for *_, why in OLD])
def test_an_old_java_is_refused(
    release: str | None, says: str, words: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "java", release=release, says=says)))
    with pytest.raises(CallerError) as refusal:
        find_java()
    assert str(refusal.value) == (
        f"Spark needs Java 17 or newer, {words}: install a newer one, or set JAVA_HOME to it."
    )


def test_java_home_goes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = java_home(tmp_path / "named", release=None, says="exit 1")
    other = java_home(tmp_path / "other", release=None, says="exit 1")
    monkeypatch.setenv("PATH", str(other / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(named))
    assert find_java() == named / "bin" / "java"
    monkeypatch.delenv("JAVA_HOME")
    assert find_java() == other / "bin" / "java"


def test_no_java_is_told_with_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", "/nonexistent")
    with pytest.raises(CallerError, match=r"JAVA_HOME is '/nonexistent', but there is no bin/java in it: install"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(CallerError, match=r"Java 17 or newer, and there is no java on PATH: install a JRE"):
        find_java()


def test_the_class_path_is_each_jar_of_pyspark_by_name() -> None:
    jars = spark_jars()
    assert [jar.name for jar in jars] == sorted(path.name for path in jars[0].parent.iterdir() if path.suffix == ".jar")
    assert jars[0].parent.parent.name == "pyspark"


def test_pyspark_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CallerError, match=r"^pyspark is not installed, or has no jars: install it with pip"):
        spark_jars()


def test_where_no_archive_can_serve_java_is_told_of_none(tmp_path: Path) -> None:
    archive = tmp_path / "classes.jsa"
    assert class_data_options(archive, 1000) == []
    archive.touch()
    assert f"-XX:SharedArchiveFile={archive}" in class_data_options(archive, LARGEST_ARCHIVED_HEAP_MB)
    assert class_data_options(archive, LARGEST_ARCHIVED_HEAP_MB + 1) == []


def test_the_archive_is_looked_for_in_this_environment_alone() -> None:
    assert class_data_file() == Path(sys.prefix, "share", "alsriaz", "spark-classes.jsa")


@pytest.mark.spark
def test_what_would_change_spark_behind_the_specs_back_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/elsewhere")
    monkeypatch.setenv("SPARK_HOME", "/elsewhere")
    monkeypatch.setenv("http_proxy", "kept")
    jvm = Jvm(512, tmp_path)
    try:
        jvm.gateway()
        environment = Path(f"/proc/{jvm.process.pid}/environ").read_bytes().split(b"\0")
    finally:
        jvm.kill()
    assert b"http_proxy=kept" in environment
    assert b"OPENBLAS_NUM_THREADS=1" in environment
    assert not [line for line in environment if b"/elsewhere" in line]
    assert [path.name for path in tmp_path.iterdir()] == ["jvm.log"], "the secret is not left behind"


@pytest.mark.spark
def test_a_java_that_ends_at_once_is_told(tmp_path: Path) -> None:
    jvm = Jvm(512, tmp_path, ["-Xms1g"])
    with pytest.raises(ChildProcessError, match=r"^java ended with status 1$"):
        jvm.gateway()
    assert jvm.ended
    assert "larger value than the maximum heap size" in (tmp_path / "jvm.log").read_text()
    jvm.kill()


@pytest.mark.spark
def test_java_ends_with_whoever_started_it_even_if_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import time; from pathlib import Path; from alsriaz.training.engines.jvm import Jvm\n"
        f"jvm = Jvm(512, Path({str(tmp_path)!r})); jvm.gateway(); print(jvm.process.pid, flush=True); time.sleep(600)"
    )
    environment = os.environ | {"PYTHONPATH": str(CONTAINER)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        java = int(starter.stdout.readline())
        assert lives(java)
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while lives(java):
        assert time.monotonic() < deadline, "java outlives its starter"
        time.sleep(0.05)


def lives(process: int) -> bool:
    """Tell whether a process runs; one that ended and is not yet waited for doesn't."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
