"""A user's file of any kind, read as Python text: encodings, notebooks, Python 2."""

import ast
import builtins
import functools
import io
import itertools
import json
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from bptt.checking.guard import ours
from bptt.checking.subject import SubjectError
from bptt.errors import DataError

ours.add(__file__)


class Text(NamedTuple):
    """A file as Python text.

    Attributes
    ----------
    text : str
        Python 3; of a notebook, its code cells in order.
    tree : ast.Module
        The text, parsed.
    cells : list of int
        The line on which each of a notebook's cells begins; empty for other files.
    notes : list of str
        What was done to read it.
    builtins : dict
        The built-in names, as the text means them.
    """

    text: str
    tree: ast.Module
    cells: list[int]
    notes: list[str]
    builtins: dict[str, Any]


def read(path: Path) -> Text:
    """Read a user's file of any kind.

    Parameters
    ----------
    path : Path
        A ``.py`` file or an ``.ipynb`` notebook.

    Returns
    -------
    Text

    Raises
    ------
    DataError
        If there is no such file, or it is no text, or empty.
    SubjectError
        If the text is not Python.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rnn.py"
    ...     _ = file.write_text("print 'loss', 1.5")
    ...     read(file).text.strip()
    "print ('loss', 1.5)"
    """
    text = _text(path)
    cells: list[int] = []
    notes: list[str] = []
    if path.suffix.lower() == ".ipynb":
        text, cells = _notebook(path, text)
    if not text.strip():
        raise DataError(f"{path}: there is no code in it")
    names = vars(builtins) | {"xrange": range, "unicode": str, "basestring": str, "long": int}
    names |= {"raw_input": input, "unichr": chr, "reduce": functools.reduce}
    old = bool(re.search(r"\b(?:xrange|raw_input|iteritems)\b", text))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        try:
            text = _from_python2(text)
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
            where = place(path, cells, getattr(error, "lineno", 1) or 1)
            reason = getattr(error, "msg", None) or str(error) or type(error).__name__
            raise SubjectError(f"{where}: not Python 3, nor simple Python 2: {reason}") from None
        old = True
        notes.append("read as Python 2, print statements and the like rewritten")
        for listed in (range, map, filter, zip):
            names[listed.__name__] = functools.partial(_listed, listed)
    if old and "import division" not in text:
        tree = ast.fix_missing_locations(_Division().visit(tree))
        names[_Division.NAME] = divided
    return Text(text, _Renamed().visit(tree), cells, notes, names)


def place(path: Path, cells: list[int], line: int) -> str:
    """Return how a person finds a line: ``lstm.py:12``, or ``lstm.ipynb: cell 3, line 5``."""
    cell = sum(start <= line for start in cells)
    if not cell:
        return f"{path}:{line}"
    return f"{path}: cell {cell}, line {line - cells[cell - 1] + 1}"


class _Renamed(ast.NodeTransformer):
    """Gives NumPy's old names, which are gone, as their new ones."""

    NEW: ClassVar = {"row_stack": "vstack", "product": "prod", "alltrue": "all", "in1d": "isin"}
    NEW |= {"float": "float64", "int": "int_", "bool": "bool_", "complex": "complex128"}

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        old = isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy")
        if old and node.attr in self.NEW and not hasattr(np, node.attr):
            node.attr = self.NEW[node.attr]
        return node


class _Division(ast.NodeTransformer):
    """Makes ``/`` what it is in Python 2: of whole numbers, the whole quotient."""

    NAME = "__division__"

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        call = ast.Call(ast.Name(self.NAME, ast.Load()), [node.left, node.right], [])
        return ast.copy_location(call, node)


def divided(a: Any, b: Any) -> Any:
    """Return a quotient as Python 2 has it."""
    whole = isinstance(a, int) and isinstance(b, int)
    return a // b if whole else a / b


def _listed(make: Callable[..., Iterable[Any]], *args: Any) -> list[Any]:
    return list(make(*args))


