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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bptt.checking.file.imports import SubjectError
from bptt.checking.file.meaning import names, parsed, supplied
from bptt.checking.file.syntax import UNREADABLE, LeftOut, is_python2, readable, without_magics
from bptt.errors import DataError, RunError
from bptt.files import NotRegularError, TooLargeError, read_regular, write_atomically

LIMIT = 1 << 28  # files of more bytes are not read


class Line(NamedTuple):
    """A line as it stands in the file: its text, what ends it, and its notebook cell (-1: no notebook)."""

    text: str
    end: str
    cell: int


@dataclass(frozen=True, eq=False)
class Source:
    """A file, read as Python 3."""

    path: Path
    text: str = field(repr=False)  # line k is the file's; of a notebook: of its cells one after the other
    left_out: tuple[LeftOut, ...]  # what could not be read: ``pass`` in the text
    notes: tuple[str, ...]  # what was done to read it
    lines: tuple[Line, ...] = field(repr=False)  # as they stand in the file
    python2: bool
    raw: bytes = field(repr=False)
    encoding: str
    builtins: dict[str, Any] = field(repr=False)  # as the text means them
    tree: ast.Module = field(repr=False, default_factory=lambda: ast.Module([], []))

    def place(self, line: int) -> str:
        """Return how a person finds a line: ``lstm.py:12``, or ``lstm.ipynb: cell 3, line 5``."""
        cells = [one.cell for one in self.lines[:line]]
        if not cells or cells[-1] < 0:
            return f"{self.path}:{line}"
        return f"{self.path}: cell {cells[-1] + 1}, line {cells.count(cells[-1])}"

    def replaced(self, text: str) -> "Source":
        """Return the same file with other text, whose other lines stay; SubjectError if it is not Python."""
        old, new = self.text.split("\n")[:-1], text.removesuffix("\n").split("\n")
        indents = {_lead(line): _lead(own.text) for line, own in zip(old, self.lines, strict=True)} | {"": ""}
        lines: list[Line] = []
        moved: dict[int, int] = {}
        for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
            if kind == "equal":
                moved |= {i + k + 1: j + k + 1 for k in range(i_end - i)}
                lines += self.lines[i:i_end]
            else:
                cell = self.lines[i if kind == "replace" else max(i - 1, 0)].cell
                leads = [(_lead(line), line) for line in new[j:j_end]]
                lines += [Line(indents.get(lead, lead) + line[len(lead) :], "", cell) for lead, line in leads]
        end = Counter(own.end for own in self.lines).most_common(1)[0][0] or "\n"
        last = {own.cell: own.end for own in self.lines}  # of each cell
        cells = [*(own.cell for own in lines[1:]), None]
        lines = [
            own._replace(end=(own.end or end) if own.cell == following else last[own.cell])
            for own, following in zip(lines, cells, strict=True)
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
            a, b = ([line.text for line in one.lines if line.cell == cell] for one in (self, other))
            parts += difflib.unified_diff(a, b, f"a/{name}", f"b/{name}", lineterm="")
        return "".join(part + "\n" for part in parts)

    def encoded(self) -> bytes:
        """Return what the file is to hold: of a notebook, only the cells that differ do."""
        if self.lines[0].cell < 0:
            return "".join(line.text + line.end for line in self.lines).encode(self.encoding)
        text = self.raw.decode(self.encoding)
        book = json.loads(text)
        for k, cell in enumerate(_code_cells(book)):
            own = [line.text + line.end for line in self.lines if line.cell == k]
            key = "source" if "source" in cell else "input"
            if "".join(own) != "".join(cell[key]):
                cell[key] = own if isinstance(cell[key], list) else "".join(own)
        indent = re.match(r"\s*\{\r?\n( *)", text)
        style: dict[str, Any] = {"indent": len(indent[1])} if indent else {}
        style |= {} if indent or '": ' in text else {"separators": (",", ":")}
        text = json.dumps(book, ensure_ascii=text.isascii(), **style) + text[len(text.rstrip()) :]
        return (text.replace("\n", "\r\n") if b"\r\n" in self.raw else text).encode(self.encoding)

    def write(self) -> Path:
        """Write the text into the file, as it was encoded; return where the old file is kept, beside it."""
        target = self.path.resolve()  # a link stays one
        if _bytes(target) != self.raw:
            raise RunError(f"{self.path} has changed since it was read: check it again")
        names = (f"{target.name}.orig{k or ''}" for k in itertools.count())
        kept = next(target.with_name(name) for name in names if not target.with_name(name).exists())
        mode = stat.S_IMODE(target.stat().st_mode)
        for file, content in ((kept, self.raw), (target, self.encoded())):
            write_atomically(file, content)
            file.chmod(mode)
        return kept


def read(path: Path | str) -> Source:
    """Read a file of any kind: Python 3 or 2, a notebook, in any encoding.

    Raises DataError if there is no such file, no text, or no code in it; SubjectError if nothing is Python.
    """
    path = Path(path)
    raw, notes = _bytes(path), list[str]()
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        code = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        encoding, code = "latin-1", raw.decode("latin-1")
        notes.append("neither UTF-8 nor in the encoding that it names: read as latin-1")
    return _source(path, _parts(path, code), raw, encoding, notes)


def session(cells: Mapping[int, str]) -> Source:
    """Return the executed cells of the notebook that runs this, by their numbers, as one source."""
    parts = [(number - 1, text) for number, text in sorted(cells.items())]
    return _source(Path("notebook"), parts, b"", "utf-8", [])


def _source(path: Path, parts: list[tuple[int, str]], raw: bytes, encoding: str, notes: list[str]) -> Source:
    own, text, left_out, rewritten = list[Line](), "", list[LeftOut](), False
    for cell, part in parts:
        pairs = re.findall(r"([^\r\n]*)(\r\n|\r|\n|$)", part)  # a form feed ends none
        pairs = pairs[:-1] if pairs[-1] == ("", "") else pairs
        lines = [line for line, _ in pairs]
        lines, left, old = readable(lines if cell < 0 else without_magics(lines))
        left_out += [one._replace(line=one.line + len(own)) for one in left]
        own += [Line(line, end, cell) for line, end in pairs]
        text += "".join(f"{line}\n" for line in lines)
        rewritten |= old
    notes += ["read as Python 2, print statements and the like rewritten"] * rewritten
    python2 = rewritten or is_python2(text)
    builtins = names(path, python2=python2)
    source = Source(path, text, tuple(left_out), (), tuple(own), python2, raw, encoding, builtins)._parsed()
    more = supplied(source.tree)
    builtins |= more
    notes += [f"{name} is defined nowhere: the usual one stands for it" for name in more]
    if all(isinstance(node, ast.Pass) for node in source.tree.body):
        if not left_out:
            raise DataError(f"{path}: there is no code in it")
        raise SubjectError(f"{source.place(left_out[0].line)}: not Python: {left_out[0].why}")
    return replace(source, notes=tuple(notes))


def _parts(path: Path, code: str) -> list[tuple[int, str]]:
    """Return a notebook's cells, or the whole text as the only part."""
    if path.suffix.lower() != ".ipynb":
        return [(-1, code)]
    try:
        cells = enumerate(_code_cells(json.loads(code)))
        return [(k, "".join(cell.get("source", cell.get("input", "")))) for k, cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: not a Jupyter notebook ({type(error).__name__}: {error})") from None


def _code_cells(book: Any) -> list[dict[str, Any]]:
    """Return the code cells of a notebook, of the older format too."""
    cells = book["cells"] if "cells" in book else [c for s in book["worksheets"] for c in s["cells"]]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"{path}: a directory; name a file in it")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        raw = read_regular(path, LIMIT)
    except (NotRegularError, TooLargeError) as error:
        raise DataError(f"{path}: not a file of text: {error.strerror}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if b"\0" in raw:
        raise DataError(f"{path}: not a file of text (UTF-8, or the encoding its first line names)")
    return raw


def _lead(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t\f"))]
