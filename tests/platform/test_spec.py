import json
from pathlib import Path
from typing import Any

import pytest

from alsriaz.errors import SpecError
from alsriaz.platform.days import parse_day
from alsriaz.platform.spec import SETTINGS, Spec, parse_spec, read_spec
from tests.train_process import REFERENCE


def read(folder: Path, spec: object = None, hyperparameters: object = None) -> Spec:
    spec_file, strings = folder / "als_spec.json", folder / "hyperparameters.json"
    for path, value in ((spec_file, spec), (strings, hyperparameters)):
        if value is not None:
            path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return read_spec(spec_file if spec is not None else None, strings)


def test_the_reference_systems_own_spec_is_read(tmp_path: Path) -> None:
    spec = read(tmp_path, REFERENCE)
    assert (spec.max_itter, spec.als_rank, spec.reg_param, spec.group_size) == (5, 10, 0.01, 4099)
    assert (spec.retention_date, spec.retention_days) == (parse_day("20180205"), 10)
    assert spec.implicit, "what the reference didn't say is the default"


def test_without_any_file_all_is_default(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert spec == parse_spec({})
    assert spec.as_json() == {setting.name: _json(setting.default) for setting in SETTINGS}


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_hyperparameters_win_over_the_spec_file_whatever_the_spelling(tmp_path: Path) -> None:
    spec = read(tmp_path, {"max_itter": 5, "als_rank": 10}, {"max_iter": "7"})
    assert (spec.max_itter, spec.als_rank) == (7, 10)


def test_a_spec_survives_the_manifest() -> None:
    spec = parse_spec(REFERENCE | {"exclude_items": ["POST", 7], "columns": {"customer": "Who", "item": 2}})
    assert parse_spec(json.loads(json.dumps(spec.as_json()))) == spec


# Spellings that the SDKs send: text as it is, JSON, JSON twice over, and numbers with a point.
SPELLINGS = [
    ("ranking_type", "total_qty", "total_qty", "text as it is"),
    ("ranking_type", '"total_qty"', "total_qty", "text as JSON"),
    ("ranking_type", '"\\"total_qty\\""', "total_qty", "text as JSON, twice over"),
    ("als_rank", "10", 10, "a whole number"),
    ("als_rank", "10.0", 10, "a whole number with a point"),
    ("als_rank", '"10"', 10, "a whole number in JSON text"),
    ("reg_param", "1e-2", 0.01, "a number in exponent notation"),
    ("nonnegative", "true", True, "JSON's boolean"),
    ("nonnegative", "True", True, "Python's boolean"),
    ("nonnegative", '"True"', True, "Python's boolean in JSON text"),
    ("nonnegative", "1", True, "a boolean as a number"),
    ("nonnegative", "0", False, "the other one"),
    ("retention_date", "20111108", parse_day("20111108"), "a date that looks like a number"),
    ("retention_date", '"2011-11-08"', parse_day("20111108"), "a date in JSON text"),
    ("retention_days", "", None, "an empty text means not set"),
    ("max_quantity", "null", None, "so does null"),
    ("min_item_customers", "None", None, "and None"),
    ("exclude_items", '["POST", "M"]', ("POST", "M"), "a JSON list"),
    ("exclude_items", '["POST", 10002]', ("POST", "10002"), "a JSON list with a number in it"),
    ("exclude_items", "['POST', \"KID'S\"]", ("POST", "KID'S"), "a list as Python's str() writes it"),
    ("exclude_items", '"[\\"POST\\"]"', ("POST",), "a JSON list in JSON text"),
    ("columns", "{'customer': 'Who', 'item': 2}", {"customer": "Who", "item": 2}, "a dict as Python's str() writes it"),
    ("als_rank", "", 32, "an empty text is not given, whatever the setting"),
    ("ranking_type", "null", "count", "null as SDK 3 sends None"),
    ("nonnegative", "None", False, "None as SDK 2 sends it"),
    ("engine", '"null"', "spark", "null in JSON text"),
    ("max_bad_rows", "1", 1.0, "a whole number for a fraction"),
    ("delimiter", "\t", "\t", "a tab is no empty text"),
    ("delimiter", '"|"', "|", "a character in JSON text"),
    ("half_life_days", "30", 30.0, "a number without a point"),
    ("date_format", '"iso"', "iso", "one of several, in JSON text"),
    ("columns", '{"customer": "Who"}', {"customer": "Who"}, "a JSON object"),
    ("delimiter", "|", "|", "a character"),
    ("delimiter", "\\t", "\t", "a tab that was escaped on the way"),
    ("seed", "9223372036854775807", 2**63 - 1, "64 bits, not by way of a float"),
]


@pytest.mark.parametrize(("name", "text", "value", "why"), SPELLINGS, ids=[f"{s[0]}: {s[3]}" for s in SPELLINGS])
def test_hyperparameters_in_every_spelling(tmp_path: Path, name: str, text: str, value: object, why: str) -> None:
    assert getattr(read(tmp_path, None, {name: text}), name) == value


def test_what_sagemaker_adds_by_itself_is_ignored(tmp_path: Path) -> None:
    added = {"sagemaker_program": "x", "sagemaker_region": '"eu-west-1"', "_tuning_objective_metric": "ndcg_at_10"}
    assert read(tmp_path, None, added) == parse_spec({})


def test_nothing_in_the_hyperparameters_leaves_what_the_spec_file_says(tmp_path: Path) -> None:
    given = {"als_rank": 5, "retention_days": 10, "exclude_items": ["M"], "reco_item": None}
    spec = read(tmp_path, given, {"als_rank": "null", "retention_days": "None", "exclude_items": ""})
    assert (spec.als_rank, spec.retention_days, spec.exclude_items, spec.reco_item) == (5, 10, ("M",), 10)


REFUSED_STRINGS = [
    ("als_ranks", "null", "hyperparameters.json has an unknown setting 'als_ranks', did you mean 'als_rank'?"),
    ("sagemaker", "1", "hyperparameters.json has an unknown setting 'sagemaker'."),
    ("als_rank", "ten", "hyperparameters.json: als_rank is 'ten', expected a whole number from 1 to 1000."),
    ("als_rank", "true", "hyperparameters.json: als_rank is true, expected a whole number"),
    ("als_rank", "10.5", "hyperparameters.json: als_rank is 10.5, expected a whole number"),
    ("reg_param", "NaN", "hyperparameters.json: reg_param is nan, expected a number above 0"),
    ("exclude_items", "POST,M", "hyperparameters.json: exclude_items is 'POST,M', expected a JSON list of item ids"),
    ("exclude_items", "['POST', M]", "exclude_items is \"['POST', M]\", expected a JSON list"),
    ("exclude_items", "[1, __import__('os')]", "expected a JSON list of item ids"),
    ("exclude_items", "{'POST', 'M'}", "expected a JSON list of item ids"),
    ("exclude_items", "[" * 9_000, "expected a JSON list of item ids"),
    ("columns", "[" * 100_000, "hyperparameters.json: columns is '[[["),
]


@pytest.mark.parametrize(
    ("name", "text", "words"), REFUSED_STRINGS, ids=[f"{name} {text[:30]}" for name, text, _ in REFUSED_STRINGS]
)
def test_hyperparameters_that_can_not_be_used(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, {"als_rank": 5}, {name: text})
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


REFUSED: list[tuple[object, str]] = [
    ({"als_ranks": 10}, "als_spec.json has an unknown setting 'als_ranks', did you mean 'als_rank'?"),
    ({"zzz": 1}, "als_spec.json has an unknown setting 'zzz'."),
    ({"als_rank": 0}, "als_spec.json: als_rank is 0, expected a whole number from 1 to 1000."),
    ({"als_rank": 100_000}, "als_rank is 100000, expected a whole number from 1 to 1000."),
    ({"als_rank": 2.5}, "als_rank is 2.5, expected a whole number"),
    ({"als_rank": True}, "als_rank is true, expected a whole number"),
    ({"als_rank": [10]}, "als_rank is [10], expected a whole number"),
    ({"als_rank": "ten"}, "als_rank is 'ten', expected a whole number"),
    ({"als_rank": 10**400}, "als_rank is 1000"),
    ({"reg_param": 0}, "reg_param is 0, expected a number above 0"),
    ({"reg_param": "nan"}, "reg_param is 'nan', expected a number above 0"),
    ('{"reg_param": NaN}', "als_spec.json: NaN is no JSON number."),
    ({"alpha": -1}, "alpha is -1, expected a number from 0 to 1000000."),
    ({"ranking_type": "Count"}, "ranking_type is 'Count', expected one of incident, count, total_qty"),
    ({"feedback": 1}, "feedback is 1, expected implicit or explicit."),
    ({"nonnegative": "yes"}, "nonnegative is 'yes', expected true or false."),
    ({"retention_date": "2018-02-30"}, "retention_date is '2018-02-30', expected a day as yyyymmdd or yyyy-mm-dd."),
    ({"retention_date": 1.5}, "retention_date is 1.5, expected a day"),
    ({"retention_days": 0}, "retention_days is 0, expected a whole number of days from 1 to 36500."),
    ({"exclude_items": "POST"}, "exclude_items is 'POST', expected a JSON list of item ids"),
    ({"exclude_items": [1.5]}, "exclude_items is [1.5], expected a JSON list"),
    ({"columns": {"client": "x"}}, "columns is {'client': 'x'}, expected an object such as"),
    ({"columns": {"item": 0}}, "columns is {'item': 0}, expected an object"),
    ({"delimiter": "::"}, "delimiter is '::', expected one of , | ; and tab."),
    ({"date_format": "d.m.y"}, "date_format is 'd.m.y', expected one of yyyymmdd, iso, d/m/yyyy, m/d/yyyy."),
    ({"max_bad_rows": 1.1}, "max_bad_rows is 1.1, expected a number from 0 to 1."),
    ({"engine": "gpu"}, "engine is 'gpu', expected spark."),
    ({"max_itter": 5, "max_iter": 5}, "has both 'max_itter' and 'max_iter', which are one setting"),
    ('{"seed": 1, "seed": 2}', "als_spec.json: 'seed' is given twice"),
    ("{", "als_spec.json is not JSON: Expecting property name enclosed in double quotes at line 1, column 2."),
    ("[" * 100_000, "als_spec.json is nested too deeply."),
    ([1], "als_spec.json holds [1], expected a JSON object."),
    ("", "als_spec.json is not JSON: Expecting value at line 1, column 1."),
]


@pytest.mark.parametrize(("spec", "words"), REFUSED, ids=[words[:60] for _, words in REFUSED])
def test_a_spec_that_can_not_be_used(tmp_path: Path, spec: object, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, spec)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_spec_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "als_spec.json").write_bytes(b'{"seed": "\xff"}')
    with pytest.raises(SpecError, match=r"als_spec.json is not UTF-8 text \(byte 10\)"):
        read_spec(tmp_path / "als_spec.json", tmp_path / "none")
