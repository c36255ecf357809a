"""AWS on this machine: a server of moto, which speaks the services' protocols."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
_SECONDS = 60


@dataclass(frozen=True)
class Moto:
    """A moto server. Its state is that of this process: one at a time."""

    port: int

    @property
    def endpoint(self) -> str:
        """The URL of all services."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
        )

    @contextmanager
    def permissions_checked(self) -> Iterator[None]:
        """Have each request's signature and permissions checked, as AWS does; moto otherwise takes any."""
        self.post("reset-auth", b"0")
        try:
            yield
        finally:
            self.post("reset-auth", b"inf")

    def post(self, path: str, body: bytes) -> None:
        """Tell the server itself something."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/{path}", body, method="POST")  # noqa: S310
        request.add_header("Content-Type", "text/plain")  # else it would be taken for a form
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_SECONDS):
            pass


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Hold a moto server and give its port; what an earlier one of this process held is still there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield int(server.get_host_and_port()[1])
    finally:
        server.stop()
