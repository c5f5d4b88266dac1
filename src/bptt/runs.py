"""A run is a folder: its configuration, vocabulary, log and checkpoints.

===================== ============================================================================
``config.json``       settings, the model's description, its cell, what is known of the data
``vocabulary.json``   the tokens, where there are any
``log.jsonl``         a line per report
``last.safetensors``  the latest checkpoint: all that is needed to go on as if never stopped
``best.safetensors``  the checkpoint with the lowest validation loss
``.lock``             which process writes here
===================== ============================================================================

Every file but the log, which grows by lines, is replaced in one piece (:mod:`bptt.files`). The log is forced
to the disk before a checkpoint is, and the checkpoint before anything is said of it: what a checkpoint stands
for is always there. What is in the files, and the digests by which damage is seen: :mod:`bptt.run_format`.
"""

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt import run_format
from bptt.errors import BpttError, BpttWarning, RunError
from bptt.files import (
    Lock,
    append,
    claim_folder,
    is_temporary,
    make_folder,
    open_regular,
    read_regular,
    sync,
    write_atomically,
)
from bptt.types import Params

RUNS = Path("bptt-runs")
"""Where runs are that are given no folder."""

FILES = frozenset(("config.json", "vocabulary.json", "log.jsonl", "last.safetensors", "best.safetensors"))


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
        self._lock: Lock | None = None
        self._known: dict[str, Any] | None = None
        self._log_is_forced = True

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str] | None,
        config: dict[str, Any],
        vocabulary: dict[str, Any] | None = None,
        *,
        name: str = "run",
    ) -> "Run":
        """Make a run's folder, hold it, and write its configuration.

        Parameters
        ----------
        folder : path or None
            None: the first of NAME-1, NAME-2, ... in `RUNS` that is not there.
        config : dict
        vocabulary : dict, optional
        name : str
            For a folder that is not given.

        Raises
        ------
        RunError
            If the folder holds a run already, is in use, or cannot be written.
        """
        tokens = None if vocabulary is None else run_format.encode(vocabulary)
        if tokens is not None and len(tokens) > run_format.VOCABULARY_LIMIT:
            raise RunError(
                f"the vocabulary takes {len(tokens):,} bytes, and at most {run_format.VOCABULARY_LIMIT:,} "
                "are read again; --vocabulary V keeps the V most frequent words"
            )
        sealed = run_format.sealed(config, tokens)
        whole = run_format.encode(sealed, indent=2)
        run = cls(claim_folder(RUNS, name) if folder is None else folder)
        try:
            make_folder(run.folder)
        except OSError as error:
            raise RunError(f"cannot make the folder {run.folder}: {error.strerror}") from None
        run._expect_none()
        run.hold()  # what another has made until here is there now
        run._expect_none()
        run.sweep()
        run._write("config.json", whole)
        if tokens is not None:
            run._write("vocabulary.json", tokens)
        run._known = sealed
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
        if not run.has("config.json"):
            is_dir = os.path.isdir(folder)  # noqa: PTH112
            what = "holds no run: it has no config.json" if is_dir else "is no such folder"
            raise RunError(f"{run.folder} {what}; bptt train --out {run.folder} would make a run there")
        return run

    def _expect_none(self) -> None:
        if self.has("config.json"):
            raise RunError(
                f"{self.folder} already holds a run; go on with --resume {self.folder}, or give another --out"
            )

    def hold(self) -> None:
        """Hold the folder: until `release`, no other process writes there.

        Raises
        ------
        RunError
            If somebody has it, with who it is.
        """
        if self._lock is None:
            self._lock = Lock(self.folder)

    def release(self) -> None:
        """Let go of the folder."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def path(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether one of the run's files is there, whatever it is."""
        return os.path.lexists(self.path(name))

    def write_config(self, config: dict[str, Any]) -> None:
        """Replace the configuration; the run's name and its vocabulary's digest stay."""
        before = self.config()
        whole = run_format.sealed(
            {"id": before["id"], **config} if "id" in before else config, self._tokens()
        )
        self._write("config.json", run_format.encode(whole, indent=2))
        self._known = whole

    def restore_vocabulary(self, vocabulary: dict[str, Any]) -> None:
        """Write the vocabulary where a run was stopped before it was written."""
        if not self.has("vocabulary.json"):
            self._write("vocabulary.json", run_format.encode(vocabulary))

    def config(self) -> dict[str, Any]:
        """Return the configuration.

        Raises
        ------
        RunError
            If it cannot be read, is not as it was written, or is of a format that is not read.
        """
        if self._known is None:
            path = self.path("config.json")
            try:
                config = run_format.decode(self._read("config.json", run_format.CONFIG_LIMIT), dict[str, Any])
                _check_format(path, config.get("format"))
                if config["format"] > run_format.OLDEST:
                    sums = run_format.convert(config.get("sha256"), run_format.Digests, "sha256")
                    if sums.config != run_format.sum_of(config):
                        raise RunError("it is not as it was written: its sha256 is another")
                    run_format.convert(config.get("id"), run_format.Name, "id")
                else:
                    _note(f"{self.folder} was written by an earlier version, without digests")
            except BpttError as error:
                raise _unreadable(path, error) from None
            self._known = config
        return self._known

    def describe(self) -> run_format.Described:
        """Return what the configuration describes: a model, settings, and what is known of the data.

        Raises
        ------
        RunError
            If a value is missing, unknown, of another type, or means nothing.
        """
        try:
            return run_format.described(self.config())
        except BpttError as error:
            raise _unreadable(self.path("config.json"), error) from None

    def vocabulary(self) -> dict[str, Any] | None:
        """Return the vocabulary's JSON, or None where the run has no tokens."""
        data = self._tokens()
        if data is None:
            return None
        try:
            return run_format.decode(data, dict[str, Any])
        except BpttError as error:
            raise _unreadable(self.path("vocabulary.json"), error) from None

    def _tokens(self) -> bytes | None:
        """Return the vocabulary's bytes, as they were written."""
        path = self.path("vocabulary.json")
        wanted = self.config().get("sha256", {}).get("vocabulary")
        if not os.path.lexists(path):
            return None
        data = self._read("vocabulary.json", run_format.VOCABULARY_LIMIT)
        if self.config()["format"] > run_format.OLDEST and hashlib.sha256(data).hexdigest() != wanted:
            raise _unreadable(path, RunError("it is not as it was written: its sha256 is another"))
        return data

    def log(self, line: dict[str, Any]) -> None:
        """Add a line to the log."""
        try:
            append(self.path("log.jsonl"), run_format.checked_line(line))
        except OSError as error:
            raise RunError(f"cannot write {self.path('log.jsonl')}: {error.strerror}") from None
        self._log_is_forced = False

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's lines; those that are damaged are left out, with a warning.

        A last line that was cut short, as a crash leaves it, is left out without one.
        """
        lines, damaged = self._read_log()
        if damaged:
            _note(f"{self.path('log.jsonl')}: {_damaged_lines(damaged)}")
        return lines

    def damaged_lines(self) -> list[int]:
        """Return the numbers, from 1, of the log's lines that are not as they were written."""
        return self._read_log()[1]

    def _read_log(self) -> tuple[list[dict[str, Any]], list[int]]:
        path = self.path("log.jsonl")
        if not os.path.lexists(path):
            return [], []
        texts = self._read("log.jsonl", run_format.LOG_LIMIT).split(b"\n")
        torn = texts.pop()  # nothing, where the last line is whole
        wants_sum = self.config()["format"] > run_format.OLDEST
        lines: list[dict[str, Any]] = []
        damaged = []
        for number, text in enumerate(texts, 1):
            try:
                line = run_format.read_line(text, wants_sum=wants_sum)
                if lines and line["step"] <= lines[-1]["step"]:
                    raise RunError("its step is not beyond that of the line before")
                lines.append(line)
            except RunError:
                damaged.append(number)
        if torn:  # whole but for its end, or of no use
            with contextlib.suppress(RunError):
                lines.append(run_format.read_line(torn, wants_sum=wants_sum))
        return lines, damaged

    def lacking(self, step: int, *every: int) -> list[int]:
        """Return at which multiples of `every`, up to `step`, the log has no line: what it has lost."""
        due = {at for period in every for at in range(period, step + 1, period)}
        return sorted(due - {line["step"] for line in self._read_log()[0]})

    def rewind_log(self, step: int, *every: int) -> float:
        """Drop the log's lines after `step`, and return the seconds at its end.

        Where lines are damaged, the file as it was is kept aside first, and a warning says so; as it does
        where lines are missing that are due every so many steps.
        """
        lines, damaged = self._read_log()
        kept = [line for line in lines if line["step"] <= step]
        if damaged:
            aside = self._set_aside("log.jsonl")
            _note(f"{self.path('log.jsonl')}: {_damaged_lines(damaged)}; as it was, it is kept in {aside}")
        elif lost := self.lacking(step, *every):
            _note(
                f"{self.path('log.jsonl')}: it has lost {len(lost):,} of its lines, from step {lost[0]:,} on"
            )
        self._write("log.jsonl", b"".join(map(run_format.checked_line, kept)))
        return float(kept[-1].get("seconds", 0)) if kept else 0.0

    def _set_aside(self, name: str) -> Path:
        """Copy one of the run's files to the first of NAME.damaged-1, ... that is not there."""
        k = 1
        while os.path.lexists(aside := self.path(f"{name}.damaged-{k}")):
            k += 1
        write_atomically(aside, self._read(name, run_format.LOG_LIMIT))
        return aside

    def sweep(self) -> None:
        """Remove what a process that was killed while it wrote has left behind; the folder must be held."""
        for entry in sorted(os.listdir(self.folder)):  # noqa: PTH208
            if is_temporary(entry, FILES):
                self.path(entry).unlink(missing_ok=True)

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, ``"last"`` or ``"best"``: the same content gives the same bytes."""
        from safetensors.numpy import save

        if not self._log_is_forced:
            try:
                sync(self.path("log.jsonl"))
            except OSError as error:
                raise RunError(f"cannot write {self.path('log.jsonl')}: {error.strerror}") from None
            self._log_is_forced = True
        # order="C", because safetensors writes others in the order in which they lie in memory
        arrays = {
            f"{group}.{key}": np.asarray(array, order="C")
            for group, part in checkpoint.arrays.items()
            for key, array in part.items()
        }
        values = {"format": run_format.FORMAT, "run": self.config().get("id"), **checkpoint.values}
        values["sha256"] = run_format.sum_of_arrays(values, arrays)
        # one entry, because safetensors keeps no order among several
        text = json.dumps(values, sort_keys=True, allow_nan=False)
        self._write(f"{name}.safetensors", save(arrays, metadata={"bptt": text}))

    def load(self, name: str, shapes: dict[str, tuple[int, ...]] | None = None) -> Checkpoint:
        """Read a checkpoint.

        Parameters
        ----------
        name : "last" or "best"
        shapes : dict, optional
            What its parameters must be, by their names: compared before an array is read.

        Raises
        ------
        RunError
            If it is missing, truncated, damaged, not a checkpoint, another run's, or of a format that is not
            read; if its parameters have other names or shapes, or are no finite numbers.
        """
        path = self.path(f"{name}.safetensors")
        if not os.path.lexists(path):
            raise RunError(f"{self.folder} has no {path.name}")
        try:
            values, flat = _read_checkpoint(path, shapes, self.config().get("id"))
        except BpttError as error:
            raise _unreadable(path, error) from None
        arrays: dict[str, Params] = {}
        for key, array in flat.items():
            group, _, own = key.partition(".")
            arrays.setdefault(group, {})[own] = array
        return Checkpoint(arrays, values)

    def _read(self, name: str, limit: int) -> bytes:
        path = self.path(name)
        try:
            return read_regular(path, limit)
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror or error}") from None

    def _write(self, name: str, data: bytes) -> None:
        write_atomically(self.path(name), data)


def _read_checkpoint(
    path: Path, shapes: dict[str, tuple[int, ...]] | None, run_id: str | None
) -> tuple[dict[str, Any], Params]:
    """Return a checkpoint's values, and its arrays by their whole names."""
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("bptt")
            if text is None:
                raise RunError("it is no checkpoint of bptt: it has no bptt metadata")
            values = _values(text)
            _check_format(path, format_ := values.pop("format", None))
            found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 not a dict
            own = {key.partition(".")[2]: tuple(s.get_shape()) for key, s in found.items() if _is_param(key)}
            if shapes is not None and own != shapes:
                raise RunError("its parameters are not those of the model in config.json")
            if odd := {s.get_dtype() for s in found.values()} - {"F32", "F64", "I64"}:
                raise RunError(f"it has arrays of {', '.join(sorted(odd))}; a run's are F32, F64 or I64")
            arrays: Params = {key: file.get_tensor(key) for key in found}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise RunError(f"it is not a whole checkpoint: {str(error).splitlines()[0][:300]}") from None
    if format_ > run_format.OLDEST:
        summed = values.pop("sha256", None)
        if summed != run_format.sum_of_arrays({"format": format_, **values}, arrays):
            raise RunError("it is not as it was written: its sha256 is another")
        if (of := values.pop("run", None)) != run_id:
            raise RunError(f"it is of another run: of {of!r:.80}, and config.json is of {run_id!r:.80}")
    for key, array in arrays.items():
        if not np.isfinite(array).all() or (_is_param(key) and array.dtype.kind != "f"):
            raise RunError(f"{key[:100]} holds what is no finite number")
    return values, arrays


