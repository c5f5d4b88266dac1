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

TEXT = "a cab bead\ndecade a bad ace\nadd a bee cab\n"
"""Seven distinct characters, in three lines."""

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
        return (_Base,)


class _Base:
    """Stands for a class that is not there, below those that are made over it."""

    def __init__(self, *_args: Any, **kwargs: Any) -> None:
        self.__dict__ |= kwargs


def _used(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise SubjectError(self.why)


for _name in _OPERATORS:
    setattr(Missing, f"__{_name}__", _used)


class _Lent(Missing):
    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return self


def define(code: types.CodeType, names: dict[str, Any], node: ast.stmt) -> None:
    """Execute a statement; what defaults or a class's head read and nothing sets is `Missing`."""
    lent = set[str]()
    try:
        while True:
            try:
                return exec(code, names)
            except NameError as error:
                if (
                    not isinstance(node, ast.FunctionDef | ast.ClassDef)
                    or not error.name
                    or error.name in lent
                ):
                    raise
                lent.add(error.name)
                names[error.name] = _Lent(f"needs {error.name}, which is not there")
    finally:
        for name in lent:
            names.pop(name, None)


def _softmax(x: Any, axis: int | None = None) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


_SPECIAL = {"scipy.special.expit": lambda x: 1 / (1 + np.exp(-x)), "scipy.special.softmax": _softmax}
"""What of SciPy recurrent networks use."""


def missing(what: str, error: Exception | None = None) -> Any:
    """Return what stands for a name whose import failed: for CuPy's, NumPy's; a few of SciPy's."""
    library, _, name = what.partition(".")
    if library == "cupy" and hasattr(np, name or "ndarray"):
        return getattr(np, name) if name else np
    if what in _SPECIAL:
        return _SPECIAL[what]
    if isinstance(error, ModuleNotFoundError) and what.startswith(str(error.name)):
        return Missing(f"needs {error.name}, which is not installed")
    because = f" ({type(error).__name__}: {error})" if error else ""
    return Missing(" ".join(f"needs {what}, which is not there{because}".split()))


def opener(path: Path) -> Callable[..., Any]:
    """Return a file's ``open``: what is not there reads as something small, and nothing is written."""
    notes: list[str] = []

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        for place in (path.parent / str(file), Path(str(file))):
            if place.is_file() and not set(mode) & set("wax+"):
                return place.open(mode, *args, **kwargs)
        text = "" if set(mode) & set("wax+") else TEXT
        note = f"{file} is not here: a small text stands in for it"
        notes.extend([note] if text and note not in notes else [])
        return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)

    opened.notes = notes  # type: ignore[attr-defined]
    return opened


@contextlib.contextmanager
def stand_ins(source: "Source") -> Iterator[list[str]]:
    """Have a file find no options in ``sys.argv``; yield what has stood in for files, said in words."""
    with mock.patch.object(sys, "argv", [str(source.path)]):
        yield source.builtins["open"].notes
