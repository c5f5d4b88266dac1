"""A run is a folder: its configuration, vocabulary, log and checkpoints.

===================== ============================================================================
``config.json``       settings, the model's description, its cell, what is known of the data
``vocabulary.json``   the tokens, where there are any
``log.jsonl``         a line per report
``last.safetensors``  the latest checkpoint: all that is needed to go on as if never stopped
``best.safetensors``  the checkpoint with the lowest validation loss
``standard-input``    the text, where the run was given it so
``.lock``             which process writes here
===================== ============================================================================

Every file but the log, which grows by lines, is replaced in one piece (:mod:`bptt.files`). The log is forced
to the disk before a checkpoint is, and the checkpoint before anything is said of it: what a checkpoint stands
for is always there. What is in the files, and the digests by which damage is seen:
:mod:`bptt.training.runs.format`.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bptt.data.tasks import TASKS
from bptt.data.text import Vocabulary
from bptt.data.text.files import INPUT
from bptt.errors import BpttError, RunError
from bptt.files import Lock, claim_folder, is_temporary, make_folder, write_atomically
from bptt.training.runs import checkpoints
from bptt.training.runs import format as run_format
from bptt.training.runs.checkpoints import Checkpoint
from bptt.training.runs.log import Log
from bptt.types import Shapes

__all__ = ["RUNS", "Checkpoint", "Run"]

RUNS = Path("bptt-runs")
"""Where runs are that are given no folder."""


class Run:
    """A run's folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> run = Run.create(folder, {"settings": {}})
    >>> run.log.add({"step": 1}); run.log.add({"step": 2})
    >>> [line["step"] for line in run.log.lines()], Run.open(folder).config()["settings"]
    ([1, 2], {})
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.lock: Lock | None = None
        self._known: dict[str, Any] | None = None

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

        A folder that is not given is the first of NAME-1, NAME-2, ... in `RUNS` that is not there. RunError
        if the folder holds a run already, is in use, or cannot be written.
        """
        tokens = None if vocabulary is None else run_format.encode(vocabulary)
        if tokens is not None and len(tokens) > (most := run_format.LIMITS["vocabulary.json"]):
            raise RunError(
                f"the vocabulary takes {len(tokens):,} bytes, and at most {most:,} are read again; "
                "--vocabulary V keeps the V most frequent words"
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
        if strange := [name for name in sorted(run_format.LIMITS) if run.has(name)]:
            raise RunError(
                f"{run.folder} holds a {strange[0]}, which would be written over: give another --out"
            )
        run.sweep()
        write_atomically(run.path("config.json"), whole)
        if tokens is not None:
            write_atomically(run.path("vocabulary.json"), tokens)
        run._known = sealed
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Run":
        """Return the run in an existing folder; RunError if there is none in it."""
        run = cls(folder)
        # os.path, because Path's own raise where a name is too long for a file's
        if not run.has("config.json"):
            if os.path.isfile(folder):  # noqa: PTH113
                raise RunError(
                    f"{run.folder} is a file; wanted is a run's folder, as bptt train --out makes it"
                )
            is_dir = os.path.isdir(folder)  # noqa: PTH112
            if not is_dir and os.path.exists(folder):  # noqa: PTH110
                raise RunError(f"{run.folder} is a file, and no run's folder")
            what = "holds no run: it has no config.json" if is_dir else "is no such folder"
            raise RunError(f"{run.folder} {what}; bptt train --out {run.folder} would make a run there")
        return run

    def _expect_none(self) -> None:
        if self.has("config.json"):
            raise RunError(
                f"{self.folder} already holds a run; go on with --resume {self.folder}, or give another --out"
            )

    def hold(self) -> None:
        """Hold the folder until `release`: no other process writes there; RunError if one has it already."""
        if self.lock is None:
            self.lock = Lock(self.folder)

    def expect_held(self) -> None:
        """Raise a RunError where the folder was held and is not any more: two would write over each other."""
        if self.lock is not None and not self.lock.is_held():
            raise RunError(
                f"{self.folder} is not held any more: this is a forked process, or {Lock.NAME} was taken "
                "away; what was saved until now is whole"
            )

    def release(self) -> None:
        """Let go of the folder."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def path(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether one of the run's files is there, whatever it is."""
        return os.path.lexists(self.path(name))

    def write_config(self, config: dict[str, Any]) -> None:
        """Replace the configuration; the run's name, its beginning and its vocabulary's digest stay."""
        lasting = {key: value for key, value in self.config().items() if key in ("id", "from")}
        whole = run_format.sealed(lasting | config, self._tokens())
        write_atomically(self.path("config.json"), run_format.encode(whole, indent=2))
        self._known = whole

    def keep_input(self, data: bytes) -> None:
        """Write what came by standard input, which is read once."""
        write_atomically(self.path("standard-input"), data)

    def place_of(self, data: str) -> str:
        """Return where the run's data lie: in its folder, if they came by standard input."""
        return str(self.path("standard-input")) if data == INPUT else data

    def restore_vocabulary(self, vocabulary: dict[str, Any]) -> None:
        """Write the vocabulary where a run was stopped before it was written."""
        if not self.has("vocabulary.json"):
            write_atomically(self.path("vocabulary.json"), run_format.encode(vocabulary))

    def config(self) -> dict[str, Any]:
        """Return the configuration; RunError if it cannot be read, or is not as it was written."""
        if self._known is None:
            path = self.path("config.json")
            with _named(path):
                config = run_format.decode(run_format.read(path), dict[str, Any])
                run_format.expect_format(path, config.get("format"))
                if config["format"] > run_format.OLDEST:
                    sums = run_format.convert(config.get("sha256"), run_format.Digests, "sha256")
                    run_format.expect_sum(run_format.sum_of(config), sums.config)
                    run_format.convert(config.get("id"), run_format.Name, "id")
                else:
                    run_format.note(f"{self.folder} was written by an earlier version, without digests")
            self._known = config
        return self._known

    def describe(self) -> run_format.Described:
        """Return what the configuration describes; RunError where a value in it is not right."""
        with _named(self.path("config.json")):
            return run_format.described(self.config())

    def vocabulary(self) -> dict[str, Any] | None:
        """Return the vocabulary's JSON, or None where the run has no tokens."""
        with _named(self.path("vocabulary.json")):
            data = self._tokens()
            return None if data is None else run_format.decode(data, dict[str, Any])

    def vocabulary_of(self, kept: run_format.Described) -> Vocabulary | None:
        """Return the vocabulary, None where there is none; RunError unless it is as large as the model's."""
        none = self.config().get("sha256", {}).get("vocabulary", "") is None
        if kept.settings.data in TASKS or not kept.model.token_inputs or none:
            return None
        path, tokens = self.path("vocabulary.json"), self.vocabulary()
        if tokens is None:
            raise RunError(f"{path} is missing; bptt train --resume makes it anew from the data")
        known = Vocabulary.from_json(tokens)
        if len(known) != kept.model.inputs:
            raise RunError(f"{path} holds {len(known)} tokens, the model has {kept.model.inputs}")
        return known

    def _tokens(self) -> bytes | None:
        """Return the vocabulary's bytes, as they were written."""
        if not self.has("vocabulary.json"):
            return None
        with _named(path := self.path("vocabulary.json")):
            data = run_format.read(path)
            if self.config()["format"] > run_format.OLDEST:
                wanted = self.config()["sha256"]["vocabulary"]
                run_format.expect_sum(hashlib.sha256(data).hexdigest(), wanted)
            return data

    @property
    def log(self) -> Log:
        """The log."""
        return Log(self.path("log.jsonl"), wants_sum=self.config()["format"] > run_format.OLDEST)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line to the log."""
        self.expect_held()
        self.log.add(line)

    def sweep(self) -> None:
        """Remove what a process that was killed while it wrote has left behind; the folder must be held."""
        for entry in sorted(os.listdir(self.folder)):  # noqa: PTH208
            if is_temporary(entry, frozenset(run_format.LIMITS)):
                with contextlib.suppress(OSError):  # a folder of that name is none of ours
                    self.path(entry).unlink()

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, ``"last"`` or ``"best"``: the same content gives the same bytes."""
        self.expect_held()
        self.log.force()
        write_atomically(
            self.path(f"{name}.safetensors"), checkpoints.to_bytes(checkpoint, self.config().get("id"))
        )

    def load(self, name: str, shapes: Shapes | None = None) -> Checkpoint:
        """Read a checkpoint, ``"last"`` or ``"best"``, whose parameters must have these shapes, if given.

        RunError if it is missing, truncated, damaged, not a checkpoint, another run's, or of a format that is
        not read; if its parameters have other names or shapes, or are no finite numbers.
        """
        path = self.path(f"{name}.safetensors")
        if not os.path.lexists(path):
            raise RunError(f"{self.folder} has no {path.name}")
        with _named(path):
            return checkpoints.read(path, shapes, self.config().get("id"))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Have an error say which file it is of."""
    try:
        yield
    except BpttError as error:
        text = str(error)
        raise RunError(text if str(path) in text else f"{path}: {text}") from None
