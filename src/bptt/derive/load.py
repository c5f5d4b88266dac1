"""Cells by what people call them on the command line: a name of the zoo, or a file and a name in it."""

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bptt.derive.cell import EquationCell
from bptt.errors import BpttError, ConfigError


def load(spec: str) -> EquationCell:
    """Return the cell that NAME, FILE.py:NAME or, where the file has one cell, FILE.py means.

    A file is run, as Python runs a module (``__name__`` is not ``"__main__"``, and what stands beside it can
    be imported); what it prints goes to standard error.

    Parameters
    ----------
    spec : str
        NAME is a cell's name (``lstm-peephole``) or what Python calls it (``lstm_peephole``).

    Raises
    ------
    ConfigError
        If there is no such cell, or the file cannot be run.
    EquationError
        If a cell of the file cannot be read: with file and line.

    Examples
    --------
    >>> load("slstm")
    <cell slstm: gates i f o z, states h c n m>
    """
    path, name = split(spec)
    if path is None:
        from bptt.cells.zoo import ZOO

        return _choose(dict(ZOO), name, "the zoo")
    values = _run(path)
    cells = {key: value for key, value in values.items() if isinstance(value, EquationCell)}
    return _choose(cells, name, path)


def split(spec: str) -> tuple[str | None, str]:
    """Return the file, if it is one, and the name in it, if it is given.

    Examples
    --------
    >>> split("lstm"), split("cells.py"), split("cells.py:leaky"), split("C:/cells.py")
    ((None, 'lstm'), ('cells.py', ''), ('cells.py', 'leaky'), ('C:/cells.py', ''))
    """
    path, _, name = spec.rpartition(":")
    if path.endswith(".py"):
        return path, name
    return (spec, "") if spec.endswith(".py") else (None, spec)


def _choose(cells: dict[str, EquationCell], name: str, place: str) -> EquationCell:
    from bptt.cells.zoo import ZOO

    names = ", ".join(dict.fromkeys(cell.name for cell in cells.values()))
    for key, cell in cells.items():
        if name and name.replace("_", "-") in (key.replace("_", "-"), cell.name.replace("_", "-")):
            return cell
    if name:
        there = f"there are {names}" if cells else "it defines none (see bptt.cell)"
        file = "" if place != "the zoo" else "; a cell of your own is FILE.py:NAME"
        raise ConfigError(f"{place}: no cell is called {name!r}; {there}{file}")
    own = {id(c): c for c in cells.values() if c not in ZOO.values()} or {id(c): c for c in cells.values()}
    if not own:
        raise ConfigError(f"{place} defines no cell (see bptt.cell)")
    first = next(iter(own.values()))
    if len(own) > 1:
        raise ConfigError(f"{place} has the cells {names}: say which, as in {place}:{first.name}")
    return first


def _run(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        with contextlib.redirect_stdout(sys.stderr), _beside(path):
            return runpy.run_path(path)
    except BpttError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(_where(error, path)) from None


def _where(error: BaseException, path: str) -> str:
    """Return what went wrong in a user's file, and in which of its lines."""
    says = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno or 1}: this is not Python: {error.msg}"
    inside = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == Path(path)]
    return f"{path}:{inside[-1].lineno}: {says}" if inside else f"{path}: {says}"


@contextlib.contextmanager
def _beside(path: str) -> Iterator[None]:
    """Let a file import what stands beside it, while it runs."""
    folder = os.fspath(Path(path).resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
