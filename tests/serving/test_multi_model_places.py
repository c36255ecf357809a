"""Where a model may lie, and where it is not looked for."""

from pathlib import Path

import pytest

from alsriaz.errors import ModelError, RequestError
from alsriaz.platform.layout import Layout
from alsriaz.serving.multi_model.places import folder_of_url, manifest_of, place_of_target
from tests.small_models import shop


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Models in every place that is meant for them, and some in places that are not."""
    root = tmp_path_factory.mktemp("ml")
    model = root / "one"
    shop().write(model)
    for place in (
        "models/plain", "models/inner/model", "models/both", "models/both/model", "models/a b/ü", "models/tar.tar.gz",
        "models/s/h/o/p", "model/local", "model/nested/deep", "models/shared", "model/shared",
    ):  # fmt: skip
        copy(model, root / place)
    (root / "models/unfinished").mkdir()
    (root / "models/unfinished/manifest").touch()
    (root / "models/file").touch()
    (root / "model/packed.tar.gz").touch()
    (root / "models/packed too.tar.gz").touch()
    links = {"out": "../../one", "in": "plain", "loop": "loop", "up": "..", "dangling": "none"}
    for name, to in links.items():
        (root / "models" / name).symlink_to(to)
    (root / "models/inner-out").mkdir()
    (root / "models/inner-out/model").symlink_to("../../one")
    return Layout(root)


def copy(model: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for path in model.iterdir():
        (place / path.name).write_bytes(path.read_bytes())


URLS = [
    ("{}/plain", "plain", "a folder"),
    ("{}/plain/", "plain", "a folder with a slash behind it"),
    ("file://{}/plain", "plain", "after file://"),
    ("file://localhost{}/plain", "plain", "on this host, in words"),
    ("{}/inner", "inner/model", "the folder above its model"),
    ("{}/inner/model", "inner/model", "the folder that the platform names"),
    ("{}/both", "both", "a model stands above one in it"),
    ("{}/a b/ü", "a b/ü", "blanks and more in a plain path"),
    ("file://{}/a%20b/%C3%BC", "a b/ü", "encoded in a url"),
    ("{}/in", "plain", "a link that stays inside"),
    ("{}/plain/../inner", "inner/model", "up and down again"),
    ("{}/unfinished", "unfinished", "no finished model is told by its manifest"),
    ("{}/inner-out", "inner-out", "a model sub-folder that leads out is none"),
]


@pytest.mark.parametrize(("url", "expected", "why"), URLS, ids=[why for *_, why in URLS])
def test_the_folder_of_a_url(layout: Layout, url: str, expected: str, why: str) -> None:
    assert folder_of_url(url.format(layout.models), layout) == (layout.models / expected).resolve()


REFUSED = [
    ("", "bad_value", "nothing"),
    ("plain", "bad_value", "a relative path"),
    ("{}", "bad_value", "the folder of all models"),
    ("{}/..", "bad_value", "above it"),
    ("{}/../model/local", "bad_value", "beside it"),
    ("{}/up/one", "bad_value", "by a link that leads up"),
    ("{}/out", "bad_value", "a link that leads out"),
    ("{}x/plain", "bad_value", "a folder that begins like it"),
    ("{}/loop", "not_found", "a link to itself"),
    ("{}/plain\0", "bad_value", "with NUL"),
    ("file://otherhost{}/plain", "bad_value", "on another host"),
    ("file://{}/plain?x=1", "bad_value", "with a query"),
    ("file://{}/%2e%2e/one", "bad_value", "encoded steps up"),
    ("s3://bucket/plain", "bad_value", "in a store"),
    ("{}/" + "x" * 300, "not_found", "a name too long for a file system"),
    ("{}/none", "not_found", "nothing there"),
    ("{}/dangling", "not_found", "a link to nothing"),
    ("{}/file", "not_found", "a file"),
]


@pytest.mark.parametrize(("url", "code", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_a_url_that_is_refused(layout: Layout, url: str, code: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        folder_of_url(url.format(layout.models), layout)
    assert (caught.value.code, caught.value.field) == (code, "url")
    words = "expected the path of a folder below models/" if code == "bad_value" else "There is no folder at url"
    assert words in str(caught.value)


TARGETS = [
    ("plain", "models/plain", "a folder of models"),
    ("plain.tar.gz", "models/plain", "without what the key ends with"),
    ("tar.tar.gz", "models/tar.tar.gz", "a folder of just that name comes first"),
    ("inner", "models/inner/model", "with its model below"),
    ("s/h/o/p.tar.gz", "models/s/h/o/p", "a key with folders of its own"),
    ("local", "model/local", "in the model folder"),
    ("nested/deep", "model/nested/deep", "below the model folder"),
    ("shared", "models/shared", "in both: that of the platform"),
    ("packed.tar.gz", "model/packed.tar.gz", "an archive"),
    ("packed too.tar.gz", "models/packed too.tar.gz", "an archive in the platform's folder"),
    ("unfinished", "models/unfinished", "one that was not finished, so that this can be told"),
    ("./plain", "models/plain", "a dot before it"),
    ("packed", None, "an archive under half its name"),
    ("file", None, "a file that is no archive"),
    ("none", None, "of which there is nothing"),
    ("", None, "nothing"),
    (".", None, "the folder itself"),
    (".tar.gz", None, "nothing but what a key ends with"),
    ("../one", None, "a step up"),
    ("plain/../../one", None, "a step up within"),
    ("/etc", None, "an absolute path"),
    ("out", None, "a link that leads out"),
    ("loop", None, "a link to itself"),
    ("x" * 300, None, "a name too long for a file system"),
    ("plain\0", None, "with NUL"),
]


@pytest.mark.parametrize(("target", "expected", "why"), TARGETS, ids=[why for *_, why in TARGETS])
def test_the_place_of_a_target(layout: Layout, target: str, expected: str | None, why: str) -> None:
    assert place_of_target(target, layout) == (None if expected is None else (layout.root / expected).resolve())


@pytest.mark.parametrize("name", ["manifest.json", "item_gram.npy"])
def test_a_file_that_is_a_link_out_of_the_models_folders_is_not_read(tmp_path: Path, name: str) -> None:
    shop().write(tmp_path / "models" / "shop")
    file = tmp_path / "models" / "shop" / name
    file.rename(tmp_path / name)
    file.symlink_to(tmp_path / name)
    with pytest.raises(ModelError) as caught:
        manifest_of(tmp_path / "models" / "shop", Layout(tmp_path))
    assert str(caught.value) == f"The model's file {name!r} is a link that leads out of the models' folders."


def test_a_file_that_is_a_link_within_them_is(tmp_path: Path) -> None:
    shop().write(tmp_path / "models" / "shop")
    file = tmp_path / "models" / "shop" / "item_gram.npy"
    file.rename(tmp_path / "models" / "item_gram.npy")
    file.symlink_to("../item_gram.npy")
    assert "item_gram.npy" in manifest_of(tmp_path / "models" / "shop", Layout(tmp_path)).files
