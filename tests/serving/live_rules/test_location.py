"""Where live rules may be, as a setting names it."""

from pathlib import Path

import pytest
from alsriaz.serving.live_rules.location import FileLocation, Location, S3Location, parse_location

GOOD: list[tuple[str, Location, str]] = [
    ("/data/rules.json", FileLocation(Path("/data/rules.json")), "an absolute path"),
    ("/data/../rules.json", FileLocation(Path("/rules.json")), "a path is made plain"),
    ("rules.json", FileLocation(Path.cwd() / "rules.json"), "a relative path is one from the working directory"),
    ("  /data/rules.json\n", FileLocation(Path("/data/rules.json")), "what surrounds it is nothing"),
    ("file:///data/rules.json", FileLocation(Path("/data/rules.json")), "a URL of a file"),
    ("file://localhost/data/rules.json", FileLocation(Path("/data/rules.json")), "of this machine, by its name"),
    ("file:///my%20data/r%C3%A9gles.json", FileLocation(Path("/my data/régles.json")), "a URL is decoded"),
    ("/my%20data/rules.json", FileLocation(Path("/my%20data/rules.json")), "a path is not"),
    ("s3://shop/rules.json", S3Location("shop", "rules.json"), "an object"),
    ("s3://shop.eu-1/a/b//c d%20?x#y", S3Location("shop.eu-1", "a/b//c d%20?x#y"), "a key is taken as it is"),
]
BAD = [
    ("", "nothing"),
    ("s3://shop", "no key"),
    ("s3://shop/", "an empty key"),
    ("s3://shop/rules/", "what S3's console calls a folder"),
    ("s3:///rules.json", "no bucket"),
    ("s3://no bucket/rules.json", "no name of a bucket"),
    ("s3:/shop/rules.json", "a slash too few"),
    ("s3://shop/" + "k" * 1025, "a key longer than S3 takes"),
    ("S3://shop/rules.json", "a scheme in capitals"),
    ("https://shop.s3.amazonaws.com/rules.json", "another scheme"),
    ("file://elsewhere/rules.json", "a file of another machine"),
    ("file:rules.json", "a URL without slashes"),
    ("file://", "a URL of nothing"),
    ("file:///rules.json?version=2", "a query"),
    ("/data/", "a folder"),
    ("/da\0ta", "NUL"),
    ("file:///da%00ta", "NUL, encoded"),
    ("s3://shop/\udcff", "no Unicode text"),
]


@pytest.mark.parametrize(("text", "location", "why"), GOOD, ids=[why for *_, why in GOOD])
def test_a_location_is_read(text: str, location: Location, why: str) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(("text", "location", "why"), GOOD, ids=[why for *_, why in GOOD])
def test_its_uri_is_read_as_the_same_location_from_any_folder(
    text: str, location: Location, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri = parse_location(text).uri
    monkeypatch.chdir(tmp_path)
    assert parse_location(uri) == location


@pytest.mark.parametrize(("text", "why"), BAD, ids=[why for _, why in BAD])
def test_what_names_no_place_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError):
        parse_location(text)
