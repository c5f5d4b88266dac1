"""Values of which nothing is known yet: their first use is noted, and ends the run."""

import dis
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

Path: TypeAlias = tuple[Any, ...]
"""Where a value is: an argument's name, and then keys and numbers, or ``*`` for each entry of a list."""

_OPERATORS = """
add sub mul truediv floordiv mod pow radd rsub rmul rtruediv rfloordiv rmod rpow iadd isub imul
itruediv neg pos abs lt le gt ge matmul rmatmul and or xor invert len getitem index int float bool
contains
""".split()  # noqa: SIM905


_ALIKE = (np.copy, np.zeros_like, np.ones_like, np.empty_like)
"""What gives an array of the same shape: of an unknown one it is as unknown."""


class NeedError(Exception):
    """A value was used that is not known yet."""


@dataclass
class Use:
    """The first use of a value that is not known: whose, of which kind, and with what."""

    path: Path
    kind: str
    others: tuple[Any, ...] = ()
    place: int = 0


@dataclass
class Watch:
    """Makes the values that are not known, and keeps the first use of any."""

    use: Use | None = None

    def unknown(self, *path: Any) -> Any:
        """Return a value that is not known."""
        return Unknown(self, path)

    def rows(self, path: Path, entries: list[Any]) -> Any:
        """Return a list whose entries are not known."""
        return _Rows(self, path, entries)

    def entries(self, path: Path, entries: dict[Any, Any]) -> Any:
        """Return a dict whose entries are not known."""
        return _Entries(self, path, entries)

    def space(self, path: Path, entries: dict[str, Any]) -> Any:
        """Return an object of whose attributes no more are known."""
        made = _Space()
        made.__dict__ |= {"_watch": self, "_path": path, **entries}
        return made

    def used(self, path: Path, kind: str, *others: Any, place: int = 0) -> NoReturn:
        """Note the first use, and end the run."""
        self.use = self.use or Use(path, kind, others, place)
        raise NeedError(kind)


class Unknown:
    """A value of which nothing is known."""

    def __init__(self, watch: Watch, path: Path) -> None:
        self.__dict__ |= {"watch": watch, "path": path}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "shape":
            return _Shape(self.watch, self.path)
        if name in ("copy", "astype"):
            return lambda *_a, **_k: self
        if name == "dot":
            return lambda other: self.watch.used(self.path, "dot", other)
        return self.watch.used(self.path, "attribute", name)

    def __array_ufunc__(self, ufunc: Any, _method: str, *given: Any, **_kwargs: Any) -> Any:
        place = next(k for k, one in enumerate(given) if isinstance(one, (Unknown, _Rows)))
        others = [one for one in given if one is not given[place]]
        return given[place].watch.used(given[place].path, ufunc.__name__, *others, place=place)

    def __array_function__(self, function: Any, _types: Any, given: Any, kwargs: Any) -> Any:
        if function in _ALIKE:
            return self
        flat = [o for g in (*given, *kwargs.values()) for o in (g if isinstance(g, (list, tuple)) else [g])]
        place = next(k for k, one in enumerate(flat) if one is self)
        others = [one for one in flat if isinstance(one, (np.ndarray, Unknown)) and one is not self]
        return self.watch.used(self.path, function.__name__, *others, place=place)

    def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
        return self.watch.used(self.path, "array")

    def __iter__(self) -> Any:
        return self.watch.used(self.path, "iter", _unpacked())

    def __eq__(self, other: object) -> Any:
        return False if other is None else self.watch.used(self.path, "equal", other)

    def __hash__(self) -> int:
        return int(bool(self.watch.used(self.path, "hash")))

    def __call__(self, *_args: Any) -> Any:  # noqa: D102
        return self.watch.used(self.path, "call")

    def __setitem__(self, key: Any, value: Any) -> None:
        self.watch.used(self.path, "getitem", key)


def _plain(kind: str) -> Callable[..., Any]:
    def used(self: Unknown, *others: Any) -> Any:
        return self.watch.used(self.path, kind.removeprefix("r"), *others, place=int(kind[0] == "r"))

    return used


for _name in _OPERATORS:
    setattr(Unknown, f"__{_name}__", _plain(_name))


class _Shape:
    def __init__(self, watch: Watch, path: Path) -> None:
        self.watch, self.path = watch, path

    def __iter__(self) -> Any:
        return self.watch.used(self.path, "shape", _unpacked())

    def __getitem__(self, _key: Any = None) -> Any:
        return self.watch.used(self.path, "shape", None)

    __len__ = __getitem__

    def __eq__(self, other: object) -> Any:
        return self.watch.used(self.path, "like", *([np.zeros(other)] if isinstance(other, tuple) else []))

    __hash__ = None  # type: ignore[assignment]


class _Rows(list[Any]):
    """A list of what is not known yet: where it is used as an array, it is one."""

    def __init__(self, watch: Watch, path: Path, entries: list[Any]) -> None:
        super().__init__(entries)
        self.watch, self.path = watch, path

    shape = property(lambda self: _Shape(self.watch, self.path))
    T = property(lambda self: self.watch.used(self.path, "attribute", "T"))
    __array__ = Unknown.__array__
    __array_ufunc__ = Unknown.__array_ufunc__

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            self.watch.used(self.path, "getitem", key)
        if isinstance(key, int) and key >= len(self):
            self.watch.used(self.path, "beyond", key)
        part = super().__getitem__(key)
        return _Rows(self.watch, self.path, part) if isinstance(key, slice) else part


class _Entries(dict[Any, Any]):
    def __init__(self, watch: Watch, path: Path, entries: dict[Any, Any]) -> None:
        super().__init__(entries)
        self.watch, self.path = watch, path

    def __missing__(self, key: Any) -> Any:
        return self.watch.used(self.path, "getitem", key)


class _Space:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._watch.used(self._path, "attribute", name)


def _unpacked() -> list[str] | None:
    """Return the names into which the code that runs unpacks a value."""
    frame = sys._getframe(2)
    after = [one for one in dis.get_instructions(frame.f_code) if one.offset >= frame.f_lasti]
    if after[0].opname != "UNPACK_SEQUENCE":
        return None
    return [str(one.argval) for one in after[1 : 1 + (after[0].arg or 0)]]
