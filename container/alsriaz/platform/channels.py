"""What the platform says of a job's channels and hosts: inputdataconfig.json and resourceconfig.json.

Both are absent where plain Docker, or no Docker, runs the job; then the folders speak for themselves. Source: SageMaker
Developer Guide, "How Amazon SageMaker Provides Training Information".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alsriaz.errors import DataError, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.platform.layout import ITEMS_CHANNEL, RULES_CHANNEL, SPEC_CHANNEL, TRAINING_CHANNELS, Layout, is_sales_name
from alsriaz.platform.values import shown

USED_CHANNELS = (*TRAINING_CHANNELS, SPEC_CHANNEL, RULES_CHANNEL, ITEMS_CHANNEL)


@dataclass(frozen=True)
class Channel:
    """One channel of the job. In FastFile mode it is a folder like any other."""

    piped: bool = False  # its data come through a FIFO
    sharded: bool = False  # each host gets a part of its objects
    record_io: bool = False  # the platform wraps its objects as RecordIO records


def read_channels(layout: Layout) -> dict[str, Channel]:
    """Return the channels that inputdataconfig.json declares, and those that just lie in input/data, by name.

    Raises:
        SpecError: inputdataconfig.json is not what the platform writes.
    """
    declared = read_object(layout.channel_facts) if layout.channel_facts.is_file() else {}
    channels = {name: _channel(name, facts) for name, facts in declared.items()}
    for name in USED_CHANNELS:
        if layout.pipe(name).is_fifo() and not (layout.input_data / name).is_dir():
            channels.setdefault(name, Channel(piped=True))
    if layout.input_data.is_dir():
        for entry in sorted(layout.input_data.iterdir()):
            if entry.is_dir() and not is_sales_name(entry.name) and not entry.name.startswith((".", "_")):
                channels.setdefault(entry.name, Channel())
    return channels


def unused_channels(channels: Mapping[str, Channel]) -> Iterator[str]:
    """Yield a warning about each channel that takes no part in the job."""
    for name in channels:
        if name not in USED_CHANNELS:
            yield f"channel {shown(name)} is unknown and not used; known are {', '.join(USED_CHANNELS)}."


def check_hosts(layout: Layout, channels: Mapping[str, Channel]) -> None:
    """Check that this host is the job's only one: each would train by itself, on all the sales or on a part.

    Raises:
        SpecError: there are several, or resourceconfig.json is not what the platform writes.
        DataError: there are several, and each has a part of the sales.
    """
    facts = read_object(layout.host_facts) if layout.host_facts.is_file() else {}
    hosts = facts.get("hosts") or []
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise SpecError(f"{layout.host_facts.name}: hosts is {shown(hosts)}, expected a list of names.")
    if len(hosts) < 2:
        return
    named = f"{len(hosts)} hosts ({', '.join(hosts[:3])}{', ...' if len(hosts) > 3 else ''})"
    remedy = "set InstanceCount (instance_count in the SDK) to 1"
    for name in TRAINING_CHANNELS:
        if name in channels and channels[name].sharded:
            raise DataError(
                f"Channel '{name}' is ShardedByS3Key over {named}, so that each would learn from a part of the sales: "
                f"set S3DataDistributionType (distribution in the SDK) to FullyReplicated, and {remedy}."
            )
    raise SpecError(f"The job has {named}, but training takes one: {remedy}, and take a larger instance if need be.")


def _channel(name: str, facts: Any) -> Channel:
    where = f"inputdataconfig.json: channel {shown(name)}"
    if not isinstance(facts, dict):
        raise SpecError(f"{where} is {shown(facts)}, expected an object with TrainingInputMode.")

    def fact(key: str, *expected: str) -> str:
        value = facts.get(key) or expected[0]
        if value not in expected:
            raise SpecError(f"{where} has {key} {shown(value)}, expected one of {', '.join(expected)}.")
        return str(value)

    return Channel(
        piped=fact("TrainingInputMode", "File", "FastFile", "Pipe") == "Pipe",
        sharded=fact("S3DistributionType", "FullyReplicated", "ShardedByS3Key") == "ShardedByS3Key",
        record_io=fact("RecordWrapperType", "None", "RecordIO") == "RecordIO",
    )
