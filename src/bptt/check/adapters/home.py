# ruff: noqa: D102 the methods are described in the base class
"""Where functions live, and the arrays that they read without being given them.

A chunk's function reads its parameters from its module, a method from its object. A home lists such
arrays and opens itself with others in their places: the module's are put back afterwards, an object is a
fresh copy each time.
"""

import builtins
import contextlib
import copy
import dis
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from bptt.check.adapters.calls import call, copied, is_number
from bptt.check.adapters.names import is_gradient, part, parts, without_d
from bptt.check.adapters.shapes import extent
from bptt.check.adapters.signature import callees, parameters
from bptt.check.subject import Sizes, SubjectError
from bptt.types import Params

STAND_INS: dict[str, Any] = {"xrange": range, "np": np, "numpy": np}
"""What older or shortened code expects to be there."""


RATE = 1.0
"""The learning rate given to code that updates its parameters: the update is then the gradient."""


class Home(ABC):
    """Where functions live.

    Attributes
    ----------
    matrices, biases : list of str
        The names of the arrays that the functions read.
    ndims : dict of int
        How many axes those have that are there already.
    places : list of dict
        The globals of the functions and of those that they call.
    keeps : bool
        Whether functions may leave gradients in it.
    """

    keeps: ClassVar[bool] = False

    def __init__(self) -> None:
        self.matrices: list[str] = []
        self.biases: list[str] = []
        self.ndims: dict[str, int] = {}
        self.places: list[dict[str, Any]] = []

    @abstractmethod
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> contextlib.AbstractContextManager[Mapping[str, Callable[..., Any]]]:
        """Put in the arrays of a point and the sizes, and give the functions by their names."""

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


class Module(Home):
    """Functions of a module, with the globals that they read."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__()
        self.functions = dict(functions)
        self.sizes: dict[str, str] = {}
        self.missing: list[str] = []
        for function in self.functions.values():
            for callee in callees(function):
                self._reach(callee)
                for name in _globals_read(callee.__code__):
                    self._look(name, callee.__globals__)

    def _look(self, name: str, place: dict[str, Any]) -> None:
        if name in (*self.matrices, *self.biases, *self.sizes, *self.missing) or hasattr(builtins, name):
            return
        value = place.get(name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            self._take(name, value)
        elif isinstance(value, int) or name not in place:
            size = next((p for p in parts(name) if p.startswith("size:")), "")
            if size and part(name) not in ("W", "b"):
                self.sizes[name] = size[-1]
            elif name not in place and part(name) in ("W", "b"):
                self._take(name)
            elif name not in place:
                self.missing.append(name)

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        values: dict[str, Any] = {n: at[n].copy() for n in (*self.matrices, *self.biases) if n in at}
        values |= {n: extent(inputs if s == "D" else s, sizes) for n, s in self.sizes.items()}
        values |= {n: STAND_INS[n] for n in self.missing if n in STAND_INS}
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


class Object(Home):
    """Methods of a class, with the arrays that its objects hold or their constructor takes."""

    keeps = True

    def __init__(self, cls: type, methods: Mapping[str, str]) -> None:
        super().__init__()
        self.cls, self.methods = cls, dict(methods)
        for method in methods.values():
            for callee in callees(getattr(cls, method)):
                self._reach(callee)
        self.given = [p.name for p in parameters(cls) if part(p.name) in ("W", "b")]
        self.made: dict[tuple[Sizes, str], Any] = {}
        for name in self.given:
            self._take(name)
        if not self.given:
            for name, value in vars(self.prototype(Sizes())).items():
                for key, array in value.items() if isinstance(value, dict) else ((name, value),):
                    if _is_parameter(key, array) and key not in self.ndims:
                        self._take(key, array)
            bias = vars(self.prototype(Sizes())).get("c")  # the output's, where there are V and b
            if {"V", "b"} <= self.ndims.keys() and isinstance(bias, np.ndarray):
                self._take("c", bias)

    def prototype(self, sizes: Sizes, inputs: str = "D") -> Any:
        """Return an object made with these sizes, always the same; without arrays, if it wants them given."""
        if self.given:
            return object.__new__(self.cls)
        if (sizes, inputs) not in self.made:
            self.made[sizes, inputs] = call(self.cls, **_constructor_arguments(self.cls, sizes, inputs))
        return self.made[sizes, inputs]

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        if self.given:
            sized = _constructor_arguments(self.cls, sizes, inputs)
            fresh = call(self.cls, **sized, **{name: at[name] for name in self.given})
        else:
            fresh = copy.copy(self.prototype(sizes, inputs))
            for name, value in list(vars(fresh).items()):
                object.__setattr__(fresh, name, self._placed(name, value, at, sizes, inputs))
        yield {name: getattr(fresh, method) for name, method in self.methods.items()}

    def _placed(self, name: str, value: Any, at: Params, sizes: Sizes, inputs: str) -> Any:
        """Return what an attribute, or an entry of a dict among them, holds at a point."""
        if isinstance(value, dict):
            return {
                k: self._placed(k, v, at, sizes, inputs) if isinstance(k, str) else v
                for k, v in value.items()
            }
        if isinstance(value, np.ndarray):
            if name in self.ndims and name in at:
                return at[name].copy()
            of = without_d(name)
            return np.zeros(at[of].shape) if of != name and of in at and not value.any() else value.copy()
        if isinstance(value, int) and not isinstance(value, bool) and (size := _size(name)):
            return extent(inputs if size == "D" else size, sizes)
        if isinstance(value, float) and part(name) == "rate":
            return RATE
        return copied(value)

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        fresh = getattr(next(iter(functions.values())), "__self__", None)
        held = dict(vars(fresh)) if hasattr(fresh, "__dict__") else {}
        for value in list(held.values()):
            if isinstance(value, dict):
                held |= {k: v for k, v in value.items() if isinstance(k, str) and k not in held}
        found = {n: v for n, v in held.items() if isinstance(v, np.ndarray) and is_gradient(n)}
        listed = held.get("grads")
        if isinstance(listed, list) and len(listed) == len(self.given):
            found |= {f"d{name}": g for name, g in zip(self.given, listed, strict=True) if is_number(g)}
        for name in (*self.matrices, *self.biases):  # an update, where there is no gradient
            after = held.get(name)
            if isinstance(after, np.ndarray) and after.shape == at[name].shape and (after != at[name]).any():
                found.setdefault(f"d{name}", (at[name] - after) / RATE)
        return found


def _constructor_arguments(cls: type, sizes: Sizes, inputs: str) -> dict[str, Any]:
    """Return what a constructor asks for, its arrays apart."""
    arguments: dict[str, Any] = {}
    for p in parameters(cls):
        if part(p.name) in ("W", "b"):
            continue
        if size := _size(p.name):
            arguments[p.name] = extent(inputs if size == "D" else size, sizes)
        elif part(p.name) == "rate":
            arguments[p.name] = RATE
        elif p.default is p.empty:
            raise SubjectError(f"{cls.__name__}: what its constructor wants for {p.name} is not known")
    return arguments


def _size(name: str) -> str:
    return next((p[-1] for p in parts(name) if p.startswith("size:")), "")


def _is_parameter(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, np.ndarray)
        and value.dtype.kind == "f"
        and value.ndim > 0
        and part(name) in ("W", "b")
        and not is_gradient(name)
    )


def _globals_read(code: Any) -> list[str]:
    """Return the global names that a function's code reads, and the functions within it."""
    names = [str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += _globals_read(constant)
    return list(dict.fromkeys(names))
