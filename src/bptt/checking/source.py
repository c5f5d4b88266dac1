"""A user's file: its definitions, taken without running it (`load`), and where each of them stands."""

import ast
import functools
import inspect
import linecache
import os
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bptt.checking.definitions import bound, define
from bptt.checking.filetext import place, read
from bptt.checking.guard import SECONDS, as_subject_error, guard, ours, places
from bptt.checking.subject import SubjectError
from bptt.errors import DataError

ours.add(__file__)


@dataclass(eq=False)
class Source:
    """A user's file and what was taken from it.

    Attributes
    ----------
    path : Path
        The file.
    text : str
        Its Python text; of a notebook, its code cells in order. Line numbers are those of this text.
    tree : ast.Module
        The text, parsed.
    namespace : dict
        What it defines.
    missing : dict of str
        Imported names (and definitions over them) that are not there, with the reason. In the namespace they
        are stand-ins that raise SubjectError when used; they are callable, so leave them out when searching.
    unset : list of str
        Names that the file would set by running and that are not in the namespace.
    skipped : list of int
        First lines of the statements that were not executed.
    notes : list of str
        What was done to read the file, for the person to know.
    output : str
        What it printed while it was executed (the first 64 KiB).
    """

    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    cells: list[int] = field(default_factory=list, repr=False)
    notes: list[str] = field(default_factory=list)
    namespace: dict[str, Any] = field(default_factory=dict, repr=False)
    missing: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    output: str = field(default="", repr=False)

    @property
    def lines(self) -> list[str]:
        """The text's lines; line n is ``lines[n - 1]``."""
        return self.text.split("\n")

    def place(self, line: int) -> str:
        """Return how a person finds a line: ``lstm.py:12``, or ``lstm.ipynb: cell 3, line 5``."""
        return place(self.path, self.cells, line)

    def where(self, thing: object) -> tuple[int, int]:
        """Return the first and last line of a definition, decorators included.

        Parameters
        ----------
        thing : object
            A name (``"LSTM.backward"``), or what it is bound to: a function, a method, a class, a value.

        Returns
        -------
        (int, int)
            Lines of `text`, counted from 1.

        Raises
        ------
        DataError
            If the file does not define it.
        """
        spans = dict(_spans(self.tree.body))
        if isinstance(thing, str):
            if thing in spans:
                return spans[thing]
            raise DataError(f"{self.path}: {thing} is not defined there")
        inner = thing.func if isinstance(thing, functools.partial) else thing
        inner = inspect.unwrap(inner) if callable(inner) else inner
        code = getattr(inner, "__code__", None)
        if code is not None and code.co_filename == str(self.path):
            for node in ast.walk(self.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    span = _span(node)
                    if span[0] == code.co_firstlineno:
                        return span
        names = [name for name, value in self.namespace.items() if value is thing]
        names.append(getattr(inner, "__qualname__", "").replace(".<locals>", ""))
        for name in names:
            if name in spans:
                return spans[name]
        raise DataError(f"{self.path}: {thing!r:.100} is not defined there")


def _span(node: Any) -> tuple[int, int]:
    starts = [node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]
    return min(starts), node.end_lineno


def _spans(body: Iterable[ast.AST], prefix: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, _span(node)
            yield from _spans(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.stmt):
            for name in bound(node):
                yield prefix + name, _span(node)
            yield from _spans(ast.iter_child_nodes(node), prefix)


def load(path: str | os.PathLike[str], *, run: bool = False, seconds: float = SECONDS) -> Source:
    r"""Take a file's definitions, or run it.

    Parameters
    ----------
    path : path of a ``.py`` file or an ``.ipynb`` notebook
        Python 3, or Python 2 whose differences are print statements, ``except X, e`` and the like.
    run : bool
        False: only what defines is executed (imports, functions, classes, assignments of simple expressions
        over what is known), for the file itself and for modules beside it that it imports. True: all of it,
        as a script.
    seconds : float
        The time limit.

    Returns
    -------
    Source
        The namespace, and what was left out.

    Raises
    ------
    DataError
        If there is no such file, or it is no text, or empty.
    SubjectError
        If the text is not Python, or (``run=True``) the file fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rnn.py"
    ...     _ = file.write_text("H = 4\ndef f(x): return x + H\nwhile True: pass\n")
    ...     source = load(file)
    >>> source.namespace["f"](1), source.skipped, source.where("f")
    (5, [3], (2, 2))
    """
    path = Path(path)
    with guard(seconds) as printed:
        source = _read(path)
        try:
            if run:
                _run(source)
            else:
                define(source, _read)
        except BaseException as error:
            raise as_subject_error(error) from error
    source.output = printed.decode("utf-8", "replace")
    return source


def _read(path: Path) -> Source:
    text, tree, cells, notes, names = read(path)
    source = Source(path, text, tree, cells, notes)
    source.namespace["__builtins__"] = names  # the old names are there without showing among the file's own
    places[str(path)] = source.place
    # inspect and tracebacks find the text that was compiled, whatever is on disk
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    return source


def _run(source: Source) -> None:
    """Execute all of it, as ``python FILE`` does."""
    module = types.ModuleType("__main__")
    module.__dict__.update(source.namespace, __file__=str(source.path))
    source.namespace = module.__dict__
    saved = sys.modules["__main__"], sys.argv, sys.path, os.environ.get("MPLBACKEND")
    sys.modules["__main__"], sys.argv = module, [str(source.path)]
    sys.path = [str(source.path.absolute().parent), *sys.path]
    os.environ["MPLBACKEND"] = "Agg"  # plt.show() would wait for somebody
    try:
        exec(compile(source.tree, str(source.path), "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        if error.filename != str(source.path):
            raise
        where = source.place(error.lineno or 1)
        raise SubjectError(f"{where}: SyntaxError: {error.msg}") from None
    finally:
        sys.modules["__main__"], sys.argv, sys.path = saved[:3]
        if saved[3] is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = saved[3]
