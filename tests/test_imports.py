"""The import rules of docs/architecture.md, stated as a table and proven in fresh interpreters."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

CONTAINER = Path(__file__).resolve().parents[1] / "container"
PACKAGE = CONTAINER / "alsriaz"

# The rooms: each imports only those above it, and itself.
ROOMS = ("errors", "platform", "model", "scoring", "rules", "questions", "tables", "training", "serving")
NOT_SEEN = {"tables": {"model", "scoring", "rules", "questions"}, "serving": {"tables", "training"}}
"""What a room does not see although it stands above."""


def above(room: str) -> set[str]:
    """Return a room and those that it may import."""
    seen = {other for other in ROOMS[: ROOMS.index(room)] if other not in NOT_SEEN.get(room, set())}
    return {f"alsriaz.{other}" for other in {*seen, room}}


# What a folder or file of the package may import: parts of the package, and third parties. Longest path wins.
MAY_IMPORT: dict[str, set[str]] = {
    "errors.py": set(),
    "platform": above("platform"),
    "model": above("model") | {"numpy"},
    "scoring": above("scoring") | {"numpy"},
    "rules": above("rules") | {"numpy", "orjson"},
    "questions": above("questions") | {"numpy"},
    "tables": above("tables") | {"numpy", "pyarrow"},
    "training": above("training") | {"alsriaz", "numpy", "pyarrow"},
    "training/engines/als.py": above("training") | {"numpy", "pyarrow", "pyspark", "py4j"},
    "training/engines/spark.py": above("training") | {"pyarrow", "pyspark"},  # pyspark for its types
    "serving": above("serving") | {"numpy"},
    "serving/live_rules/s3.py": above("serving") | {"boto3", "botocore"},
    "serving/metrics.py": above("serving") | {"alsriaz.__version__", "prometheus_client"},
    "serving/wire.py": above("serving") | {"orjson"},
    "predictor.py": above("serving") | {"flask", "werkzeug"},
    "wsgi.py": above("serving") | {"alsriaz.predictor", "flask"},
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
            if node.module == "alsriaz":
                names |= {f"alsriaz.{alias.name}" for alias in node.names}
            else:
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


def named_twice(names: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    """Return the names that stand in more than one place, each with these."""
    places: dict[str, list[str]] = {}
    for name, path in names:
        places.setdefault(name, []).append(path.relative_to(PACKAGE).as_posix())
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_modules_have_one_name() -> None:
    assert named_twice((path.stem, path) for path in FILES if path.stem != "__init__") == {}


def type_alias(node: ast.Assign | ast.AnnAssign) -> str | None:
    """Return the name of a type that an assignment makes: of Words like This, for what a type can be written as."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    made = isinstance(node.value, ast.Subscript | ast.BinOp | ast.Attribute) or (
        isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("NewType")
    )
    if not isinstance(target, ast.Name) or not made or not target.id[0].isupper() or target.id.isupper():
        return None
    return target.id


def test_no_two_classes_or_types_have_one_name() -> None:
    named = []
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                named.append((node.name, path))
            elif isinstance(node, ast.Assign | ast.AnnAssign) and (name := type_alias(node)):
                named.append((name, path))
    assert named_twice(named) == {}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that are loaded in a fresh interpreter after a statement."""
    program = f"import sys; sys.path.insert(0, {str(CONTAINER)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"pyspark", "pandas", "pyarrow", "scipy", "boto3", "botocore"}
LOADED = [
    ("import alsriaz.predictor, alsriaz.questions.recommender", HEAVY, "the application"),
    (
        "import alsriaz.serving.supervisor",
        HEAVY | {"flask", "numpy"},
        "the supervisor, which heeds signals at once",
    ),
    ("import alsriaz.serving.live_rules.poller", HEAVY | {"flask"}, "the poller of a file of live rules"),
    ("import alsriaz.questions.shop, alsriaz.model.writer", HEAVY | {"flask"}, "what training and serving share"),
    ("import alsriaz.training.job", {"pyspark", "flask", "pandas"}, "training, before an engine is opened"),
    ("import alsriaz.training.main", {"pyspark", "flask", "pandas", "numpy"}, "train, which heeds signals at once"),
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
