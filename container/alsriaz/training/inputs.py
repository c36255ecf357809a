"""The job's input, wherever it is: files in folders, or FIFOs that are copied into scratch space first."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from alsriaz.platform.channels import Channel
from alsriaz.platform.layout import ITEMS_CHANNEL, RULES_CHANNEL, RULES_NAME, SPEC_CHANNEL, SPEC_NAME, Layout
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.tables.given_items import ItemsKind
from alsriaz.tables.sales import SalesKind
from alsriaz.training.pipes import copy_json, copy_table, open_pipe, refuse_record_io


class Inputs:
    """Finds spec, rules and sales. Nothing below /opt/ml/input is written: a channel's folder may be read-only."""

    def __init__(self, layout: Layout, channels: Mapping[str, Channel], folder: Path, progress: Progress) -> None:
        """Look below `layout`; what comes through FIFOs is copied into `folder`, which is empty."""
        self._layout = layout
        self._channels = channels
        self._folder = folder
        self._progress = progress
        self._piped = {name for name, channel in channels.items() if channel.piped}

    def spec_file(self) -> Path | None:
        """Return the one als_spec.json, or None; SpecError where there are two."""
        return self._json_file(self._layout.spec_file(self._piped), SPEC_CHANNEL, SPEC_NAME)

    def rules_file(self) -> Path | None:
        """Return the one rules.json, or None; SpecError where there are two."""
        return self._json_file(self._layout.rules_file(self._piped), RULES_CHANNEL, RULES_NAME)

    def sales_files(self) -> list[Path]:
        """Return the sales files, or the one FIFO that `readable` makes a file of; DataError where there are none."""
        channel = self._layout.training_channel(self._piped)
        if channel not in self._piped:
            return self._layout.sales_files()
        if self._channels[channel].record_io:
            refuse_record_io(channel)
        return [self._layout.pipe(channel)]

    def items_files(self, spec: Spec) -> list[Path]:
        """Return the files of the shop's table of items, which can be read more than once; none where there is none."""
        if ITEMS_CHANNEL not in self._piped:
            return self._layout.items_files()
        if self._channels[ITEMS_CHANNEL].record_io:
            refuse_record_io(ITEMS_CHANNEL)
        with open_pipe(self._layout.pipe(ITEMS_CHANNEL), ITEMS_CHANNEL, self._progress) as stream:
            kind = ItemsKind(spec, f"{ITEMS_CHANNEL}_0")
            return [copy_table(stream, ITEMS_CHANNEL, self._folder, kind, self._progress)]

    def readable(self, files: list[Path], spec: Spec) -> list[Path]:
        """Return what `sales_files` gave as files that can be read from the beginning, and more than once."""
        channel = self._layout.training_channel(self._piped)
        if channel not in self._piped:
            return files
        with open_pipe(files[0], channel, self._progress) as stream:
            kind = SalesKind(spec, f"{channel}_0")
            return [copy_table(stream, channel, self._folder, kind, self._progress)]

    def drop_copies(self) -> None:
        """Free the space that copies take, once they have been read."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _json_file(self, path: Path | None, channel: str, name: str) -> Path | None:
        if path is None or path != self._layout.pipe(channel):
            return path
        if self._channels[channel].record_io:
            refuse_record_io(channel)
        with open_pipe(path, channel, self._progress) as stream:
            copy_json(stream, channel, self._folder / name)
        return self._folder / name
