"""The settings of serve: environment variables, a row each, read once into a frozen object.

An empty variable counts as not set. Where the model and the rest of the platform's files are is for `platform.layout`
to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alsriaz.errors import BadValue, SpecError
from alsriaz.platform.limits import LOAD_SECONDS, MOST_HISTORY, MOST_K, MOST_RULE_IDS
from alsriaz.platform.machine import available_cores, memory_limit
from alsriaz.platform.setting import Setting
from alsriaz.platform.values import SPELLED_FLAG, Kind, nearest, one_of, optional, spelled, whole
from alsriaz.serving.live_rules.sources import EXPECTED, Location, parse_location

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
"""The media types of bodies."""

LOG_LEVELS = ("debug", "info", "warning", "error")
ACCEPTS = (JSON, LINES, CSV)
STRATEGIES = {"multirecord": "MULTI_RECORD", "singlerecord": "SINGLE_RECORD"}

_TIMEOUT_SECONDS, _TRANSFORM_TIMEOUT_SECONDS = 60, 3600  # the platform's longest: endpoint, batch transform
_MAX_BODY_MB, _TRANSFORM_MAX_BODY_MB = 25, 100
_UNLOAD_SECONDS = 30.0
_TO_ANSWER_SECONDS = 2.0
_MODELS_SHARE = 0.6  # of all memory; what is left is for the workers themselves and for requests

_PREFIX = "ALSRIAZ_"
# Ours too, but read elsewhere; the last ones serve sets for its own processes, which meet in these folders.
_OTHERS = ("ALSRIAZ_ML_ROOT", "ALSRIAZ_ONLINE_RETAIL")
_OWN = MODELS_FOLDER, RULES_FOLDER = "ALSRIAZ_MODELS_FOLDER", "ALSRIAZ_LIVE_RULES_FOLDER"
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
    max_body_mb: int | None
    max_k: int
    max_rule_ids: int
    max_history: int
    default_accept: str | None
    batch_transform: bool
    max_payload_mb: int | None
    batch_strategy: str
    max_concurrent_transforms: int | None
    log_level: str
    multi_model: bool
    models_memory_mb: int
    rules: Location | None
    rules_poll_seconds: int
    rules_max_mb: int

    @property
    def load_seconds(self) -> int:
        """How long loading a model may take: as long as the platform waits for it, or longer."""
        return max(LOAD_SECONDS, self.timeout_seconds)

    @property
    def wait_seconds(self) -> float:
        """How long a request waits for a load, which goes on without it: what is left is to answer in time."""
        return self.timeout_seconds - min(_TO_ANSWER_SECONDS, self.timeout_seconds / 4)

    @property
    def unload_seconds(self) -> float:
        """How long unloading a model waits for requests that use it: it is to be answered in time itself."""
        return min(_UNLOAD_SECONDS, self.timeout_seconds / 2)

    @property
    def max_body_bytes(self) -> int | None:
        """`max_body_mb` in bytes, None for no limit; a megabyte is 2**20 of them, as nginx counts."""
        return None if self.max_body_mb is None else self.max_body_mb * 2**20

    @property
    def rules_max_bytes(self) -> int:
        """`rules_max_mb` in bytes."""
        return self.rules_max_mb * 2**20


def _in_any_case(kind: Kind[Any]) -> Kind[Any]:
    return Kind(kind.expected, lambda text: kind.parse(text.strip().lower()))


def _strategy(text: str) -> str:
    """Parse the platform's MULTI_RECORD and the spelling of its own API, MultiRecord."""
    try:
        return STRATEGIES[text.strip().lower().replace("_", "")]
    except KeyError:
        raise ValueError from None


def _whole(least: int, most: int) -> Kind[int | None]:
    return optional(spelled(whole(least, most)))


