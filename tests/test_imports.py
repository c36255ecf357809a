"""The import rules of docs/architecture.md, stated as a table and proven in fresh interpreters."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).resolve().parents[1] / "container"
PACKAGE = CONTAINER / "alsriaz"

# What a folder or file of the package may import: parts of the package, and third parties. Longest path wins.
MAY_IMPORT: dict[str, set[str]] = {
    "core": {"alsriaz.core", "numpy"},
    "training": {"alsriaz", "alsriaz.core", "alsriaz.training", "numpy", "pyarrow"},
    "training/engines/als.py": {"alsriaz.core", "alsriaz.training", "numpy", "pyarrow", "pyspark", "py4j"},
    "training/engines/spark.py": {"alsriaz.core", "alsriaz.training", "pyarrow", "pyspark"},  # pyspark for its types
    "serving": {"alsriaz.core", "alsriaz.serving", "numpy"},
    "serving/live_rules/s3.py": {"alsriaz.serving", "boto3", "botocore"},
    "serving/metrics.py": {"alsriaz", "alsriaz.serving", "prometheus_client"},
    "predictor.py": {"alsriaz.core", "alsriaz.serving", "flask", "werkzeug"},
    "wsgi.py": {"alsriaz.core", "alsriaz.serving", "alsriaz.predictor", "flask"},
    "train": {"alsriaz.training"},
    "serve": {"alsriaz.serving"},
    "__init__.py": set(),
}

FILES = sorted(path for path in PACKAGE.rglob("*") if path.suffix == ".py" or path.name in ("train", "serve"))


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere in it, the standard library left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def allowed(path: Path) -> set[str]:
    """Return the entry of the longest path in the table that leads to a file."""
    relative = path.relative_to(PACKAGE).as_posix()
    return MAY_IMPORT[max((key for key in MAY_IMPORT if f"{relative}/".startswith(f"{key}/")), key=len)]


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])
def test_a_file_imports_only_what_it_may(path: Path) -> None:
    strangers = {
        name
        for name in imported(path)
        if name not in allowed(path) and not any(name.startswith(f"{part}.") for part in allowed(path) - {"alsriaz"})
    }
    assert not strangers


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that are loaded in a fresh interpreter after a statement."""
    program = f"import sys; sys.path.insert(0, {str(CONTAINER)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"pyspark", "pandas", "pyarrow", "scipy", "boto3", "botocore"}
LOADED = [
    ("import alsriaz.predictor, alsriaz.questions.recommender", HEAVY, "the application"),
    ("import alsriaz.serving.supervisor", HEAVY | {"flask"}, "the supervisor"),
    ("import alsriaz.serving.live_rules.poller", HEAVY | {"flask"}, "the poller of a file of live rules"),
    ("import alsriaz.model.folder, alsriaz.model.writer", HEAVY | {"flask"}, "core"),
    ("import alsriaz.training.job", {"pyspark", "flask", "pandas"}, "training, before an engine is opened"),
]


@pytest.mark.parametrize(("statement", "absent", "why"), LOADED, ids=[why for *_, why in LOADED])
def test_nothing_heavy_is_loaded(statement: str, absent: set[str], why: str) -> None:
    assert not modules_after(statement) & absent


@pytest.mark.parametrize("name", ["train", "serve"])
def test_no_module_of_ours_shadows_a_standard_one_on_the_executables_path(name: str) -> None:
    source = (PACKAGE / name).read_text(encoding="utf-8")
    assert source.index("sys.path[0] = ") < source.index("from alsriaz")
    assert len(source.splitlines()) < 20
    assert (PACKAGE / name).stat().st_mode & 0o111, "it is executable"
