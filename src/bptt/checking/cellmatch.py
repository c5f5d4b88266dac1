"""Which cell is it? The forward of somebody's code, recognised in whatever convention it is written.

Every array is read in all the ways that its shape (and its role, where known) allows. A reading is an
array of positions: entry by entry, where in the user's array the canonical one lies. So the way there is
a look-up, the way back is its transpose, and two biases that add up need nothing special. All readings
together, with all orders of the gates, are run through each known cell and compared with what the code
returns for the same numbers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

import numpy as np

from bptt.checking.judge import rounded
from bptt.checking.known import CELLS, slips
from bptt.checking.readings import Link, Reader, arranged, gathered
from bptt.checking.reference import Reference, forward
from bptt.checking.subject import Subject, SubjectError
from bptt.types import Params

TOLERANCE, SINGLE = 1e-9, 1e-5
"""Largest difference of outputs, relative to the largest output, at which forwards are the same; and where
the code computes in single precision."""


Layout: TypeAlias = Literal["rows", "rows, weights transposed", "columns"]


@dataclass(frozen=True)
class Match:
    """A cell recognised.

    Attributes
    ----------
    cell : Reference
    gates : str
        The gates in the user's order.
    words : str
        A description.
    error : float
        The largest difference of outputs, relative to the largest output.
    links, outputs : tuple of Link
        The arrays of the point; the outputs, whose keys are the cotangents' of `reference.backward`.
    shapes : dict
        Of the canonical arrays.
    fixed : dict of arrays
        What is not differentiated: one-hot inputs, targets.
    scale : float
        What the sum of the cross-entropies is multiplied by to be the loss.
    symbols : dict of str
        The user's names for canonical quantities.
    layout : "rows", "rows, weights transposed" or "columns"
        How an example lies, and with it how his equations read: x W, x Wᵀ or W x.
    """

    cell: Reference
    gates: str
    words: str
    error: float
    links: tuple[Link, ...]
    outputs: tuple[Link, ...]
    shapes: dict[str, tuple[int, ...]]
    fixed: Params
    scale: float
    symbols: dict[str, str]
    layout: Layout

    def to_canonical(self, at: Params) -> Params:
        """Return the point as the reference has it: x (T, N, D), h0, W_i (D, H), U_i (H, H), ..."""
        arrays = {name: np.zeros(shape) for name, shape in self.shapes.items()} | self.fixed
        return arrays | gathered(self.links, at)

    def cotangents(self, given: Params) -> Params:
        """Return the gradients at the outputs as `reference.backward` takes them."""
        if self.outputs[0].key == "loss":
            return {"loss": self.scale * given[self.outputs[0].name].reshape(())}
        found = gathered(self.outputs, given)
        if "logits_last" in found:
            last = found.pop("logits_last")
            found["logits"] = np.zeros((len(self.fixed.get("x", ())) or self.shapes["x"][0], *last.shape))
            found["logits"][-1] = last
        return found

    def from_canonical(self, grads: Params, at: Params) -> Params:
        """Return gradients in the user's names and layouts.

        Parameters
        ----------
        grads : dict of arrays
            With a leading axis of versions, as from `reference.backward`.
        at : dict of arrays
            For the shapes.
        """
        mine: Params = {}
        for link in self.links:
            if link.key not in grads:
                continue  # an output layer whose output has no gradient put in
            array = at[link.name]
            flat = mine.setdefault(link.name, np.zeros((len(grads["x"]), array.size)))
            flat[:, link.ids.ravel()] += grads[link.key].reshape(len(flat), -1)
        return {name: flat.reshape(-1, *at[name].shape) for name, flat in mine.items()}

    def spelled(self, text: str) -> str:
        """Return an equation with the user's names for the weights, and the products as he writes them."""
        if self.layout == "columns":
            text = re.sub(r"(\w+) @ (\w+)(?=\.T)", r"\2<T> @ \1", text)
            text = re.sub(r"(\w+)\.T @ (\w+)", r"\2 @ \1<T>", text).replace(".T", "").replace("<T>", ".T")
        elif self.layout != "rows":
            text = re.sub(r"(\w+) @ (\w+)\.T", r"\1 @ \2", text)
            text = re.sub(r"(\w+)\.T @ (\w+)", r"\2.T @ \1", text)
        text = re.sub(r"\b(d?)((?:W|U|b|b_h)_[a-z]|V|k|h0|c0)\b", self._spell, text)
        return re.sub(r"(?<=\bda)_a\b", "", text)  # the RNN's one gate needs no letter

    def _spell(self, found: re.Match[str]) -> str:
        return found[1] + self.symbols.get(found[2], found[2])


