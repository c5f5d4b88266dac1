"""What a wrong gradient is instead: zero, a multiple of the right one, its transpose, another's.

And where it is wrong: the worst entry, and which equal blocks of rows or columns, as the gates of a cell lie
in its weights; these by name where the cell is known. An entry that should be zero, and is, speaks for
neither: the column of a token that does not occur is no right column.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from bptt.checking.readings import Link
from bptt.types import Array, Params

GATES = {
    "i": "the input gate i",
    "f": "the forget gate f",
    "o": "the output gate o",
    "g": "the candidate g",
    "r": "the reset gate r",
    "z": "the update gate z",
    "n": "the candidate n",
}


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
    gates : tuple of str
        The letters of the gates that alone are wrong, where the cell is known.
    """

    index: tuple[int, ...]
    got: float
    wanted: float
    blocks: str = ""
    relation: str = ""
    gates: tuple[str, ...] = ()


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
    return Where(
        index=index,
        got=float(got[index]),
        wanted=float(wanted[index]),
        blocks=_blocks(*wrong_and_shown(got, wanted, tolerance)),
        relation=_relation(name, got, right, at, 100 * tolerance),
    )


def wrong_and_shown(got: Array, wanted: Array, tolerance: float) -> tuple[Array, Array]:
    """Return which entries are clearly wrong, and which show anything: those, and all that are not zero."""
    off = np.abs(np.where(np.isfinite(got), got - wanted, np.inf))
    wrong = off > 100 * tolerance * (float(np.abs(wanted).max(initial=0)) or 1.0)
    return wrong, wrong | (wanted != 0)


def by_gate(where: Where, wrong: Array, shown: Array, links: Iterable[Link]) -> Where:
    """Return where a gradient is wrong in words that name the gates, or none where all gates are wrong.

    Parameters
    ----------
    where : Where
    wrong, shown : bool arrays
        From `wrong_and_shown`.
    links : iterable of Link
        Which entries of the array belong to which gate: those of its name, from a match with a known cell.
    """
    entries: dict[str, Array] = {}
    for link in links:
        if link.key[0] in "WUb":
            gate = link.key[-1]
            entries[gate] = np.append(entries.get(gate, np.empty(0, int)), link.ids.ravel())
    seen = [gate for gate, ids in entries.items() if shown.ravel()[ids].any()]
    bad = [gate for gate in seen if wrong.ravel()[entries[gate]].any()]
    if not entries or not 0 < len(bad) < len(seen):
        return replace(where, blocks="")
    mine: Array = np.isin(np.arange(wrong.size), np.concatenate([entries[gate] for gate in bad]))
    lie = _blocks(mine.reshape(wrong.shape), np.ones_like(wrong))
    names = " and ".join(GATES[gate] for gate in bad)
    return replace(where, blocks=f"{names}{f' ({lie})' if lie else ''}", gates=tuple(bad))


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


def _permuted(
    got: Array, wanted: Array, axis: int, count: int, same: Callable[[Array, Array], bool]
) -> str | None:
    """Return in words how the blocks along an axis are exchanged, where that is all that is wrong."""
    if wanted.shape[axis] % count or wanted.shape[axis] == count:
        return None
    parts, whole = np.split(wanted, count, axis), np.split(got, count, axis)
    order = [next((k for k, part in enumerate(parts) if same(block, part)), None) for block in whole]
    if None in order or order == list(range(count)):
        return None
    what = "columns" if axis == wanted.ndim - 1 else "rows"
    return f"the right one with its {count} blocks of {what} in the order {', '.join(str(k) for k in order)}"


def _blocks(wrong: Array, shown: Array) -> str:
    """Return which of 4, 3 or 2 equal blocks along an axis are wrong, if another is right."""
    for count in (4, 3, 2):
        for axis in range(wrong.ndim):
            size = wrong.shape[axis]
            if size % count or size == count:
                continue
            bad = [bool(part.any()) for part in np.split(wrong, count, axis)]
            seen = [bool(part.any()) for part in np.split(shown, count, axis)]
            if 0 < sum(bad) < sum(seen):
                what = "columns" if axis == wrong.ndim - 1 else "rows"
                step = size // count
                ranges = [f"{k * step}:{(k + 1) * step}" for k, is_bad in enumerate(bad) if is_bad]
                return f"{what} {', '.join(ranges)} of {size}"
    return ""
