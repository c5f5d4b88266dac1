# ruff: noqa: D102 the methods are described in the base class
"""Where functions live, and the arrays that they read without being given them.

A chunk's function reads its parameters from its module, a method from its object (see `objects`). A home
lists such arrays and opens itself with others in their places: the module's are put back afterwards, an
object is a fresh copy each time.
"""

import builtins
import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Path, copied, keys_read
from bptt.checking.adapters.constructing import RATE
from bptt.checking.adapters.graph import arrays, entries, is_gradient_of, label, put
from bptt.checking.adapters.names import is_gradient, part, size_of, without_d
from bptt.checking.adapters.shapes import Shape, extent
from bptt.checking.adapters.signature import callees, globals_read
from bptt.checking.adapters.standins import is_missing, vocabulary
from bptt.checking.subject import Sizes
from bptt.types import Params


class Home(ABC):
    """Where functions live.

    Attributes
    ----------
    matrices, biases : list of str
        The names of the arrays that the functions read.
    ndims : dict of int
        How many axes those have that are there already.
    paths : dict of Path
        Where those lie that lie in an object.
    places : list of dict
        The globals of the functions and of those that they call.
    keeps : bool
        Whether functions may leave gradients in it.
    loss : str
        What loss a chunk's is, in words.
    """

    keeps: bool = False
    loss: str = "the loss that is returned"

    def __init__(self) -> None:
        self.matrices: list[str] = []
        self.biases: list[str] = []
        self.ndims: dict[str, int] = {}
        self.paths: dict[str, Path] = {}
        self.places: list[dict[str, Any]] = []
        self.updates = False

    @abstractmethod
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> contextlib.AbstractContextManager[Mapping[str, Callable[..., Any]]]:
        """Put in the arrays of a point and the sizes, and give the functions by their names."""

    def natural(self, sizes: Sizes, inputs: str = "D") -> dict[str, Shape]:
        """Return the shapes that the arrays have by themselves, where they are made with these sizes."""
        return {}

    def kept_names(self) -> list[str]:
        """Return the names of what the functions' object holds, if they have one."""
        return []

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        """Return the gradients that the functions left in their home, opened at a point."""
        return {}

    def _reach(self, function: Any) -> None:
        if not any(function.__globals__ is place for place in self.places):
            self.places.append(function.__globals__)

    def _take(self, name: str, array: Any = None) -> None:
        if isinstance(array, np.ndarray):
            self.ndims[name] = array.ndim
        matrix = part(name) == "W" or (part(name) not in ("b", "c") and self.ndims.get(name) == 2)
        (self.matrices if matrix else self.biases).append(name)

    def _take_inside(self, root: Any) -> None:
        """Take the parameters that a thing holds, wherever in it."""
        for path, array in arrays(root):
            name = label(path)
            if not is_parameter(name, array):
                continue
            if name in self.ndims:  # another layer's
                name = ".".join(str(key) for key in path)
            if name not in self.ndims:
                self.paths[name] = path
                self._take(name, array)

    def _left(self, root: Any, at: Params) -> Params:
        """Return the gradients in a thing that holds the parameters; their change, where there are none."""
        held = dict(arrays(root, again=True))
        found = {p[-1]: a for p, a in held.items() if isinstance(p[-1], str) and is_gradient(p[-1])}
        paths = {n: self.paths.get(n, (n,)) for n in (*self.matrices, *self.biases) if n in at}
        afters = {n: held[p] for n, p in paths.items() if p in held and held[p].shape == at[n].shape}
        self.updates |= any(bool((after != at[n]).any()) for n, after in afters.items())
        for name, path in paths.items():
            _, best = max(((is_gradient_of(q, path), q) for q in held), default=(0, ()), key=lambda f: f[0])
            gradient = held[best] if best and is_gradient_of(best, path) else None
            after = afters.get(name)
            moved = after is not None and bool((after != at[name]).any())
            if gradient is not None and not (moved and not gradient.any()):
                found[f"d{name}"] = gradient
            elif after is not None and self.updates:
                found[f"d{name}"] = (at[name] - after) / RATE
        return found


