"""One HTTP request and its answer, as the access log and the metrics see them."""

import time
from dataclasses import dataclass, field

from alsriaz.questions.tally import Tally

QUIET = ("/ping", "/metrics")
"""Routes that are asked by probes all the time: logged at level debug only, and not counted."""


@dataclass
class Exchange:
    """What is known of one request; filled in while it is answered.

    Attributes:
        method: of HTTP; any text.
        route: the pattern of the path, such as ``/invocations``, never the path itself, which a client can write
            anything into; None where there is no such path.
        path: the path itself, for level debug alone.
        inference_id: the platform's X-Amzn-SageMaker-Inference-Id as the client sent it, or None.
        began: when, by time.perf_counter.
        status: of the answer; 0 until there is one.
        size: how many bytes of the answer's body were handed to the server.
        whole: False where the answer was cut: its client went away, or we failed.
        error: the code of the error that was the answer, or None.
        model: the short hash of the model that answered, or None.
        tally: what its records came to.
    """

    method: str
    route: str | None
    path: str
    inference_id: str | None
    began: float = field(default_factory=time.perf_counter)
    status: int = 0
    size: int = 0
    whole: bool = False
    error: str | None = None
    model: str | None = None
    tally: Tally = field(default_factory=Tally)

    def seconds(self) -> float:
        """Return for how long it has been going on."""
        return time.perf_counter() - self.began
