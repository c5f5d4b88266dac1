"""What a file imports: modules that lie beside it, and stand-ins for what is not there."""

import ast
import contextlib
import copy
import functools
import io
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from unittest import mock

import numpy as np

from bptt.errors import BpttError

if TYPE_CHECKING:
    from bptt.checking.file.source import Source

ABOVE = 4  # folders in which what a file imports may lie
MISSING = "__missing__"  # the name by which the built-ins of a `Source` have `missing`
TEXT = "a cab bead\ndecade a bad ace\nadd a bee cab\n"  # seven distinct characters, in three lines

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


_SPECIAL: dict[str, Any] = {
    "scipy.special.expit": lambda x: 1 / (1 + np.exp(-x)),
    "scipy.special.softmax": _softmax,
    "itertools.izip": zip,
}
"""What recurrent networks use of SciPy, and of Python 2."""


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


Execute: TypeAlias = Callable[[Path, dict[str, Any]], None]

_OURS = Path(__file__).parents[2]


def modules(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield each imported name, the module that it needs, and its full name."""
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            name = alias.asname or alias.name.partition(".")[0]
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if isinstance(node, ast.Import):
                yield name, alias.name, alias.name if alias.asname else name
            else:
                yield name, module or alias.name, f"{module or ''}.{alias.name}".strip(".")


def guarded(node: ast.Import | ast.ImportFrom) -> list[ast.stmt]:
    """Return statements that import the same and do not fail: what is not there is `Missing`."""
    found: list[ast.stmt] = []
    for alias in node.names:
        one = copy.copy(node)
        one.names = [alias]
        [(name, _, full)] = modules(one)
        otherwise = "pass" if name == "*" else f"{name} = {MISSING}({full!r}, __error)"
        text = f"try:\n {ast.unparse(one)}\nexcept Exception as __error:\n {otherwise}"
        found += ast.parse(text).body
        for part in ast.walk(found[-1]):
            ast.copy_location(part, node)
    return found


class Neighbours:
    """The modules beside a file: in its folder, in its package's, and where it extends ``sys.path``."""

    package = ""  # relative imports are found by where the files are

    def __init__(self, source: "Source") -> None:
        above = [*source.path.absolute().parents]
        nodes = list(ast.walk(source.tree))
        depth = max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)
        while (above[depth] / "__init__.py").is_file():
            depth += 1
        more = [above[0] / part.lstrip("/") for node in nodes for part in _added(node)]
        tops = {module.partition(".")[0] for _, module, _ in modules(source.tree)}
        more += [one.parent for one in above if one.name in tops]  # its own package, by its full name
        more += [one for one in above[1:ABOVE] if any((one / top).is_dir() for top in tops)]  # run from there
        self._folders = (above[0], above[depth], *more)
        self._modules: dict[Path, types.ModuleType] = {}
        self._execute: Execute = lambda _path, _names: None
        self.resolve = functools.cache(self._resolved)

    def _resolved(self, name: str, folder: Path | None = None) -> Path | None:
        """Return the file or the folder that a module's full name stands for; None where none is beside."""
        first, *_ = parts = name.split(".")
        if folder is None and (first in sys.stdlib_module_names or first == "numpy"):
            return None
        places = [one.joinpath(*parts) for one in ([folder] if folder else self._folders)]
        for place in places:
            for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                if path.is_file() and not path.resolve().is_relative_to(_OURS):
                    return path
        installed = folder is None and PathFinder.find_spec(first)  # of which a mere folder hides nothing
        return next((place for place in places if place.is_dir() and not installed), None)

    @contextlib.contextmanager
    def importable(self, execute: Execute) -> Iterator[None]:
        """Have them imported within by `execute`, which is given a path and the namespace to fill."""
        self._execute = execute
        _active.append(self)
        try:
            yield
        finally:
            _active.remove(self)
            for module in self._modules.values():
                sys.modules.pop(module.__name__, None)
            self._modules.clear()

    def module(self, path: Path) -> types.ModuleType:
        """Return the module of a path, executed if it was not yet."""
        if path not in self._modules:
            module = self._modules[path] = types.ModuleType(str(path))
            module.__file__ = str(path)
            sys.modules[module.__name__] = module  # where data classes look for it
            try:
                if path.is_file() and re.sub(rb"#.*", b"", path.read_bytes()).strip():
                    self._execute(path, module.__dict__)  # an empty __init__.py is none the worse
            except BaseException:
                del self._modules[path], sys.modules[module.__name__]
                raise
        return self._modules[path]


neighbours = Neighbours
_active: list[Neighbours] = []
_absent: dict[str, ModuleNotFoundError] = {}


def importer(path: Path) -> Callable[..., Any]:
    """Return a file's ``__import__``, which finds its neighbours while they are importable."""

    def imported(
        name: str, names: Any = None, local: Any = None, wanted: Sequence[str] | None = (), level: int = 0
    ) -> Any:
        folder = path.absolute().parents[level - 1] if level else None
        parts = name.split(".") if name else []
        near = _active[-1] if _active else None
        paths = [near.resolve(".".join(parts[: k + 1]), folder) if near else None for k in range(len(parts))]
        found = [near.module(one) for one in paths if near and one and None not in paths]
        if near and folder and not name:  # from . import x
            init = folder / "__init__.py"
            found = [near.module(init if init.is_file() else folder)]
        if near is None or not found:
            if name in _absent:  # a run is repeated many times, and a search takes long
                raise _absent[name].with_traceback(None)
            try:
                return __import__(name, names, local, wanted or (), level)
            except ModuleNotFoundError as error:
                if not level:
                    _absent[name] = error
                raise
        for owner, part, module in zip(found, parts[1:], found[1:], strict=False):
            setattr(owner, part, module)
        for one in wanted or ():
            within = near.resolve(f"{name}.{one}".lstrip("."), folder)
            if within and not hasattr(found[-1], one):
                setattr(found[-1], one, near.module(within))
        return found[-1 if wanted else 0]

    return imported


def importers(path: Path) -> Iterator[Path]:
    """Yield the files beside one that import it; what cannot be read, and what is no file, does not."""
    for one in sorted(path.absolute().parent.glob("*.py")):
        text = ""
        with contextlib.suppress(OSError):
            if one.name != path.name and one.is_file():  # a pipe would be waited for
                text = one.read_text(encoding="utf-8", errors="replace")
        if re.search(rf"^\s*(?:from|import)\b.*\b{re.escape(path.stem)}\b", text, re.MULTILINE):
            yield one


def _added(node: ast.AST) -> Iterator[str]:
    """Yield what is put into ``sys.path``, as far as it is written there."""
    match node:
        case ast.Call(ast.Attribute(ast.Attribute(ast.Name("sys"), "path"), "append" | "insert")):
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            yield from (text for text in texts if isinstance(text, str) and "\0" not in text)
