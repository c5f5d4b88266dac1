"""A file of any kind as Python 3, line for line, and the way back into the file."""

import ast
import difflib
import io
import itertools
import json
import re
import stat
import tokenize
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bptt.checking.file.meaning import names, parsed, supplied
from bptt.checking.file.missing import SubjectError
from bptt.checking.file.python2 import is_python2
from bptt.checking.file.syntax import UNREADABLE, LeftOut, readable, without_magics
from bptt.errors import DataError, RunError
from bptt.files import NotRegularError, TooLargeError, read_regular, write_atomically

LIMIT = 1 << 28
"""Files of more bytes are not read."""


class Line(NamedTuple):
    """A line as it stands in the file: its text, what ends it, and its notebook cell (-1: no notebook)."""

    text: str
    end: str
    cell: int


class Stored(NamedTuple):
    """A file's bytes, their encoding, their lines as Python counts them, and what there is to say of it."""

    raw: bytes
    encoding: str
    lines: list[Line]
    notes: list[str]

    def encoded(self, lines: Iterable[Line]) -> bytes:
        """Return the file's bytes with other lines: of a notebook, only the cells that differ do."""
        if self.lines[0].cell < 0:
            return "".join(line.text + line.end for line in lines).encode(self.encoding)
        text = self.raw.decode(self.encoding)
        book = json.loads(text)
        for k, cell in enumerate(_code_cells(book)):
            own = [line.text + line.end for line in lines if line.cell == k]
            key = "source" if "source" in cell else "input"
            if "".join(own) != "".join(cell[key]):
                cell[key] = own if isinstance(cell[key], list) else "".join(own)
        indent = re.match(r"\s*\{\r?\n( *)", text)
        style: dict[str, Any] = {"indent": len(indent[1])} if indent else {}
        style |= {} if indent or '": ' in text else {"separators": (",", ":")}
        text = json.dumps(book, ensure_ascii=text.isascii(), **style) + text[len(text.rstrip()) :]
        return (text.replace("\n", "\r\n") if b"\r\n" in self.raw else text).encode(self.encoding)

    def write(self, path: Path, lines: Iterable[Line]) -> Path:
        """Put other lines into the file; return where the old one is kept."""
        target = path.resolve()  # a link stays one
        if _bytes(target) != self.raw:
            raise RunError(f"{path} has changed since it was read: check it again")
        names = (f"{target.name}.orig{k or ''}" for k in itertools.count())
        kept = next(target.with_name(name) for name in names if not target.with_name(name).exists())
        mode = stat.S_IMODE(target.stat().st_mode)
        for file, content in ((kept, self.raw), (target, self.encoded(lines))):
            write_atomically(file, content)
            file.chmod(mode)
        return kept