class Module(Home):
    """Functions of a module, with the globals that they read."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__()
        self.functions = dict(functions)
        self.sizes: dict[str, str] = {}
        self.lists: list[str] = []
        self.rates: list[str] = []
        self.holders: dict[str, Any] = {}
        self.buffers: list[str] = []
        self.seen: set[str] = set()
        for function in self.functions.values():
            for callee in callees(function):
                self._reach(callee)
                for name in globals_read(callee.__code__):
                    self._look(name, callee)
        if "V" in self.matrices and {"Wy", "Why", "Wya", "W_y"} & self.seen and "V" not in self.ndims:
            self.matrices.remove("V")  # the size of the vocabulary, and no matrix, where there is one
            self.sizes["V"] = "V"
        self._take_inside(self.holders)
        self.buffers = [n for n in self.buffers if without_d(n) in (*self.matrices, *self.biases)]
        self.keeps = bool(self.rates or self.paths or self.buffers)

    def _look(self, name: str, function: Any) -> None:
        place = function.__globals__
        if part(name) == "params" and is_missing(name, place):
            for key in (k for k in keys_read(function, name) if k not in self.paths):
                self.holders.setdefault(name, {})[key] = None
                self.paths[key] = (name, key)
                self._take(key)
        if name in self.seen or hasattr(builtins, name):
            return
        self.seen.add(name)
        value, missing = place.get(name), is_missing(name, place)
        array = isinstance(value, np.ndarray) and value.dtype.kind == "f" and bool(value.ndim)
        if (array or missing) and is_gradient(name) and part(without_d(name)) in ("W", "b"):
            self.buffers.append(name)
        elif array:
            self._take(name, value)
        elif (isinstance(value, int) or missing) and size_of(name) and part(name) not in ("W", "b"):
            self.sizes[name] = size_of(name)
        elif (isinstance(value, float) or missing) and part(name) == "rate":
            self.rates.append(name)
        elif missing and part(name) in ("W", "b"):
            self._take(name)
        elif vocabulary(name, 1) is not None and (missing or isinstance(value, (list, dict, str))):
            self.lists.append(name)
        elif any(True for _ in entries(value)):
            self.holders[name] = value

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        own = [n for n in (*self.matrices, *self.biases) if n in at and n not in self.paths]
        values: dict[str, Any] = {n: at[n].copy() for n in own}
        values |= {n: extent(s.replace("D", inputs), sizes) for n, s in self.sizes.items()}
        values |= {n: np.zeros_like(at[without_d(n)]) for n in self.buffers if without_d(n) in at}
        values |= {n: vocabulary(n, sizes.V) for n in self.lists} | dict.fromkeys(self.rates, RATE)
        if self.paths:
            values |= fresh(self.holders)
            for name, path in self.paths.items():
                if name in at:
                    put(values, path, at[name].copy())
        before = [{n: place[n] for n in values if n in place} for place in self.places]
        for place in self.places:
            place.update(values)
        try:
            yield self.functions
        finally:
            for place, old in zip(self.places, before, strict=True):
                for name in values:
                    place.pop(name, None)
                place.update(old)

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        held: dict[str, Any] = {}
        for place in self.places:
            held |= {
                n: place[n]
                for n in (*self.holders, *self.buffers, *self.matrices, *self.biases)
                if n in place
            }
        return self._left(held, at)


def fresh(thing: Any) -> Any:
    """Return a copy of an object and of all it holds; of what cannot be copied so, a shallow one.

    Arrays of parameters are not copied: others are put in their places.
    """
    held = {id(array): array for path, array in arrays(thing) if is_parameter(label(path), array)}
    try:
        return copy.deepcopy(thing, held)
    except Exception:  # it holds a module, a lock, a generator
        return copied(copy.copy(thing))


def is_parameter(name: Any, value: Any) -> bool:
    """Return whether something is an array by the name of a parameter."""
    return (
        isinstance(name, str)
        and isinstance(value, np.ndarray)
        and value.dtype.kind == "f"
        and value.ndim > 0
        and part(name) in ("W", "b")
        and not is_gradient(name)
    )
