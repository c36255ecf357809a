"""Every path under /opt/ml, and which file there is spec, rules or sales data.

The base folder is /opt/ml or the environment variable ALSRIAZ_ML_ROOT; nothing else names a path of the platform.
Source: SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information" and the page
after it, "How Amazon SageMaker Processes Training Output".
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from alsriaz.errors import DataError, SpecError

SALES_SUFFIXES = (".csv", ".csv.gz", ".parquet")
SPEC_NAME = "als_spec.json"
RULES_NAME = "rules.json"
TRAINING_CHANNELS = ("training", "train")
SPEC_CHANNEL, RULES_CHANNEL, ITEMS_CHANNEL = "spec", "rules", "items"


class Layout:
    """The platform's folders and files below one base folder."""

    def __init__(self, root: Path) -> None:
        """Take the base folder."""
        self.root = root
        self.input_config = root / "input" / "config"
        self.hyperparameters = self.input_config / "hyperparameters.json"
        self.channel_facts = self.input_config / "inputdataconfig.json"  # these two are absent without a platform
        self.host_facts = self.input_config / "resourceconfig.json"
        self.input_data = root / "input" / "data"  # a folder a channel
        self.model = root / "model"
        self.models = root / "models"  # in multi-model mode, each in a folder of its own
        self.output = root / "output"
        self.failure = self.output / "failure"  # why the job failed
        self.output_data = self.output / "data"  # what the platform keeps of a job beside its model

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Layout":
        """Return the layout below ALSRIAZ_ML_ROOT, or below /opt/ml where that is not set."""
        return cls(Path((os.environ if environ is None else environ).get("ALSRIAZ_ML_ROOT") or "/opt/ml"))

    def pipe(self, channel: str) -> Path:
        """Return where the platform puts the FIFO of a channel in Pipe mode, that of the first pass over its data."""
        return self.input_data / f"{channel}_0"

    def spec_file(self, piped: Collection[str] = ()) -> Path | None:
        """Return the one als_spec.json, or the FIFO that gives it, or None; SpecError where there are two.

        `piped` are the channels in Pipe mode.
        """
        return self._only_one(SPEC_NAME, (SPEC_CHANNEL,), SPEC_CHANNEL in piped and self.pipe(SPEC_CHANNEL))

    def rules_file(self, piped: Collection[str] = ()) -> Path | None:
        """Return the one rules.json, or the FIFO that gives it, or None; SpecError where there are two."""
        channels = (SPEC_CHANNEL, RULES_CHANNEL)
        return self._only_one(RULES_NAME, channels, RULES_CHANNEL in piped and self.pipe(RULES_CHANNEL))

    def training_channel(self, piped: Collection[str] = ()) -> str | None:
        """Return the name of the channel that holds the sales; None where they may lie straight in input/data.

        DataError where there are two such channels.
        """
        channels = [name for name in TRAINING_CHANNELS if name in piped or (self.input_data / name).is_dir()]
        if len(channels) > 1:
            raise DataError(
                "There are two training channels, 'training' and 'train', and they may hold the same sales twice: "
                "keep one of them."
            )
        return channels[0] if channels else None

    def sales_files(self) -> list[Path]:
        """Return the sales files in the order of their paths.

        They are those of channel `training` (or `train`); without such a channel, those that lie straight in
        input/data, or in a folder there that is itself named like a sales file, as a Spark job writes it.

        Raises:
            DataError: there is no sales file, or both channels exist.
        """
        channel = self.training_channel()
        files = sorted(_sales_below(self.input_data / channel) if channel else self._sales_beside_channels())
        if not files:
            raise DataError(self._no_sales(channel))
        return files

    def items_files(self) -> list[Path]:
        """Return the files of channel `items` in the order of their paths; none where there is no such channel.

        Raises:
            DataError: there is the channel, but no table in it.
        """
        channel = self.input_data / ITEMS_CHANNEL
        if not channel.is_dir():
            return []
        files = sorted(_sales_below(channel))
        if not files:
            raise DataError(
                f"Channel '{ITEMS_CHANNEL}' holds no table of items: expected files that end in "
                f"{', '.join(SALES_SUFFIXES)}, found {_names(channel)}."
            )
        return files

    def shown(self, path: Path) -> str:
        """Return `path` as a person knows it: relative to the base folder."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def _only_one(self, name: str, channels: tuple[str, ...], pipe: Path | Literal[False]) -> Path | None:
        folders = [self.input_config, *(self.input_data / channel for channel in (*channels, *TRAINING_CHANNELS))]
        folders.append(self.input_data)  # the training channel's root where sales lie straight in it
        found = [folder / name for folder in folders if (folder / name).is_file()] + ([pipe] if pipe else [])
        if len(found) > 1:
            places = " and ".join(self.shown(path) for path in found)
            raise SpecError(f"There are {len(found)} files named {name}: {places}. Keep the one that is meant.")
        return found[0] if found else None

    def _sales_beside_channels(self) -> Iterator[Path]:
        if not self.input_data.is_dir():
            return
        for entry in self.input_data.iterdir():
            if entry.is_dir() and is_sales_name(entry.name):
                yield from _sales_below(entry)
            elif entry.is_file() and is_sales_name(entry.name):
                yield entry

    def _no_sales(self, channel: str | None) -> str:
        expected = f"expected files that end in {', '.join(SALES_SUFFIXES)}"
        if channel:
            return f"Channel '{channel}' holds no sales data: {expected}, found {_names(self.input_data / channel)}."
        if not self.input_data.is_dir():
            return (
                f"There is no folder {self.shown(self.input_data)} in {self.root}: give the job a channel named "
                "'training', or set ALSRIAZ_ML_ROOT to the folder that holds input/."
            )
        found = _names(self.input_data)
        return f"There is no channel 'training' in {self.shown(self.input_data)}: {expected} there, found {found}."


def is_sales_name(name: str) -> bool:
    """True where a file of this name is sales data; names that begin with ``.`` or ``_`` never are."""
    return not name.startswith((".", "_")) and name.lower().endswith(SALES_SUFFIXES)


def _sales_below(folder: Path) -> Iterator[Path]:
    """Yield the sales files below `folder`, each once whatever links lead to it.

    What lies in a hidden folder (Spark's _temporary) is left out.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir() or (is_sales_name(entry.name) and entry.is_file()):
                status = entry.stat()
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                if entry.is_dir():
                    waiting.append(entry)
                else:
                    yield entry


def _names(folder: Path, most: int = 5) -> str:
    """Return the names of what lies below a folder, FIFOs included, for a message."""
    names = sorted(path.name for path in folder.rglob("*") if not path.is_dir())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more if names else "nothing"
