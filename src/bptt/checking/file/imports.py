"""What a file imports: modules that lie beside it, and stand-ins for what is not there."""

import ast
import contextlib
import importlib.abc
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, TypeAlias

from bptt.checking.file.missing import MISSING
from bptt.checking.file.source import Source

Execute: TypeAlias = Callable[[Path, dict[str, Any]], None]

_OURS = Path(__file__).parents[2]
_BESIDE = "beside"  # the name of the package that the file's folder is


def guarded(node: ast.Import | ast.ImportFrom) -> list[ast.stmt]:
    """Return statements that import the same and do not fail: what is not there is `Missing`."""
    found: list[ast.stmt] = []
    for alias in node.names:
        what, text = alias.name, f"import {ast.unparse(alias)}"
        if isinstance(node, ast.ImportFrom):
            what = f"{node.module or ''}.{alias.name}".strip(".")
            text = f"from {'.' * node.level}{node.module or ''} {text}"
        name = alias.asname or alias.name.partition(".")[0]
        otherwise = "pass" if name == "*" else f"{name} = {MISSING}({what!r}, __error)"
        parsed = ast.parse(f"try:\n {text}\nexcept Exception as __error:\n {otherwise}").body[0]
        for part in ast.walk(parsed):
            ast.copy_location(part, node)
        found.append(parsed)
    return found


class Neighbours(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules beside a file: in its folder, in its package's, and where it extends ``sys.path``.

    Attributes
    ----------
    package : str
        What the file's ``__package__`` must be, so that ``from .layers import x`` finds them though the file
        is executed alone.

    Examples
    --------
    >>> import tempfile
    >>> from bptt.checking.file import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "layers.py").write_text("H = 3")
    ...     _ = Path(folder, "net.py").write_text("from .layers import H")
    ...     found = neighbours(read(Path(folder, "net.py"))).resolve("layers")
    >>> found.name
    'layers.py'
    """

    def __init__(self, source: Source) -> None:
        above = [*source.path.absolute().parents]
        nodes = list(ast.walk(source.tree))
        depth = max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)
        while (above[depth] / "__init__.py").is_file():
            depth += 1
        self._packages: dict[str, Path] = {}
        self.package = ""
        for folder in reversed(above[:depth]):
            self.package += "." * bool(self.package) + folder.name.replace(".", "_")
            self._packages[self.package] = folder
        more = [above[0] / part.lstrip("/") for node in nodes for part in _added(node)]
        self._folders = [str(one) for one in (above[0], above[depth], *more)]
        self._execute: Execute | None = None
        self._taken: list[str] = []

    def resolve(self, name: str) -> Path | None:
        """Return the file or the folder that a module's full name stands for; None where none is beside."""
        folders, path = None, ""
        for part in name.split("."):
            spec = self._spec(part, folders)
            if spec is None:
                return None
            folders = list(spec.submodule_search_locations or [])
            path = spec.origin or folders[0]
        return Path(path)

    def _spec(self, name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
        if name in self._packages:
            places, init = [str(self._packages[name])], self._packages[name] / "__init__.py"
            origin = str(init) if init.is_file() else None
        else:
            if folders is None and (name in sys.stdlib_module_names or name == "numpy"):
                return None
            found = PathFinder.find_spec(name, self._folders if folders is None else folders)
            if found is None or (found.origin and not found.origin.endswith(".py")):
                return None
            if found.origin is None and folders is None and PathFinder.find_spec(name):
                return None  # a mere folder hides nothing that is installed
            origin, places = found.origin, [*(found.submodule_search_locations or ())]
        if origin and Path(origin).resolve().is_relative_to(_OURS):
            return None
        spec = ModuleSpec(name, self if origin else None, origin=origin, is_package=bool(places))
        spec.has_location = bool(origin)
        if places:
            spec.submodule_search_locations = places
        return spec

    @contextlib.contextmanager
    def importable(self, execute: Execute) -> Iterator[None]:
        """Have them imported within by `execute`, which is given a path and the namespace to fill."""
        hidden = {n: m for n, m in sys.modules.items() if self.resolve(n.partition(".")[0])}
        for name in hidden:
            del sys.modules[name]  # another's module by this name
        self._execute = execute
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            for name in self._taken:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a neighbour, as the import system asks for it."""
        parent = name.rpartition(".")[0]
        found = self._spec(name, path) if not parent or parent in self._taken else None
        self._taken += [name] if found else []
        return found

    def exec_module(self, module: types.ModuleType) -> None:
        """Have a neighbour executed, as the import system asks for it."""
        path = Path(str(module.__file__))
        if self._execute is not None and path.read_bytes().strip():  # an empty __init__.py is none the worse
            self._execute(path, module.__dict__)


neighbours = Neighbours


def _added(node: ast.AST) -> Iterator[str]:
    """Yield what is put into ``sys.path``, as far as it is written there."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.path.append", "sys.path.insert"):
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and "\0" not in part.value:
                yield part.value
