"""The settings of serve: environment variables, a row each, read once into a frozen object.

An empty variable counts as not set. Where the model and the rest of the platform's files are is `core.layout`'s to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alsriaz.core.errors import SpecError
from alsriaz.core.machine import available_cores
from alsriaz.core.setting import Setting, markdown_table, nearest, optional, shown, whole
from alsriaz.serving.media import CSV, JSON, LINES

LOG_LEVELS = ("debug", "info", "warning", "error")
ACCEPTS = (JSON, LINES, CSV)

_PREFIX = "ALSRIAZ_"
_OTHERS = ("ALSRIAZ_ML_ROOT", "ALSRIAZ_ONLINE_RETAIL")  # ours too, but read elsewhere
# Kubernetes tells each container where a service is by such variables, and may well have a service named alsriaz.
_SERVICE_LINK = re.compile(
    r"ALSRIAZ_(\w+_)?(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_\w+)=.*|ALSRIAZ_(\w+_)?PORT=\w+://.*"
)


@dataclass(frozen=True)
class Settings:
    """What the environment asks of serve; `ROWS` says what each field means."""

    port: int
    workers: int
    threads: int
    timeout_seconds: int
    shutdown_seconds: int
    max_body_mb: int
    max_k: int
    max_rule_ids: int
    max_history: int
    default_accept: str | None
    log_level: str

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mb` in bytes; a megabyte is 2**20 of them, as nginx counts."""
        return self.max_body_mb * 2**20


def _one_of(*names: str) -> Any:
    def parse(value: str) -> str:
        name = value.strip().lower()
        if name not in names:
            raise ValueError
        return name

    return parse


def _whole(name: str, low: int, high: int, default: int, meaning: str) -> Setting:
    return Setting(name, whole(low, high), f"a whole number from {low} to {high}", default, meaning)


# By the field of Settings that each fills.
ROWS: Mapping[str, Setting] = {
    "port": _whole("SAGEMAKER_BIND_TO_PORT", 1, 65_535, 8080, "The port to listen on; the platform may set it."),
    "workers": Setting(
        "ALSRIAZ_WORKERS",
        optional(whole(1, 256)),
        "a whole number from 1 to 256",
        None,
        "Worker processes. Without it one per core that the control group grants.",
    ),
    "threads": _whole(
        "ALSRIAZ_THREADS",
        1,
        64,
        4,
        "Requests that a worker holds at a time, each in a thread; all others wait until a worker has room. With 1, "
        "/ping waits behind a long batch.",
    ),
    "timeout_seconds": _whole(
        "ALSRIAZ_TIMEOUT_SECONDS",
        1,
        3600,
        60,
        "A request that takes longer is answered 504, and its worker is replaced once its other requests are done. "
        "The platform's own limit is 60 for endpoints, more for batch transform and asynchronous endpoints.",
    ),
    "shutdown_seconds": _whole(
        "ALSRIAZ_SHUTDOWN_SECONDS",
        1,
        3600,
        25,
        "How long running requests may take to finish after SIGTERM. The platform kills after 30.",
    ),
    "max_body_mb": _whole("ALSRIAZ_MAX_BODY_MB", 1, 1024, 25, "The largest request body in megabytes of 2^20 bytes."),
    "max_k": _whole("ALSRIAZ_MAX_K", 1, 100_000, 1000, "The largest k that a request may ask for."),
    "max_rule_ids": _whole(
        "ALSRIAZ_MAX_RULE_IDS", 1, 10_000_000, 100_000, "The most ids in one include or exclude list of a request."
    ),
    "max_history": _whole(
        "ALSRIAZ_MAX_HISTORY", 1, 1_000_000, 10_000, "The most history entries in one record of a request."
    ),
    "default_accept": Setting(
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        _one_of(*ACCEPTS),
        "one of " + ", ".join(ACCEPTS),
        None,
        "The type of the answer where a request has no Accept header, or takes any type. Without it the request's own.",
    ),
    "log_level": Setting(
        "ALSRIAZ_LOG_LEVEL",
        _one_of(*LOG_LEVELS),
        "one of " + ", ".join(LOG_LEVELS),
        "info",
        "What is worth a log line.",
    ),
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` asks for.

    Raises:
        SpecError: a variable has a value that its row refuses, or begins with ALSRIAZ_ and is none of ours.
    """
    names = [row.name for row in ROWS.values()] + list(_OTHERS)
    for name in environ:
        if name.startswith(_PREFIX) and name not in names and not _SERVICE_LINK.fullmatch(f"{name}={environ[name]}"):
            ours = [known for known in names if known.startswith(_PREFIX)]
            raise SpecError(
                f"The environment variable {name} is unknown{nearest(name, ours)} Unset it, or name one of: "
                + ", ".join(sorted(ours))
            )
    values = {field: _value(row, environ) for field, row in ROWS.items()}
    values["workers"] = values["workers"] or available_cores()
    return Settings(**values)


def settings_table() -> str:
    """Return the rows as a Markdown table for docs/settings.md."""
    return markdown_table(ROWS.values())


def _value(row: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(row.name, "")
    if not text.strip():
        return row.default
    try:
        return row.parse(text)
    except (ValueError, OverflowError):
        raise SpecError(
            f"The environment variable {row.name} is {shown(text)}, expected {row.expected}. Correct or unset it."
        ) from None