# By the field of Settings that each fills.
ROWS: Mapping[str, Setting] = {
    "port": Setting(
        "SAGEMAKER_BIND_TO_PORT", spelled(whole(1, 65_535)), 8080, "The port to listen on; the platform may set it."
    ),
    "workers": Setting(
        "ALSRIAZ_WORKERS",
        _whole(1, 256),
        None,
        "Worker processes. Without it one per core that the control group grants.",
    ),
    "threads": Setting(
        "ALSRIAZ_THREADS",
        spelled(whole(1, 64)),
        4,
        "Requests that a worker holds at a time, each in a thread; all others wait until a worker has room. With 1, "
        "/ping waits behind a long batch.",
    ),
    "timeout_seconds": Setting(
        "ALSRIAZ_TIMEOUT_SECONDS",
        _whole(1, 3600),
        None,
        "A request that takes longer is answered 504, and its worker is replaced once its other requests are done. "
        "Without it 60, which is the platform's own limit for endpoints, and 3600 in a batch transform job. "
        "Asynchronous endpoints want up to 3600.",
    ),
    "shutdown_seconds": Setting(
        "ALSRIAZ_SHUTDOWN_SECONDS",
        spelled(whole(1, 3600)),
        25,
        "How long running requests may take to finish after SIGTERM. The platform kills after 30.",
    ),
    "max_body_mb": Setting(
        "ALSRIAZ_MAX_BODY_MB",
        _whole(1, 1024),
        None,
        "The largest request body in megabytes of 2^20 bytes. Without it 25, and 100 in a batch transform job.",
    ),
    "max_k": Setting("ALSRIAZ_MAX_K", spelled(whole(1, 100_000)), MOST_K, "The largest k that a request may ask for."),
    "max_rule_ids": Setting(
        "ALSRIAZ_MAX_RULE_IDS",
        spelled(whole(1, 10_000_000)),
        MOST_RULE_IDS,
        "The most ids in one include or exclude list of a request.",
    ),
    "max_history": Setting(
        "ALSRIAZ_MAX_HISTORY",
        spelled(whole(1, 1_000_000)),
        MOST_HISTORY,
        "The most history entries in one record of a request.",
    ),
    "default_accept": Setting(
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        _in_any_case(one_of(*ACCEPTS)),
        None,
        "The type of the answer where a request has no Accept header, or takes any type. Without it the request's own.",
    ),
    "batch_transform": Setting(
        "SAGEMAKER_BATCH",
        _in_any_case(SPELLED_FLAG),
        False,
        "Set by the platform in a batch transform job: every record that can't be answered is then an error in its "
        "place, where a single one would be a 4xx, for which the platform gives up the whole file.",
    ),
    "max_payload_mb": Setting(
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        _whole(0, 1_000_000),
        None,
        "Set by the platform where the transform job has it. It raises the limit on bodies where it is higher; "
        "0 takes the limit away. `ALSRIAZ_MAX_BODY_MB` stands above it.",
    ),
    "batch_strategy": Setting(
        "SAGEMAKER_BATCH_STRATEGY",
        Kind("MULTI_RECORD or SINGLE_RECORD", _strategy),
        "MULTI_RECORD",
        "Set by the platform where the transform job has it. Bodies of one record and of many are both taken at any "
        "time; GET /execution-parameters gives it back.",
    ),
    "max_concurrent_transforms": Setting(
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        _whole(0, 10_000),
        None,
        "Set by the platform where the transform job has it; 0 counts as not set. GET /execution-parameters gives it "
        "back.",
    ),
    "log_level": Setting("ALSRIAZ_LOG_LEVEL", _in_any_case(one_of(*LOG_LEVELS)), "info", "What is worth a log line."),
    "multi_model": Setting(
        "SAGEMAKER_MULTI_MODEL",
        _in_any_case(SPELLED_FLAG),
        False,
        "Set by the platform on a multi-model endpoint: serve starts without a model, and requests to /models say "
        "which to load.",
    ),
    "models_memory_mb": Setting(
        "ALSRIAZ_MODELS_MEMORY_MB",
        _whole(1, 16_777_216),
        None,
        "How much memory all models of a multi-model endpoint may take together, in megabytes of 2^20 bytes. Without "
        "it 60 % of what the control group grants.",
    ),
    "rules": Setting(
        "ALSRIAZ_RULES_URI",
        Kind(EXPECTED, parse_location),
        None,
        "Where live rules are: a JSON object like rules.json. They are looked for again and again, and hold for every "
        "request, above the model's standing rules and beneath the request's own.",
    ),
    "rules_poll_seconds": Setting(
        "ALSRIAZ_RULES_POLL_SECONDS",
        spelled(whole(1, 3600)),
        15,
        "How often live rules are looked for, give or take a tenth. Workers follow within a second.",
    ),
    "rules_max_mb": Setting(
        "ALSRIAZ_RULES_MAX_MB",
        spelled(whole(1, 100)),
        10,
        "The largest live rules in megabytes of 2^20 bytes; larger ones are not read.",
    ),
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` asks for.

    Raises:
        SpecError: a variable has a value that its row refuses, or begins with ALSRIAZ_ and is none of ours.
    """
    names = [row.name for row in ROWS.values()] + list(_OTHERS)
    for name, value in environ.items():
        if not name.startswith(_PREFIX) or name in (*names, *_OWN) or not value.strip():
            continue
        if not _SERVICE_LINK.fullmatch(f"{name}={value}"):
            ours = [known for known in names if known.startswith(_PREFIX)]
            raise SpecError(
                f"The environment variable {name} is unknown{nearest(name, ours)} Unset it, or name one of: "
                + ", ".join(sorted(ours))
            )
    values = {field: _value(row, environ) for field, row in ROWS.items()}
    return Settings(**_filled_in(values))


def _filled_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with what follows from the machine, and from the platform's way of asking."""
    transform, payload = values["batch_transform"], values["max_payload_mb"]
    body: int | None = values["max_body_mb"]
    if body is None and payload != 0:
        body = max(_TRANSFORM_MAX_BODY_MB if transform else _MAX_BODY_MB, payload or 0)
    timeout = values["timeout_seconds"] or (_TRANSFORM_TIMEOUT_SECONDS if transform else _TIMEOUT_SECONDS)
    workers = values["workers"] or available_cores()
    memory = values["models_memory_mb"] or max(1, int(_MODELS_SHARE * memory_limit() / 2**20))
    filled_in = {"workers": workers, "timeout_seconds": timeout, "max_body_mb": body, "models_memory_mb": memory}
    return {**values, **filled_in}


def _value(row: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(row.name, "")
    if not text.strip():
        return row.default
    try:
        return row.kind.read(text, f"The environment variable {row.name}")
    except BadValue as error:
        raise SpecError(f"{error} Correct or unset it.") from None
