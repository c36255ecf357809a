"""What the registry knows of one model, and how that stands in its file."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["loading", "loaded", "unloading"]


@dataclass(frozen=True)
class Entry:
    """One model that is loaded, or on its way in or out.

    Attributes:
        name: what the caller named it.
        url: where the caller said it is; answers repeat it.
        folder: the model folder, which workers map.
        model: the manifest's short hash.
        size: bytes of memory that the model is counted with.
        on_demand: loaded because a request named it, so that it may make room for others.
        unpacked: True where `folder` is a copy of ours, to be removed with the model.
        state: only a loaded model answers; the others hold their memory and their name.
        owner: which worker loads or unloads it.
        serial: a number of its own for each load, so that a model loaded again under its name is another one.
    """

    name: str
    url: str
    folder: str
    model: str
    size: int
    on_demand: bool = False
    unpacked: bool = False
    state: State = "loading"
    owner: str = ""
    serial: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The registry at one moment: `models` by name, and a `generation` that no two contents share."""

    generation: int
    serials: int
    models: dict[str, Entry]

    def loaded(self, name: str) -> Entry | None:
        """Return the model of that name where it can answer."""
        entry = self.models.get(name)
        return entry if entry is not None and entry.state == "loaded" else None

    @property
    def size(self) -> int:
        """Bytes of all models together, those on their way in or out too."""
        return sum(entry.size for entry in self.models.values())


EMPTY = Snapshot(0, 0, {})


def pack(snapshot: Snapshot) -> bytes:
    """Return the text of the registry's file: a line with the generation, then one with all the rest."""
    rest = {"serials": snapshot.serials, "models": [asdict(entry) for entry in snapshot.models.values()]}
    return f"{snapshot.generation}\n{json.dumps(rest)}\n".encode()


def unpack(text: bytes) -> Snapshot:
    """Return what `pack` packed."""
    generation, _, rest = text.partition(b"\n")
    values = json.loads(rest)
    return Snapshot(int(generation), values["serials"], {model["name"]: Entry(**model) for model in values["models"]})
