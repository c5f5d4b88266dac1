"""Shapes in symbols, and the conventions in which people lay out the arrays of a recurrent net.

A shape is a tuple of symbols: ``("D+H", "4H")``. Sizes turn it into numbers.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bptt.checking.adapters.names import families, gate
from bptt.checking.subject import Sizes
from bptt.types import Array, Generator

Shape: TypeAlias = tuple[str, ...]


def extent(symbol: str, sizes: Sizes) -> int:
    """Return the number that a symbol stands for.

    Examples
    --------
    >>> [extent(symbol, Sizes(D=5, H=4)) for symbol in ("D", "4H", "D+H", "1")]
    [5, 16, 9, 1]
    """
    total = 0
    for term in symbol.split("+"):
        match = re.fullmatch(r"(\d*)([TNDHV]?)", term)
        assert match, f"no symbol of a size: {symbol}"
        total += int(match[1] or 1) * (getattr(sizes, match[2]) if match[2] else 1)
    return total


def extents(shape: Shape, sizes: Sizes) -> tuple[int, ...]:
    """Return a shape in numbers."""
    return tuple(extent(symbol, sizes) for symbol in shape)


def draw(shape: Shape, sizes: Sizes, rng: Generator, scale: float = 0.7) -> Array:
    """Return a random array, away from zero, without symmetry."""
    return rng.normal(0, scale, extents(shape, sizes))


@dataclass(frozen=True)
class Layout:
    """Where the axes of states and of sequences are.

    Attributes
    ----------
    state : Shape
        Of a state or of one step's input, with k for its units.
    sequence : Shape
        The same through time.
    biases : tuple of Shape
        How a bias of k units may lie so that it adds to a state.
    """

    state: Shape
    sequence: Shape
    biases: tuple[Shape, ...]

    @property
    def time_axis(self) -> int:
        """The axis of time in a sequence."""
        return self.sequence.index("T")

    @staticmethod
    def of(shape: Shape, units: str) -> Shape:
        """Return the shape with the units put in."""
        return tuple(units if symbol == "k" else symbol for symbol in shape)


ROWS, COLUMNS = (("k",), ("1", "k")), (("k", "1"),)

STEPS = (
    Layout(("N", "k"), ("T", "N", "k"), ROWS),
    Layout(("k", "N"), ("T", "k", "N"), COLUMNS),
    Layout(("k", "1"), ("T", "k", "1"), COLUMNS),
    Layout(("1", "k"), ("T", "1", "k"), ROWS),
    Layout(("k",), ("T", "k"), (("k",),)),
)
"""One time step: rows, columns, a single column, a single row, a vector."""

SEQUENCES = (
    Layout(("N", "k"), ("N", "T", "k"), ROWS),
    Layout(("N", "k"), ("T", "N", "k"), ROWS),
    Layout(("k", "N"), ("k", "N", "T"), COLUMNS),
    Layout(("k", "N"), ("T", "k", "N"), COLUMNS),
    Layout(("k", "1"), ("T", "k", "1"), COLUMNS),
    Layout(("1", "k"), ("T", "1", "k"), ROWS),
    Layout(("k",), ("T", "k"), (("k",),)),
    Layout(("k", "1"), ("k", "T"), COLUMNS),
)

BLOCKS = (4, 1, 3)
"""How many gates' blocks one array may hold: the LSTM's, one, the GRU's."""


MOST_GROUPS = 6


@dataclass(frozen=True)
class Weights:
    """One convention for the weights: a shape and a role for each."""

    shapes: dict[str, Shape]
    roles: dict[str, str]


def weights(matrices: list[str], biases: list[str], layout: Layout, inputs: str = "D") -> Iterator[Weights]:
    """Yield every convention for these matrices and biases, the likelier ones first.

    Parameters
    ----------
    matrices, biases : list of str
        Their names.
    layout : Layout
    inputs : str
        The symbol of the input's size: V where the inputs are tokens.
    """
    groups, bias_groups = families(matrices), families(biases)
    if len(groups) > MOST_GROUPS:
        return  # several layers
    rows = layout.state[-1] == "k" and len(layout.state) == 2
    ways = sorted(
        itertools.product("WUBV" if biases else "WUBV1", repeat=len(groups)),
        key=lambda kinds: sum(_unlikely(g[0], k, len(groups)) for g, k in zip(groups, kinds, strict=True)),
    )
    for kinds in ways:
        if not _whole(kinds):
            continue
        lasts = _output_biases(bias_groups) if "V" in kinds else [None]
        for last, blocks, in_first, (shape, shape_out) in itertools.product(
            lasts, BLOCKS, (rows, not rows), itertools.product(layout.biases, repeat=2)
        ):
            if last is None and shape_out != shape:
                continue
            shapes: dict[str, Shape] = {}
            roles: dict[str, str] = {}
            for group, kind in zip(groups, kinds, strict=True):
                for name in group:
                    first, second = _ends(kind, inputs, 1 if len(group) > 1 else blocks)
                    shapes[name] = (first, second) if in_first else (second, first)
                    roles[name] = _role({"B": "WU", "1": "WU"}.get(kind, kind), name, group)
            seen = 0
            for group in bias_groups:
                output = group is last
                units = "V" if output else _times(1 if len(group) > 1 else blocks, "H")
                for name in group:
                    shapes[name] = Layout.of(shape_out if output else shape, units)
                    roles[name] = "c" if output else _role("b_h" if seen else "b", name, group)
                seen += not output
            yield Weights(shapes, roles)


def _output_biases(groups: list[list[str]]) -> list[list[str] | None]:
    """Return the biases that may be the output matrix's, the likeliest first, and none."""
    alone = [group for group in groups if len(group) == 1]
    alone.sort(key=lambda group: not (group[0] == "c" or (group[0][-1] in "yYVvo2q" and len(group[0]) > 1)))
    return [*alone, None]


def _whole(kinds: tuple[str, ...]) -> bool:
    """Return whether inputs and states both have weights, once."""
    apart = kinds.count("W") == 1 and kinds.count("U") == 1
    joint = len({"B", "1"} & set(kinds)) == 1
    return kinds.count("V") <= 1 and (apart if not joint else not {"W", "U"} & set(kinds))


def _ends(kind: str, inputs: str, blocks: int) -> tuple[str, str]:
    if kind == "V":
        return "H", "V"
    rows = {"W": inputs, "U": "H", "B": f"{inputs}+H", "1": f"{inputs}+H+1"}  # the last with the bias
    return rows[kind], _times(blocks, "H")


def _times(count: int, symbol: str) -> str:
    return symbol if count == 1 else f"{count}{symbol}"


def _role(role: str, name: str, group: list[str]) -> str:
    letter = gate(name, group)
    return f"{role}:{letter}" if letter else role


def _unlikely(name: str, kind: str, groups: int) -> float:
    """Return how much a name speaks against a kind."""
    rest = name[1:].strip("_").lower()
    if rest.startswith(("hy", "ya", "yh", "out")) or rest in ("y", "o", "v") or name in ("V", "V_out"):
        likely = "V"
    elif rest.startswith(("x", "ax", "hx", "i_h", "ih", "in")) or name == "U":
        likely = "W"
    elif rest.startswith(("h", "aa", "rec", "s")) or name[0] == "R":
        likely = "U"
    elif groups == 1:
        likely = "B"
    else:
        likely = "B" if rest else "W"
    return 0.0 if kind == likely else 2.0 if kind == "1" else 1.0
