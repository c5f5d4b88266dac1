"""What a file defines, executed plainly: the names in which an example is tried."""

import __future__

import ast
import contextlib
import io
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.example.roles import size_of
from bptt.checking.example.texts import SIZES
from bptt.checking.file import Source, define, definitions, neighbours, overridden, read, stand_ins

_LARGE = 12


def namespace(source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file defines, with other values of its constants; a statement that fails is passed over.

    The entry ``__files__`` has the syntax of the neighbours that it imports, by their paths.
    """
    path, beside = source.path, neighbours(source)
    found: dict[str, Any] = {
        "__file__": str(path),
        "__name__": path.stem,
        "__files__": {},
        "np": np,
        "__package__": beside.package,
    }

    def execute(path: Path, names: dict[str, Any]) -> None:
        one = read(path)
        found["__files__"][str(path)] = one.tree
        _execute(one, definitions(one), names)

    with stand_ins(source), beside.importable(execute):
        own = types.ModuleType(path.stem)
        sys.modules.setdefault(path.stem, own)  # where data classes look
        _execute(source, overridden(definitions(source), values), found)
        if sys.modules.get(path.stem) is own:
            del sys.modules[path.stem]
    return found


def _execute(source: Source, statements: list[ast.stmt], names: dict[str, Any]) -> None:
    names["__builtins__"] = source.builtins
    for node in statements:
        flags = __future__.annotations.compiler_flag
        with contextlib.suppress(Exception, SystemExit), contextlib.redirect_stdout(io.StringIO()):
            code = compile(ast.Module([node], []), str(source.path), "exec", flags, dont_inherit=True)
            define(code, names, node)


def _is_size(name: Any, number: Any) -> bool:
    return type(number) is int and isinstance(name, str) and size_of(name) in SIZES


def _assigned(source: Source) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what a file sets at its top level, with what each is set to."""
    for node in source.tree.body:
        match node:
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                yield from zip(targets, values, strict=False)
            case ast.Assign(targets, value):
                yield from zip(targets, [value] * len(targets), strict=True)


def unknown_sizes(source: Source, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for the sizes that a file takes from data that are not there, as ``V = len(words)``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "rnn.py")
    ...     _ = file.write_text("vocab_size, rate = len(corpus.words()), 0.1")
    ...     unknown_sizes(read(file), {"rate": 0.1})
    {'vocab_size': 7}
    """
    found = {}
    for target, value in _assigned(source):
        name, counts = getattr(target, "id", ""), re.match(r"len\(|.*\.shape\[", ast.unparse(value))
        if counts and not names.get(name) and size_of(name) in SIZES:
            found[name] = SIZES[size_of(name)]
    return found


def small_constants(source: Source) -> dict[str, Any]:
    """Return smaller values for the sizes that a file sets at its top level, as ``hidden_size = 100``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "rnn.py")
    ...     _ = file.write_text("hidden_size, rate = 100, 0.1; n_steps = 20")
    ...     small_constants(read(file))
    {'hidden_size': 6, 'n_steps': 4}
    """
    found: dict[str, Any] = {}
    for target, number in _assigned(source):
        match target, number:
            case ast.Name(name), ast.Constant(int(n)) if n > _LARGE and size_of(name) in SIZES:
                found[name] = SIZES[size_of(name)]
            case ast.Name(name), ast.Dict():
                with contextlib.suppress(ValueError):  # of settings
                    given = ast.literal_eval(number)
                    sizes = {k: SIZES[size_of(k)] for k, n in given.items() if _is_size(k, n)}
                    found |= {name: given | sizes} if any(given[k] > _LARGE for k in sizes) else {}
    return found