def _values(text: str) -> dict[str, Any]:
    try:
        return run_format.decode(text.encode(), dict[str, Any])
    except RunError as error:
        raise RunError(f"it is not a whole checkpoint: in its metadata: {error}") from None


def _check_header(path: Path) -> None:
    """Raise unless a checkpoint is a file, and neither it nor its header is too large."""
    try:
        handle = open_regular(path, run_format.CHECKPOINT_LIMIT)
        try:
            length = int.from_bytes(os.read(handle, 8), "little")
        finally:
            os.close(handle)
    except OSError as error:
        raise RunError(error.strerror or str(error)) from None
    if length > run_format.HEADER_LIMIT:
        raise RunError(f"it is not a whole checkpoint: its header would be {length:,} bytes")


def _is_param(key: str) -> bool:
    return key.startswith("params.")


def _unreadable(path: Path, error: BpttError) -> RunError:
    text = str(error)
    return RunError(text if str(path) in text else f"{path}: {text}")


def _damaged_lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    many = len(numbers) > 1
    return f"line{'s' * many} {shown} {'are' if many else 'is'} damaged, and left out"


def _note(text: str) -> None:
    warnings.warn(text, BpttWarning, stacklevel=3)


def _check_format(path: Path, found: object) -> None:
    if type(found) is not int or not run_format.OLDEST <= found <= run_format.FORMAT:
        raise RunError(
            f"{path} has format {found!r:.60}; this version of bptt reads formats {run_format.OLDEST} to "
            f"{run_format.FORMAT}"
        )
