"""Cells that compute what a cell that other systems have computes, with other parameters.

An LSTM whose gates are coupled is the LSTM with a_i = -a_f, because 1 - σ(a) = σ(-a); a gate that a cell does
not have is one whose weights are zero and whose bias is `OPEN`; a weight that each unit has for itself is the
diagonal of U. Which of them a cell is, its values say: the zoo's or a user's, whatever its gates are called.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from bptt.cells import CELLS, Cell
from bptt.errors import ConfigError
from bptt.layer.reference import unroll
from bptt.layer.shapes import layer_shapes
from bptt.nets.conventions import SYSTEMS
from bptt.types import Params

OPEN = 40.0
"""The bias of a gate that is one: σ(40) is 1, also in float64."""

SIGMOIDS = {"lstm": "ifo", "gru": "rz", "gru-cho": "rz"}
"""The gates that may be turned round or open."""


@dataclass(frozen=True)
class Counterpart:
    """How a layer of a cell is a layer of a known one.

    Attributes
    ----------
    cell, known : Cell
    gates : tuple of (int, int)
        For each of the known cell's ``from_x`` which of the cell's it is, and its sign; sign 0: it is open.
    """

    cell: Cell
    known: Cell
    gates: tuple[tuple[int, int], ...]

    @property
    def is_itself(self) -> bool:
        """Whether the two have the same parameters in the same order."""
        own = tuple((j, 1) for j in range(len(self.known.from_x)))
        return self.gates == own and _pairs(self.cell) == list(range(len(own)))

    def layer(self, params: Params) -> Params:
        """Return the known cell's parameters: the same function; there is a b where a gate is open."""
        if self.is_itself:
            return dict(params)
        H, G, pairs = len(params["U"]), len(self.cell.from_x), _pairs(self.cell)
        arrays = {name: params[name] for name in ("W", "U", "b", "b_h") if name in params}
        if not pairs:
            arrays |= {"U": np.diag(params[self.cell.units[0]])}
            arrays.pop("b_h", None)
        if not all(sign for _, sign in self.gates):
            arrays.setdefault("b", np.zeros(G * H, params["W"].dtype))
        found: Params = {}
        for name, array in arrays.items():
            block = array.reshape(-1, G, H)
            if pairs and name in ("U", "b_h"):
                block = block[:, pairs]
            parts = [
                block[:, j] * block.dtype.type(sign) + block.dtype.type(0 if sign or name != "b" else OPEN)
                for j, sign in self.gates
            ]
            found[name] = np.concatenate(parts, axis=1).reshape((-1, len(parts) * H) if name in "WU" else -1)
        return found

    def back(self, layer: Params, names: Collection[str]) -> Params | None:
        """Return the cell's parameters of these names; None where the layer is none that `layer` gives."""
        if self.is_itself:
            others = layer.keys() - {*names}
            fits = {*names} <= layer.keys() and not any(layer[name].any() for name in others)
            return {name: layer[name] for name in names} if fits else None
        H, G, pairs = len(layer["U"]), len(self.known.from_x), _pairs(self.cell)
        at = {j: (k, sign) for k, (j, sign) in enumerate(self.gates) if sign}
        found: Params = {}
        for name in names:
            if name in self.cell.units:
                found[name] = np.diagonal(layer["U"]).copy()
            elif name in ("U", "b_h") and not pairs:
                found[name] = layer["U"][:, :0] if name == "U" else layer["U"][0, :0]
            elif name in layer:
                block = layer[name].reshape(-1, G, H)
                parts = [block[:, at[j][0]] * block.dtype.type(at[j][1]) for j in range(len(at))]
                if name in ("U", "b_h"):
                    parts = [parts[j] for j in np.argsort(pairs)]
                found[name] = np.concatenate(parts, axis=1).reshape((-1, len(at) * H) if name in "WU" else -1)
            else:
                return None
        again = self.layer(found)
        same = all(
            np.array_equal(array, again.get(name, np.zeros_like(array))) for name, array in layer.items()
        )
        return found if same else None


@lru_cache(maxsize=64)
def counterpart(cell: Cell) -> Counterpart | None:
    """Return which known cell a cell is, of those of `CELLS`; None where it is none.

    Examples
    --------
    >>> import bptt
    >>> counterpart(bptt.zoo.get("lstm-coupled")).known
    <cell lstm: gates i f o g, states h c>
    >>> counterpart(bptt.zoo.get("slstm")) is None
    True
    """
    if cell.more:
        return None
    of_own = len(cell.units)  # of U there is a gate for each of W, or else one weight that each unit has
    if (len(cell.from_h + cell.from_q), of_own) not in ((len(cell.from_x), 0), (0, 1)):
        return None
    rng, H = np.random.default_rng(0), 3
    large = np.logspace(-1, 2, 8)[:, None]  # two functions may be equal for small values alone
    x = rng.normal(size=(3, 8, 2)) * large
    states = tuple(rng.normal(size=(8, H)) * large for _ in cell.states)
    shapes = layer_shapes(cell, 2, H, "two" if cell.bias else "none")
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    with np.errstate(all="ignore"):  # a user's cell may be nan where another is not: then it is another
        own = unroll(cell, params, x, states)
        for known in CELLS.values():
            for gates in _choices(known, cell):
                found = Counterpart(cell, known, gates)
                other = unroll(known, found.layer(params), x, states)
                pairs = zip((own.y, *own.states), (other.y, *other.states), strict=True)
                if all(np.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in pairs):
                    return found
    return None


def in_system(cell: Cell, system: str, title: str) -> Counterpart:
    """Return which cell of a system a cell is; a ConfigError says where there is one, if it has none."""
    found = counterpart(cell)
    if found is not None and found.known.name in SYSTEMS[system]:
        return found
    others = [name for name in ("keras",) if found and found.known.name in SYSTEMS[name] and name != system]
    also = "".join(f" --to {name} has it, too;" for name in others)
    raise ConfigError(
        f"{title} has no {cell.name}: its layers are {', '.join(SYSTEMS[system])};{also} "
        "ONNX holds any cell: --to onnx"
    )


def _choices(known: Cell, cell: Cell) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield what the known cell's gates may be of a cell's, each of which is one of them."""
    count = len(cell.from_x)
    if count > len(known.from_x) or len(cell.states) != len(known.states):
        return
    either = [(j, 1) for j in range(count)]
    turned = [(j, -1) for j in range(count)]
    options = [
        [*either, *turned, (0, 0)] if gate in SIGMOIDS.get(known.name, "") else either
        for gate in known.from_x
    ]
    for gates in product(*options):
        if {j for j, sign in gates if sign} == set(range(count)):
            yield gates


def _pairs(cell: Cell) -> list[int]:
    """Return for each of the gates of W the one of U: that of its name, or the next that has no other."""
    own = list(cell.from_h + cell.from_q)
    if not own:
        return []
    left = iter(k for k, gate in enumerate(own) if gate not in cell.from_x)
    return [own.index(gate) if gate in own else next(left) for gate in cell.from_x]
