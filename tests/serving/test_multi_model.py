"""Multi-model mode as the platform meets it: through real nginx and two workers, here and in the image."""

import contextlib
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.worker_memory import write_model
from tests.serving.multi_model_platform import MULTI_MODEL, TARGET_MODEL, Platform, path_of, platform, write_shop
from tests.serving.serving_process import Answer, Serving
from tests.small_models import cut, flip

pytestmark = pytest.mark.process

ANN = {"customer": "ann", "k": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ml")


@pytest.fixture(scope="module")
def hashes(root: Path) -> dict[str, str]:
    """Five models in folders of their own, as the platform lays them out, by the folder."""
    return {f"m{number}": write_shop(root / "models" / f"m{number}" / "model", number) for number in range(5)}


@pytest.fixture(scope="module")
def _platform(serving: Serving, root: Path, hashes: dict[str, str]) -> Iterator[Platform]:
    with serving.running(root, MULTI_MODEL) as server:
        yield platform(serving, server, root)


@pytest.fixture
def aws(_platform: Platform) -> Platform:
    """The platform, with a server in which nothing is loaded."""
    for name in _platform.names():
        _platform.unload(name)
    return _platform


def error_of(answer: Answer) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status, error["code"], error["field"]


def test_a_server_without_models_is_well(aws: Platform) -> None:
    assert aws.server.request("GET", "/ping").status == 200
    assert aws.page().json() == {"models": []}


def test_a_model_comes_answers_and_goes(aws: Platform, hashes: dict[str, str]) -> None:
    told = {"modelName": "shop", "modelUrl": f"{aws.root}/models/m1/model"}
    loaded = aws.load("shop", "m1/model")
    assert (loaded.status, loaded.json()) == (200, told)
    assert (aws.get("shop").json(), aws.page().json()) == (told, {"models": [told]})
    answer = aws.invoke("shop", ANN, **{TARGET_MODEL: "key/of/shop.tar.gz"})
    assert (answer.status, answer.json()["model"]) == (200, hashes["m1"])
    assert answer.json()["recommendations"][0]["item"] == "apple"
    assert aws.unload("shop").json() == told
    for gone in (aws.get("shop"), aws.unload("shop"), aws.invoke("shop", ANN)):
        assert error_of(gone) == (404, "model_not_loaded", None)
    assert aws.page().json() == {"models": []}


def test_invoke_is_like_invocations(aws: Platform, hashes: dict[str, str]) -> None:
    aws.load("shop", "m1")
    path = f"{path_of('shop')}/invoke"
    lines = aws.server.request("POST", path, '{"customer": "ann"}\n{}', {"Content-Type": "application/jsonlines"})
    assert [json.loads(line).get("model") for line in lines.body.splitlines()] == [hashes["m1"], None]
    table = aws.server.request("POST", path, "ann\nbob", {"Content-Type": "text/csv"})
    assert table.body.decode() == "ann,apple,bread\nbob,figs,eggs"
    assert error_of(aws.server.request("POST", path, "", {})) == (400, "empty_body", None)
    assert error_of(aws.server.request("POST", path, "{}", {"Accept": "text/html"})) == (406, "not_acceptable", None)


@pytest.mark.parametrize("same_url", [True, False], ids=["the same url", "another url"])
def test_a_name_is_loaded_once(aws: Platform, hashes: dict[str, str], same_url: bool) -> None:
    assert aws.load("shop", "m1").status == 200
    assert error_of(aws.load("shop", "m1" if same_url else "m2")) == (409, "model_loaded", "model_name")
    assert aws.invoke("shop", ANN).json()["model"] == hashes["m1"]


def test_of_many_loads_of_a_name_at_once_one_wins(aws: Platform) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: aws.load("shop", f"m{number % 5}").status, range(16)))
    assert sorted(statuses) == [200] + [409] * 15


NAMES = [
    ("3f1c2a7b9d", "as the platform makes them"),
    ("a/b", "with a slash"),
    ("/a//b/", "with slashes at both ends and in a row"),
    ("a%2Fb", "with what looks encoded"),
    ("a b?c#d&e=f;g", "with what a URL gives a meaning"),
    ("Käse 🧀\n", "beyond ASCII, with a line's end"),
    (".", "a dot"),
    ("x/invoke", "that ends like a path of ours"),
    ("z" * 1024, "as long as can be"),
]


