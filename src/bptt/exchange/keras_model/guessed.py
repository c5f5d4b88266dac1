"""The layers of a file that has arrays alone: what names and shapes tell, and what is usual for the rest."""

import re
import warnings
from dataclasses import dataclass
from typing import Any

from bptt.errors import BpttWarning, ConfigError
from bptt.exchange.keras_model.container import Container
from bptt.exchange.keras_model.nodes import WAY_OUT, Node, snake
from bptt.exchange.keras_model.weights import arrays_below, old_names

CELLS = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}
"""By how many blocks of H columns their arrays have."""

SILENT = {
    "input_layer": "InputLayer",
    "input": "InputLayer",
    "dropout": "Dropout",
    "spatial_dropout1d": "Dropout",
    "activation": "InputLayer",
    "softmax": "InputLayer",
    "masking": "Masking",
    "global_average_pooling1d": "GlobalAveragePooling1D",
    "top_level_model_weights": "InputLayer",
}
"""Layers without arrays, by what their names begin with."""

ARRAYS = (
    "embedding",
    *map(snake, (*CELLS.values(), "Bidirectional", "Dense", "BatchNormalization", "TimeDistributed")),
)
"""What the places of layers with arrays begin with."""

SURE = "a whole model, saved as .keras, tells"


@dataclass(frozen=True)
class Entry:
    """A layer, as its arrays tell it."""

    name: str
    stem: str
    number: int
    kind: str
    shapes: list[tuple[int, ...]]
    place: str

    @property
    def reads(self) -> int:
        """The size of what it reads."""
        return self.shapes[0][0]


def guessed(file: Container) -> list[Node]:
    """Return the layers of a file without a configuration, and say as a warning what is not told.

    ConfigError where there are such as no model of bptt has, or their order is not told.
    """
    entries = _entries(file)
    if not file.is_old:
        entries = _ordered(entries)
    embedding = next((entry for entry in entries if entry.kind == "Embedding"), None)
    outputs = [entry for entry in entries if entry.kind == "Dense"]
    V, K = embedding.reads if embedding else None, outputs[-1].shapes[0][1] if outputs else None
    recurrent = [entry for entry in entries if entry.kind in (*CELLS.values(), "Bidirectional")]
    pooled = any(entry.kind == "GlobalAveragePooling1D" for entry in entries)
    each = (V is not None and V == K) or (bool(outputs) and outputs[-1].stem == "time_distributed")
    own = "linear" if V is None else "sigmoid" if K == 1 else "softmax"
    where = "mean" if pooled else "outputs of each step" if each else "last output"
    warnings.warn(
        f"it has arrays alone: its gates are taken for sigmoid, its cells for tanh, what Dense reads for the "
        f"{where}, its activation for {own}, and no token for padding; {SURE}",
        BpttWarning,
        stacklevel=2,
    )
    found = []
    for entry in entries:
        config: dict[str, Any] = {"mask_zero": False}
        if entry in recurrent:
            config = _recurrent(entry, sequences=entry is not recurrent[-1] or pooled or each)
        elif entry.kind == "Dense":
            config = {"use_bias": len(entry.shapes) == 2, "activation": own}
        elif entry.kind == "BatchNormalization":
            config = {"axis": -1, "epsilon": 1e-3}
        elif entry.kind == "Dropout":
            config = {"rate": 0.0}
        inside = "/cell" if entry.kind in CELLS.values() else "/layer" * (entry.stem == "time_distributed")
        found.append(Node(entry.kind, entry.name, config, entry.place + inside, entry.name))
    return found


def alone(file: Container) -> list[Node]:
    """Return the recurrent layers of a file, wherever they lie, with the activations that are usual."""
    if file.is_old:
        entries = [e for e in _entries(file, every=False) if e.kind in (*CELLS.values(), "Bidirectional")]
        return [Node(e.kind, e.name, _recurrent(e, sequences=True), e.place, e.name) for e in entries]
    groups: dict[str, list[tuple[int, ...]]] = {}
    for path in arrays_below(file, ""):
        groups.setdefault(path.rpartition("/vars/")[0], []).append(file.tree.shape(path))
    found = []
    for place, shapes in groups.items():
        if (
            len(shapes) not in (2, 3)
            or len(shapes[0]) != 2
            or _kind(shapes, is_embedding=False) not in CELLS.values()
        ):
            continue
        head, _, way = place.removesuffix("/cell").rpartition("/")
        if way == "backward_layer":  # its forward layer tells of it
            continue
        both = way == "forward_layer"
        kind = "Bidirectional" if both else str(_kind(shapes, is_embedding=False))
        entry = Entry(
            head if both else place, "", 0, kind, shapes * (2 if both else 1), head if both else place
        )
        found.append(Node(kind, entry.name, _recurrent(entry, sequences=True), entry.place, entry.name))
    return found


