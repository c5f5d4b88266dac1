"""What stands in a run's files: the type and range of every value, and the digests by which damage is seen.

The files are described in ``docs/format.md``. Whatever is read from one passes through here before it is
used: it is decoded by :mod:`msgspec`, which takes no value of another type and no number out of its range.
"""

import hashlib
import json
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta, Struct

from bptt.cells import Cell
from bptt.data.series import Step
from bptt.data.tables import Category, Number, Numbers
from bptt.data.text import Kind
from bptt.errors import BpttWarning, RunError
from bptt.files import read_regular
from bptt.nets.model import Model
from bptt.training.settings import SETTINGS, Settings
from bptt.types import Array, Params
from bptt.zoo import get, record

FORMAT = 2
"""Raised when a run's files change so that older versions cannot read them."""

OLDEST = 1
"""The first format that is still read: it had no digests."""

LIMITS = {
    "config.json": 4 << 20,
    "vocabulary.json": 16 << 20,
    "log.jsonl": 128 << 20,
    "last.safetensors": 8 << 30,
    "best.safetensors": 8 << 30,
    "standard-input": 1 << 30,
}
"""A run's files, and how many bytes each may have: what is larger is not read."""

HEADER_LIMIT = 16 << 20
"""Bytes of a checkpoint's header."""

PARTS = frozenset(("format", "bptt", "settings", "model", "cell", "data", "runs_on", "from", "id", "sha256"))
"""What a configuration has."""

