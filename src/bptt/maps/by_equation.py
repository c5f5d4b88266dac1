"""A map that is its equation: run as it is written, and back as it is derived from it."""

import ast
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from bptt.errors import ConfigError
from bptt.maps.base import Map
from bptt.maps.constants import CONSTANTS, constant
from bptt.maps.functions import FUNCTIONS
from bptt.maps.pullback import BACK, REDUCED, pullback
from bptt.maps.text import (
    ARRAY,
    IDENTITY,
    RESULT,
    Line,
    Sizes,
    bounded,
    code_of,
    lines_of,
    names_in,
    raw_names,
    shape_of,
)
from bptt.types import Array, Generator, Params, Shapes

Size = int | str
Start = float | tuple[float, float]
LARGEST = 1 << 24
"""The most that a size can be."""


class Derived(NamedTuple):
    """An equation at some sizes: its lines, forward, back, and those again that going back reads."""

    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    again: tuple[Line, ...]
    shapes: Shapes
    sizes: Sizes


class Equation(Map):
    """A map that is an equation of matrices; its pullback is derived.

    Parameters
    ----------
    text : str
        Such as ``"expm(M - M.T)"``: see :mod:`bptt.maps`.
    raw : dict of sizes
        The shape of each raw array that has not the matrix's own: numbers, ``"rows"``, ``"columns"``, or such
        as ``"rows/4"`` and ``"rows+columns-1"``.
    starts : dict, optional
        Where raw arrays start: a number, or the bounds between which entries are drawn.
    known : str, optional
        What to call it, and to make it of again, in place of its text.

    Raises
    ------
    ConfigError
        If the text is no equation of matrices, or names a raw array that it does not read.

    Examples
    --------
    >>> import numpy as np
    >>> low = Equation("L @ R", {"L": ("rows", 2), "R": (2, "columns")})
    >>> low.shapes(5, 4)
    {'L': (5, 2), 'R': (2, 4)}
    >>> [f"{name} = {ast.unparse(expr)}" for name, expr in low.derived(5, 4).backward]
    ['dL = dU @ R.T', 'dR = L.T @ dU']
    """

    def __init__(
        self,
        text: str,
        raw: Mapping[str, Sequence[Size]] | None = None,
        starts: Mapping[str, Start] | None = None,
        known: str | None = None,
    ) -> None:
        self.equation, self.starts = text, dict(starts or {})
        self.text = text
        self.lines = lines_of(text)
        self.raw: dict[str, tuple[Size, ...]] = dict.fromkeys(raw_names(self.lines), ("rows", "columns"))
        for name, sizes in (raw or {}).items():
            self.raw[_known(name, self.raw, self.name)] = _sizes(sizes, name)
        for name, start in self.starts.items():
            _known(name, self.raw, self.name)
            bounds = start if isinstance(start, list | tuple) and len(start) == 2 else (start,)
            if not all(isinstance(b, int | float) and np.isfinite(b) for b in bounds):
                raise ConfigError(f"{name} starts at a number or between two bounds, got {start!r:.60}")
        given = {n: s for n, s in self.raw.items() if s != ("rows", "columns")}
        more = [repr(given)] * bool(given or self.starts) + [repr(self.starts)] * bool(self.starts)
        plain = text if not more else f"equation({', '.join([repr(text), *more])})"
        self.text = plain if known is None else known
        self._is_known = known is not None
        self._derived: Any = lru_cache(64)(self._derive)

    def __reduce__(self) -> Any:
        return Equation, (self.equation, self.raw, self.starts, self.text if self._is_known else None)

    def shapes(self, rows: int, columns: int) -> Shapes:
        """Return the raw arrays' shapes, or raise a ConfigError where there is no such matrix."""
        return self.derived(rows, columns).shapes

    def start(self, rng: Generator, rows: int, columns: int) -> Params:
        """Return where raw arrays start that do not start as the matrix would."""
        shapes, drawn = self.shapes(rows, columns), Params()
        for name, shape in shapes.items():
            start = self.starts.get(name)
            if isinstance(start, tuple | list):
                drawn[name] = rng.uniform(*start, shape)
            elif start is not None:
                drawn[name] = np.full(shape, float(start))
            elif shape != (rows, columns):
                s = 1 / np.sqrt(shape[-2] if len(shape) > 1 else rows)
                drawn[name] = rng.uniform(-s, s, shape)
        return drawn

    def forward(self, raw: Params, rows: int, columns: int) -> Array:
        """Return the matrix."""
        dtype = np.result_type(np.float32, *raw.values()) if raw else np.dtype(float)
        found = _run(self.derived(rows, columns).forward, raw, (rows, columns), dtype)[RESULT]
        return np.asarray(np.broadcast_to(found, (rows, columns)), dtype).copy()

    def pullback(self, raw: Params, d: Array) -> Params:
        """Return the gradients at the raw arrays."""
        sizes = rows, columns = d.shape
        derived, dtype = self.derived(rows, columns), np.result_type(d, *raw.values())
        env = _run(derived.again, raw, sizes, dtype) | {f"d{RESULT}": d}
        found = _run(derived.backward, env, sizes, dtype)
        return {
            name: np.asarray(np.broadcast_to(found[f"d{name}"], a.shape), dtype).copy()
            if f"d{name}" in found
            else np.zeros(a.shape, dtype)
            for name, a in raw.items()
        }

    def derived(self, rows: int, columns: int) -> Derived:
        """Return the lines for a matrix of some size, or raise a ConfigError where there is none."""
        found: Derived = self._derived(rows, columns)
        return found

    def _derive(self, rows: int, columns: int) -> Derived:
        where = f"the map {self.name} of a matrix {(rows, columns)}"
        try:
            shapes = {
                name: bounded(tuple(_size(s, rows, columns) for s in sizes), (rows, columns))
                for name, sizes in self.raw.items()
            }
            made = dict(shapes)
            for line in self.lines:
                made[line.name] = shape_of(line.expr, made, (rows, columns))
            if made[RESULT] not in ((rows, columns), (), (1, columns), (rows, 1), (columns,), (1, 1)):
                raise ValueError(f"it gives {made[RESULT]}")
            back = pullback(self.lines, shapes, (rows, columns))
            read, again = {name for line in back for name in names_in(line.expr)}, list[Line]()
            for line in reversed(self.lines):
                if line.name in read:
                    again.insert(0, line)
                    read |= {*names_in(line.expr)}
            return Derived(self.lines, back, tuple(again), shapes, (rows, columns))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None


