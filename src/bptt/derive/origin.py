"""Where a cell's function comes from: its text, its place, and the numbers and functions that it can see."""

import inspect
import linecache
import math
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from bptt.derive.equations import EquationError, Equations
from bptt.derive.functions import ALIASES, FUNCTIONS, HELPERS, in_numpy
from bptt.derive.helpers import HelperText
from bptt.derive.reader import read
from bptt.session import called

Function = Callable[..., Any]


def read_function(function: Function, options: Mapping[str, object]) -> Equations:
    """Read a function: its text, with the numbers and the functions that it sees.

    Raises
    ------
    EquationError
        If it is none that is written with ``def`` in a file or a notebook, or there are two of its name.
    """
    if not inspect.isfunction(function):
        is_cell = hasattr(function, "equations")
        got = "a cell: one decorator is enough" if is_cell else type(function).__name__
        raise EquationError(f"{_caller()}: a cell is made from a function, with options by name; got {got}")
    name = function.__name__
    if name == "<lambda>":
        raise EquationError(f"{place(function)}: a lambda: write def name(a_h, h): ...")
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise EquationError(
            f"{place(function)}: {name}: its text is not at hand, as at Python's prompt or in exec: "
            "write the cell into a file (in UTF-8), or give its text to bptt.derive.read"
        ) from None
    _only_one(function, first)
    enclosed = inspect.getclosurevars(function)
    values = {**enclosed.globals, **enclosed.nonlocals}
    return read(
        "".join(lines),
        file=called(function.__code__.co_filename),
        first_line=first,
        known={n: _float(v) for n, v in values.items() if _is_number(v)},
        defaults=_defaults(function),
        foreign={n for n, v in values.items() if callable(v) and _is_another(n, v)},
        helpers=[*_helpers(function, values, ()).values()],
        options=options,
    )


def _helpers(
    function: Function, values: Mapping[str, object], below: tuple[Function, ...]
) -> dict[Function, HelperText]:
    """Return the functions that one calls and that are read as it is, each below those that it calls."""
    found: dict[Function, HelperText] = {}
    for name, made in values.items():
        word = ALIASES.get(name, name)
        if not inspect.isfunction(made) or word in FUNCTIONS:
            continue
        if word in HELPERS and made.__code__.co_filename != function.__code__.co_filename:
            continue  # imported, for an editor
        if made in (function, *below):
            raise EquationError(f"{place(made)}: {name} calls itself: a helper calls those above it")
        if made.__name__ != name:
            says = f"{name} is not what its def calls it: def {name}(u): return ..."
            raise EquationError(f"{place(made)}: {says}")
        enclosed = inspect.getclosurevars(made)
        inside = {**enclosed.globals, **enclosed.nonlocals}
        found |= _helpers(made, inside, (function, *below))
        try:
            lines, first = inspect.getsourcelines(made)
        except (OSError, TypeError):
            raise EquationError(f"{place(made)}: {name}: its text is not at hand") from None
        known = {n: _float(v) for n, v in inside.items() if _is_number(v)}
        found[made] = HelperText("".join(lines), called(made.__code__.co_filename), first, known)
    return found


def place(function: Function) -> str:
    """Return FILE:LINE of a function's own line."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    starts = (f"def {code.co_name}", f"async def {code.co_name}")
    after = next((k for k, line in enumerate(lines) if line.lstrip().startswith(starts)), 0)
    return f"{called(code.co_filename)}:{code.co_firstlineno + after}"


def _caller() -> str:
    """Return FILE:LINE of the line outside of this room that is being run."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("bptt.derive."):
        frame = frame.f_back
    return f"{called(frame.f_code.co_filename)}:{frame.f_lineno}" if frame is not None else "<equations>"


def _defaults(function: Function) -> dict[str, object]:
    code, given = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    values = dict(zip(names[len(names) - len(given) :], given, strict=True)) | (function.__kwdefaults__ or {})
    return {n: _float(v) if _is_number(v) else v for n, v in values.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)


def _float(value: Any) -> float:
    """Return a number as floating point has it: an integer beyond all of that is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_another(name: str, function: Function) -> bool:
    """Return whether a function is another than the equations' of that name, by its values."""
    name = ALIASES.get(name, name)
    if name not in (*FUNCTIONS, *HELPERS):
        return False
    ours = HELPERS.get(name) or in_numpy(name)
    arity = ours.__code__.co_argcount if name in HELPERS else FUNCTIONS[name].arity
    arguments = np.array([[0.3, 1.7, 0.9], [1.1, 0.4, 0.9], [0.2, 0.8, 0.5]])[:arity]
    try:
        expected = ours(*arguments)
        try:
            got = np.asarray(function(*arguments), np.float64)
        except Exception:  # one that takes a number at a time, as those of math do
            got = np.array([function(*map(float, column)) for column in arguments.T], np.float64)
        return not np.allclose(got, expected, rtol=1e-5)  # it may be one of single precision
    except Exception:  # it wants something else, a tensor: its name is all that there is to go by
        return False


def _only_one(function: Function, first: int) -> None:
    """Raise if a cell further up in the file has this name, and would be lost."""
    code = function.__code__
    if "<locals>" in function.__qualname__:
        return
    name, above = function.__name__, linecache.getlines(code.co_filename)[: first - 1]
    before = [k for k, line in enumerate(above, 1) if line.startswith(f"def {name}(")]
    if before and hasattr(function.__globals__.get(name), "equations"):
        says = f"a second cell is called {name}, after line {before[-1]}: give it a name of its own"
        raise EquationError(f"{place(function)}: {says}")
