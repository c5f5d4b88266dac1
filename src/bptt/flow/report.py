"""A gradient flow in words: the finding, the table of lags, the definition; and as JSON."""

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

from bptt.flow.connections import DIRECT, ELEMENTWISE, PRODUCTS, Path
from bptt.flow.measure import Flow

HEADING = "the last lag k at which the gradient is above 1% of where it begins"

IN_TURN = "now through a weight matrix and now through none"

CANCELS = 1.1
"""A path's gain over everything's from which it is said that paths cancel; sampling alone gives less."""


def definition(flow: Flow) -> str:
    """Return what is measured."""
    h = flow.states[0]
    others = [f"∂{to}/∂{of} at k = {flow.first(to, of)}" for to, of in flow.pairs if to != of]
    begins = "It begins with 1 at k = 0"
    if others:
        begins += f"; with what it is along all paths {', '.join(others)}"
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
        elif path is flow.whole and not path.connections and not _arrives(flow):
            said[path.name] = "no step reads the one before"
        elif path is flow.whole and path.connections and DIRECT not in path.connections:
            said[path.name] = "a weight matrix at every step, the only way"
        elif path is flow.whole:
            direct_alone = path.connections == (DIRECT,)
            said[path.name] = "elementwise, no weight matrix" if direct_alone else "all connections"
        elif DIRECT in path.connections:
            said[path.name] = f"at each step elementwise, or by {gates[0]}'s product"
        else:
            said[path.name] = f"{gates[0]}'s product at every step"
    return said


def finding(flow: Flow) -> str:
    """Return the answer in one sentence: which path keeps the gradient, and for how long."""
    direct = (DIRECT,)
    by_products = tuple(c for c in flow.whole.connections if c != DIRECT)
    kinds = {direct: "through no weight matrix", by_products: "through a weight matrix at every step"}
    by_one = {path: kinds[path.connections] for path in flow.paths if path.connections in kinds}
    found = [(path, _longest(flow, path, flow.states), how) for path, how in by_one.items()]
    # a state that no such path leads back to itself is reached by both in turn
    in_turn = [s for s in flow.states if not any(flow.has(path, s, s) for path in by_one)]
    mixed = (flow.whole, _longest(flow, flow.whole, in_turn), IN_TURN)
    others = [_kept(flow, path, state) for path, state, _ in found]
    if mixed[1] is not None and _kept(flow, *mixed[:2]) > max(others, default=-1):
        found.insert(0, mixed)
    said: list[str] = []
    lags: list[int | None] = []
    for path, state, how in found:
        if state is not None:
            fate, lag = _fate(flow, path, state)
            lags.append(lag)
            short = f"at lag {lag}" if None not in lags else f"it {fate}"
            said.append(f"along {state}, {how}, {short if said else f'the gradient {fate}'}")
    if not said and _arrives(flow):
        said = ["no state reaches itself at a step before"]
    return f"{flow.cell}: {'; '.join(said or ['no gradient reaches a step before'])}"


def _arrives(flow: Flow) -> bool:
    return any(flow.has(flow.whole, *pair) for pair in flow.pairs)


def _kept(flow: Flow, path: Path, state: str | None) -> int:
    """Return the last lag of a state by itself; -1 where there is none."""
    lag = None if state is None else flow.lag(path, state, state)
    return -1 if lag is None else lag


def _longest(flow: Flow, path: Path, states: Iterable[str]) -> str | None:
    """Return the state, of those that the output depends on, whose own gradient a path keeps longest."""
    h = flow.states[0]
    own = [s for s in states if flow.has(path, s, s) and (s == h or flow.first(h, s) is not None)]
    return max(own, key=lambda s: (flow.lag(path, s, s) or 0, flow.gain(path, s, s)[-1]), default=None)


def _fate(flow: Flow, path: Path, state: str) -> tuple[str, int | None]:
    """Return what becomes of a state's gradient, and its lag where it does not last."""
    lag, last = flow.lag(path, state, state), flow.gain(path, state, state)[-1]
    if lag != flow.lags:
        return f"is last above 1% at lag {lag}", lag
    if last == np.inf:
        return f"grows beyond all bounds within {flow.lags} steps", None
    if last > 1:
        return f"has grown {last:.3g}-fold at lag {lag}", None
    return f"is still above 1% at lag {lag}: {percent(last)}", None


def cancellation(flow: Flow) -> str | None:
    """Return a line on the path that exceeds everything most; None where none does by a tenth."""
    most, line = CANCELS, None
    for to, of in flow.pairs:
        whole = flow.relative(flow.whole, to, of)
        for path in flow.paths:
            alone = flow.relative(path, to, of)
            above = (alone >= 0.01) & np.isfinite(alone)
            ratio = np.divide(alone, whole, out=np.where(above, np.inf, 0), where=above & (whole > 0))
            k = int(np.argmax(ratio))
            if ratio[k] > most:
                most = float(ratio[k])
                line = (
                    f"paths cancel: of ∂{to}/∂{of} at lag {k}, {path.name} alone is {percent(alone[k])}, "
                    f"everything {percent(whole[k])}"
                )
    return line


def percent(share: float) -> str:
    """Return a gain as it is written."""
    return f"{100 * share:.3g}%"


def rows(flow: Flow) -> list[tuple[str, list[str]]]:
    """Return the table of lags: for each path, one entry for each of the flow's pairs."""
    return [(path.name, [_entry(flow, path, *pair) for pair in flow.pairs]) for path in flow.paths]


def _entry(flow: Flow, path: Path, to: str, of: str) -> str:
    if not flow.has(path, to, of):
        return "-"
    lag = flow.lag(path, to, of)
    return "none" if lag is None else f"≥ {lag}" if lag == flow.lags else str(lag)


def columns(flow: Flow) -> list[str]:
    """Return what stands above the table's entries."""
    return [f"∂{to}/∂{of}" for to, of in flow.pairs]


def text(flow: Flow) -> str:
    """Return the report for a terminal."""
    said = meaning(flow)
    width = max(len(path.name) for path in flow.paths) + 2
    heads = columns(flow)
    wide = [max(7, len(head)) + 2 for head in heads]
    lines = [finding(flow), *filter(None, [cancellation(flow)]), flow.where, "", HEADING]
    lines.append(" " * width + "".join(f"{head:>{w}}" for head, w in zip(heads, wide, strict=True)))
    for name, entries in rows(flow):
        cells = "".join(f"{entry:>{w}}" for entry, w in zip(entries, wide, strict=True))
        lines.append(f"{name:{width}}{cells}   {said[name]}")
    return "\n".join([*lines, "", *textwrap.wrap(definition(flow), 100)])


def to_json(flow: Flow) -> dict[str, Any]:
    """Return the report and the numbers behind it as JSON values."""
    said = meaning(flow)
    return {
        "cell": flow.cell,
        "where": flow.where,
        "finding": finding(flow),
        "cancellation": cancellation(flow),
        "definition": definition(flow),
        "positions": flow.positions,
        "lags": flow.lags,
        "flows": [
            {
                "to": to,
                "of": of,
                "path": path.name,
                "meaning": said[path.name],
                "last_above_1_percent": flow.lag(path, to, of),  # `lags`: still above there
                "begins_at": flow.first(to, of),
                "gain": [float(f"{g:.6g}") if np.isfinite(g) else None for g in flow.gain(path, to, of)],
            }
            for to, of in flow.pairs
            for path in flow.paths
            if flow.has(path, to, of)
        ],
    }
