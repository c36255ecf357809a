"""A client that plays the platform to a server in multi-model mode: nothing but HTTP."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from alsriaz.model.manifest import read_manifest
from tests.serving.serving_process import Answer, HttpServer, Locally, Serving
from tests.small_models import shop

MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true", "ALSRIAZ_WORKERS": "2"}
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"


@dataclass
class Platform:
    """Loads, lists, invokes and unloads; `root` is the platform's base folder as the server sees it."""

    server: HttpServer
    root: str
    used: list[str] = field(default_factory=list)  # what is loaded, the least used first

    def load(self, name: str, folder: str) -> Answer:
        body = json.dumps({"model_name": name, "url": f"{self.root}/models/{folder}"})
        return self.server.request("POST", "/models", body, {"Content-Type": "application/json"})

    def unload(self, name: str) -> Answer:
        return self.server.request("DELETE", path_of(name))

    def get(self, name: str) -> Answer:
        return self.server.request("GET", path_of(name))

    def page(self, token: str | None = None) -> Answer:
        query = "" if token is None else f"?{urlencode({'next_page_token': token})}"
        return self.server.request("GET", f"/models{query}")

    def pages(self) -> Iterator[list[dict[str, str]]]:
        token = None
        while True:
            answer = self.page(token).json()
            yield answer["models"]
            token = answer.get("nextPageToken")
            if token is None:
                return

    def names(self) -> list[str]:
        return [model["modelName"] for page in self.pages() for model in page]

    def invoke(self, name: str, question: Any, **headers: str) -> Answer:
        kind = {"Content-Type": "application/json"}
        return self.server.request("POST", f"{path_of(name)}/invoke", json.dumps(question), kind | headers)

    def invocations(self, target: str | None, question: Any) -> Answer:
        headers = {"Content-Type": "application/json"} | ({} if target is None else {TARGET_MODEL: target})
        return self.server.request("POST", "/invocations", json.dumps(question), headers)

    def ask(self, name: str, folder: str, question: Any) -> Answer:
        """Ask a model as the platform does: load it first where needed, and make room where there is none."""
        if name in self.used:
            self.used.remove(name)
        else:
            while (loaded := self.load(name, folder)).status == 507:
                assert self.unload(self.used.pop(0)).status == 200
            assert loaded.status == 200, loaded.body
        self.used.append(name)
        return self.invoke(name, question)


def path_of(name: str) -> str:
    return f"/models/{quote(name, safe='')}"


def platform(serving: Serving, server: HttpServer, root: Path) -> Platform:
    return Platform(server, str(root) if isinstance(serving, Locally) else "/opt/ml")


def write_shop(folder: Path, number: int) -> str:
    """Write a small model unlike those of other numbers, and return the short hash that its answers carry."""
    shop(spec={"als_rank": 2, "reco_item": number + 1}).write(folder)
    return read_manifest(folder).short_hash


def write_slow_archive(folder: Path, archive: Path, megabytes: int) -> None:
    """Pack a model folder behind so many zeros, which take next to no room, and half a second a gigabyte to go through.

    They stand there as one compressed block many times over: a gzip file may have many members.
    """
    block = 64 * 2**20
    size = megabytes * 2**20 // block * block
    padding = tarfile.TarInfo("padding")
    padding.size = size
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    zeros = gzip.compress(bytes(block), 1)
    with archive.open("wb") as stream:
        stream.write(gzip.compress(padding.tobuf()))
        for _ in range(size // block):
            stream.write(zeros)
        stream.write(gzip.compress(packed.getvalue()))
