"""What a recurrent cell is to the rest of bptt.

A cell is an affine part and a pointwise part::

    affine      a_t = x_t W + h_{t-1} U + b           matrix products, written once for all cells
    pointwise   states_t = f(a_t, states_{t-1})       elementwise per hidden unit: the cell itself

A cell's file holds the pointwise part only: the equations, ``forward``, and right under it the
hand-derived ``backward``. The affine part, the loop through time, the carry back through time and the
sums over time for dW, dU and db are written once, in :mod:`bptt.layer.reference`.

The pre-activation ``a`` has one block of H columns for each of the cell's ``gates``. Three attributes
say what each block is made of. For most cells W and U feed all the gates; where a gate's input and
recurrent parts do not simply add, as in the GRU, each part is a gate of its own:

``from_x``  the gates that W feeds (W has these blocks, in this order)
``from_h``  the gates that U feeds from h_{t-1} (U has these blocks, in this order, and then those of)
``from_q``  the gates that U feeds from ``q``, an operand that the cell computes itself from the gates
            already complete. This is how a reset gate before the product is written. There may be several,
            each of what came before: ``operands`` says which gates each feeds.

A parameter that each hidden unit has for itself, such as a peephole weight, is a gate that no product
feeds: its block is the parameter, the same at every step and row, and the parameter's gradient is the sum
over these, as a bias's is. ``units`` names such gates. Of those that ``scalars`` names, too, a layer has one
number for all of its units, and the gradient is the sum over them as well. What is given at each step beside
the input has a block, too: ``given`` names it, and ``inputs`` of these that to which a gradient is returned.

Most blocks and states have one number for each of the H units. Those of another shape (see
:mod:`bptt.derive.axes`) say so: `width` is the one place that has each one's size.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np

from bptt.shown import Shown
from bptt.types import Array, Generator

if TYPE_CHECKING:
    from bptt.maps import Map

States: TypeAlias = tuple[Array, ...]
"""The states at one time step, each (N, H), in the order of ``Cell.states``."""

Cache: TypeAlias = Any
"""What a cell's forward keeps for its backward; nobody else looks inside."""


