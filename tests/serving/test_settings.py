import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import SpecError
from alsriaz.platform.machine import available_cores
from alsriaz.platform.setting import Setting, markdown_table
from alsriaz.platform.values import Kind
from alsriaz.serving.live_rules.sources import FileLocation, S3Location
from alsriaz.serving.settings import ROWS, Settings, read_settings

DEFAULTS = Settings(
    port=8080,
    workers=available_cores(),
    threads=4,
    timeout_seconds=60,
    shutdown_seconds=25,
    max_body_mb=25,
    max_k=1000,
    max_rule_ids=100_000,
    max_history=10_000,
    default_accept=None,
    batch_transform=False,
    max_payload_mb=None,
    batch_strategy="MULTI_RECORD",
    max_concurrent_transforms=None,
    log_level="info",
    multi_model=False,
    models_memory_mb=read_settings({}).models_memory_mb,
    rules=None,
    rules_poll_seconds=15,
    rules_max_mb=10,
)

EXAMPLES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    # environ, what differs from the defaults, why
    ({}, {}, "nothing set"),
    (
        {
            "HOME": "/root",
            "SAGEMAKER_REGION": "eu-west-1",
            "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SAFE_PORT_RANGE": "30000-30009",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "many",
            "PROMETHEUS_MULTIPROC_DIR": "/elsewhere",
        },
        {},
        "other people's variables are theirs, and a second port isn't needed",
    ),
    (
        {"SAGEMAKER_BATCH": "true"},
        {"batch_transform": True, "timeout_seconds": 3600, "max_body_mb": 100},
        "a batch transform job",
    ),
    (
        {"SAGEMAKER_BATCH": "True", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"},
        {
            "batch_transform": True,
            "timeout_seconds": 3600,
            "max_body_mb": 100,
            "max_payload_mb": 6,
            "max_concurrent_transforms": 1,
        },
        "as local mode spells it; a payload below the limit doesn't lower it",
    ),
    (
        {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0", "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"},
        {
            "batch_transform": True,
            "timeout_seconds": 3600,
            "max_body_mb": None,
            "max_payload_mb": 0,
            "batch_strategy": "SINGLE_RECORD",
        },
        "bodies of any length",
    ),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "120", "SAGEMAKER_BATCH_STRATEGY": "MultiRecord", "SAGEMAKER_BATCH": "false"},
        {"max_body_mb": 120, "max_payload_mb": 120},
        "a payload above the limit raises it; the API's own spelling",
    ),
    (
        {
            "SAGEMAKER_BATCH": "1",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
            "ALSRIAZ_MAX_BODY_MB": "7",
            "ALSRIAZ_TIMEOUT_SECONDS": "70",
        },
        {"batch_transform": True, "max_payload_mb": 0, "max_body_mb": 7, "timeout_seconds": 70},
        "what is said in our own words stands above the platform's",
    ),
    ({"ALSRIAZ_ML_ROOT": "/srv/ml", "ALSRIAZ_ONLINE_RETAIL": "/data"}, {}, "ours that are read elsewhere"),
    (
        {
            "ALSRIAZ_PORT": "tcp://10.0.0.7:80",
            "ALSRIAZ_SERVICE_HOST": "10.0.0.7",
            "ALSRIAZ_SERVICE_PORT_HTTP": "80",
            "ALSRIAZ_STAGING_PORT_80_TCP_ADDR": "10.0.0.8",
        },
        {},
        "Kubernetes' words on a service that is named like us",
    ),
    ({"SAGEMAKER_BIND_TO_PORT": "9000"}, {"port": 9000}, "the platform chooses the port"),
    ({"ALSRIAZ_WORKERS": "3", "ALSRIAZ_THREADS": "2"}, {"workers": 3, "threads": 2}, "how much runs at a time"),
    (
        {"ALSRIAZ_RULES_URI": "s3://shop/rules.json", "ALSRIAZ_RULES_POLL_SECONDS": "5", "ALSRIAZ_RULES_MAX_MB": "1"},
        {"rules": S3Location("shop", "rules.json"), "rules_poll_seconds": 5, "rules_max_mb": 1},
        "live rules on S3",
    ),
    (
        {"ALSRIAZ_RULES_URI": " /srv/rules.json ", "ALSRIAZ_LIVE_RULES_FOLDER": "/tmp/x"},  # noqa: S108 - no file
        {"rules": FileLocation(Path("/srv/rules.json"))},
        "live rules in a file",
    ),
    ({"ALSRIAZ_WORKERS": ""}, {}, "an empty variable is not set"),
    ({"ALSRIAZ_MAX_K": "  "}, {}, "nor is one of blanks"),
    ({"ALSRIAZ_MAX_K": " 50 "}, {"max_k": 50}, "blanks around a number"),
    ({"ALSRIAZ_MAX_BODY_MB": "1024"}, {"max_body_mb": 1024}, "the end of a range is in it"),
    ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}, {"default_accept": "text/csv"}, "another answer type"),
    ({"ALSRIAZ_LOG_LEVEL": "WARNING"}, {"log_level": "warning"}, "names are taken in any case"),
]


@pytest.mark.parametrize(("environ", "differs"), [row[:2] for row in EXAMPLES], ids=[row[2] for row in EXAMPLES])
def test_read(environ: Mapping[str, str], differs: dict[str, Any]) -> None:
    assert read_settings(environ) == dataclasses.replace(DEFAULTS, **differs)


