import json
import os
from pathlib import Path
from typing import Any

import pytest

from alsriaz.errors import CallerError, SpecError
from alsriaz.platform.channels import Channel, check_hosts, read_channels, unused_channels
from alsriaz.platform.layout import Layout

PIPE, SHARD = {"TrainingInputMode": "Pipe"}, {"S3DistributionType": "ShardedByS3Key"}


def lay(root: Path, channels: Any = None, hosts: Any = None, folders: tuple[str, ...] = ()) -> Layout:
    layout = Layout(root)
    layout.input_config.mkdir(parents=True)
    for path, value in ((layout.channel_facts, channels), (layout.host_facts, hosts)):
        if value is not None:
            path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    for name in folders:
        (layout.input_data / name).mkdir(parents=True)
    return layout


WHOLE = {"ContentType": "text/csv", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
CHANNELS: list[tuple[Any, tuple[str, ...], dict[str, Channel], str]] = [
    (None, (), {}, "neither the platform's file nor any folder"),
    (None, ("training", "rules"), {"training": Channel(), "rules": Channel()}, "plain Docker: the folders speak"),
    (None, ("sales.csv", "_tmp", ".x"), {}, "sales, and what is hidden, are no channels"),
    ({"training": WHOLE | {"TrainingInputMode": "File"}}, ("training",), {"training": Channel()}, "File mode"),
    ({"training": WHOLE | {"TrainingInputMode": "FastFile"}}, (), {"training": Channel()}, "FastFile by its own name"),
    ({"train": {"TrainingInputMode": "File"}}, (), {"train": Channel()}, "local mode says the mode only"),
    ({"train": {"TrainingInputMode": None}}, (), {"train": Channel()}, "null is not said"),
    ({"train": {}}, (), {"train": Channel()}, "nothing is said"),
    ({"spec": WHOLE | PIPE}, (), {"spec": Channel(piped=True)}, "Pipe mode"),
    ({"training": PIPE}, ("training",), {"training": Channel(piped=True)}, "what is declared holds, folder or not"),
    ({"training": SHARD}, ("x",), {"training": Channel(sharded=True), "x": Channel()}, "sharded; one more folder"),
    ({"training": PIPE | {"RecordWrapperType": "RecordIO"}}, (), {"training": Channel(True, False, True)}, "wrapped"),
]


@pytest.mark.parametrize(("declared", "folders", "expected", "why"), CHANNELS, ids=[why for *_, why in CHANNELS])
def test_channels(
    tmp_path: Path, declared: Any, folders: tuple[str, ...], expected: dict[str, Channel], why: str
) -> None:
    assert read_channels(lay(tmp_path, declared, folders=folders)) == expected


def test_a_fifo_without_a_word_from_the_platform_is_pipe_mode(tmp_path: Path) -> None:
    layout = lay(tmp_path, folders=("rules",))
    for name in ("training_0", "training_1", "rules_0", "items_0", "mine_0", "fifo.csv"):
        os.mkfifo(layout.input_data / name)
    assert read_channels(layout) == {
        "training": Channel(piped=True),
        "items": Channel(piped=True),
        "rules": Channel(),
    }


REFUSED: list[tuple[Any, str]] = [
    ("{", "inputdataconfig.json is not JSON: Expecting property name"),
    ([1], "inputdataconfig.json holds [1], expected a JSON object."),
    ({"training": "File"}, "channel 'training' is 'File', expected an object with TrainingInputMode."),
    (
        {"training": {"TrainingInputMode": "Stream"}},
        "inputdataconfig.json: channel 'training' has TrainingInputMode 'Stream', expected one of File, FastFile, "
        "Pipe.",
    ),
    ({"training": {"TrainingInputMode": ["Pipe"]}}, "TrainingInputMode ['Pipe'], expected one of"),
    ({"a": {"S3DistributionType": 7}}, "S3DistributionType 7, expected one of FullyReplicated, ShardedByS3Key."),
    ({"a": {"RecordWrapperType": "Protobuf"}}, "RecordWrapperType 'Protobuf', expected one of None, RecordIO."),
]


@pytest.mark.parametrize(("declared", "words"), REFUSED, ids=[words[:50] for _, words in REFUSED])
def test_a_file_of_the_platform_that_is_broken_is_named(tmp_path: Path, declared: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_channels(lay(tmp_path, declared))
    assert words in str(caught.value)


def test_what_takes_no_part_is_told() -> None:
    names = ("train", "spec", "rules", "items", "validation", "Model.v-2")
    assert list(unused_channels(dict.fromkeys(names, Channel()))) == [
        "channel 'validation' is unknown and not used; known are training, train, spec, rules, items.",
        "channel 'Model.v-2' is unknown and not used; known are training, train, spec, rules, items.",
    ]
    assert not list(unused_channels({"training": Channel()}))


ALONE: list[tuple[Any, str]] = [
    (None, "no platform"),
    ({}, "a file that says nothing"),
    ({"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}, "the platform's own"),
    ({"current_host": "algo-1-ab12c", "hosts": ["algo-1-ab12c"], "current_instance_type": "local"}, "local mode's"),
    ({"current_host": "algo-1", "hosts": None}, "null"),
]


@pytest.mark.parametrize(("facts", "why"), ALONE, ids=[why for _, why in ALONE])
def test_one_host_trains_even_on_what_is_sharded(tmp_path: Path, facts: Any, why: str) -> None:
    check_hosts(lay(tmp_path, hosts=facts), {"training": Channel(sharded=True)})


TOGETHER: list[tuple[dict[str, Channel], Any, str]] = [
    (
        {"training": Channel()},
        {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]},
        "The job has 2 hosts (algo-1, algo-2), but training takes one: set InstanceCount (instance_count in the SDK) "
        "to 1, and take a larger instance if need be.",
    ),
    (
        {"train": Channel(sharded=True)},
        {"hosts": ["a-1-x", "a-2-x", "a-3-x", "a-4-x"]},
        "Channel 'train' is ShardedByS3Key over 4 hosts (a-1-x, a-2-x, a-3-x, ...), so that each would learn from a "
        "part of the sales: set S3DataDistributionType (distribution in the SDK) to FullyReplicated, and set "
        "InstanceCount (instance_count in the SDK) to 1.",
    ),
    ({"rules": Channel(sharded=True)}, {"hosts": ["a", "b"]}, "The job has 2 hosts (a, b), but training takes one"),
    ({}, {"hosts": "algo-1"}, "resourceconfig.json: hosts is 'algo-1', expected a list of names."),
    ({}, {"hosts": [1, 2]}, "resourceconfig.json: hosts is [1, 2], expected a list of names."),
    ({}, "[", "resourceconfig.json is not JSON: Expecting value at line 1, column 2."),
]


@pytest.mark.parametrize(("channels", "facts", "words"), TOGETHER, ids=[words[:40] for *_, words in TOGETHER])
def test_several_hosts_are_refused(tmp_path: Path, channels: dict[str, Channel], facts: Any, words: str) -> None:
    with pytest.raises(CallerError) as caught:
        check_hosts(lay(tmp_path, hosts=facts), channels)
    assert words in str(caught.value)
