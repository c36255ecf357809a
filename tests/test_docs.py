"""The docs fail the build when they lie."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

import alsriaz
from alsriaz.core.artifact import ModelArrays
from alsriaz.core.rules import parse_rules
from alsriaz.serving.recommender import POPULAR_FIELDS, RECOMMEND_FIELDS, TASKS
from alsriaz.serving.wire import STATUS
from alsriaz.training.sales.refusals import REASONS
from docs.make_settings import PAGE, page

ROOT = Path(__file__).resolve().parents[1]
HTTP_API = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
ARTIFACT = (ROOT / "docs" / "artifact.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NGINX = (ROOT / "container" / "alsriaz" / "nginx.conf").read_text(encoding="utf-8")
NGINX_CODES = {code: int(status) for status, code in re.findall(r'return (\d{3}) .{"error": {"code": "(\w+)"', NGINX)}


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python docs/make_settings.py"


def test_every_error_code_and_its_status_stands_in_the_docs() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", HTTP_API, re.MULTILINE))
    assert {code: int(status) for code, status in documented.items()} == STATUS | NGINX_CODES


def test_every_task_and_field_stands_in_the_docs() -> None:
    for name in (*TASKS, *RECOMMEND_FIELDS, *POPULAR_FIELDS):
        assert f"`{name}`" in HTTP_API


def test_every_warning_stands_in_the_docs() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "container").rglob("*.py"))
    codes = set(re.findall(r'[Nn]otices?\(\s*"(\w+)"', source))
    assert codes
    table = HTTP_API.split("## Warnings")[1].split("## Errors")[0]
    assert codes == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_rule_stands_in_the_docs() -> None:
    rules = re.findall(r"^\| `(include|exclude)\.(\w+)` \|", HTTP_API, re.MULTILINE)
    assert len(rules) == 7
    for section, name in rules:
        parse_rules({section: {name: None}})  # an unknown one would be refused


def test_every_file_of_the_model_stands_in_the_docs() -> None:
    assert re.findall(r"^\| `(\w+)\.npy` \|", ARTIFACT, re.MULTILINE) == [field.name for field in fields(ModelArrays)]


def test_every_reason_of_refusal_stands_in_the_docs_in_order() -> None:
    table = ARTIFACT.split("## rejected.csv")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == REASONS


def test_the_changelog_has_this_version_on_top() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0] == alsriaz.__version__


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/http-api.md", "docs/architecture.md"])
def test_what_a_page_links_to_or_runs_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    programs = re.findall(r"\b((?:local_test|tests|docs|benchmarks)/[\w/]+\.(?:sh|py|json|jsonl|csv))\b", text)
    for path in [ROOT / page / ".." / link for link in links] + [ROOT / program for program in programs]:
        assert path.resolve().exists(), path


def test_examples_of_requests_are_json() -> None:
    for text in re.findall(r"```json\n(.*?)```", HTTP_API + README, re.DOTALL):
        for line in text.strip().splitlines():
            json.loads(line)


@pytest.mark.parametrize("folder", ["core", "training", "serving"])
def test_every_module_stands_in_the_architecture(folder: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "container" / "alsriaz" / folder).rglob("*.py"):
        if path.name not in ("__init__.py", "spark.py", "purchases.py", "refusals.py", "reading.py", "sales_spec.py"):
            assert f"`{path.stem}`" in text, path.name