def stored(path: Path) -> Stored:
    """Return what is in a file; DataError if that is no text, no notebook, or nothing."""
    raw, notes = _bytes(path), []
    if b"\0" in raw:
        raise DataError(f"{path}: not a file of text (UTF-8, or the encoding its first line names)")
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        codes = [raw.decode(encoding)]
    except (SyntaxError, UnicodeDecodeError, LookupError):
        encoding, codes = "latin-1", [raw.decode("latin-1")]
        notes.append("neither UTF-8 nor in the encoding that it names: read as latin-1")
    is_notebook = path.suffix.lower() == ".ipynb"
    if is_notebook:
        try:
            codes = ["".join(c.get("source", c.get("input", ""))) for c in _code_cells(json.loads(codes[0]))]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{path}: not a Jupyter notebook ({type(error).__name__}: {error})") from None
    if not "".join(codes).strip():
        raise DataError(f"{path}: there is no code in it")
    lines = []
    for k, code in enumerate(codes):
        parts = re.findall(r"([^\r\n]*)(\r\n|\r|\n|$)", code)  # a form feed ends none
        parts = parts[:-1] if parts[-1] == ("", "") else parts
        lines += [Line(text, end, k if is_notebook else -1) for text, end in parts]
    return Stored(raw, encoding, lines, notes)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"{path}: a directory; name a file in it")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        return read_regular(path, LIMIT)
    except (NotRegularError, TooLargeError) as error:
        raise DataError(f"{path}: not a file of text: {error.strerror}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _code_cells(book: Any) -> list[dict[str, Any]]:
    """Return the code cells of a notebook, of the older format too."""
    cells = book["cells"] if "cells" in book else [c for s in book["worksheets"] for c in s["cells"]]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@dataclass(frozen=True, eq=False)
class Source:
    """A file, read as Python 3.

    Attributes
    ----------
    path : Path
    text : str
        Its line k is line k of the file (of a notebook: of its code cells one after the other).
    tree : ast.Module
        The text, parsed. What could not be read is ``pass``.
    left_out : tuple of LeftOut
        What could not be read.
    builtins : dict
        The built-in names as the text means them: a namespace's ``__builtins__``.
    notes : tuple of str
        What was done to read it.
    lines : tuple of Line
        Its lines as they stand in the file.
    stored : Stored
        What was in the file when it was read.
    python2 : bool
    """

    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    left_out: tuple[LeftOut, ...]
    builtins: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...]
    lines: tuple[Line, ...] = field(repr=False)
    stored: Stored = field(repr=False)
    python2: bool

    def place(self, line: int) -> str:
        """Return how a person finds a line: ``lstm.py:12``, or ``lstm.ipynb: cell 3, line 5``."""
        cells = [one.cell for one in self.lines[:line]]
        if not cells or cells[-1] < 0:
            return f"{self.path}:{line}"
        return f"{self.path}: cell {cells[-1] + 1}, line {cells.count(cells[-1])}"

    def replaced(self, text: str) -> "Source":
        """Return the same file with other text; its other lines stay as they are in the file.

        Raises
        ------
        SubjectError
            If it is not Python.
        """
        old, new = self.text.split("\n")[:-1], text.removesuffix("\n").split("\n")
        indents = {_lead(line): _lead(own.text) for line, own in zip(old, self.lines, strict=True)}
        indents[""] = ""
        lines: list[Line] = []
        moved: dict[int, int] = {}
        for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
            if kind == "equal":
                moved |= {i + k + 1: j + k + 1 for k in range(i_end - i)}
                lines += self.lines[i:i_end]
            else:
                cell = self.lines[i if kind == "replace" else max(i - 1, 0)].cell
                for line in new[j:j_end]:
                    lead = _lead(line)
                    lines.append(Line(indents.get(lead, lead) + line[len(lead) :], "", cell))
        end = Counter(own.end for own in self.lines).most_common(1)[0][0] or "\n"
        ends = {own.cell: own.end for own in self.lines}  # of each cell's last line
        following = [*(own.cell for own in lines[1:]), None]
        lines = [
            own._replace(end=(own.end or end) if own.cell == after else ends[own.cell])
            for own, after in zip(lines, following, strict=True)
        ]
        left = tuple(one._replace(line=moved[one.line]) for one in self.left_out if one.line in moved)
        return replace(self, text="\n".join(new) + "\n", lines=tuple(lines), left_out=left)._parsed()

    def _parsed(self) -> "Source":
        try:
            return replace(self, tree=parsed(self.text, python2=self.python2))
        except UNREADABLE as error:
            where = self.place(getattr(error, "lineno", 1) or 1)
            raise SubjectError(f"{where}: not Python: {getattr(error, 'msg', error)}") from None

    def diff(self, other: "Source") -> str:
        """Return a unified diff to another text of this file, in its own lines; a notebook's by cell."""
        parts: list[str] = []
        for cell in sorted({line.cell for line in (*self.lines, *other.lines)}):
            name = self.path.name if cell < 0 else f"{self.path.name}: cell {cell + 1}"
            a, b = ([line for line in one.lines if line.cell == cell] for one in (self, other))
            parts += difflib.unified_diff(
                [line.text for line in a], [line.text for line in b], f"a/{name}", f"b/{name}", lineterm=""
            )
        return "".join(part + "\n" for part in parts)

    def write(self) -> Path:
        """Write the text into the file, in its encoding and with its line ends, a notebook as a notebook.

        Returns
        -------
        Path
            Where the old file is kept: beside it.

        Raises
        ------
        RunError
            If the file is no longer what was read, or cannot be written.
        """
        return self.stored.write(self.path, self.lines)


def read(path: Path | str) -> Source:
    r"""Read a file of any kind: Python 3 or 2, a notebook, in any encoding.

    Raises
    ------
    DataError
        If there is no such file, or it is no text, or there is no code in it.
    SubjectError
        If nothing in it is Python.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rnn.py"
    ...     _ = file.write_text("print 'loss', 1.5\nx = = 2")
    ...     source = read(file)
    >>> source.text, [left.line for left in source.left_out]
    ("print ('loss', 1.5)\npass\n", [2])
    """
    path = Path(path)
    found = stored(path)
    lines: list[str] = []
    left_out: list[LeftOut] = []
    rewritten = False
    for cell, own in itertools.groupby(found.lines, lambda line: line.cell):
        texts = [line.text for line in own]
        read, left, old = readable(texts if cell < 0 else without_magics(texts))
        left_out += [one._replace(line=one.line + len(lines)) for one in left]
        lines += read
        rewritten |= old
    text = "\n".join(lines) + "\n"
    notes = [*found.notes, *["read as Python 2, print statements and the like rewritten"] * rewritten]
    python2 = rewritten or is_python2(text)
    source = Source(
        path=path,
        text=text,
        tree=ast.Module([], []),
        left_out=tuple(left_out),
        builtins=names(path, python2=python2),
        notes=tuple(notes),
        lines=tuple(found.lines),
        stored=found,
        python2=python2,
    )._parsed()
    more = supplied(source.tree)
    source.builtins.update(more)
    told = tuple(f"{name} is defined nowhere: the usual one stands for it" for name in more)
    source = replace(source, notes=source.notes + told)
    if all(isinstance(node, ast.Pass) for node in source.tree.body):
        if not left_out:
            raise DataError(f"{path}: there is no code in it")
        raise SubjectError(f"{source.place(left_out[0].line)}: not Python: {left_out[0].why}")
    return source


def _lead(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t\f"))]