def _text(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"{path}: a directory; name a file in it")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a file of text")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if b"\0" in raw:
        raise DataError(f"{path}: not a file of text (UTF-8, or the encoding its first line names)")
    try:
        text = raw.decode(tokenize.detect_encoding(io.BytesIO(raw).readline)[0])
    except (SyntaxError, UnicodeDecodeError, LookupError):
        hint = "save it as UTF-8 or name its encoding in the first line (# coding: latin-1)"
        raise DataError(f"{path}: neither UTF-8 nor in the encoding it names; {hint}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _notebook(path: Path, text: str) -> tuple[str, list[int]]:
    """Return the code of all cells and the line on which each begins."""
    try:
        book = json.loads(text)
        cells = book["cells"] if "cells" in book else [c for s in book["worksheets"] for c in s["cells"]]
        codes = ["".join(c.get("source", c.get("input", ""))) for c in cells if c["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a Jupyter notebook ({type(error).__name__}: {error})") from None
    starts: list[int] = []
    lines: list[str] = []
    for code in codes:
        starts.append(len(lines) + 1)
        lines += _without_magics(code)
    return "\n".join(lines) + "\n", starts


def _without_magics(code: str) -> list[str]:
    lines = code.replace("\r\n", "\n").split("\n")
    try:
        ast.parse(code)
    except SyntaxError:
        first = re.match(r"\s*%%(\w+)", code)
        if first and first[1] not in ("time", "timeit", "capture", "prun"):
            return [""] * len(lines)  # another language, or a file to write
        magic = re.compile(r"(\s*)(%{1,2}[a-zA-Z]|[!?]|\w+\s*=\s*[%!]|[^#'\"]*\?\s*$)")
        return [f"{found[1]}pass" if (found := magic.match(line)) else line for line in lines]
    return lines


_RENAMED = {"iteritems": "items", "itervalues": "values", "iterkeys": "keys"}
_HEADERS = {"if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class"}


def _from_python2(text: str) -> str:
    """Rewrite what Python 2 only spells differently; lines keep their numbers."""
    indents = [re.match(r"[ \t]*", line) for line in text.split("\n")]
    lines = [f[0].expandtabs(8) + f.string[f.end() :] for f in indents if f]
    edits: list[tuple[tuple[int, int], tuple[int, int], str]] = []
    with_function = "print_function" in text
    for part in _statements("\n".join(lines) + "\n"):
        first, rest = part[0], part[1:]
        commas = _commas(rest)
        if first.string == "print" and not rest:
            edits.append((*_ends(first), "print()"))
        elif first.string == "print" and not with_function and rest[0].string not in ("=", ".", ","):
            end = ")"
            if rest[0].string == ">>":  # print >>file, what
                edits.append((*_ends(rest[0]), "(file="))
                if commas and len(rest) > commas[0] + 1:
                    edits.append((*_ends(rest[commas[0]]), ", *("))
                    end = "))" if rest[-1].string == "," else ",))"
            else:
                edits.append((rest[0].start, rest[0].start, "("))
            edits.append((rest[-1].end, rest[-1].end, end))
        elif first.string == "except" and commas:
            edits.append((*_ends(rest[commas[-1]]), " as"))
        elif first.string == "raise" and len(commas) == 1:
            edits.append((*_ends(rest[commas[0]]), "("))
            edits.append((rest[-1].end, rest[-1].end, ")"))
        for dot, name in itertools.pairwise(part):
            if dot.string == "." and name.string in _RENAMED:
                edits.append((*_ends(name), _RENAMED[name.string]))
    for (row, start), (_, end_column), new in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + new + line[end_column:]
    return "\n".join(lines) + "\n"


def _ends(token: tokenize.TokenInfo) -> tuple[tuple[int, int], tuple[int, int]]:
    return token.start, token.end


def _statements(text: str) -> Iterator[list[tokenize.TokenInfo]]:
    """Yield the tokens of each simple statement and of each header (``if x``)."""
    part: list[tokenize.TokenInfo] = []
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            continue
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.string, 0)
        header = token.string == ":" and not depth and bool(part) and part[0].string in _HEADERS
        if (
            token.type in (tokenize.NEWLINE, tokenize.ENDMARKER)
            or (token.string == ";" and not depth)
            or header
        ):
            if part:
                yield part
            part = []
        else:
            part.append(token)


def _commas(tokens: Sequence[tokenize.TokenInfo]) -> list[int]:
    found, depth = [], 0
    for k, token in enumerate(tokens):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.string, 0)
        if token.string == "," and not depth:
            found.append(k)
    return found
