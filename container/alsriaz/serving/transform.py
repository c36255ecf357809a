"""What a batch transform job should know of this server: the answer to GET /execution-parameters.

Source: SageMaker Developer Guide, "Use Your Own Inference Code with Batch Transform". A transform job's own settings
stand above these.
"""

from alsriaz.serving.settings import Settings

MOST_MB_AT_ONCE = 100
"""The platform's limit on concurrent requests x megabytes of each."""

_PAYLOAD_MB = 1  # 150,000 ids: seconds or minutes, far from the 600 s that the platform waits; it has 6
_THREADS_USED = 2  # of a worker: one computes while the other one reads or writes


def execution_parameters(settings: Settings) -> dict[str, int | str]:
    """Return how many requests at a time, of what kind and size, keep all workers busy."""
    payload = settings.max_payload_mb or _PAYLOAD_MB
    if settings.max_body_mb is not None:
        payload = min(payload, settings.max_body_mb)
    at_once = settings.workers * min(settings.threads, _THREADS_USED)
    if settings.max_concurrent_transforms:
        at_once = settings.max_concurrent_transforms
    at_once = min(at_once, MOST_MB_AT_ONCE)
    return {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": settings.batch_strategy,
        "MaxPayloadInMB": max(1, min(payload, MOST_MB_AT_ONCE // at_once)),
    }
