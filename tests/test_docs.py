"""The docs fail the build when they lie."""

import ast
import json
import re
import signal
from pathlib import Path

import pytest

import alsriaz
from alsriaz.model.arrays import ARRAYS
from alsriaz.platform.channels import USED_CHANNELS
from alsriaz.predictor import create_app
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.questions.tally import Tally
from alsriaz.questions.tasks import TASKS
from alsriaz.rules.binding import _UNKNOWN
from alsriaz.serving import metrics
from alsriaz.serving.live_rules.sources import REASONS as LIVE_REASONS
from alsriaz.serving.settings import ROWS, read_settings
from alsriaz.serving.watch import Exchange, access_line
from alsriaz.serving.wire import STATUS
from alsriaz.tables.refusals import REASONS
from alsriaz.training.main import CALLER, DEFECT, DONE
from docs.make_rules import page as rules_page
from docs.make_settings import PAGE, page
from tests.small_models import shop

METRIC_MAKERS = ("Counter", "Histogram", "_gauge", "GaugeMetricFamily", "CounterMetricFamily")
ROOT = Path(__file__).resolve().parents[1]
HTTP_API = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
ARTIFACT = (ROOT / "docs" / "artifact.md").read_text(encoding="utf-8")
SAGEMAKER = (ROOT / "docs" / "sagemaker.md").read_text(encoding="utf-8")
METRIC_DEFINITIONS: list[dict[str, str]] = json.loads(
    SAGEMAKER.split("## Training: metrics")[1].split("```json\n")[1].split("```")[0]
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
NGINX = (ROOT / "container" / "alsriaz" / "nginx.conf").read_text(encoding="utf-8")
NGINX_CODES = {code: int(status) for status, code in re.findall(r'return (\d{3}) .{"error": {"code": "(\w+)"', NGINX)}


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python docs/make_settings.py"


def test_every_error_code_and_its_status_stands_in_the_docs() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", HTTP_API, re.MULTILINE))
    assert {code: int(status) for code, status in documented.items()} == STATUS | NGINX_CODES


def test_every_metric_and_its_labels_stand_in_the_docs() -> None:
    told = {}
    for node in ast.walk(ast.parse(Path(metrics.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in METRIC_MAKERS:
            name = str(next(arg.value for arg in node.args if isinstance(arg, ast.Constant)))
            labels = [ast.literal_eval(arg) for arg in node.args if isinstance(arg, ast.List)]
            ending = "_total" if node.func.id.startswith("Counter") else ""
            told[name + ending] = {label for row in labels for label in row}
    rows = re.findall(r"^\| (`alsriaz_.*?) \| (.*?) ?\|", HTTP_API.split("## Metrics")[1], re.MULTILINE)
    documented = {
        name: set(re.findall(r"`(\w+)`", labels)) for names, labels in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert documented == told


def test_every_key_of_the_access_log_stands_in_the_docs() -> None:
    tally = Tally({"recommend": 1}, {"recommend": 1}, 1, "v")
    line = access_line(Exchange("GET", "/", "/", "i", error="e", model="m", tally=tally), 0.0, detailed=True)
    table = HTTP_API.split("## Access log")[1].split("## Metrics")[0]
    documented = [
        key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(documented) == sorted(pair.split("=")[0] for pair in line.split())


def test_every_reason_why_live_rules_are_not_taken_stands_in_the_docs() -> None:
    table = HTTP_API.split("## Live rules")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == LIVE_REASONS


def test_every_route_stands_in_the_docs() -> None:
    app = create_app(Recommender(Shop(shop().in_memory(), Limits())), read_settings({}))
    routes = {f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    documented = set(re.findall(r"^\| `([A-Z]+ /[\w-]+)` \|", HTTP_API.split("## Types")[0], re.MULTILINE))
    assert documented == {route for route in routes if not route.startswith("HEAD")}


def test_every_variable_of_the_platform_stands_in_the_page_on_it() -> None:
    for row in ROWS.values():
        if row.name.startswith("SAGEMAKER_"):
            assert f"`{row.name}`" in SAGEMAKER


def test_every_task_and_field_stands_in_the_docs() -> None:
    for name in (*TASKS, *(field.name for task in TASKS.values() for field in task.fields)):
        assert f"`{name}`" in HTTP_API


def test_every_warning_stands_in_the_docs() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "container").rglob("*.py"))
    codes = set(re.findall(r'[Nn]otices?\(\s*"(\w+)"', source))
    assert codes
    codes |= {code for code, _ in _UNKNOWN.values()}
    table = HTTP_API.split("## Warnings")[1].split("## Errors")[0]
    assert codes == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_the_tables_of_rules_are_what_the_code_says() -> None:
    assert rules_page(HTTP_API) == HTTP_API, "run: python docs/make_rules.py"


def test_every_file_of_the_model_stands_in_the_docs() -> None:
    assert re.findall(r"^\| `(\w+)\.npy` \|", ARTIFACT, re.MULTILINE) == [*ARRAYS]


def test_every_reason_of_refusal_stands_in_the_docs_in_order() -> None:
    table = ARTIFACT.split("## rejected.csv")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == REASONS


def test_metric_definitions_are_what_the_platform_takes() -> None:
    assert len(METRIC_DEFINITIONS) <= 40
    for definition in METRIC_DEFINITIONS:
        assert definition.keys() == {"Name", "Regex"}
        assert definition["Regex"] == rf"\b{definition['Name']}=([0-9.]+);"


def test_every_channel_stands_in_the_docs() -> None:
    table = SAGEMAKER.split("## Training: channels")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == [*USED_CHANNELS]


def test_every_exit_status_of_train_stands_in_the_docs() -> None:
    table = SAGEMAKER.split("## Training: how a job ends")[1].split("\n## ")[0]
    documented = [int(status) for status in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert documented == [DONE, CALLER, DEFECT, 128 + signal.SIGTERM, 128 + signal.SIGINT]


def test_the_changelog_has_this_version_on_top() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0] == alsriaz.__version__


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/http-api.md", "docs/architecture.md", "docs/sagemaker.md"]
)
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


def test_every_module_stands_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path for path in (ROOT / "container" / "alsriaz").rglob("*.py") if path.name != "__init__.py"]
    assert [path.stem for path in modules if f"`{path.stem}`" not in text] == []
