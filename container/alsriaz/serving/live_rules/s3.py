"""Live rules from an object of S3: the one module that knows boto3, and only the poller's process loads it.

Endpoint and credentials come from where AWS's own tools find them: the environment, or the role of the container; so
does a region that is not given. Reading needs s3:GetObject. Source: S3 API Reference, GetObject, on If-None-Match and
on what is answered for an object that is not there.
"""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from alsriaz.serving.live_rules.sources import Fetched, S3Location, Unusable, too_large

_AT_ONCE = 1 << 16
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
_WHOLE_SECONDS = 25.0
_UNCHANGED = 304
_MISSING = {"NoSuchBucket": "There is no such bucket.", "NoSuchKey": "There is no such object in the bucket."}


class S3Source:
    """An object of S3, asked for by its ETag: what has not changed is not sent."""

    def __init__(
        self, location: S3Location, most_bytes: int, seconds: float = _WHOLE_SECONDS, *, region: str | None = None
    ) -> None:
        """Take the object, the most bytes that it may have, how long reading it may take in all, and the region."""
        self._location = location
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._region = region
        self._client: Any = None

    def fetch(self, known: str | None) -> Fetched | None:
        """Return the object; None where its ETag is still `known`."""
        try:
            return self._asked(known)
        except Unusable as error:
            if error.reason == "denied":
                self._client = None  # it keeps the credentials, or the lack of them, that it was made with
            raise

    def _asked(self, known: str | None) -> Fetched | None:
        try:
            with _at_most(self._seconds):
                return self._fetched(known)
        except _OutOfTime:
            self._client = None  # its connection is in the middle of an answer
            raise Unusable("unreachable", f"S3 took longer than {self._seconds:.0f} s to send it.") from None
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _UNCHANGED:
                return None
            raise _told(error) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise Unusable(
                "denied",
                "There are no AWS credentials: give the container a role that allows s3:GetObject, or set AWS_*.",
            ) from None
        except (IncompleteReadError, FlexibleChecksumError) as error:
            raise Unusable("changed", f"The object came incomplete or damaged: {error}.") from None
        except RecursionError:  # botocore follows a redirect to no region by asking for the region, which is redirected
            raise Unusable("unreachable", "S3 can't be asked: it redirects every request, and to no region.") from None
        except (BotoCoreError, OSError, ValueError) as error:  # ValueError: an endpoint or a region that is no name
            raise Unusable("unreachable", f"S3 can't be asked: {_one_line(error)}.") from None

    def _fetched(self, known: str | None) -> Fetched:
        if self._client is None:
            self._client = boto3.session.Session(region_name=self._region).client("s3", config=_CONFIG)
        asked = {"Bucket": self._location.bucket, "Key": self._location.key}
        answer = self._client.get_object(**asked, **({} if known is None else {"IfNoneMatch": known}))
        with closing(answer["Body"]) as body:
            size = answer.get("ContentLength")
            if size is not None and size > self._most_bytes:
                raise too_large(size, self._most_bytes)
            data = bytearray()
            while some := body.read(_AT_ONCE):
                data += some
                if len(data) > self._most_bytes:
                    raise too_large(None, self._most_bytes)
        if size is not None and len(data) != size:
            raise Unusable("changed", f"The object came incomplete: {len(data):,} of {size:,} bytes.")
        return Fetched(bytes(data), answer.get("ETag"))


class _OutOfTime(BaseException):
    """No Exception: what botocore retries or wraps must let it pass."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Keep the time by a signal: it also ends a server that sends byte after byte. For the main thread alone."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _told(error: ClientError) -> Unusable:
    """Return what an answer of S3 that is an error means."""
    code = str(error.response.get("Error", {}).get("Code"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING or status == 404:
        return Unusable("missing", _MISSING.get(code, "There is no such object."))
    if status in (401, 403) or code in ("ExpiredToken", "InvalidToken"):
        return Unusable(
            "denied",
            f"S3 denies it ({code}): allow s3:GetObject on the object; without s3:ListBucket, S3 answers so too where "
            "there is no such object.",
        )
    return Unusable("unreachable", f"S3 answers {status} ({code}): {_one_line(error)}.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
