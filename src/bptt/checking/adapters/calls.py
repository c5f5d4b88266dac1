"""Calling somebody's code: on copies, with its failures in one line, and looking into what it returns."""

import ast
import contextlib
import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np

from bptt.checking.adapters.names import parts
from bptt.checking.guard import guarded
from bptt.checking.subject import SubjectError
from bptt.types import Array

Path: TypeAlias = tuple[Any, ...]
"""Indices and keys that lead from a returned value to an array in it."""

Leaf: TypeAlias = tuple[Path, str, Array]
"""An array in a returned value: its path, its name there, and itself."""

Tree: TypeAlias = "str | list[Tree]"
"""The names in a return statement: of one value, or of each of several."""


Each: TypeAlias = Literal["each in a list", "each in a dict"]
"""In a path: all arrays of a list, or of a dict by time, as one array with time first."""

failures: Counter[str] = Counter()
"""Why code failed by itself during the trials, where the arrays that were tried are not to blame."""

stops: Counter[str] = Counter()
"""Where and why else it stopped."""

_ITS_OWN = re.compile(
    r"NameError|ImportError|ModuleNotFoundError|could not be imported"
    r"|AttributeError: (?!'(?:list|int|float|tuple|dict|NoneType|numpy\.\w+)' object)"
)


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call somebody's function on copies of the arrays, and return what it returns.

    Raises
    ------
    SubjectError
        If it raises, hangs, or ends the program.
    """
    try:
        return guarded(function, *copied(args), **copied(kwargs))
    except SubjectError as error:
        (failures if _ITS_OWN.search(str(error)) else stops).update([str(error)])
        raise


def copied(value: Any) -> Any:
    """Return a copy of the arrays in tuples, lists and dicts; all else as it is."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (tuple, list):
        return type(value)(copied(v) for v in value)
    if type(value) is dict:
        return {k: copied(v) for k, v in value.items()}
    return value


def is_number(value: Any) -> bool:
    """Return whether a value is an array of numbers, or a number."""
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        value = np.asarray(value)
    return (isinstance(value, np.ndarray) and value.dtype.kind in "fciu") or (
        isinstance(value, (float, complex, int, np.number)) and not isinstance(value, bool)
    )


def walk(value: Any, tree: Tree = "", path: Path = ()) -> Iterator[Leaf]:
    """Yield each array in a returned value with its path and the name that it has there."""
    if is_number(value):
        yield path, tree if isinstance(tree, str) else "", np.asarray(value)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from walk(entry, str(key), (*path, key))
    elif isinstance(value, (tuple, list)):
        names = tree if isinstance(tree, list) and len(tree) == len(value) else [""] * len(value)
        for k, entry in enumerate(value):
            yield from walk(entry, names[k], (*path, k))


def through(value: Any, T: int) -> Each | None:
    """Return whether a value is a list, or a dict by time, of one array for each of T steps; and which."""
    entries: list[Any] = []
    if isinstance(value, list) and len(value) == T:
        entries = value
    elif isinstance(value, dict) and all(isinstance(k, int) for k in value):
        entries = [value[t] for t in range(T)] if {k for k in value if k >= 0} == set(range(T)) else []
    arrays = [e for e in entries if isinstance(e, np.ndarray) and e.ndim and e.dtype.kind in "fc"]
    if not arrays or len(arrays) < T or len({a.shape for a in arrays}) > 1:
        return None
    return "each in a list" if isinstance(value, list) else "each in a dict"


def spread(array: Array, each: Each) -> Any:
    """Return an array with time first as a list, or as a dict by time."""
    entries = [a.copy() for a in array]
    return entries if each == "each in a list" else dict(enumerate(entries))


def walk_through(value: Any, tree: Tree, T: int, path: Path = ()) -> Iterator[Leaf]:
    """Yield what `walk` does, what holds an array for each of T steps as one array."""
    each = through(value, T)
    if each is not None:
        yield (*path, each), tree if isinstance(tree, str) else "", pick(value, (each,))
    elif isinstance(value, (dict, tuple, list)) and not path:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        names = tree if isinstance(tree, list) and len(tree) == len(keys) else [""] * len(keys)
        for key, name in zip(keys, names, strict=True):
            yield from walk_through(value[key], str(key) if isinstance(value, dict) else name, T, (key,))
    else:
        yield from walk(value, tree, path)


def in_cache(path: Path, names: Tree) -> bool:
    """Return whether a path leads into what a return statement calls a cache."""
    while path and isinstance(names, list) and isinstance(path[0], int) and path[0] < len(names):
        path, names = path[1:], names[path[0]]
    return isinstance(names, str) and "cache" in parts(names)


def pick(value: Any, path: Path) -> Any:
    """Return what lies at a path.

    Raises
    ------
    SubjectError
        If nothing lies there: the code returned something else this time.
    """
    for step in path:
        try:
            if step == "each in a dict":
                value = np.stack([value[t] for t in sorted(value) if t >= 0])
            else:
                value = np.stack(value) if step == "each in a list" else value[step]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise SubjectError(f"returned a {type(value).__name__} without [{step!r}]") from error
    return value


def array_at(value: Any, path: Path) -> Array:
    """Return the array of numbers at a path."""
    found = pick(value, path)
    if not is_number(found):
        raise SubjectError(f"returned a {type(found).__name__} where an array belongs")
    return np.array(found)


def definition(function: Any, source: str | None) -> ast.FunctionDef | None:
    """Return the syntax tree of a function, from the text of its file or from where Python finds it."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    name = getattr(function, "__name__", "")
    texts = [source] if source else []
    with contextlib.suppress(OSError, TypeError):
        texts.append(textwrap.dedent(inspect.getsource(function)))
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
    for text in texts:
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name]
        if found:
            return min(found, key=lambda n: abs(n.lineno - line))
    return None


def returned(function: Any, source: str | None = None) -> Tree:
    """Return the names in a function's last return statement; empty where there are none to read.

    Examples
    --------
    >>> returned(None, None)
    ''
    """
    tree = definition(function, source)
    if tree is None:
        return ""
    returns = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value is not None]
    assigned = {
        n.targets[0].id: n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], ast.Name)
    }
    return _names(returns[-1], assigned) if returns else ""


def keys_read(function: Any, argument: str, source: str | None = None) -> list[str]:
    """Return the keys that a function reads from a dict argument, in the order of reading."""
    tree = definition(function, source)
    keys: list[str] = []
    called = {argument}
    for n in ast.walk(tree) if tree else ():
        key: ast.expr | None = None
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Name) and n.value.id in called:
            called |= {target.id for target in n.targets if isinstance(target, ast.Name)}
        if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id in called:
            key = n.slice
        elif (
            isinstance(n, ast.Call)
            and isinstance(n.func, ast.Attribute)
            and n.func.attr == "get"
            and isinstance(n.func.value, ast.Name)
            and n.func.value.id in called
            and n.args
        ):
            key = n.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value not in keys:
            keys.append(key.value)
    return keys


def _names(node: ast.expr, assigned: dict[str, ast.expr], depth: int = 2) -> Tree:
    if isinstance(node, (ast.Tuple, ast.List)):
        return [_names(entry, assigned, depth) for entry in node.elts]
    if isinstance(node, ast.Name):
        value = assigned.get(node.id)
        if depth and isinstance(value, (ast.Tuple, ast.List)) and value.elts:
            return _names(value, assigned, depth - 1)
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _names(node.value, {}, 0)
    return ""
