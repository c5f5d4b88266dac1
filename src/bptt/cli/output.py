"""What the verbs share: no control sequences to a terminal, exact text elsewhere, strict JSON, an error."""

import codecs
import io
import json
import math
import os
import shlex
import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import click

from bptt.errors import BpttError, ConfigError, DivergedError

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of what a terminal obeys or does not show: controls, directions, separators, halves of pairs."""

ENDS = ("", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".feather", ".txt")
"""How the name of a table that is written may end."""

READ_ALONE = (".xlsx", ".xlsm", ".npz", ".npy", ".arff", ".ts", ".tsf", ".zip")
"""How names end of tables that are read, and not written."""

KEPT = "\n\t\u200c\u200d"
"""Those of them that text needs: the last two join letters and pictures, or keep them apart."""


def visible(text: str) -> str:
    """Return text in which what a terminal would obey or hide has a form that can be seen."""
    return text if text.isprintable() else "".join(map(_form, text))


@lru_cache(1 << 12)
def _form(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in HIDDEN:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 32 else "\u2421" if code == 127 else "\ufffd"


def code_of(error: BpttError) -> int:
    """Return the exit code of an error: 1 where training came apart, 2 where the command could not run.

    Where torchrun would begin again what comes apart at the same step each time it is 0.
    """
    from bptt.training.engines import may_restart

    return 2 if not isinstance(error, DivergedError) else 0 if may_restart() else 1


def table_end(out: str, source: str) -> str:
    """Return how the name of a table to be written ends; a usage error where no table ends so."""
    from bptt.data.text.packed import plain_name

    end = Path(plain_name(out)).suffix
    own = Path(plain_name(source)).suffix
    if out.lower().endswith(".zip"):
        raise misused(f"--out is no archive: what ends in .gz, .bz2 or .xz is packed; got {out}")
    ends = ENDS if own in (*ENDS, *READ_ALONE) else (*ENDS, own)
    if end not in ends:
        raise misused(f"--out must end in {', '.join(ends[1:])}; got {end}")
    return end


def expect_place(option: str, file: str, *ends: str) -> None:
    """Raise a usage error where a file to be written has another end or no folder: before the work."""
    if ends and Path(file).suffix.lower() not in ends:
        raise misused(f"{option} must end in {', '.join(ends[:-1])} or {ends[-1]}; got {file}")
    if not os.path.isdir(Path(file).parent):  # noqa: PTH112  as in Run.open
        raise misused(f"{option}: there is no folder {Path(file).parent}")


def expect_free(option: str, file: str, folder: str, *read: str | None) -> None:
    """Raise a ConfigError where a file to be written is or lies in what is read, or in the run's folder."""
    from bptt.data.text.files import paths

    place = Path(os.path.realpath(file))
    for path in (Path(os.path.realpath(path)) for several in read if several for path in paths(several)):
        if place == path:
            raise ConfigError(f"{option}: {file} is what is read: choose another name")
        if place.is_relative_to(path):
            raise ConfigError(f"{option}: {file} would lie among what is read: choose another folder")
    if place.parent == Path(os.path.realpath(folder)):
        raise ConfigError(f"{option}: {file} would lie among the run's own files: choose another folder")


class Visible:
    """A stream that writes text as `visible` gives it.

    Attributes
    ----------
    unfiltered
        The stream below: for what makes a terminal's sequences itself, and takes visible texts.
    """

    def __init__(self, stream: Any) -> None:
        self.unfiltered = stream
        self.buffer = _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)

    def fileno(self) -> int:
        """Refuse: whoever writes there writes past the filter."""
        raise io.UnsupportedOperation("fileno")

    def write(self, text: str) -> int:
        """Write text."""
        self.unfiltered.write(visible(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines."""
        self.write("".join(lines))


class _Bytes(io.RawIOBase):
    """The bytes of a stream of text, which are UTF-8."""

    def __init__(self, text: Visible) -> None:
        self._text, self._decoder = text, codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(self._decoder.decode(bytes(data)))
        return len(data)

    def flush(self) -> None:
        self._text.flush()


def quoted(path: str | os.PathLike[str]) -> str:
    """Return a path as a command takes it: one that begins with a dash would be read as an option."""
    path = os.path.join(os.curdir, path) if str(path).startswith("-") else path  # noqa: PTH118
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def shown_or_file(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the file that --out names: - is standard output, as where there is no --out."""
    return None if value == "-" else value


encoding_option = click.option(
    "--encoding", metavar="NAME", help="Of what is read and is not UTF-8; otherwise that of the run's data."
)


def misused(message: str) -> click.UsageError:
    """Return the error of a verb that is called in a way that it does not take."""
    return click.UsageError(message, click.get_current_context())


def to_json(value: object) -> str:
    """Return a value as JSON; what is not a finite number is null, because JSON has no name for it."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    return value
