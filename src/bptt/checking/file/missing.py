"""What is not there: names are an error where they are used, and for files something stands in."""

import ast
import contextlib
import io
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

import numpy as np

from bptt.errors import BpttError

if TYPE_CHECKING:
    from bptt.checking.file.source import Source

MISSING = "__missing__"
"""The name by which the built-ins of a `Source` have `missing`."""

_OPERATORS = """
iter next len getitem setitem delitem contains bool float int index array enter exit neg pos abs matmul
rmatmul add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow lt le gt ge
""".split()  # noqa: SIM905


class SubjectError(BpttError):
    """The code under judgement is at fault: it is no Python, it raised, or it needs what is not there."""


class Missing:
    """Stands for what could not be imported: an error where it is used, and not before.

    A class over it keeps those of its methods that need no base; a function that it decorates stays as it is.
    """

    def __init__(self, why: Any, *_class: Any) -> None:
        self.__dict__["why"] = why

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)  # somebody looks what kind of thing this is
        return Missing(self.why)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        if len(args) == 1 and isinstance(args[0], types.FunctionType | type) and not kwargs:
            return args[0]
        return self if not args else _used(self)  # without arguments: @jit(), plt.figure()

    def __mro_entries__(self, _bases: object) -> tuple[type, ...]:
        return ()


def _used(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise SubjectError(self.why)


for _name in _OPERATORS:
    setattr(Missing, f"__{_name}__", _used)


def missing(what: str, error: Exception | None = None) -> Any:
    """Return what stands for a name whose import failed: for CuPy's, NumPy's."""
    root, *parts = what.split(".")
    if root == "cupy" and hasattr(np, (parts or ["ndarray"])[0]):
        return getattr(np, parts[0]) if parts else np
    if isinstance(error, ModuleNotFoundError) and what.startswith(str(error.name)):
        return Missing(f"needs {error.name}, which is not installed")
    because = f" ({type(error).__name__}: {error})" if error else ""
    return Missing(" ".join(f"needs {what}, which is not there{because}".split()))


READ = "__read__"
"""The name by which the built-ins of a `Source` have what its calls that read a file are handed to."""

READS = frozenset({"open", "loadtxt", "genfromtxt", "read_text", "read_bytes", "urlopen"})
"""Calls that read a file."""

_MODULES = ("io", "_io", "codecs", "numpy", "urllib", "pathlib")

TEXT = "a cab bead\ndecade a bad ace\nadd a bee cab\n"
"""Seven distinct characters, in three lines."""

TABLE = np.round(np.sin(np.arange(18.0)).reshape(6, 3), 3)


def reading(path: Path) -> Callable[..., Any]:
    """Return what makes a file's calls that read: where nothing is, they read something small."""
    notes: list[str] = []

    def read(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if str(getattr(call, "__module__", "")).partition(".")[0] not in _MODULES:
            return call(*args, **kwargs)  # another that has the name
        name, is_method = call.__name__, call.__name__ in ("read_text", "read_bytes")
        file, *more = [call.__self__, *args] if is_method else args  # type: ignore[attr-defined]
        mode = kwargs.get("mode", [*more, ""][0]) if name == "open" else ""
        is_bytes = "b" in mode or name in ("read_bytes", "urlopen")
        if set(mode) & set("wax+"):
            return io.BytesIO() if is_bytes else io.StringIO()  # nothing is written
        for place in (path.parent / str(file), Path(str(file))) if name != "urlopen" else ():
            if place.is_file():
                return getattr(place, name)(*more) if is_method else call(place, *more, **kwargs)
        is_table = name in ("loadtxt", "genfromtxt")
        what = "table of numbers" if is_table else "text"
        note = f"{getattr(file, 'full_url', file)} is not here: a small {what} stands in for it"
        notes.extend([note] if note not in notes else [])
        if is_table:
            return TABLE.copy()
        opened = io.BytesIO(TEXT.encode()) if is_bytes else io.StringIO(TEXT)
        return opened.read() if is_method else opened

    read.notes = notes  # type: ignore[attr-defined]
    return read


class Read(ast.NodeTransformer):
    """Hands the calls that read a file to `READ`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite ``open(x)`` as ``__read__(open, x)``."""
        self.generic_visit(node)
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in READS:
            new = ast.Call(ast.Name(READ, ast.Load()), [node.func, *node.args], node.keywords)
            return ast.fix_missing_locations(ast.copy_location(new, node))
        return node


@contextlib.contextmanager
def stand_ins(source: "Source") -> Iterator[list[str]]:
    """Have a file find no options in ``sys.argv``; yield what has stood in for files, said in words.

    Examples
    --------
    >>> import tempfile
    >>> from bptt.checking.file import definitions, read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rnn.py"
    ...     _ = file.write_text("chars = sorted(set(open('input.txt').read()))")
    ...     source = read(file)
    ...     names = {"__builtins__": source.builtins}
    ...     with stand_ins(source) as notes:
    ...         exec(compile(ast.Module(definitions(source), []), "", "exec"), names)
    >>> len(names["chars"]), notes
    (7, ['input.txt is not here: a small text stands in for it'])
    """
    with mock.patch.object(sys, "argv", [str(source.path)]):
        yield source.builtins[READ].notes
