"""What a layer computes at every step, by the names that its equations give."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt.derive import EquationCell
from bptt.derive.axes import PLACES, UNIT
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
    eq, H = made.equations, made.hidden(own.params)
    found = computed(own, made)
    shown = [*eq.states, *(s.name for s in eq.statements if s.written and s.name not in eq.states)]
    heads = {s.name: s.function or "" for s in eq.statements}
    gates = {s.name for s in eq.statements if s.function and {*s.reads} & {*eq.gates}}
    out = []
    for name in shown:
        kind = "state" if name in eq.states else "gate" if name in gates else "value"
        array = own.states[name] if name in own.states else found[name]
        per_unit, summary = _per_unit(made, name, array, H)
        out.append(_value(name, kind, per_unit, summary, heads.get(name, "")))
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


def _per_unit(cell: EquationCell, name: str, flat: Array, H: int) -> tuple[Array, str | None]:
    """Return a value as one number for each unit, and in words what that number is."""
    eq, T = cell.equations, len(flat)
    if eq.is_elementwise or eq.axes[name] == UNIT:
        return flat, None
    axes, (heads, units, _) = eq.axes[name], eq.sizes(H)
    array, said = flat.reshape(T, *eq.shape(name, H)), []
    if "key" in axes:
        array = np.sqrt((array * array).sum(axis=PLACES["key"], keepdims=True))
        said.append("norm over keys")
    if "unit" not in axes:
        said.append("one number for each head" if "head" in axes and eq.heads > 1 else "one number")
    return np.broadcast_to(array, (T, heads, units, 1)).reshape(T, H), ", ".join(said)


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