@pytest.mark.parametrize(("name", "why"), NAMES, ids=[why for _, why in NAMES])
def test_a_name_is_any_text(aws: Platform, name: str, why: str) -> None:
    assert aws.load(name, "m1").json()["modelName"] == name
    assert aws.names() == [name]
    assert aws.get(name).json()["modelName"] == name
    assert aws.invoke(name, ANN).status == 200
    assert aws.unload(name).status == 200
    assert aws.names() == []


def test_pages_of_a_hundred(aws: Platform) -> None:
    names = [f"shop {number:03}" for number in range(203)]
    with ThreadPoolExecutor(4) as pool:
        assert {answer.status for answer in pool.map(lambda name: aws.load(name, "m0"), names)} == {200}
    pages = list(aws.pages())
    assert [len(page) for page in pages] == [100, 100, 3]
    assert [model["modelName"] for page in pages for model in page] == names


BAD: list[tuple[str, Any, int, str, str | None, str]] = [
    ("not JSON", b"model_name=a", 400, "bad_json", None, "not JSON"),
    ("an empty body", b"", 400, "empty_body", None, "The body is empty"),
    ("no object", [], 400, "bad_json", None, "expected a JSON object"),
    ("records of a request", {"instances": [{}]}, 400, "missing_field", "model_name", "has no model_name, expected"),
    ("no name", {"url": "m1"}, 400, "missing_field", "model_name", "The body has no model_name, expected"),
    ("no url", {"model_name": "a"}, 400, "missing_field", "url", "The body has no url, expected"),
    ("a name that is a number", {"model_name": 1, "url": "m1"}, 400, "bad_value", "model_name", "is 1, expected text"),
    ("an empty name", {"model_name": "", "url": "m1"}, 400, "bad_value", "model_name", "has 0 characters"),
    ("a long name", {"model_name": "z" * 1025, "url": "m1"}, 400, "bad_value", "model_name", "has 1,025 characters"),
    ("a name with ..", {"model_name": "a/../b", "url": "m1"}, 400, "bad_value", "model_name", "'..' between slashes"),
    ("a url on the web", {"model_name": "a", "url": "s3://b/m1"}, 400, "bad_value", "url", "'s3://b/m1', expected the"),
    ("a relative url", {"model_name": "a", "url": "models/m1"}, 400, "bad_value", "url", "below models/ in the"),
    ("a url elsewhere", {"model_name": "a", "url": "/etc"}, 400, "bad_value", "url", "'/etc', expected the path"),
    ("a url that climbs", {"model_name": "a", "url": "{}/../.."}, 400, "bad_value", "url", "expected the path"),
    ("a url of nothing", {"model_name": "a", "url": "{}/none"}, 404, "not_found", "url", "no folder at url"),
    ("a url of a file", {"model_name": "a", "url": "{}/m1/model/manifest.json"}, 404, "not_found", "url", "no folder"),
]


@pytest.mark.parametrize(("why", "body", "status", "code", "field", "words"), BAD, ids=[bad[0] for bad in BAD])
def test_a_load_that_is_refused(
    aws: Platform, why: str, body: Any, status: int, code: str, field: str | None, words: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).replace("{}/", f"{aws.root}/models/")
    answer = aws.server.request("POST", "/models", data, {"Content-Type": "application/json"})
    assert error_of(answer) == (status, code, field)
    assert words in answer.json()["error"]["message"]
    assert aws.names() == []


UNUSABLE: list[tuple[str, str, str]] = [
    ("unfinished", "has no manifest.json, so it was never finished", "without its manifest"),
    ("cut", "The model's file item_factors.npy has", "with a file cut short"),
    ("flipped", "The model's file item_factors.npy is damaged", "with a bit changed"),
    ("empty", "There is no model in empty/", "with nothing in it"),
    ("linked", "a link that leads out of the models' folders", "with a file that is a link to elsewhere"),
]


def harm(folder: Path, how: str) -> None:
    factors = folder / "item_factors.npy"
    match how:
        case "unfinished":
            (folder / "manifest.json").unlink()
        case "cut":
            cut(factors)
        case "flipped":
            flip(factors)
        case "empty":
            for path in folder.iterdir():
                path.unlink()
        case "linked":
            factors.rename(folder.parents[1] / "elsewhere.npy")
            factors.symlink_to("../../elsewhere.npy")