def match(subject: Subject) -> Match | None:
    """Return which known cell a subject's forward is, and in which convention; None if it is none.

    Parameters
    ----------
    subject : Subject
        Of any form whose outputs are states, or a loss; what it does not differentiate is looked for in
        its attribute `fixed`, if it has one: integers "x" and "targets".
    """
    try:
        wanted = {name: np.asarray(a, np.float64) for name, a in subject.outputs(subject.at).items()}
        single = bool(rounded(subject, subject.at))
    except (SubjectError, TypeError, ValueError):
        return None
    single |= all(a.size > 1 and np.array_equal(a, a.astype(np.float32)) for a in wanted.values())
    tolerance = SINGLE if single else TOLERANCE
    mistaken = [slip for cell in CELLS for slip in slips(cell, subject.sizes.T)]
    return (
        _search(subject, wanted, subject.roles, CELLS, tolerance)
        or (_search(subject, wanted, {}, CELLS, tolerance) if subject.roles else None)
        or _search(subject, wanted, subject.roles, mistaken, tolerance)
    )


def _search(
    subject: Subject, wanted: Params, roles: Mapping[str, str], cells: Sequence[Reference], tolerance: float
) -> Match | None:
    sizes, fixed = subject.sizes, _fixed(subject)
    Ts = [1] if subject.form == "step" else list(dict.fromkeys([sizes.T, 1]))
    for T, N in product(Ts, dict.fromkeys([sizes.N, 1])):
        for D in [sizes.D] if "x" not in fixed else dict.fromkeys([sizes.V, sizes.D]):
            given: Params = {}
            if "x" in fixed:
                if np.size(fixed["x"]) != T * N or np.max(fixed["x"]) >= D:
                    continue
                given["x"] = np.eye(D)[np.reshape(fixed["x"], (T, N)).astype(int)]
            given |= _targets(fixed, T, N, sizes.V)
            reader = Reader(subject.at, roles, T, N, D, sizes.H, sizes.V)
            for cell in cells:
                for links, gates in reader.readings(cell):
                    found = _compared(cell, gates, links, subject.at, wanted, given, reader, tolerance)
                    if found:
                        return found
    return None


def _compared(
    cell: Reference,
    gates: str,
    links: list[Link],
    at: Params,
    wanted: Params,
    fixed: Params,
    reader: Reader,
    tolerance: float,
) -> Match | None:
    """Return the match if the cell, run on the arrays so read, gives the outputs wanted."""
    shapes = {link.key: link.ids.shape for link in links}
    shapes |= {f"{s}0": (reader.N, reader.H) for s in cell.states}
    if "x" not in shapes and "x" not in fixed:
        return None
    p = {name: np.zeros(shape) for name, shape in shapes.items()} | fixed | gathered(links, at)
    with np.errstate(all="ignore"):
        steps = forward(cell, p)
    # of one step alone, h is the output and c the state handed on: the first that fits is taken
    have = {"h": np.stack([now["h"] for now in steps])}
    have |= {f"{s}_last": steps[-1][s] for s in reversed(cell.states)}
    have |= {"c": np.stack([now["c"] for now in steps])} if "c" in cell.states else {}
    if "logits" in steps[0]:
        have["logits"] = np.stack([now["logits"] for now in steps])
        have["logits_last"] = have["logits"][-1]
    if "wanted" in steps[0] and "logits" in steps[0]:
        squares = sum(float(((now["logits"] - now["wanted"]) ** 2).sum()) for now in steps)
        have["loss"] = np.array(squares / 2)
    elif "onehot" in steps[0]:
        have["loss"] = np.array(
            -sum(float(np.log((now["p"] * now["onehot"]).sum(-1)).sum()) for now in steps)
        )
    outputs, error, scale = [], 0.0, 1.0
    for name, array in wanted.items():
        size = float(np.abs(array).max(initial=1e-30))
        fits: list[tuple[float, int, float, Link]] = []
        for key, own in have.items():
            for ids in arranged(array.shape, own.shape):
                mine = array.ravel()[ids]
                for c in _loss_scales(reader) if key == "loss" else (1.0,):
                    fits.append(
                        (float(np.abs(mine - c * own).max()) / size, len(fits), c, Link(name, key, ids))
                    )
        if not fits:
            return None
        off, _, scale, link = next((fit for fit in fits if fit[0] < tolerance), min(fits[:1]))
        if not off < tolerance:
            return None
        outputs.append(link)
        error = max(error, off)
    words, symbols, layout = _words(cell, gates, links), _symbols(links), _layout(links, at)
    return Match(
        cell, gates, words, error, tuple(links), tuple(outputs), shapes, fixed, scale, symbols, layout
    )