PYTHON = "(saved from Python)"
"""What stands for the data of a run that was trained in Python."""

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Size = Annotated[int, Meta(ge=1, le=1 << 31)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Place = Annotated[str, Meta(max_length=1 << 14)]


class Digests(Struct, forbid_unknown_fields=True):
    """SHA-256 sums: of the configuration without this one, and of the vocabulary's file."""

    config: Digest
    vocabulary: Digest | None


class CellRecord(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A cell: its name alone where it is one of ``bptt.cells.CELLS``, or else its equations."""

    name: Name
    equations: Annotated[str, Meta(max_length=1 << 18)] | None = None


class Facts(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of the data; of a task, where they come from alone."""

    source: Place
    tokens: Kind | None = None
    vocabulary: Size | None = None
    train_tokens: Count | None = None
    valid_tokens: Count | None = None
    train_unknown: Count | None = None
    valid_unknown: Count | None = None
    sha256: Digest | None = None
    train_sequences: Count | None = None
    valid_sequences: Count | None = None
    columns: dict[Name, Category | Number | Numbers] | None = None
    unit: Annotated[float, Meta(gt=0)] | None = None
    series: Count | None = None
    step: Step | None = None
    until: Name | None = None
    linear: list[list[float]] | None = None


class Begun(Struct, forbid_unknown_fields=True):
    """With which weights a run began: whose, after how many steps, and the sum of their arrays."""

    source: Place
    step: Count
    sha256: Digest


class Progress(Struct, forbid_unknown_fields=True):
    """How far training has come: what a trainer counts, and the values of a checkpoint.

    `tokens` are the targets trained on, `best` the lowest validation loss, `sum` and `count` of the losses
    since the last report. Then come three places, as they were when the checkpoint was written. `whole` is
    what the best parameters reach on the whole validation text, once training has ended and they were chosen
    on a sample of it; `start` and `far` are of :mod:`bptt.training.divergence`,
    `average` of :mod:`bptt.training.averaging`; `norm` is that of the last step's gradient.
    """

    step: Count
    tokens: Count
    best: float | None
    solved: bool
    stopped_early: bool
    sum: float
    count: Count
    source: dict[str, Any]
    schedule: dict[str, Any]
    stopping: dict[str, Any] | None
    whole: float | None = None
    start: float | None = None
    far: Count = 0
    average: dict[str, Any] | None = None
    norm: float | None = None

    @classmethod
    def none(cls) -> "Progress":
        """Return where training begins."""
        return cls(0, 0, None, False, False, 0.0, 0, {}, {}, None)

    @property
    def reported(self) -> int:
        """To which step the log goes: a stop may come before the line of its own step."""
        return self.step if not self.count else max(0, self.step - 1)

    def add(self, loss: float, targets: int, norm: float) -> None:
        """Count a training step, the sum of its losses, and the norm of its gradient."""
        self.norm = norm if math.isfinite(norm) else None
        self.step += 1
        self.sum += loss
        self.count += targets
        self.tokens += targets

    def mean(self) -> float:
        """Return the mean loss since it was last asked for."""
        mean, self.sum, self.count = self.sum / self.count, 0.0, 0
        return mean


class LogLine(Struct, kw_only=True):
    """What every line of a log has, whatever else it says."""

    step: Count
    seconds: Annotated[float, Meta(ge=0)] = 0.0
    crc32: str | None = None


@dataclass(frozen=True)
class Described:
    """What a run's configuration describes; the facts are those of the data, as an experiment has them."""

    model: Model
    settings: Settings
    facts: dict[str, Any]


def described(config: dict[str, Any]) -> Described:
    """Return what a configuration describes; nothing is run, and nothing large is made.

    BpttError if a part is missing, is unknown, has another type, or means nothing.
    """
    if odd := sorted(config.keys() - PARTS):
        raise RunError(f"it has parts that mean nothing: {', '.join(odd)}"[:300])
    kept = convert(config.get("cell"), CellRecord, "cell")
    cell = get(record.from_json(msgspec.to_builtins(kept)))
    model: Model = _of(Model, config, "model", cell)
    settings: Settings = _of(Settings, config, "settings", cell)
    for name, value in settings.of_model(token_inputs=model.token_inputs).items():
        if getattr(model, name) != value:
            raise RunError(f"its model's {name} is not that of its settings")
    facts = convert(config.get("data"), Facts, "data")
    convert(config.get("from"), Begun | None, "from")  # type: ignore[arg-type]
    return Described(model, settings, msgspec.to_builtins(facts))


def _of(kind: Any, config: dict[str, Any], name: str, cell: Cell) -> Any:
    values = msgspec.structs.asdict(convert(config.get(name), _struct_of(kind), name))
    if values["cell"] != cell.name:
        raise RunError(f"{name}.cell is {values['cell']!r:.100}, and the run's cell is {cell.name!r:.100}")
    return kind(**values | {"cell": cell})


@lru_cache
def _struct_of(kind: Any) -> Any:
    """Return the file's type for a dataclass: its fields with their types and defaults; a cell is a name."""
    hints = {name: Name if hint == str | Cell else hint for name, hint in get_type_hints(kind).items()}
    own = [
        (f.name, hints[f.name]) if f.default is MISSING else (f.name, hints[f.name], f.default)
        for f in fields(kind)
    ]
    return msgspec.defstruct(kind.__name__, own, kw_only=True, forbid_unknown_fields=True)


def decode(data: bytes, kind: type[T]) -> T:
    """Return JSON as values of a type; a RunError says what is wrong alone, not where it stands."""
    with _of_type():
        return msgspec.json.decode(data, type=kind)


def convert(value: object, kind: type[T], name: str) -> T:
    """Return decoded JSON as values of a type; the error names the part that it is."""
    with _of_type(f"{name}: "):
        return msgspec.convert(value, kind)


@contextmanager
def _of_type(name: str = "") -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise RunError(f"{name}{_reason(error)}") from None
    except RecursionError:
        raise RunError(f"{name}it is nested too deeply") from None


def encode(value: dict[str, Any], *, indent: int | None = None) -> bytes:
    """Return JSON as it stands in a file; RunError for a path that is not UTF-8, or an infinite number."""
    try:
        return (json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise RunError(f"cannot be kept as JSON ({_reason(error)})") from None


def canonical(value: object) -> bytes:
    """Return JSON in the one form that is summed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def expect_format(path: object, found: object) -> None:
    """Raise a RunError unless a file has a format that is read."""
    if type(found) is not int or not OLDEST <= found <= FORMAT:
        raise RunError(
            f"{path} has format {found!r:.60}; this version of bptt reads formats {OLDEST} to {FORMAT}"
        )


def expect_sum(found: str, wanted: object) -> None:
    """Raise a RunError unless a file has the digest that it was written with."""
    if found != wanted:
        raise RunError("it is not as it was written: its sha256 is another")


def read(path: Path) -> bytes:
    """Return what is in one of a run's files; RunError if it cannot be read, or is too large."""
    try:
        return read_regular(path, LIMITS[path.name])
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from None


def note(text: str) -> None:
    """Say what is to be known to whoever reads or resumes a run."""
    warnings.warn(text, BpttWarning, stacklevel=3)


def sum_of(config: dict[str, Any]) -> str:
    """Return the SHA-256 sum of a configuration, but for where it stands itself."""
    sums = {key: value for key, value in config.get("sha256", {}).items() if key != "config"}
    return hashlib.sha256(canonical(config | {"sha256": sums})).hexdigest()


def sealed(config: dict[str, Any], vocabulary: bytes | None) -> dict[str, Any]:
    """Return a configuration with its digests, and with the name by which its checkpoints know the run."""
    known = None if vocabulary is None else hashlib.sha256(vocabulary).hexdigest()
    whole = {"id": _name(config, known)} | config | {"format": FORMAT, "sha256": {"vocabulary": known}}
    whole["sha256"]["config"] = sum_of(whole)
    return whole


def _name(config: dict[str, Any], vocabulary: str | None) -> str:
    """Return a name made of what does not change while a run lasts: not where its data lie, or its end."""
    lasting: list[object] = [vocabulary, config.get("model"), config.get("cell")]
    free = [name for name, declared in SETTINGS.items() if declared.may_change]
    for part, changing in (("settings", free), ("data", ["source"])):
        values = config.get(part)
        if isinstance(values, dict):
            values = {key: value for key, value in values.items() if key not in changing}
        lasting.append(values)
    if "from" in config:
        lasting.append(config["from"])
    return hashlib.sha256(canonical(lasting)).hexdigest()[:32]


def begun(source: str, step: int, params: Params) -> dict[str, Any]:
    """Return what a configuration keeps of the weights that a run began with."""
    return {"source": source, "step": step, "sha256": sum_of_arrays({}, params)}


def sum_of_arrays(values: dict[str, Any], arrays: dict[str, Array]) -> str:
    """Return the SHA-256 sum of a checkpoint's values and arrays."""
    summed = hashlib.sha256(canonical({k: v for k, v in values.items() if k != "sha256"}))
    for name in sorted(arrays):
        array = arrays[name]
        summed.update(canonical([name, array.dtype.str, array.shape]))
        summed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return summed.hexdigest()


def due(settings: Settings, step: int, count: int) -> tuple[int, ...]:
    """Return at multiples of which steps the log has lines.

    At that of a checkpoint there is one, too, where no loss has been summed since: `count` is 0.
    """
    return (settings.report_every, settings.eval_every, *([step] if step and not count else []))


def checked_line(line: dict[str, Any]) -> bytes:
    """Return a line of the log, with the check sum of what stands before it."""
    body = encode(line).rstrip(b"}\n")
    return body + _SUM % (b"%08x" % zlib.crc32(body)) + b"\n"


_SUM = b', "crc32": "%b"}'
_SUM_LENGTH = len(_SUM % bytes(8))


def read_line(text: bytes, *, wants_sum: bool) -> LogLine:
    """Return what every line of a log has; RunError if it is none, or is not as it was written."""
    line = decode(text, LogLine)
    if line.crc32 is None and not wants_sum:
        return line
    body = text[:-_SUM_LENGTH]
    if text != body + _SUM % (b"%08x" % zlib.crc32(body)):
        raise RunError("its check sum is wrong")
    return line


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
