"""What a value of somebody's code holds in floating-point numbers: arrays, tensors, lists, objects."""

import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from bptt.types import Array

LARGEST = 50_000  # entries of the largest array that is looked at

Path: TypeAlias = tuple[tuple[str, Any], ...]
"""How a value is reached: ``(("name", "net"), ("attr", "W"), ("item", 0))``."""

PLAIN = (int, str, bytes, bool, type(None), type, types.ModuleType, types.FunctionType, types.MethodType)


def flat(value: Any) -> Array | None:
    """Return a value's floating-point numbers as a vector, or None if it is no array of them.

    NumPy's arrays and numbers, PyTorch's tensors, Python's floats and lists of them (nested, too) are arrays.
    """
    kind = type(value)
    if kind is np.ndarray or isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and 0 < value.size <= LARGEST:
            return np.asarray(value, dtype=np.float64).reshape(-1)
        return None
    if kind is float or isinstance(value, np.floating):
        return np.array([value], dtype=np.float64)
    if kind in (list, tuple):
        return _numbers(value)
    tensor = kind.__module__.startswith("torch") and hasattr(value, "is_floating_point")
    if tensor and value.is_floating_point() and 0 < value.numel() <= LARGEST:
        return np.asarray(value.detach().numpy(), dtype=np.float64).reshape(-1)
    return None


def _numbers(value: Any) -> Array | None:
    """Return a list of floats, nested or not, as a vector: pure Python's arrays."""
    first = value
    while type(first) in (list, tuple) and first:
        first = first[0]
    if type(first) is not float and not isinstance(first, np.floating):
        return None
    try:
        array = np.array(value)
    except Exception:  # rows of unlike lengths, or something beside the floats that refuses to be an array
        return None
    return array.astype(np.float64).reshape(-1) if array.dtype.kind == "f" and array.size > 1 else None


def bump(value: Any, by: Array) -> Any:
    """Return an array of the same kind and shape, changed by a vector."""
    if isinstance(value, np.ndarray):
        return value + by.reshape(value.shape)
    if isinstance(value, float | np.floating):
        return type(value)(value + by[0])
    if isinstance(value, list | tuple):
        return type(value)(_nested(value, iter(by.tolist())))
    return value + sys.modules["torch"].tensor(by.reshape(tuple(value.shape)), dtype=value.dtype)


def _nested(value: Any, by: Iterator[float]) -> Iterator[Any]:
    for one in value:
        yield type(one)(_nested(one, by)) if isinstance(one, list | tuple) else one + next(by)


def put(value: Any, numbers: Array) -> None:
    """Write a vector into an array that can be changed in place (and do nothing where it cannot)."""
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value[...] = numbers.reshape(value.shape)
    elif isinstance(value, list):
        _put_list(value, iter(numbers.tolist()))
    elif type(value).__module__.startswith("torch"):
        torch = sys.modules["torch"]
        with torch.no_grad():
            value.copy_(torch.tensor(numbers.reshape(tuple(value.shape)), dtype=value.dtype))


def _put_list(value: list[Any], numbers: Iterator[float]) -> None:
    for i, one in enumerate(value):
        if isinstance(one, list):
            _put_list(one, numbers)
        elif isinstance(one, float):
            value[i] = next(numbers)


def identity(value: Any) -> tuple[Any, ...]:
    """Return what two arrays share if they are the same numbers in memory."""
    if isinstance(value, np.ndarray):
        found = value.__array_interface__
        return (found["data"][0], value.shape, value.strides)
    if type(value).__module__.startswith("torch"):
        return (value.data_ptr(), tuple(value.shape), value.stride())
    return (id(value),)


def shape(value: Any, size: int | None = None) -> tuple[int, ...]:
    """Return an array's shape, whatever its kind; that of a vector for a list that has another size since."""
    if size is not None and isinstance(value, list):
        now = flat(value)
        if now is None or now.size != size:
            return (size,)
    if isinstance(value, list | tuple):
        return np.shape(np.array(value))
    return tuple(getattr(value, "shape", ()))


def leaves(
    value: Any, path: Path = (), *, deep: int = 0, seen: set[int] | None = None
) -> Iterator[tuple[Path, Any]]:
    """Yield the arrays that are reachable from a value, each with its path."""
    if isinstance(value, PLAIN):
        return
    if flat(value) is not None:
        yield path, value
        torch = type(value).__module__.startswith("torch")
        grad = value.grad if torch and (value.is_leaf or value.retains_grad) else None
        if grad is not None:
            yield (*path, ("attr", "grad")), grad
        return
    seen = set() if seen is None else seen
    if deep > 6 or id(value) in seen:
        return
    seen.add(id(value))
    kind, members = _members(value)
    for step, one in members:
        yield from leaves(one, (*path, (kind, step)), deep=deep + 1, seen=seen)


def _members(value: Any) -> tuple[str, Iterable[tuple[Any, Any]]]:
    """Return what a value is made of, by names or by indices."""
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, dict):
        return "item", list(value.items())[:400]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "attr", zip(value._fields, value, strict=False)
    objects = isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1
    if isinstance(value, list | tuple | deque) or objects:
        return "item", enumerate(list(value)[:400])
    if library == "torch" and hasattr(value, "named_parameters"):
        own = {name: one for name, one in vars(value).items() if not name.startswith("_")}
        return "attr", {**value._parameters, **value._buffers, **value._modules, **own}.items()
    if library in ("numpy", "torch"):
        return "attr", ()
    slots = getattr(type(value), "__slots__", None) or ()
    kept = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return "attr", {**kept, **getattr(value, "__dict__", {})}.items()


def get(names: dict[str, Any], path: Path) -> Any:
    """Return the value at a path; raises LookupError or AttributeError where it is gone."""
    value: Any = names
    for kind, step in path:
        value = getattr(value, step) if kind == "attr" else value[step]
    return value


def written(path: Path) -> str:
    """Return a path as Python writes it: ``net.W[0]``."""
    (_, first), *rest = path
    return str(first) + "".join(f".{step}" if kind == "attr" else f"[{step!r}]" for kind, step in rest)


def last(path: Path) -> str:
    """Return the name next to an array: of its attribute, its key; empty where it has none."""
    return next((str(step) for _, step in reversed(path) if isinstance(step, str)), "")


def entry(value: Any, owner: Any, index: Any) -> Any:
    """Return what an assignment gives to ``owner[index]``: to one entry a number, as older NumPy took it."""
    is_one = isinstance(value, np.ndarray) and value.ndim > 0 and value.size == 1
    plain = is_one and isinstance(owner, np.ndarray) and owner.dtype != object
    return value.item() if plain and np.ndim(owner[index]) == 0 else value


def entries(value: Any) -> Array | None:
    """Return all numbers that are reachable from a value, one after the other; None if there are none."""
    found = [flat(one) for _, one in leaves(value)]
    kept = [one for one in found if one is not None]
    return np.concatenate(kept) if kept else None
