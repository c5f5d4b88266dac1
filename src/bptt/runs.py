"""A run is a folder: its configuration, vocabulary, log and checkpoints.

===================== ============================================================================
``config.json``       settings, the model's description, its cell, what is known of the data
``vocabulary.json``   the tokens, where there are any
``log.jsonl``         a line per report
``last.safetensors``  the latest checkpoint: all that is needed to go on as if never stopped
``best.safetensors``  the checkpoint with the lowest validation loss
===================== ============================================================================

Every file but the log, which grows by lines, is replaced in one piece: it is written beside the old one,
forced to the disk, and only then takes its name. A write that fails half-way leaves what was there.
"""

import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.errors import RunError
from bptt.types import Params

FORMAT = 1
"""Raised when a run's files change so that older ones cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """Arrays in named groups, and JSON values.

    Attributes
    ----------
    arrays : dict of dict of arrays
        ``"params"``, ``"optimizer"``, ``"state"`` (the states carried).
    values : dict
        Step, tokens, places in the data and in the schedule, and so on.
    """

    arrays: dict[str, Params]
    values: dict[str, Any]


class Run:
    """A run's folder.

    Parameters
    ----------
    folder : path

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> run = Run.create(folder, {"settings": {}})
    >>> run.log({"step": 1}); run.log({"step": 2})
    >>> [line["step"] for line in run.lines()], Run.open(folder).config()["settings"]
    ([1, 2], {})
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        config: dict[str, Any],
        vocabulary: dict[str, Any] | None = None,
    ) -> "Run":
        """Make a run's folder and write its configuration.

        Raises
        ------
        RunError
            If the folder holds a run already or cannot be written.
        """
        run = cls(folder)
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make the folder {run.folder}: {error.strerror}") from None
        try:
            write_atomically(run.path("config.json"), _config(config), new=True)
        except FileExistsError:
            raise RunError(
                f"{run.folder} already holds a run; go on with --resume {run.folder}, or give another --out"
            ) from None
        if vocabulary is not None:
            run.write_vocabulary(vocabulary)
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Run":
        """Return the run in an existing folder.

        Raises
        ------
        RunError
            If there is no run in it.
        """
        run = cls(folder)
        # os.path, because Path's own raise where a name is too long for a file's
        if not os.path.isfile(run.path("config.json")):  # noqa: PTH113
            is_dir = os.path.isdir(folder)  # noqa: PTH112
            what = "holds no run: it has no config.json" if is_dir else "is no such folder"
            raise RunError(f"{run.folder} {what}; bptt train --out {run.folder} would make a run there")
        return run

    def path(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.folder / name

    def write(self, name: str, data: bytes) -> None:
        """Replace one of the run's files in one piece.

        Raises
        ------
        RunError
            If it cannot be written; the file that was there is as it was.
        """
        write_atomically(self.path(name), data)

    def write_config(self, config: dict[str, Any]) -> None:
        """Replace the configuration."""
        self.write("config.json", _config(config))

    def write_vocabulary(self, vocabulary: dict[str, Any]) -> None:
        """Replace the vocabulary."""
        self.write("vocabulary.json", _json(vocabulary, indent=None))

    def config(self) -> dict[str, Any]:
        """Return the configuration.

        Raises
        ------
        RunError
            If it cannot be read, or was written by another version's format.
        """
        config = self._read_json("config.json")
        _check_format(self.path("config.json"), config.get("format"))
        return config

    def vocabulary(self) -> dict[str, Any] | None:
        """Return the vocabulary's JSON, or None where the run has no tokens."""
        return self._read_json("vocabulary.json") if self.path("vocabulary.json").exists() else None

    def log(self, line: dict[str, Any]) -> None:
        """Add a line to the log."""
        try:
            with self.path("log.jsonl").open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path('log.jsonl')}: {error.strerror}") from None

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's lines; one cut short by a crash is left out."""
        path = self.path("log.jsonl")
        try:
            data = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        lines = []
        for text in data.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                break
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                break
            lines.append(line)
        return lines

    def rewind_log(self, step: int) -> float:
        """Drop the log's lines after `step`, and return the seconds at its end."""
        kept = [line for line in self.lines() if line["step"] <= step]
        self.write("log.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        return float(kept[-1].get("seconds", 0)) if kept else 0.0

    def sweep(self) -> None:
        """Remove what a process that was killed while it wrote has left behind."""
        for left in self.folder.glob(".*.tmp"):
            left.unlink(missing_ok=True)

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, ``"last"`` or ``"best"``: the same content gives the same bytes."""
        from safetensors.numpy import save

        # order="C", because safetensors writes others in the order in which they lie in memory
        arrays = {
            f"{group}.{key}": np.asarray(array, order="C")
            for group, part in checkpoint.arrays.items()
            for key, array in part.items()
        }
        # one entry, because safetensors keeps no order among several
        values = json.dumps({"format": FORMAT, **checkpoint.values}, sort_keys=True)
        self.write(f"{name}.safetensors", save(arrays, metadata={"bptt": values}))

    def load(self, name: str) -> Checkpoint:
        """Read a checkpoint.

        Raises
        ------
        RunError
            If it is missing, truncated, not a checkpoint, or of another version's format.
        """
        path = self.path(f"{name}.safetensors")
        if not path.is_file():
            raise RunError(
                f"{self.folder} has no {path.name}: the run was stopped before its first checkpoint"
            )
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                values = dict(json.loads((file.metadata() or {})["bptt"]))
                flat = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise RunError(f"{path} is not a whole bptt checkpoint ({_reason(error)})") from None
        _check_format(path, values.pop("format", None))
        arrays: dict[str, Params] = {}
        for key, array in flat.items():
            group, _, own = key.partition(".")
            arrays.setdefault(group, {})[own] = array
        return Checkpoint(arrays, values)

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {path} ({_reason(error)})") from None
        if not isinstance(value, dict):
            raise RunError(f"cannot read {path} (it is not a JSON object)")
        return value


def write_atomically(path: Path, data: bytes, *, new: bool = False) -> None:
    """Write a file beside its place, force it to the disk, and put it there in one step.

    Of several processes that write a `new` one, all but the first get a FileExistsError.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        if new:
            _link(temporary, path)
        else:
            _replace(temporary, path)
            temporary = None
    except FileExistsError:
        raise
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; what was there is as it was"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    for pause in (0.05, 0.2, 1.0):
        try:
            temporary.replace(path)
            return
        except PermissionError:  # on Windows, while another process reads the old one
            time.sleep(pause)
    temporary.replace(path)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a renamed file, it never takes another's place
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with path.open("xb") as file:
            file.write(temporary.read_bytes())


def free_folder(parent: Path, name: str) -> Path:
    """Return the first of NAME-1, NAME-2, ... in `parent` that does not exist."""
    k = 1
    while os.path.exists(parent / f"{name}-{k}"):  # noqa: PTH110  as in Run.open
        k += 1
    return parent / f"{name}-{k}"


def _umask() -> int:
    mask = os.umask(0o022)  # the only way to read it is to set it
    os.umask(mask)
    return mask


def _config(config: dict[str, Any]) -> bytes:
    return _json({"format": FORMAT, **config})


def _json(value: dict[str, Any], indent: int | None = 2) -> bytes:
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no bptt metadata" if isinstance(error, KeyError) else str(error).splitlines()[0]


def _check_format(path: Path, found: object) -> None:
    if found != FORMAT:
        raise RunError(f"{path} has format {found!r}; this version of bptt reads format {FORMAT}")
