"""What a wrong gradient is instead: zero, a multiple of the right one, its transpose, another's.

And where it is wrong: the worst entry, and which equal blocks of rows or columns, as the gates of a cell
lie in its weights.
"""

from dataclasses import dataclass

import numpy as np

from bptt.types import Array, Params


@dataclass(frozen=True)
class Where:
    """Where a gradient is wrong.

    Attributes
    ----------
    index : tuple of int
        The worst entry.
    got, wanted : float
        The gradient there, and the numerical one.
    blocks : str
        Which blocks are wrong, in words; empty where all or scattered ones are.
    relation : str
        What the gradient is instead, in words; empty where that is not known.
    """

    index: tuple[int, ...]
    got: float
    wanted: float
    blocks: str = ""
    relation: str = ""


def where_wrong(name: str, got: Array, right: Params, at: Params, tolerance: float) -> Where:
    """Return where the gradient `got` at `name` is wrong, and what it is instead.

    Parameters
    ----------
    name : str
    got : array
        The gradient to be explained.
    right : dict of arrays
        The numerical gradients of all names.
    at : dict of arrays
        The point, in case a gradient is a parameter itself.
    tolerance : float
        Relative, for what counts as equal.
    """
    wanted = right[name]
    off = np.abs(np.where(np.isfinite(got), got - wanted, np.inf))
    index = tuple(int(k) for k in np.unravel_index(int(off.argmax()), off.shape))
    scale = float(np.abs(wanted).max(initial=0)) or 1.0
    wrong = off > 100 * tolerance * scale
    return Where(
        index=index,
        got=float(got[index]),
        wanted=float(wanted[index]),
        blocks=_blocks(wrong),
        relation=_relation(name, got, right, at, 100 * tolerance),
    )


def _relation(name: str, got: Array, right: Params, at: Params, tolerance: float) -> str:
    wanted = right[name]

    def same(a: Array, b: Array) -> bool:
        if a.shape != b.shape:
            return False
        return bool(np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-12))

    if not np.isfinite(got).all():
        return "not finite"
    if not got.any():
        return "exactly zero"
    square = float((wanted * wanted).sum())
    if square:
        factor = float((got * wanted).sum()) / square
        if same(got, factor * wanted):
            return f"the right one times {factor:.6g}"
    if wanted.ndim == 2 and same(got, wanted.T):
        return "the right one transposed"
    for other, gradient in right.items():
        if other != name and same(got, gradient):
            return f"the gradient at {other}"
    for other, array in at.items():
        if same(got, array):
            return f"the array {other} itself"
    if name in at and same(got - wanted, at[name]):
        return f"the right one plus {name} itself"
    for axis in range(wanted.ndim):
        for count in (4, 3, 2):
            if (relation := _permuted(got, wanted, axis, count, same)) is not None:
                return relation
    return ""


def _permuted(got: Array, wanted: Array, axis: int, count: int, same: object) -> str | None:
    """Return in words how the blocks along an axis are exchanged, where that is all that is wrong."""
    if wanted.shape[axis] % count or wanted.shape[axis] == count:
        return None
    assert callable(same)
    parts, whole = np.split(wanted, count, axis), np.split(got, count, axis)
    order = [next((k for k, part in enumerate(parts) if same(block, part)), None) for block in whole]
    if None in order or order == list(range(count)):
        return None
    what = "columns" if axis == wanted.ndim - 1 else "rows"
    return f"the right one with its {count} blocks of {what} in the order {', '.join(str(k) for k in order)}"


def _blocks(wrong: Array) -> str:
    """Return which of 4, 3 or 2 equal blocks along an axis are wrong, if the others are all right."""
    if wrong.all():
        return ""
    for count in (4, 3, 2):
        for axis in range(wrong.ndim):
            size = wrong.shape[axis]
            if size % count or size == count:
                continue
            bad = [bool(part.any()) for part in np.split(wrong, count, axis)]
            if 0 < sum(bad) < count:
                what = "columns" if axis == wrong.ndim - 1 else "rows"
                ranges = [
                    f"{k * size // count}:{(k + 1) * size // count}" for k, is_bad in enumerate(bad) if is_bad
                ]
                return f"{what} {', '.join(ranges)} of {size}"
    return ""
