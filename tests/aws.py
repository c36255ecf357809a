"""AWS on this machine: a moto server that speaks STS's, IAM's and ECR's protocols, and a real Docker registry."""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import moto.ecr.models
import pytest

from tests.image.docker import PATIENCE, docker, started_container
from tests.moto_server import REGION, Moto, listening
from tests.serving.serving_process import free_port

ACCOUNT = "123456789012"  # moto's own
PASSWORD = f"{ACCOUNT}-auth-token"  # what moto's get-login-password gives
_HASH = "$2b$04$meDbIJq/FhASNXiBi.wJ7.uC159iF0EDeh0gEsEhmjTfVoEGQwO.6"  # bcrypt's, of that password

MANIFESTS = {
    "docker": "application/vnd.docker.distribution.manifest.v2+json",
    "docker list": "application/vnd.docker.distribution.manifest.list.v2+json",
    "oci": "application/vnd.oci.image.manifest.v1+json",
    "oci index": "application/vnd.oci.image.index.v1+json",
}

REGISTRY_IMAGE = "alsriaz-test-registry"
REGISTRY = f"""
FROM debian:trixie-slim
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends docker-buildx docker-registry
RUN echo 'AWS:{_HASH}' >/etc/docker/registry/htpasswd
"""


@cache
def registry_image() -> str:
    """Return the tag of an image that holds Debian's docker-registry and docker-buildx, built on first use."""
    command = ["docker", "build", "--network", "host", "--tag", REGISTRY_IMAGE, "-"]
    done = subprocess.run(command, input=REGISTRY, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return REGISTRY_IMAGE


def copy_buildx(folder: Path) -> None:
    """Put Debian's buildx, which is one static program, into a folder of Docker's plugins."""
    with started_container(registry_image(), "true") as container:
        docker("cp", f"{container.name}:/usr/libexec/docker/cli-plugins/docker-buildx", str(folder))


@dataclass(frozen=True)
class Registry:
    """A registry on this machine that knows one user, AWS, by moto's password."""

    address: str

    def answer(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the registry's HTTP API, and return status, headers with names in small letters, and body."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", body, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"AWS:{PASSWORD}".encode()).decode())
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {}, error.read()

    def manifest(self, name: str, tag: str) -> tuple[str, dict[str, Any]]:
        """Return a manifest's media type, as the registry says it, and the manifest, in whatever form it was pushed."""
        status, headers, body = self.answer(f"{name}/manifests/{tag}", Accept=", ".join(MANIFESTS.values()))
        assert status == 200, body
        return headers["content-type"], json.loads(body)

    def image_config(self, name: str, tag: str) -> dict[str, Any]:
        """Return the configuration of a pushed image."""
        digest = self.manifest(name, tag)[1]["config"]["digest"]
        found: dict[str, Any] = json.loads(self.answer(f"{name}/blobs/{digest}")[2])
        return found

    def put_manifest(self, name: str, tag: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Store a manifest in the form that it says it has, and return how a list of manifests names it."""
        body = json.dumps(manifest).encode()
        path = f"{name}/manifests/{tag}"
        status, headers, words = self.answer(path, method="PUT", body=body, Content_Type=manifest["mediaType"])
        assert status == 201, words
        return {"mediaType": manifest["mediaType"], "digest": headers["docker-content-digest"], "size": len(body)}

    def put_blob(self, name: str, blob: bytes) -> dict[str, Any]:
        """Store a blob, and return how a manifest names it, but for its media type."""
        digest = f"sha256:{sha256(blob).hexdigest()}"
        place = self.answer(f"{name}/blobs/uploads/", method="POST", body=b"")[1]["location"].split("/v2/")[1]
        kind = "application/octet-stream"
        status, _, words = self.answer(f"{place}&digest={digest}", method="PUT", body=blob, Content_Type=kind)
        assert status == 201, words
        return {"digest": digest, "size": len(blob)}

    def tags(self, name: str) -> list[str]:
        """Return a repository's tags in order; none where there is no such repository."""
        status, _, body = self.answer(f"{name}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []


@contextmanager
def started_registry(*options: str) -> Iterator[Registry]:
    """Hold a registry; `options` are of docker run."""
    registry = Registry(f"127.0.0.1:{free_port()}")
    settings = ("--env", f"REGISTRY_HTTP_ADDR={registry.address}", "--env", "REGISTRY_LOG_LEVEL=warn")
    command = ("docker-registry", "serve", "/etc/docker/registry/config.yml")
    with started_container(registry_image(), *command, options=("--network", "host", *settings, *options)) as container:
        deadline = time.monotonic() + PATIENCE
        while not is_up(registry):
            assert container.ended() is None and time.monotonic() < deadline, container.log()
            time.sleep(0.05)
        yield registry


def is_up(registry: Registry) -> bool:
    try:
        return registry.answer("")[0] == 200
    except OSError:
        return False


@dataclass(frozen=True)
class Aws(Moto):
    """A moto server with what the AWS CLI needs to ask it."""

    def environment(self, key: str = "testing", secret: str = "testing", token: str = "") -> dict[str, str]:  # noqa: S107
        """Return what makes the AWS CLI ask this server, by credentials that it takes."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
        }

    def repositories(self) -> list[dict[str, Any]]:
        """Return all repositories, as ECR describes them."""
        found: list[dict[str, Any]] = self.client("ecr").describe_repositories()["repositories"]
        return found

    def create_repository(self, name: str, mutability: str = "MUTABLE") -> None:
        """Make a repository."""
        self.client("ecr").create_repository(repositoryName=name, imageTagMutability=mutability)

    def put_image(self, name: str, tag: str) -> None:
        """Give ECR an image of a tag; its layers are of no interest to it."""
        config = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": "sha256:" + "0" * 64,
        }
        manifest = {"schemaVersion": 2, "mediaType": MANIFESTS["docker"], "config": config, "layers": []}
        self.client("ecr").put_image(repositoryName=name, imageTag=tag, imageManifest=json.dumps(manifest))

    def user(self, *actions: str) -> dict[str, str]:
        """Make a user who may do these actions and no others; return the environment of that user's AWS CLI."""
        iam = self.client("iam")
        iam.create_user(UserName="shopkeeper")
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="shopkeeper", PolicyName="some", PolicyDocument=document)
        key = iam.create_access_key(UserName="shopkeeper")["AccessKey"]
        return self.environment(key["AccessKeyId"], key["SecretAccessKey"])

    def other_account(self) -> dict[str, str]:
        """Return the environment of an AWS CLI that acts in another account."""
        role = "arn:aws:iam::111122223333:role/other"
        found = self.client("sts").assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
        return self.environment(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def forget(self) -> None:
        """Forget all that was made."""
        self.post("reset", b"")


@contextmanager
def started_aws(registry: Registry) -> Iterator[Aws]:
    """Hold a moto server whose repositories say that their images are in `registry`."""

    class Repository(moto.ecr.models.Repository):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.uri = f"{registry.address}/{self.name}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moto.ecr.models, "Repository", Repository)
        with listening() as port:
            yield Aws(port)