@pytest.mark.parametrize(("how", "words", "why"), UNUSABLE, ids=[why for *_, why in UNUSABLE])
def test_a_model_that_can_not_be_used(aws: Platform, root: Path, how: str, words: str, why: str) -> None:
    folder = root / "models" / how
    if not folder.exists():
        write_shop(folder, 9)
        harm(folder, how)
    answer = aws.load("a", how)
    assert error_of(answer) == (400, "unusable_model", "url")
    assert words in answer.json()["error"]["message"]
    assert aws.root not in answer.json()["error"]["message"]
    assert aws.names() == []
    assert aws.load("a", "m1").status == 200, "the name is free again"


PATHS = [
    ("GET", "/models/", 404, "not_found", "no name"),
    ("POST", "/models/a/b", 405, "method_not_allowed", "neither a model's path nor its invoke"),
    ("PUT", "/models", 405, "method_not_allowed", "a method that no path has"),
    ("GET", "/models/a/invoke", 404, "model_not_loaded", "a name that ends like invoke"),
    ("GET", "/models/%FF", 400, "bad_value", "a name that is not UTF-8"),
    ("GET", "/models?next_page_token=%21", 400, "bad_value", "a token that is none of ours"),
]


@pytest.mark.parametrize(("method", "path", "status", "code", "why"), PATHS, ids=[why for *_, why in PATHS])
def test_paths(aws: Platform, method: str, path: str, status: int, code: str, why: str) -> None:
    answer = aws.server.request(method, path)
    assert error_of(answer)[:2] == (status, code)


def test_invocations_without_a_target_say_what_to_do(aws: Platform) -> None:
    for count in range(3):
        answer = aws.invocations(None, ANN)
        assert error_of(answer) == (503, "no_model", None)
        assert f"{count} models are loaded: name one in the header {TARGET_MODEL}" in answer.json()["error"]["message"]
        aws.load(f"shop {count}", f"m{count}")


@contextlib.contextmanager
def packed(folder: Path, archive: Path) -> Iterator[None]:
    """An archive of a model folder, as a training job's model.tar.gz, which is there for a while."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")
    yield
    archive.unlink()


def test_a_target_is_loaded_on_demand(aws: Platform, root: Path, hashes: dict[str, str]) -> None:
    for target in ("m1", "m1.tar.gz", "m1/model"):
        for _ in range(4):  # whichever worker answers
            answer = aws.invocations(target, ANN)
            assert (answer.status, answer.json().get("model")) == (200, hashes["m1"]), answer.body
    assert aws.names() == ["m1", "m1.tar.gz", "m1/model"]


def test_a_target_that_the_platform_loaded_is_that_model(aws: Platform, hashes: dict[str, str]) -> None:
    aws.load("m1", "m2")
    assert aws.invocations("m1", ANN).json()["model"] == hashes["m2"]


def test_a_target_may_be_an_archive(aws: Platform, root: Path) -> None:
    short_hash = write_shop(root / "unpacked", 7)
    with packed(root / "unpacked", root / "model" / "sales" / "model.tar.gz"):
        for _ in range(4):
            assert aws.invocations("sales/model.tar.gz", ANN).json()["model"] == short_hash
    assert aws.names() == ["sales/model.tar.gz"]
    assert aws.unload("sales/model.tar.gz").status == 200


TARGETS = [
    ("none", 404, "not_found", "of which there is no folder"),
    ("../m1", 400, "bad_value", "that climbs"),
    ("/etc", 404, "not_found", "that is an absolute path"),
    ("out", 404, "not_found", "that is a link to elsewhere"),
    ("ünbekannt", 404, "not_found", "beyond ASCII"),
]


@pytest.mark.parametrize(("target", "status", "code", "why"), TARGETS, ids=[why for *_, why in TARGETS])
def test_a_target_that_is_not_there(aws: Platform, root: Path, target: str, status: int, code: str, why: str) -> None:
    out = root / "models" / "out"
    if not out.is_symlink():
        write_shop(root / "outside", 8)
        out.symlink_to("../outside")
    answer = aws.invocations(target, ANN)
    assert error_of(answer)[:2] == (status, code)
    assert target in answer.json()["error"]["message"]
    assert aws.root not in answer.json()["error"]["message"]


def test_a_model_is_answered_by_itself_while_others_come_and_go(aws: Platform, hashes: dict[str, str]) -> None:
    for number in range(3):
        aws.load(f"stays {number}", f"m{number}")

    def churn(number: int) -> set[int]:
        statuses = set()
        for turn in range(12):
            folder = f"m{(number + turn) % 5}"
            assert aws.load(f"churns {number}", folder).status == 200
            answer = aws.invoke(f"churns {number}", ANN)
            assert answer.json().get("model") == hashes[folder], "not the model that was here before"
            statuses.add(aws.unload(f"churns {number}").status)
        return statuses

    def use(number: int) -> set[str]:
        name = f"stays {number % 3}"
        return {aws.invoke(name, ANN).json().get("model", "none") for _ in range(60)}

    with ThreadPoolExecutor(6) as pool:
        churned = [pool.submit(churn, number) for number in range(3)]
        used = [pool.submit(use, number) for number in range(3)]
        assert [future.result() for future in used] == [{hashes[f"m{number}"]} for number in range(3)]
        assert [future.result() for future in churned] == [{200}] * 3
    assert aws.names() == ["stays 0", "stays 1", "stays 2"]


def test_counts_are_in_the_metrics(aws: Platform) -> None:
    def value(name: str) -> float:
        text = aws.server.request("GET", "/metrics").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    loads, unloads = (value(f'alsriaz_model_events_total{{event="{event}"}}') for event in ("load", "unload"))
    assert (value("alsriaz_models_loaded"), value("alsriaz_models_bytes")) == (0, 0)
    aws.load("a", "m1")
    aws.load("b", "m2")
    assert value("alsriaz_models_loaded") == 2
    assert 2 * 4096 < value("alsriaz_models_bytes") < 2 * 2**20
    aws.unload("a")
    assert value("alsriaz_models_loaded") == 1
    assert value('alsriaz_model_events_total{event="load"}') == loads + 2
    assert value('alsriaz_model_events_total{event="unload"}') == unloads + 1


ITEMS = 12_000  # about 4 MB of model each


@pytest.fixture(scope="module")
def narrow(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, with a server that has memory for two models out of five."""
    root = tmp_path_factory.mktemp("narrow")
    for number in range(5):
        write_model(root / "models" / f"m{number}", ITEMS + number)
    write_model(root / "models" / "large", 4 * ITEMS)
    with serving.running(root, MULTI_MODEL | {"ALSRIAZ_MODELS_MEMORY_MB": "11"}) as server:
        yield platform(serving, server, root)