class Cell(ABC, Shown, html="bptt.zoo.shown:html", latex="bptt.zoo.shown:latex"):
    """The pointwise part of a recurrent cell, forward and backward, for one time step.

    Attributes
    ----------
    name : str
        As on the command line and in checkpoints.
    gates : tuple of str
        The blocks of the pre-activation ``a`` (N, G·H), in order.
    states : tuple of str
        The states carried through time; the first is the output h.
    from_x, from_h, from_q : tuple of str
        Which gates x_t W, h_{t-1} U and q U feed (see the module's text).
    units : tuple of str
        Which gates are parameters of the hidden units, arrays (H,) of the layer by these names.
    given : tuple of str
        Which of these are no parameters: arrays (T, N, H), which whoever runs the layer gives beside them.
    inputs : tuple of str
        Which of these have a gradient; ``x`` is the layer's input itself, and is not given again.
    operands : tuple of (str, tuple of str)
        The operands in order, each with the gates that it feeds; together they are `from_q`.
    scalars : tuple of str
        Which of these are one number of the whole layer, arrays (1,).
    starts : dict of float
        Where states start that do not start at zero; a reset puts them there, too.
    bias : bool
        Whether the gates have biases at all.
    maps : dict
        What matrices are made of (see :mod:`bptt.layer.mapped`): by ``U.`` or ``W.`` and a gate, or U or W
        whole, a map, or another such name, whose matrix this one is.
    heads : int
        In how many heads the units are.
    more : str
        In words, what the cell has beyond one number for each unit, one operand and the input, which not all
        of bptt can do something with.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...] = ("h",)
    from_x: tuple[str, ...]
    from_h: tuple[str, ...]
    from_q: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    operands: tuple[tuple[str, tuple[str, ...]], ...] = ()
    scalars: tuple[str, ...] = ()
    starts: Mapping[str, float] = MappingProxyType({})
    bias: bool = True
    maps: "Mapping[str, Map | str]" = MappingProxyType({})
    more: str = ""
    heads: int = 1
    pickled: tuple[Any, ...] | None = None  # how a cell that bptt has is found again by its name

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "gates" in cls.__dict__:
            for feeds in ("from_x", "from_h"):
                if feeds not in cls.__dict__:
                    setattr(cls, feeds, cls.gates)
            if cls.__dict__.get("from_q"):
                cls.operands = (("q", cls.from_q),)

    @property
    def plain(self) -> "Cell":
        """The cell without its maps, which runs on the matrices that they make."""
        return self

    @abstractmethod
    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        """Return the next states and what `backward` needs.

        Parameters
        ----------
        a : (N, G·H)
            Pre-activations, a block for each gate.
        states : tuple of (N, H)
            The states before this step.
        """

    @abstractmethod
    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        """Return the gradients at `a` (N, G·H) and at the states before this step.

        Parameters
        ----------
        dstates : tuple of (N, H)
            The whole gradient at each state after this step. Not changed.
        cache
            From `forward`. Not changed.
        """

    def operand(self, a: Array, states: States, k: int = 0) -> tuple[Array, Cache]:
        """Return the k-th operand (N, H), of gates that are complete, and what `operand_backward` needs."""
        raise TypeError(f"{self.name}: from_q names gates, so the cell must define operand()")

    def operand_backward(self, dq: Array, cache: Cache, da: Array, k: int = 0) -> States:
        """Return the gradients that it passes to the states; add those at its gates to `da`."""
        raise TypeError(f"{self.name}: from_q names gates, so the cell must define operand_backward()")

    def width(self, name: str, H: int) -> int:
        """Return how many numbers a gate, a state or an operand has for each row, where there are H units."""
        return H

    def matrix(self, operand: str) -> str:
        """Return the name of the matrix of an operand's product: U, or one with its own number of rows."""
        return "U"

    def hidden(self, params: Mapping[str, Array]) -> int:
        """Return how many units a layer with these parameters has."""
        return len(params["U"])

    def columns(self, H: int) -> dict[str, slice]:
        """Return each gate's columns of the pre-activation."""
        ends = [*accumulate(self.width(gate, H) for gate in self.gates)]
        return dict(zip(self.gates, map(slice, [0, *ends], ends), strict=False))

    def first_states(
        self, N: int, H: int, dtype: Any, params: Mapping[str, Array] = MappingProxyType({})
    ) -> States:
        """Return the states before the first step: what `params` have of ``start.h``, ..., or `starts`."""
        starts = (params.get(f"start.{s}", self.starts.get(s, 0.0)) for s in self.states)
        return tuple(
            np.full((N, self.width(s, H)), start, dtype) for s, start in zip(self.states, starts, strict=True)
        )

    def unit_columns(self, H: int) -> dict[str, slice]:
        """Return the columns of the pre-activation that are units' parameters, by their names."""
        columns = self.columns(H)
        return {name: columns[name] for name in self.units}

    def unit_shape(self, name: str, H: int) -> tuple[int]:
        """Return the shape of a parameter that `units` names."""
        return (1,) if name in self.scalars else (self.width(name, H),)

    def unit_sum(self, name: str, rows: Array) -> Array:
        """Return the gradient at a parameter that `units` names, of those at rows (·, H)."""
        total: Array = rows.sum(axis=0)
        return total.sum(keepdims=True) if name in self.scalars else total

    def start(self, rng: Generator, H: int) -> dict[str, Array]:
        """Return where the cell wants parameters to start: by a unit's name, or a bias (H,) by a gate's."""
        return {name: np.zeros(self.unit_shape(name, H)) for name in self.units}

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickle a cell that bptt has as its name: the copy is the same object."""
        return self.pickled or super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<cell {self.name}: gates {' '.join(self.gates)}, states {' '.join(self.states)}>"


def blocks(a: Array, count: int) -> list[Array]:
    """Return the `count` equal column blocks of `a` as views."""
    H = a.shape[-1] // count
    return [a[..., k * H : (k + 1) * H] for k in range(count)]
