from typing import Any

import pytest

from alsriaz.serving.settings import read_settings
from alsriaz.predictor import MOST_MB_AT_ONCE, execution_parameters

EXAMPLES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    # environ, the answer, why
    ({}, {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1}, "two at a time for each of two workers"),
    ({"ALSRIAZ_THREADS": "1"}, {"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 1}, "one, where it has one thread"),
    ({"ALSRIAZ_WORKERS": "256"}, {"MaxConcurrentTransforms": 100, "MaxPayloadInMB": 1}, "no more than the platform's"),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 6},
        "what the job has is given back",
    ),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6", "ALSRIAZ_MAX_BODY_MB": "2"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 2},
        "but no body that we would refuse",
    ),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1},
        "no limit of ours is none to the platform, to which 0 means something else",
    ),
    (
        {
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "50",
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        },
        {"MaxConcurrentTransforms": 50, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2},
        "smaller bodies for many at a time",
    ),
    (
        {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1},
        "0 leaves it to us",
    ),
]


@pytest.mark.parametrize(("environ", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_execution_parameters(environ: dict[str, str], expected: dict[str, Any], why: str) -> None:
    given = {"ALSRIAZ_WORKERS": "2"} | environ
    assert execution_parameters(read_settings(given)) == {"BatchStrategy": "MULTI_RECORD"} | expected


@pytest.mark.parametrize("workers", range(1, 257, 5))
def test_the_platform_s_limit_is_kept(workers: int) -> None:
    answer = execution_parameters(read_settings({"ALSRIAZ_WORKERS": str(workers)}))
    at_once, payload = answer["MaxConcurrentTransforms"], answer["MaxPayloadInMB"]
    assert isinstance(at_once, int)
    assert isinstance(payload, int)
    assert 1 <= at_once * payload <= MOST_MB_AT_ONCE