def _entries(file: Container, *, every: bool = True) -> list[Entry]:
    """Return the layers, of which all must be known where `every` one is wanted."""
    found = []
    root = file.root
    names = file.tree.texts("layer_names", root) if file.is_old else file.tree.names("layers")
    for name in names or []:
        told = re.fullmatch(r"(.+?)(?:_(\d+))?", name)
        stem, number = (told[1], int(told[2] or 0)) if told else (name, 0)
        place = f"layers/{name}"
        paths = old_names(file, root, name) if file.is_old else list(arrays_below(file, place))
        shapes = [file.tree.shape(path) for path in paths]
        is_embedding = stem == "embedding" or any("/embeddings" in path for path in paths)
        kind = _kind(shapes, is_embedding=is_embedding) if shapes else SILENT.get(stem)
        if kind is None or (shapes and not file.is_old and stem not in ARRAYS):
            if not every:
                continue
            raise ConfigError(f"its layer {name:.60} has no place, or {SURE} what it is; {WAY_OUT}")
        found.append(Entry(name, stem, number, kind, shapes, place))
    if not found:
        raise ConfigError(f"it has no arrays of layers; {SURE} them")
    return found


def _kind(shapes: list[tuple[int, ...]], *, is_embedding: bool) -> str | None:
    """Return which layer has arrays of these shapes."""
    if len(shapes) == 4 and all(len(shape) == 1 for shape in shapes):
        return "BatchNormalization"
    if len(shapes[0]) != 2 or min(shapes[0]) < 1:
        return None
    if len(shapes) > 1 and len(shapes[1]) == 2 and shapes[0][1] == shapes[1][1]:
        return _cell(shapes) if len(shapes) < 4 else "Bidirectional" if len(shapes) in (4, 6) else None
    if len(shapes) == 1 and is_embedding:
        return "Embedding"
    return "Dense" if len(shapes) == 1 or shapes[1:] == [shapes[0][1:]] else None


def _cell(shapes: list[tuple[int, ...]]) -> str | None:
    return CELLS.get(shapes[1][1] // max(shapes[1][0], 1))


def _ordered(entries: list[Entry]) -> list[Entry]:
    """Return the layers in the order that their numbers and sizes give: by classes they stand in a file."""
    rank = {
        "InputLayer": 0,
        "Embedding": 1,
        "Masking": 1,
        "Dropout": 2,
        "GlobalAveragePooling1D": 4,
        "Dense": 5,
    }
    if odd := [entry.name for entry in entries if entry.kind == "BatchNormalization"]:
        raise ConfigError(f"where {odd[0]:.60} stands is not told by its arrays; {SURE} it")
    left = sorted((e for e in entries if e.kind not in rank), key=lambda e: (e.stem, e.number))
    width = next((entry.shapes[0][1] for entry in entries if entry.kind == "Embedding"), None)
    ordered: list[Entry] = []
    while left:
        first = list({entry.stem: entry for entry in reversed(left)}.values())  # of each class the next
        if width is not None and len(first) > 1:
            first = [entry for entry in first if entry.reads == width]
        if len(first) != 1:
            raise ConfigError(f"the order of its layers is not told by its arrays; {SURE} it")
        ordered.append(first[0])
        left.remove(first[0])
        width = first[0].shapes[1][0] * (2 if first[0].kind == "Bidirectional" else 1)
    others = sorted((e for e in entries if e.kind in rank), key=lambda e: (rank[e.kind], e.number))
    return [e for e in others if rank[e.kind] < 3] + ordered + [e for e in others if rank[e.kind] > 3]


def _recurrent(entry: Entry, *, sequences: bool) -> dict[str, Any]:
    """Return the configuration of a recurrent layer."""
    both = entry.kind == "Bidirectional"
    shapes = entry.shapes[: len(entry.shapes) // 2] if both else entry.shapes
    config: dict[str, Any] = {
        "units": shapes[1][0],
        "use_bias": len(shapes) == 3,
        "return_sequences": sequences,
        "reset_after": len(shapes) < 3 or len(shapes[2]) == 2,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
    }
    return (
        {"layer": {"class_name": _cell(shapes), "config": config}, "merge_mode": "concat"} if both else config
    )
