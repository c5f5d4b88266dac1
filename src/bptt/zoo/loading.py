"""Cells by what people call them: a name of the zoo, or a file or a module and a name in it."""

import contextlib
import importlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bptt.derive.equation_cell import EquationCell
from bptt.derive.source import printable
from bptt.errors import BpttError, ConfigError


def load(spec: str) -> EquationCell:
    """Return the cell that NAME, FILE.py:NAME, PACKAGE.MODULE:NAME or, where it has one cell, FILE.py means.

    A file is run, as Python runs a module (``__name__`` is not ``"__main__"``, and what stands beside it can
    be imported); a module is imported, from the current folder or from what is installed, and can import
    from its package. What is printed goes to standard error.

    Parameters
    ----------
    spec : str
        NAME is a cell's name (``lstm-peephole``) or what Python calls it (``lstm_peephole``).

    Raises
    ------
    ConfigError
        If there is no such cell, or the file or module cannot be run.
    EquationError
        If a cell of the file cannot be read: with file and line.

    Examples
    --------
    >>> load("slstm")
    <cell slstm: gates i f o z, states h c n m>
    """
    path, name = split(spec)
    if path is None:
        from bptt.zoo.papers import EVERY

        own = name.replace("_", "-")
        if own not in EVERY:
            raise unknown(name, EVERY)
        return EVERY[own]
    cells = {key: value for key, value in _run(path).items() if isinstance(value, EquationCell)}
    return _choose(cells, name, path)


def unknown(name: str, cells: Iterable[str]) -> ConfigError:
    """Return the error of a name that no cell of the zoo has, with those that are like it."""
    near = get_close_matches(name.lower().replace("_", "-"), [*cells], 4, 0.5)
    like = f"like it are {', '.join(near)}; " if near else ""
    own = "one of your own is FILE.py:NAME or PACKAGE.MODULE:NAME"
    return ConfigError(f"no cell is called {name!r}; {like}bptt derive --list names all; {own}")


def split(spec: str) -> tuple[str | None, str]:
    """Return the file or the module, if it is one, and the name in it, if it is given.

    Examples
    --------
    >>> split("lstm"), split("cells.py"), split("cells.py:leaky"), split("C:/cells.py")
    ((None, 'lstm'), ('cells.py', ''), ('cells.py', 'leaky'), ('C:/cells.py', ''))
    >>> split("mine.cells:leaky")
    ('mine.cells', 'leaky')
    """
    path, colon, name = spec.rpartition(":")
    if path.endswith(".py"):
        return path, name
    if spec.endswith(".py"):
        return spec, ""
    is_module = colon and all(part.isidentifier() for part in path.split("."))
    return (path, name) if is_module else (None, spec)


def _choose(cells: dict[str, EquationCell], name: str, place: str) -> EquationCell:
    from bptt.zoo.papers import EVERY

    names = ", ".join(dict.fromkeys(cell.name for cell in cells.values()))
    for key, cell in cells.items():
        if name and name.replace("_", "-") in (key.replace("_", "-"), cell.name.replace("_", "-")):
            return cell
    if name:
        there = f"there are {names}" if cells else "it defines none (see bptt.cell)"
        raise ConfigError(f"{place}: no cell is called {name!r}; {there}")
    own = {id(c): c for c in cells.values() if c not in EVERY.values()} or {id(c): c for c in cells.values()}
    if not own:
        raise ConfigError(f"{place} defines no cell (see bptt.cell)")
    first = next(iter(own.values()))
    if len(own) > 1:
        raise ConfigError(f"{place} has the cells {names}: say which, as in {place}:{first.name}")
    return first


def _run(path: str) -> dict[str, Any]:
    """Return what a file or a module sets."""
    is_file = path.endswith(".py")
    if is_file and not Path(path).is_file():
        raise ConfigError(f"there is no file {path}")
    folder = Path(path).resolve().parent if is_file else Path.cwd()
    try:
        with contextlib.redirect_stdout(sys.stderr), _importable(folder):
            return runpy.run_path(path) if is_file else vars(importlib.import_module(path))
    except (BpttError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever it raises, it is the file's
        says = _where(error, path) + _package(error, path) if is_file else _not_imported(error, path)
        raise ConfigError(says) from None


def _not_imported(error: BaseException, module: str) -> str:
    """Return what went wrong in a user's module, or in what it imports."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{module}.".startswith(f"{missing}."):
        why = f"there is no {missing} in the current folder, nor among what is installed"
        return f"{module} cannot be imported: {why}"
    files = [f.filename for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_file()]
    places = [file for file in files if not Path(file).is_relative_to(Path(os.__file__).parent)]
    return _where(error, places[-1] if places[1:] else module)


def _package(error: BaseException, path: str) -> str:
    """Return what to write instead, for a file of a package that imports from it."""
    if not isinstance(error, ImportError) or "relative import" not in str(error):
        return ""
    file = Path(path).resolve()
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    here = "" if folder == Path.cwd() else f", with {folder} as the current folder"
    name = ".".join(parts) if parts[1:] else f"PACKAGE.{file.stem}"
    return f": it is part of a package: say {name}:NAME{here}"


def _where(error: BaseException, path: str) -> str:
    """Return what went wrong in a user's file, and in which of its lines."""
    try:
        says = str(error)
    except Exception:  # a class of the file's own
        says = ""
    says = printable(f"{type(error).__name__}: {says}" if says else type(error).__name__)
    if isinstance(error, SyntaxError):
        says = printable(error.msg)
        return f"{error.filename or path}:{error.lineno or 1}: this is not Python: {says}"
    inside = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == Path(path)]
    return f"{path}:{inside[-1].lineno}: {says}" if inside else f"{path}: {says}"


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let what stands in a folder be imported for a while."""
    sys.path.insert(0, os.fspath(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the file may have taken it away
            sys.path.remove(os.fspath(folder))
