"""A function without arguments as an example: its lines, for the file in which the code that it calls is."""

import ast
import builtins
import contextlib
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bptt.checking.direct import closed
from bptt.checking.file import Source, bound, read
from bptt.errors import ConfigError

_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()


@contextlib.contextmanager
def example_of(function: Callable[..., Any]) -> Iterator[tuple[Source, str]]:
    """Return the file that a function shows, and the function's lines as an example of it.

    Parameters
    ----------
    function : callable
        It takes no arguments. What it closes over is there for the example's lines.

    Raises
    ------
    ConfigError
        If it takes arguments, or its text is not to be found.
    """
    function = getattr(function, "__func__", function)
    code: types.CodeType | None = getattr(function, "__code__", None)
    if code is None or code.co_argcount + code.co_posonlyargcount > len(
        getattr(function, "__defaults__", None) or ()
    ):
        raise ConfigError(
            "an example is a function without arguments; one of parameters needs them: check(f, params)"
        )
    own = Path(code.co_filename)
    if not own.is_file():
        raise ConfigError(
            f"the example's lines are in no file ({code.co_filename}): write them into one, or use check_file"
        )
    body = _body(read(own).tree, code, own)
    used = {node.id for one in body for node in ast.walk(one) if isinstance(node, ast.Name)}
    cells = zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=True)
    values = {name: value for name, value in function.__globals__.items() if name in used}
    values |= {name: cell.cell_contents for name, cell in cells}
    files = [file for value in values.values() if (file := _file_of(value))]
    path = own if not files or own.resolve() in files else max(files, key=files.count)
    source = read(path)
    for name, value in values.items():
        if isinstance(value, types.ModuleType) and _file_of(value) == path.resolve():
            body = [ast.fix_missing_locations(_Without(name).visit(one)) for one in body]
    there = {name for one in source.tree.body for name in bound(one)}
    before, held = [], {}
    for name, value in values.items():
        its = getattr(value, "__name__", "")
        if _file_of(value) == path.resolve():
            if its != name and its in there:
                before.append(f"{name} = {its}")
        elif name in code.co_freevars or (path != own and name not in there and name != "np"):
            held[name] = value
    if held:
        before.insert(0, f"from {closed.__name__} import {', '.join(sorted(held))}")
    with closed.hold(held):
        yield source, "\n".join([*before, *(ast.unparse(one) for one in body)])


def _body(tree: ast.Module, code: types.CodeType, path: Path) -> list[ast.stmt]:
    """Return the statements of the function whose code it is."""
    if code.co_name == "<lambda>":
        found = [
            n.body for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno
        ]
        if len(found) > 1:
            raise ConfigError(
                f"{path}:{code.co_firstlineno}: two lambdas in one line; the example needs its own"
            )
        return [ast.Expr(one) for one in found] or _not_found(code, path)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or node.name != code.co_name:
            continue
        if min([node.lineno, *(one.lineno for one in node.decorator_list)]) == code.co_firstlineno:
            body = node.body[ast.get_docstring(node) is not None :]
            return [ast.Expr(n.value) if isinstance(n, ast.Return) and n.value else n for n in body]
    return _not_found(code, path)


def _not_found(code: types.CodeType, path: Path) -> list[ast.stmt]:
    raise ConfigError(f"{path}:{code.co_firstlineno}: {code.co_name} is not there any more; run it again")


def _file_of(value: Any) -> Path | None:
    """Return the file in which a function, a class or a module is, unless it is a library's."""
    module = value if isinstance(value, types.ModuleType) else None
    if isinstance(value, types.FunctionType | type):
        module = sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None)
    if file is None or module is builtins:
        return None
    path = Path(file).resolve()
    library = {"site-packages", "dist-packages"} & set(path.parts) or path.is_relative_to(_STANDARD)
    return None if library else path


class _Without(ast.NodeTransformer):
    """Takes the module's name from before its names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return ``RNN`` for ``rnn.RNN``."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self.name:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node
