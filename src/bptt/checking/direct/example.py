"""A function as an example: its lines, or the call of it, for the file in which the code is."""

import ast
import contextlib
import copy
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bptt.checking.file import Source, bound, read, session
from bptt.errors import ConfigError
from bptt.session import executed, number

_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()

_held: dict[str, Any] = {}
"""What an example needs that is not in the file: its first line imports it from here, as copies."""


def __getattr__(name: str) -> Any:
    if name not in _held:
        raise AttributeError(name)
    with contextlib.suppress(TypeError):  # as a module cannot be copied, and needs not
        return copy.deepcopy(_held[name])
    return _held[name]


@contextlib.contextmanager
def example_of(function: Callable[..., Any], params: Any = None) -> Iterator[tuple[Source, str]]:
    """Return the file that a function shows, and the function's lines as an example of it.

    It takes no arguments; what it closes over is there for the example's lines. Or it takes `params`: the
    function itself is then what is shown, and the example is the call. Raises ConfigError if it takes other
    arguments, or its text is not to be found.
    """
    function = getattr(function, "__func__", function)
    code: types.CodeType | None = getattr(function, "__code__", None)
    needed = code.co_argcount - len(getattr(function, "__defaults__", None) or ()) if code else 1
    if code is None or needed > (params is not None):
        raise ConfigError(
            "an example is a function without arguments; one of parameters needs them: check(f, params)"
        )
    own = Path(code.co_filename).resolve()
    cells = {} if own.is_file() else executed(code.co_filename)
    if not cells and not own.is_file():
        raise ConfigError(
            f"the example's lines are in no file ({code.co_filename}): write them into one, or use check_file"
        )
    here = session(cells) if cells else read(own)
    own = here.path
    if params is None:
        body = _body(here, code, number(code.co_filename))
        names = {node.id for one in body for node in ast.walk(one) if isinstance(node, ast.Name)}
        closed = zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=True)
        values = {name: value for name, value in function.__globals__.items() if name in names}
        values |= {name: cell.cell_contents for name, cell in closed}
    elif function.__globals__.get(code.co_name) is function:
        body = ast.parse(f"loss, gradients = {code.co_name}(params)").body
        values = {code.co_name: function, "params": params}
    else:
        raise ConfigError(f"{own}:{code.co_firstlineno}: {code.co_name} is no function of a file")
    main = own if cells else None
    files = [file for value in values.values() if (file := _file_of(value, main))]
    path = own if not files or own in files else max(files, key=files.count)
    source = here if path == own else read(path)
    there = {name for one in source.tree.body for name in bound(one)}
    text = "\n".join(map(ast.unparse, body))
    for name, value in values.items():
        its = getattr(value, "__name__", "")
        if _file_of(value, main) != path:
            # what a notebook's names stand for is as it is now, whatever its cells did to make it
            outside = (cells or (path != own and name not in there)) and name != "np"
            if outside or name in code.co_freevars or value is params:
                _held[name] = value
        elif isinstance(value, types.ModuleType):
            text = re.sub(rf"(?<![\w.]){name}\.", "", text)
        elif its != name and its in there:
            text = f"{name} = {its}\n{text}"
    if _held:
        text = f"from {__name__} import {', '.join(sorted(_held))}\n{text}"
    try:
        yield source, text
    finally:
        _held.clear()


def _body(source: Source, code: types.CodeType, cell: int | None) -> list[ast.stmt]:
    """Return the statements of the function whose code it is; what it returns is computed alone."""
    above = 0 if cell is None else [line.cell for line in source.lines].index(cell - 1)
    name, first = code.co_name, above + code.co_firstlineno
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    here = [node for node in nodes if _first_line(node) == first]
    found = [node for node in here if getattr(node, "name", "<lambda>") == name]
    if len(found) != 1:
        why = "two lambdas in one line; the example needs its own" if found else "it is gone; run it again"
        raise ConfigError(f"{source.place(first)}: {name}: {why}")
    if isinstance(found[0], ast.Lambda):
        return [ast.Expr(found[0].body)]
    body = found[0].body[ast.get_docstring(found[0]) is not None :]
    return [ast.Expr(n.value) if isinstance(n, ast.Return) and n.value else n for n in body]


def _first_line(node: ast.FunctionDef | ast.Lambda) -> int:
    above: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in above)])


def _file_of(value: Any, main: Path | None = None) -> Path | None:
    """Return the file in which a function, a class or a module is, unless it is a library's.

    What a notebook defines is in `main`.
    """
    if isinstance(value, types.FunctionType | type):
        if main and value.__module__ == "__main__":
            return main
        value = sys.modules.get(value.__module__)
    file = getattr(value, "__file__", None) if isinstance(value, types.ModuleType) else None
    path = Path(file or "").resolve()
    library = path.is_relative_to(_STANDARD) or {"site-packages", "dist-packages"} & {*path.parts}
    return path if file and not library else None