def _run(lines: Sequence[Line], env: Mapping[str, Array], sizes: Sizes, dtype: np.dtype[Any]) -> Params:
    """Return what lines set, and what they are given."""
    found: dict[str, Any] = dict(env)
    names = namespace(sizes, dtype)
    for name, expr in lines:
        found[name] = eval(code_of(expr), names, found)
    return found


@cache
def _plain() -> dict[str, Any]:
    names: dict[str, Any] = {"__builtins__": {}, REDUCED: _reduced}
    for name, function in FUNCTIONS.items():
        names[name] = function.value
        names |= {f"{name}{BACK}{k}": back for k, back in function.back.items()}
    return names


@lru_cache(64)
def namespace(sizes: Sizes, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return what names mean at some sizes."""

    def made(name: str) -> Any:
        return cache(lambda *numbers: np.asarray(constant(name, sizes, *numbers), dtype))

    own = {IDENTITY: np.eye(*sizes, dtype=dtype), ARRAY: lambda values: np.asarray(values, dtype)}
    return _plain() | own | {name: made(name) for name in CONSTANTS}


def _reduced(array: Array, like: Array) -> Array:
    """Return the sum over what `like`, which was repeated, has once."""
    first = array.sum(axis=tuple(range(array.ndim - like.ndim)))
    axes = tuple(k for k, n in enumerate(like.shape) if n == 1)
    return np.asarray(first.sum(axis=axes, keepdims=True) if axes else first)


def _known(name: str, raw: Mapping[str, Any], where: str) -> str:
    if name not in raw:
        raise ConfigError(
            f"the map {where}: it reads no {name!r}; its raw arrays are {', '.join(raw) or 'none'}"
        )
    return name


def _sizes(sizes: Sequence[Size], name: str) -> tuple[Size, ...]:
    given = tuple(sizes) if isinstance(sizes, list | tuple) else ()
    if not 1 <= len(given) <= 3 or not all(
        isinstance(s, int | str) and not isinstance(s, bool) for s in given
    ):
        raise ConfigError(
            f'the sizes of {name} must be numbers, "rows", "columns", as (4, "columns"); got {sizes!r}'
        )
    return given


def _size(size: Size, rows: int, columns: int) -> int:
    """Return a size: a number, or what rows and columns make of it."""
    if isinstance(size, str):
        try:
            expr = ast.parse(size, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError(f"{size!r:.40} is no size") from None
        whole = _whole(expr, {"rows": rows, "columns": columns})
        if whole is None:
            raise ValueError(f"{size:.40} is no whole number from 1")
        return whole
    if not 1 <= size <= LARGEST:
        raise ValueError(f"{size} is no size")
    return size


def _whole(e: ast.expr, names: Mapping[str, int]) -> int | None:
    """Return a sum, a product or a quotient of sizes, or None where it is no whole number from 1."""
    match e:
        case ast.Constant(value=int() as n) if not isinstance(n, bool):
            found: int | None = n
        case ast.Name(id=name):
            found = names.get(name)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _whole(left, names), _whole(right, names)
            if a is None or b is None:
                return None
            results = {
                ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b, ast.Div: a // b if a % b == 0 else 0,
            }  # fmt: skip
            found = results.get(type(op))
        case _:
            found = None
    return found if found is not None and 1 <= found <= LARGEST else None