REFUSED = [
    # name, value, words of the message
    ("SAGEMAKER_BIND_TO_PORT", "0", "is '0', expected a whole number from 1 to 65535"),
    ("SAGEMAKER_BIND_TO_PORT", "http", "is 'http', expected a whole number from 1 to 65535"),
    ("ALSRIAZ_WORKERS", "0", "is '0', expected a whole number from 1 to 256"),
    ("ALSRIAZ_THREADS", "2.5", "is '2.5', expected a whole number from 1 to 64"),
    ("ALSRIAZ_TIMEOUT_SECONDS", "1e9", "is '1e9', expected a whole number from 1 to 3600"),
    ("ALSRIAZ_SHUTDOWN_SECONDS", "-1", "is '-1', expected a whole number from 1 to 3600"),
    ("ALSRIAZ_MAX_BODY_MB", "1025", "is '1025', expected a whole number from 1 to 1024"),
    ("ALSRIAZ_MAX_BODY_MB", "25m", "is '25m', expected a whole number from 1 to 1024"),
    ("SAGEMAKER_BATCH", "yes", "is 'yes', expected true or false"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "is '-1', expected a whole number from 0 to 1000000"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6MB", "is '6MB', expected a whole number from 0 to 1000000"),
    ("SAGEMAKER_BATCH_STRATEGY", "ALL", "is 'ALL', expected MULTI_RECORD or SINGLE_RECORD"),
    ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "x", "is 'x', expected a whole number from 0 to 10000"),
    ("ALSRIAZ_MAX_K", "100001", "is '100001', expected a whole number from 1 to 100000"),
    ("ALSRIAZ_MAX_RULE_IDS", "nan", "is 'nan', expected a whole number from 1 to 10000000"),
    ("ALSRIAZ_MAX_HISTORY", "1" * 500, "expected a whole number from 1 to 1000000"),
    ("ALSRIAZ_RULES_URI", "https://shop/rules.json", "expected a path, file:///path or s3://bucket/key"),
    ("ALSRIAZ_RULES_POLL_SECONDS", "0", "is '0', expected a whole number from 1 to 3600"),
    ("ALSRIAZ_RULES_MAX_MB", "101", "is '101', expected a whole number from 1 to 100"),
    ("ALSRIAZ_LOG_LEVEL", "loud", "is 'loud', expected one of debug, info, warning, error"),
    ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/html", "is 'text/html', expected one of application/json, "),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_refused_value(name: str, value: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_settings({name: value})
    message = str(caught.value)
    assert message.startswith(f"The environment variable {name} is ")
    assert words in message
    assert message.endswith("Correct or unset it.")
    assert len(message) < 300


def test_unknown_variable_gets_the_nearest_name() -> None:
    with pytest.raises(SpecError, match=r"ALSRIAZ_WORKER is unknown, did you mean 'ALSRIAZ_WORKERS'\? Unset it, or"):
        read_settings({"ALSRIAZ_WORKER": "2"})
    with pytest.raises(SpecError, match=r"ALSRIAZ_ is unknown.* or name one of: ALSRIAZ_LOG_LEVEL"):
        read_settings({"ALSRIAZ_": "2"})


def test_an_empty_variable_counts_as_not_set_also_where_it_is_none_of_ours() -> None:
    assert read_settings({"ALSRIAZ_WORKER": " ", "ALSRIAZ_THREADS": ""}) == read_settings({})


def test_megabytes_are_nginx_s() -> None:
    assert read_settings({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_body_bytes is None
    assert read_settings({"ALSRIAZ_MAX_BODY_MB": "2"}).max_body_bytes == 2_097_152
    assert read_settings({"ALSRIAZ_RULES_MAX_MB": "2"}).rules_max_bytes == 2_097_152


@given(name=st.sampled_from(sorted(row.name for row in ROWS.values())), value=st.text(max_size=40))
def test_any_text_is_taken_or_refused_by_name(name: str, value: str) -> None:
    try:
        settings = read_settings({name: value})
    except SpecError as error:
        assert name in str(error)
    else:
        assert all(not isinstance(field, float) or math.isfinite(field) for field in dataclasses.astuple(settings))
        assert settings.workers >= 1


def test_rows_fill_every_field() -> None:
    assert list(ROWS) == [field.name for field in dataclasses.fields(Settings)]
    for row in ROWS.values():
        assert row.default is None or row.kind.parse(str(row.default)) == row.default
        assert row.meaning.endswith(".")


def test_table() -> None:
    lines = markdown_table(ROWS.values()).splitlines()
    assert lines[:2] == ["| name | default | expected | meaning |", "|---|---|---|---|"]
    assert len(lines) == 2 + len(ROWS)
    assert "| `ALSRIAZ_WORKERS` | none | a whole number from 1 to 256 | Worker processes." in lines[3]
    assert (
        "| `ALSRIAZ_MAX_K` | `1000` | a whole number from 1 to 100000 | The largest k that a request may ask for. |"
        in lines
    )


def test_table_of_other_rows() -> None:
    rows = [
        Setting("rank", Kind("1 | 2", int), False, "A | in a cell.", ("old",)),
        Setting("list", Kind("a list", list), (), "Nothing."),
    ]
    assert markdown_table(rows).splitlines()[2:] == [
        "| `rank` or `old` | `false` | 1 \\| 2 | A \\| in a cell. |",
        "| `list` | none | a list | Nothing. |",
    ]
