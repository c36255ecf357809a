"""S3 on this machine: moto's server, which speaks its protocol, and one that answers whatever a test says."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.moto_server import REGION, Moto, listening

BUCKET = "shop-rules"
KEY = "live/rules.json"
URI = f"s3://{BUCKET}/{KEY}"

Respond = Callable[[socket.socket], None]


@dataclass(frozen=True)
class S3(Moto):
    """A moto server with the bucket `BUCKET`."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes AWS's own tools ask this server."""
        return environment_of(self.port)

    def put(self, data: bytes | str, key: str = KEY) -> None:
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)

    def delete(self, key: str = KEY) -> None:
        self.client("s3").delete_object(Bucket=BUCKET, Key=key)


def environment_of(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


@contextlib.contextmanager
def moto_s3(port: int = 0) -> Iterator[S3]:
    """Hold a moto server; its state is this process's, so what an earlier one held is still there."""
    with listening(port) as listened:
        s3 = S3(listened)
        if not any(bucket["Name"] == BUCKET for bucket in s3.client("s3").list_buckets()["Buckets"]):
            where = {"LocationConstraint": REGION}
            s3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        yield s3


@contextlib.contextmanager
def answering(respond: Respond, heads: list[bytes] | None = None) -> Iterator[int]:
    """Listen, and answer each request by what `respond` writes; give the port. What was asked is added to `heads`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_all, args=(listener, respond, [] if heads is None else heads))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answer_all(listener: socket.socket, respond: Respond, heads: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and (some := connection.recv(65536)):
                    head += some
                heads.append(head)
                respond(connection)
