"""What a layer computes at every step, by the names that its equations give."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt.derive import EquationCell
from bptt.derive.axes import PLACES, UNIT
from bptt.derive.equations import Equations
from bptt.derive.numpy_code import values_of
from bptt.looking.forward import LayerRun
from bptt.types import Array
from bptt.zoo import equations_of

SPANS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0)}
"""Between what a function's values lie."""


def values(own: LayerRun) -> list[dict[str, Any]]:
    """Return a layer's values as :class:`~bptt.looking.view.Layer` has them: states first, then gates.

    A value that has not one number for each unit is summarised: of several keys by its norm over them; what
    heads share is shown at each of their units. Of a cell that is written by hand without equations there
    are its states alone.
    """
    made = equations_of(own.cell)
    if made is None:
        return [_value(name, "state", array, None, "") for name, array in own.states.items()]
    eq = made.equations
    found = computed(own, made)
    shown = [*eq.states, *(s.name for s in eq.statements if s.written and s.name not in eq.states)]
    heads = {s.name: s.function or "" for s in eq.statements}
    gates = {s.name for s in eq.statements if s.function and {*s.reads} & {*eq.gates}}
    out = []
    for name in shown:
        kind = "state" if name in eq.states else "gate" if name in gates else "value"
        array = own.states[name] if name in own.states else found[name]
        summary = _summary(eq, name)
        out.append(_value(name, kind, per_unit(own, name, array), summary, heads.get(name, "")))
    return sorted(out, key=lambda value: ("state", "gate", "value").index(value["kind"]))


def computed(own: LayerRun, cell: EquationCell) -> dict[str, Array]:
    """Return all that the equations name, at every step, (T, width)."""
    eq, H, T = cell.equations, cell.hidden(own.params), len(own.a)

    def shaped(name: str, flat: Array) -> Array:
        return flat if eq.is_elementwise else flat.reshape(T, *eq.shape(name, H))

    columns = zip(eq.columns, cell.columns(H).values(), strict=True)
    arguments = {name: shaped(name, own.a[:, at]) for name, at in columns}
    arguments |= {f"{s}_prev": shaped(f"{s}_prev", array) for s, array in own.before.items()}
    with np.errstate(all="ignore"):
        found = values_of(eq, arguments, H)
    flat = {}
    for name, array in found.items():
        shape = (H,) if eq.is_elementwise else eq.shape(name, H)
        flat[name] = np.broadcast_to(array, (T, *shape)).reshape(T, -1)
    return flat


def per_unit(own: LayerRun, name: str, flat: Array, over_keys: Any = None) -> Array:
    """Return a value (T, width) as one number for each unit, (T, H): of several keys their norm.

    Parameters
    ----------
    own : LayerRun
    name : str
        Of a value of its cell's equations.
    flat : (T, width)
    over_keys : callable, optional
        What is made of the numbers of all keys, of an array and its axis, in place of their norm.
    """
    made = equations_of(own.cell)
    if made is None or made.equations.is_elementwise or made.equations.axes[name] == UNIT:
        return flat
    eq, T, H = made.equations, len(flat), made.hidden(own.params)
    array, (heads, units, _) = flat.reshape(T, *eq.shape(name, H)), eq.sizes(H)
    if "key" in eq.axes[name]:
        array = (over_keys or np.linalg.norm)(array, axis=PLACES["key"], keepdims=True)
    return np.broadcast_to(array, (T, heads, units, 1)).reshape(T, H)


def _summary(eq: Equations, name: str) -> str | None:
    """Return in words what stands for a value that has not one number for each unit."""
    axes = UNIT if eq.is_elementwise else eq.axes[name]
    said = ["norm over keys"] if "key" in axes else []
    if "unit" not in axes:
        said.append("one number for each head" if "head" in axes and eq.heads > 1 else "one number")
    return ", ".join(said) or None


def _value(name: str, kind: str, array: Array, summary: str | None, function: str) -> dict[str, Any]:
    lo, hi = SPANS.get(function, (None, None)) if summary is None else (None, None)
    if lo is None:
        finite = array[np.isfinite(array)]
        hi = float(np.abs(finite).max(initial=0.0)) or 1.0
        lo = 0.0 if finite.min(initial=0.0) >= 0 else -hi
    shown = array.astype(np.float32)
    return {"name": name, "kind": kind, "lo": lo, "hi": hi, "array": shown, "summary": summary}


def constants(own: LayerRun) -> dict[str, float | Array]:
    """Return the numbers that the equations name beside values: a unit's parameters, constants."""
    made = equations_of(own.cell)
    if made is None:
        return {}
    eq, H = made.equations, made.hidden(own.params)
    units: Iterator[tuple[str, Array]] = ((n, own.params[n]) for n in eq.params)
    found: dict[str, float | Array] = dict(eq.constants)
    for name, array in units:
        if array.size in (1, H):
            found[name] = float(array.item()) if array.size == 1 else array.astype(np.float32)
    return found
