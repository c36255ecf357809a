"""Serving needs its own list of packages and nothing else: no pyspark, pandas, scipy or pyarrow."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.serving.serving_process import ROOT, running_server
from tests.small_models import shop

pytestmark = pytest.mark.process

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")  # a pip of its own would take as long again


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of a fresh environment with the serving list alone."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    lists = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = subprocess.run(
        [*PIP, "--python", folder / "bin" / "python", "install", "--quiet", "--no-compile", *lists["serve"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    return str(folder / "bin" / "python")


def test_serve_runs_on_its_own_list(python: str, tmp_path: Path) -> None:
    heavy = ("pyspark", "pandas", "scipy", "pyarrow")
    program = f"import importlib.util; print(*[n for n in {heavy} if importlib.util.find_spec(n)])"
    assert subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == ""
    shop().write(tmp_path / "model")
    command = (python, str(ROOT / "container" / "alsriaz" / "serve"))
    with running_server({"ALSRIAZ_ML_ROOT": str(tmp_path), "ALSRIAZ_WORKERS": "1"}, command=command) as server:
        for question in ({"customer": "ann"}, {"history": ["cocoa"]}, {"task": "popular"}):
            assert server.request("POST", "/invocations", json.dumps(question)).status == 200
        assert server.stop() == 0
