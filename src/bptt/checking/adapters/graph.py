"""Arrays wherever somebody's objects hold them: in attributes, dicts and lists, in objects within objects."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Path
from bptt.checking.adapters.names import is_gradient, without_d
from bptt.types import Array

DEPTH, MOST = 5, 4000
"""How deep objects are looked into, and at how many things at most."""

VALUE = frozenset({"v", "value", "val", "data", "weight", "weights", "param"})
"""What an object that holds one parameter calls it."""

_NOT_THEIRS = ("numpy", "torch", "builtins", "abc")

_HOLDS_GRADIENTS = re.compile(r"d|g|dv|diff|delta|derivative|d_?params|d_?weights|.*grad(?:ient)?s?(?:_.*)?")


def entries(thing: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the keys and the values of what can be looked into: a dict, a list, an object with attributes."""
    if isinstance(thing, dict):
        yield from [(k, v) for k, v in thing.items() if isinstance(k, (str, int))]
    elif isinstance(thing, (list, tuple)):
        yield from enumerate(thing)
    elif hasattr(thing, "__dict__") and type(thing).__module__.partition(".")[0] not in _NOT_THEIRS:
        yield from list(vars(thing).items())


def arrays(root: Any, again: bool = False) -> Iterator[tuple[Path, Array]]:
    """Yield the arrays that a thing holds, nearest first, with their paths; each once, if not `again`."""
    seen: set[int] = set()
    level: list[tuple[Path, Any]] = [((), root)]
    for _ in range(DEPTH):
        below: list[tuple[Path, Any]] = []
        for path, thing in level:
            for key, value in entries(thing):
                if (id(value) in seen and not (again and isinstance(value, np.ndarray))) or len(seen) > MOST:
                    continue
                if isinstance(value, np.ndarray):
                    seen.add(id(value))
                    yield (*path, key), value
                elif isinstance(value, (dict, list, tuple)) or hasattr(value, "__dict__"):
                    seen.add(id(value))
                    below.append(((*path, key), value))
        level = below


def put(root: Any, path: Path, value: Any) -> None:
    """Put a value where a path leads to."""
    root, last = at(root, path[:-1]), path[-1]
    if isinstance(root, (dict, list)):
        root[last] = value
    else:
        object.__setattr__(root, last, value)


def at(root: Any, path: Path) -> Any:
    """Return what lies where a path leads to."""
    for key in path:
        root = root[key] if isinstance(root, (dict, list, tuple)) else getattr(root, key)
    return root


def label(path: Path) -> str:
    """Return the name of what a path leads to; of a parameter that is an object, the object's.

    Examples
    --------
    >>> label(("cell", "Wx")), label(("parameters", "W_f", "v"))
    ('Wx', 'W_f')
    """
    said = [key for key in path if isinstance(key, str)]
    return said[-2] if len(said) > 1 and said[-1] in VALUE else said[-1] if said else ""


@functools.cache
def is_gradient_of(found: Path, path: Path) -> int:
    """Return how surely what lies at one path is the gradient at what lies at another; 0 where it is not.

    Examples
    --------
    >>> is_gradient_of(("wg_diff",), ("wg",)), is_gradient_of(("grads", "W"), ("params", "W"))
    (3, 2)
    """
    last, own = found[-1], path[-1]
    alike = str(last) == str(own) or (isinstance(last, str) and without_d(last) == str(own))
    if found[:-1] == path[:-1]:
        if isinstance(last, str) and is_gradient(last) and alike:
            return 3
        if str(own) in VALUE and isinstance(last, str) and _HOLDS_GRADIENTS.fullmatch(last):
            return 3
    if alike and any(isinstance(k, str) and _HOLDS_GRADIENTS.fullmatch(k) for k in found[:-1]):
        return 2
    return int(isinstance(last, str) and is_gradient(last) and alike)
