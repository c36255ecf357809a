"""What a training run tells while it works: plain lines on standard error, metrics on standard output."""

import sys
import time
from collections.abc import Mapping, Sequence


class Log:
    """Lines for a person, each with the seconds since the start."""

    def __init__(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Write one line."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Write one line that the reader should act on."""
        self.say(f"warning: {text}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows in aligned columns: the first to the left, the others to the right."""
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            print(" " * 12 + "  ".join(cells).rstrip(), file=sys.stderr, flush=True)


def print_metrics(metrics: Mapping[str, float]) -> None:
    """Print each metric as ``name=value;`` on a line of its own, for SageMaker's MetricDefinitions."""
    for name, value in metrics.items():
        print(f"{name}={value};" if isinstance(value, int) else f"{name}={value:.4f};", flush=True)