def _fixed(subject: Subject) -> Params:
    """Return the tokens and the targets: of an attribute `fixed`, or of those that the adapters' have."""
    fixed: Params = dict(getattr(subject, "fixed", {}))
    if subject.form in ("chunk", "model") and not fixed:
        if hasattr(subject, "inputs"):
            fixed["x"] = np.asarray(subject.inputs)
        for name in ("wanted", "targets", "tokens"):
            if hasattr(subject, name):
                fixed["targets"] = np.asarray(getattr(subject, name))
    if "x" in subject.roles.values():
        fixed.pop("x", None)
    return fixed


def _targets(fixed: Params, T: int, N: int, V: int) -> Params:
    """Return the targets as the reference has them: integers, or what outputs should be."""
    targets = np.asarray(fixed.get("targets", 0.0))
    if targets.dtype.kind in "iu":
        return {"targets": targets.reshape(T, N)} if targets.size == T * N else {}
    found = next(arranged(targets.shape, (T, N, V)), None)
    return {} if found is None else {"wanted": targets.ravel()[found]}


def _loss_scales(reader: Reader) -> tuple[float, ...]:
    """Return what may be multiplied by the sum of the losses: means, and squares without the half."""
    means = [1.0, 1 / reader.N, 1 / reader.T, 1 / (reader.T * reader.N)]
    return tuple(c * k / v for v in (1, reader.V) for k in (1, 2) for c in means)


def _layout(links: Sequence[Link], at: Params) -> Layout:
    """Return how the user's examples and weights lie, by his array for U, W and the state."""
    weights = next(link for link in links if link.key[0] == "U")
    ids = weights.ids
    if abs(int(ids[1, 0] - ids[0, 0])) > abs(int(ids[0, 1] - ids[0, 0])) if ids.size > 1 else True:
        return "rows"
    states = [at[link.name].shape for link in links if link.key in ("h0", "c0")]
    columns = all(len(shape) == 1 or shape[0] == ids.shape[0] for shape in states)
    return "columns" if columns else "rows, weights transposed"


def _symbols(links: Sequence[Link]) -> dict[str, str]:
    """Return the user's name for each canonical array; with the gate behind it, where he has one for all."""
    gates: dict[str, set[str]] = {}
    for link in links:
        gates.setdefault(link.name, set()).add(link.key[-1] if link.key[-2:-1] == "_" else "")
    return {
        link.key: link.name + (f"[{link.key[-1]}]" if len(gates[link.name]) > 1 else "") for link in links
    }


def _words(cell: Reference, gates: str, links: Sequence[Link]) -> str:
    names = {part: list(dict.fromkeys(link.name for link in links if link.key[0] == part)) for part in "WUb"}
    order = f"gates in the order {' '.join(gates)}; " if len(gates) > 1 else ""
    where = "; ".join(f"{part} is {', '.join(own)}" for part, own in names.items() if own)
    return f"{cell.name}: {cell.words}; {order}{where}{'' if names['b'] else '; no bias'}"
