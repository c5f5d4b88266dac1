"""What a function takes, as a template: which arrays, dicts, tuples and sizes go where.

A template is made of `Slot`s (an array of the point, by its name), `Size`s, dicts and tuples of these, and
constants; `fill` puts in the values.
"""

import contextlib
import dis
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import keys_read
from bptt.checking.adapters.names import part, parts, size_of
from bptt.checking.adapters.shapes import extent
from bptt.checking.guard import guarded
from bptt.checking.subject import Sizes, SubjectError


@dataclass(frozen=True)
class Slot:
    """An array of the point."""

    name: str


@dataclass(frozen=True)
class Size:
    """A number: how large something is."""

    symbol: str


@dataclass
class Signature:
    """What a forward takes.

    Attributes
    ----------
    arguments : dict of templates
        By the names of the parameters.
    x, h, c : str
        The names of the input and of the states before; empty where there is none.
    matrices, biases : list of str
    others : list of str
        Parameters whose part is not known.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    x: str = ""
    h: str = ""
    c: str = ""
    target: str = ""
    matrices: list[str] = field(default_factory=list)
    biases: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names of all arrays, in order."""
        return [n for n in (self.x, self.h, self.c) if n] + self.matrices + self.biases


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a function's parameters that can be given by position or by name; none if it does not say."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY, p.KEYWORD_ONLY)]


def signatures(function: Callable[..., Any], source: str | None, chunk: bool = False) -> list[Signature]:
    """Return the ways to read a function's parameters: a state may be one array or two in a tuple."""
    asked = parameters(function)
    counts = [2, 1] if any("state" in parts(p.name) for p in asked) else [0]
    found = [_read(function, asked, source, count, chunk) for count in counts]
    needed = [p for p in asked if p.default is p.empty]
    if any(part(p.name) in ("h", "c", "s", "state") for p in asked if p not in needed):
        found.append(_read(function, needed, source, 0, chunk))  # a state that may be left out
    return found


def _read(
    function: Callable[..., Any],
    asked: list[inspect.Parameter],
    source: str | None,
    states: int,
    chunk: bool,
) -> Signature:
    read = Signature()
    has_h = any("h" in parts(p.name) for p in asked)
    for p in asked:
        name, kind = p.name, part(p.name)
        if kind == "s":
            kind = "c" if has_h else "h"
        if kind in ("x", "h", "c") and not getattr(read, kind):
            setattr(read, kind, name)
            read.arguments[name] = Slot(name)
        elif kind == "state" and states == 1 and not read.h:
            read.h = name
            read.arguments[name] = Slot(name)
        elif kind == "state" and states == 2 and not read.h:
            read.h, read.c = "h0", "c0"
            read.arguments[name] = (Slot("h0"), Slot("c0"))
        elif kind in ("W", "b"):
            (read.matrices if kind == "W" else read.biases).append(name)
            read.arguments[name] = Slot(name)
        elif kind == "params" and (keys := _keys(function, name, source)):
            read.matrices += [k for k in keys if part(k) == "W"]
            sizes = {k: Size(q[5:]) for k in keys for q in parts(k)[:1] if q.startswith("size:")}
            read.biases += [k for k in keys if part(k) != "W" and k not in sizes]
            read.arguments[name] = {k: sizes.get(k, Slot(k)) for k in keys}
        elif p.default is not p.empty:
            if isinstance(p.default, int) and not isinstance(p.default, bool) and size_of(name):
                read.arguments[name] = Size(size_of(name))
        elif "target" in parts(name) and chunk:
            read.target = name
        elif size := size_of(name):
            read.arguments[name] = Size(size)
        elif kind == "rate":
            read.arguments[name] = 1.0
        else:
            read.others.append(name)
    if not read.x and read.h and read.others == [asked[0].name]:  # what comes first
        read.x = read.others.pop()
        read.arguments = {read.x: Slot(read.x), **read.arguments}
    return read


def fill(template: Any, at: dict[str, Any], sizes: Sizes) -> Any:
    """Return a template with the arrays and the sizes in their places."""
    if isinstance(template, Slot):
        if template.name not in at:  # as a dict of weights, which is not taken apart
            raise SubjectError(f"nothing is known to call {template.name} with")
        return at[template.name]
    if isinstance(template, Size):
        return extent(template.symbol, sizes)
    if isinstance(template, dict):
        return {key: fill(entry, at, sizes) for key, entry in template.items()}
    if isinstance(template, (tuple, list)):
        return type(template)(fill(entry, at, sizes) for entry in template)
    return template


def slots(template: Any) -> list[str]:
    """Return the names of the arrays in a template, in order."""
    if isinstance(template, Slot):
        return [template.name]
    entries = template.values() if isinstance(template, dict) else template
    return [n for e in entries for n in slots(e)] if isinstance(template, (dict, tuple, list)) else []


def callees(function: Any) -> list[Any]:
    """Return a function and those of the same module that it calls, and that these call."""
    found: list[Any] = []
    function = inspect.unwrap(function)
    waiting = [getattr(function, "__func__", function)]
    while waiting:
        this = waiting.pop()
        code = getattr(this, "__code__", None)
        if code is None or any(this is f for f in found):
            continue
        found.append(this)
        enclosed = _enclosed(this)
        named = (enclosed.get(n, this.__globals__.get(n)) for n in (*code.co_names, *enclosed))
        waiting += [inspect.unwrap(value) for value in named if inspect.isfunction(value)]
    return found


def globals_read(code: Any) -> list[str]:
    """Return the global names that a function's code reads, and the functions within it."""
    names = [str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += globals_read(constant)
    return list(dict.fromkeys(names))


def _enclosed(function: Any) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a name not bound yet
            found[name] = cell.cell_contents
    return found


def _keys(function: Any, argument: str, source: str | None) -> list[str]:
    keys: list[str] = []
    for callee in callees(function):
        for p in parameters(callee):
            if p.name == argument or part(p.name) == "params":
                keys += [k for k in keys_read(callee, p.name, source) if k not in keys]
    return keys or _keys_asked(function, argument)


class _Asked(dict[str, Any]):
    """A dict that notes the keys it is asked for."""

    def __missing__(self, key: str) -> Any:
        self[key] = np.ones((1, 1))
        return self[key]


def _keys_asked(function: Any, argument: str) -> list[str]:
    """Return the keys that a function asks a dict for before it fails for want of its other arguments."""
    asked = _Asked()
    others = {p.name: None for p in parameters(function) if p.default is p.empty}
    with contextlib.suppress(SubjectError):
        guarded(functools.partial(function, **{**others, argument: asked}))
    return [key for key in asked if isinstance(key, str)]