def test_two_of_five_models_in_turn(narrow: Platform) -> None:
    asked = [0, 1, 0, 2, 3, 0, 4, 1, 0, 4, 4, 2]
    answers = [narrow.ask(f"n{number}", f"m{number}", {"customer": "c0000001", "k": 1}) for number in asked]
    assert [answer.status for answer in answers] == [200] * len(asked)
    models = [answer.json()["model"] for answer in answers]
    assert len(set(models)) == 5
    assert [models[asked.index(number)] for number in asked] == models, "each name has one model throughout"
    assert narrow.names() == ["n2", "n4"]
    for name in narrow.used:
        narrow.unload(name)


def test_a_model_for_which_there_is_no_room(narrow: Platform) -> None:
    assert [narrow.load(f"n{number}", f"m{number}").status for number in range(2)] == [200, 200]
    refused = narrow.load("n2", "m2")
    assert error_of(refused) == (507, "out_of_memory", None)
    words = "of 11.0 MB are taken: unload others, or raise ALSRIAZ_MODELS_MEMORY_MB."
    assert words in refused.json()["error"]["message"]
    assert error_of(narrow.invocations("m2", {"customer": "c0000001"})) == (507, "out_of_memory", None)
    assert narrow.names() == ["n0", "n1"], "what the platform loaded is the platform's to unload"
    assert error_of(narrow.load("large", "large")) == (507, "out_of_memory", None)
    for name in narrow.names():
        narrow.unload(name)


def test_models_loaded_on_demand_make_room_the_least_used_first(narrow: Platform) -> None:
    question = {"customer": "c0000001", "k": 1}
    for target in ("m0", "m1", "m0", "m2"):
        assert narrow.invocations(target, question).status == 200
    assert narrow.names() == ["m0", "m2"]
    assert narrow.load("n3", "m3").status == 200
    assert narrow.names() == ["m2", "n3"], "for the platform too"
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda number: narrow.invocations(f"m{number % 3}", question).status, range(12)))
    assert statuses == [200] * 12
    for name in narrow.names():
        narrow.unload(name)
