#!/usr/bin/env python3
"""The demo itself; local_test/demo.sh sets the machine up and runs it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # The script's own folder stands first there, where our tables.py or any other name would shadow another package's.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from local_test.arguments import parse
from local_test.programs import DemoError, Interrupted, end_on_signals


def main(arguments: Sequence[str]) -> int:
    """Run the demo and return its exit status: 0, 1 where it could not go on, 128 + n after signal n."""
    options = parse(arguments)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a description must not end the demo
    end_on_signals()
    try:
        from local_test.story import tell  # takes a while, and Ctrl-C must be heeded from the start

        tell(options)
        sys.stdout.flush()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        print("demo: stopped; nothing of it runs any more", file=sys.stderr)
        return 128 + stop.number
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
