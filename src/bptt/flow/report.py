"""A gradient flow in words: the finding, the table of lags, the definition; and as JSON."""

import textwrap
from typing import Any

import numpy as np

from bptt.flow.connections import DIRECT, ELEMENTWISE, PRODUCTS
from bptt.flow.measure import Flow

HEADING = "the lag k at which the gradient falls below 1% of where it begins"


def definition(flow: Flow) -> str:
    """Return what is measured."""
    h = flow.states[0]
    other = next((to_of for to_of in flow.pairs if to_of[0] != to_of[1]), None)
    begins = "It begins with 1 at k = 0"
    if other is not None:
        begins += f"; ∂{h}/∂{other[1]} with what it is along all paths at k = {flow.first(*other)}"
    return (
        f"∂{h}/∂{h} is the gradient from {h} at t to {h} at t-k: the root mean square over units and "
        f"positions of J_k = ∂{h}_t/∂{h}_(t-k), that is ‖J_k‖_F / √H, with the other states at t-k held. "
        f"{begins}. Along a path all other connections between steps are cut, at every step."
    )


def meaning(flow: Flow) -> dict[str, str]:
    """Return what each of the flow's paths is, by its name."""
    said = {}
    for path in flow.paths:
        gates = [" then ".join(c) for c in path.connections if c != DIRECT]
        if path.name == ELEMENTWISE:
            said[path.name] = "elementwise, no weight matrix"
        elif path.name == PRODUCTS:
            said[path.name] = "a weight matrix at every step, any gate's"
        elif path is flow.whole and DIRECT not in path.connections:
            said[path.name] = "a weight matrix at every step, the only way"
        elif path is flow.whole:
            said[path.name] = "all connections" if gates else "elementwise, no weight matrix"
        elif DIRECT in path.connections:
            said[path.name] = f"at each step elementwise, or by {gates[0]}'s product"
        else:
            said[path.name] = f"{gates[0]}'s product at every step"
    return said


def finding(flow: Flow) -> str:
    """Return the answer in one sentence: which path keeps the gradient, and for how long."""
    h, whole = flow.states[0], flow.whole
    gates = [c for c in whole.connections if c != DIRECT]
    if not gates:
        return f"{flow.cell}: no weight matrix between steps; the gradient {_fate(flow, whole.name, h)}"
    if DIRECT not in whole.connections:
        return f"{flow.cell}: a weight matrix at every step; the gradient {_fate(flow, whole.name, h)}"
    direct = flow.path(ELEMENTWISE)
    own = [s for s in flow.states if flow.has(direct, s, s) and flow.first(h, s) is not None]
    products = "through a weight matrix at every step, "
    slow = f"it {_fate(flow, PRODUCTS, h)}"
    if not own:
        return f"{flow.cell}: no state keeps a gradient without a weight matrix; along {h}, {products}{slow}"

    def length(s: str) -> tuple[float, float]:
        lag = flow.lag(direct, s, s)
        return (float("inf") if lag is None else lag, float(flow.gain(direct, s, s)[-1]))

    best = max(own, key=length)
    kept = f"along {best}, through no weight matrix, the gradient {_fate(flow, ELEMENTWISE, best)}"
    lag = flow.lag(flow.path(PRODUCTS), h, h)
    if lag is not None and flow.lag(direct, best, best) is not None:
        slow = f"after {lag}"
    return f"{flow.cell}: {kept}; {'' if best == h else f'along {h}, '}{products}{slow}"


def _fate(flow: Flow, path: str, state: str) -> str:
    lag, gain = flow.lag(flow.path(path), state, state), flow.gain(flow.path(path), state, state)
    if lag is not None:
        return f"falls below 1% after {lag} step{'s' * (lag > 1)}"
    if gain[-1] == np.inf:
        return f"grows beyond all bounds within {flow.lags} steps"
    if gain[-1] > 1:
        return f"has grown {gain[-1]:.3g}-fold after {flow.lags} steps"
    return f"is still {100 * gain[-1]:.2g}% after {flow.lags} steps"


def rows(flow: Flow) -> list[tuple[str, list[str]]]:
    """Return the table of lags: for each path, one entry for each of the flow's pairs."""
    table = []
    for path in flow.paths:
        entries = []
        for to, of in flow.pairs:
            lag = flow.lag(path, to, of)
            entries.append(
                "-" if not flow.has(path, to, of) else f"> {flow.lags}" if lag is None else str(lag)
            )
        table.append((path.name, entries))
    return table


def columns(flow: Flow) -> list[str]:
    """Return what stands above the table's entries."""
    return [f"∂{to}/∂{of}" for to, of in flow.pairs]


def text(flow: Flow) -> str:
    """Return the report for a terminal."""
    said = meaning(flow)
    width = max(len(path.name) for path in flow.paths) + 2
    heads = columns(flow)
    wide = [max(7, len(head)) + 2 for head in heads]
    lines = [finding(flow), flow.where, "", HEADING]
    lines.append(" " * width + "".join(f"{head:>{w}}" for head, w in zip(heads, wide, strict=True)))
    for name, entries in rows(flow):
        cells = "".join(f"{entry:>{w}}" for entry, w in zip(entries, wide, strict=True))
        lines.append(f"{name:{width}}{cells}   {said[name]}")
    return "\n".join(
        [line for line in lines if line or line == ""] + ["", *textwrap.wrap(definition(flow), 100)]
    )


def to_json(flow: Flow) -> dict[str, Any]:
    """Return the report and the numbers behind it as JSON values."""
    said = meaning(flow)
    return {
        "cell": flow.cell,
        "where": flow.where,
        "finding": finding(flow),
        "definition": definition(flow),
        "positions": flow.positions,
        "lags": flow.lags,
        "flows": [
            {
                "to": to,
                "of": of,
                "path": path.name,
                "meaning": said[path.name],
                "below_1_percent": flow.lag(path, to, of),
                "begins_at": flow.first(to, of),
                "gain": [float(f"{g:.6g}") if np.isfinite(g) else None for g in flow.gain(path, to, of)],
            }
            for to, of in flow.pairs
            for path in flow.paths
            if flow.has(path, to, of)
        ],
    }
