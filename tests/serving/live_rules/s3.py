"""S3 on this machine: moto's server, which speaks its protocol, and one that answers whatever a test says."""

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "shop-rules"
KEY = "live/rules.json"
URI = f"s3://{BUCKET}/{KEY}"

Respond = Callable[[socket.socket], None]


@dataclass(frozen=True)
class S3:
    """A moto server with the bucket `BUCKET`."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What makes AWS's own tools ask this server."""
        return environment_of(self.port)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="eu-west-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
        )

    def put(self, data: bytes | str, key: str = KEY) -> None:
        self.client().put_object(Bucket=BUCKET, Key=key, Body=data)

    def delete(self, key: str = KEY) -> None:
        self.client().delete_object(Bucket=BUCKET, Key=key)

    @contextlib.contextmanager
    def permissions_checked(self) -> Iterator[None]:
        """Have each request's signature and permissions checked, as AWS does; moto otherwise takes any."""
        self._post("reset-auth", b"0")
        try:
            yield
        finally:
            self._post("reset-auth", b"inf")

    def _post(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/moto-api/{path}", body, {"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60):
            pass


def environment_of(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


@contextlib.contextmanager
def moto_s3(port: int = 0) -> Iterator[S3]:
    """Hold a moto server; its state is this process's, so what an earlier one held is still there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        s3 = S3(server.get_host_and_port()[1])
        if not any(bucket["Name"] == BUCKET for bucket in s3.client().list_buckets()["Buckets"]):
            where = {"LocationConstraint": "eu-west-1"}
            s3.client().create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        yield s3
    finally:
        server.stop()


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
