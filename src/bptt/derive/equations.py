"""A cell's equations: named values, each set once, of an expression that can be derived.

A cell's equations are a Python function that is read and never called::

    @bptt.cell(state="h c")
    def lstm(a_i, a_f, a_o, a_g, c):
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c

Its arguments are told apart by their names:

=============  =====================================================================================
``a_i``        a gate's pre-activation, x_t W_i + h_{t-1} U_i + b_i
``x_n``        one with an input part only, x_t W_n + b_n
``u_n``        one with a recurrent part only, h_{t-1} U_n (+ b_h)
``c``          a state before the step (or ``c_prev``); the names are those of ``state=``
``p``          a parameter for each hidden unit, where ``params=`` names it
``alpha``      one for the whole layer, where ``scalars=`` names it
``t``          what is given at each step beside the input, where ``inputs=`` names it; ``x``: the input
``floor=0.1``  a constant with its value
=============  =====================================================================================

The equations hold one hidden unit's arithmetic; the matrix products are outside. Where a gate's recurrent
product takes something else than h_{t-1}, as in the GRU with the reset before the product,
``operand={"a_n": "q"}`` says which of the equations' values it takes; there may be several, each made of
gates whose products came before. Values of other shapes, and sums over units: :mod:`bptt.derive.axes`.

The room is read in this order: the data here, :mod:`~bptt.derive.source` (a function's text and its place),
:mod:`~bptt.derive.signature`, :mod:`~bptt.derive.expressions`, :mod:`~bptt.derive.reader` (the body).
"""

import ast
import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bptt.derive.axes import OVER, PLACES, SIZES, UNIT, Axes, axes_of, numbers
from bptt.errors import BpttError, ShapeError

SOME = 3
"""How many units a head has where equations are tried."""

if TYPE_CHECKING:
    from bptt.maps import Map

Start = float | tuple[float, float]
"""Where a parameter starts: a number, or the bounds between which it is drawn."""


class EquationError(BpttError):
    """A cell's equations cannot be read: the text says where and what is allowed."""


@dataclass(frozen=True)
class Statement:
    """One value and what it is.

    Attributes
    ----------
    name : str
        Set once; a state before the step is ``c_prev``, after it ``c``.
    expr : ast.expr
        Over arguments and earlier names. A function stands only at its head: ``tanh(c)`` inside an
        expression is a statement of its own.
    number : int
        Of the equation, from 1, as the derivation cites it.
    written : bool
        Whether the user gave the name.
    """

    name: str
    expr: ast.expr
    number: int
    written: bool = True

    @cached_property
    def reads(self) -> list[str]:
        """The names in the expression, in order of appearance, once each."""
        called = {id(n.func) for n in ast.walk(self.expr) if isinstance(n, ast.Call)}
        names = [n for n in ast.walk(self.expr) if isinstance(n, ast.Name) and id(n) not in called]
        names.sort(key=lambda n: (n.lineno, n.col_offset))
        return list(dict.fromkeys(n.id for n in names))

    @property
    def function(self) -> str | None:
        """The function at the head of the expression, if one is."""
        match self.expr:
            case ast.Call(func=ast.Name(id=name)):
                return name
        return None


@dataclass(frozen=True)
class Equations:
    """A cell's equations.

    Attributes
    ----------
    name : str
    gates : tuple of str
        The arguments ``a_``, ``x_`` and ``u_``, by their whole names, in order.
    states : tuple of str
        The first is the output.
    params : dict
        Each hidden unit's own parameters, and where they start.
    scalars : tuple of str
        Which of these are one number of the whole layer.
    starts : dict of float
        Where states start, of those that do not start at zero.
    constants : dict of float
    operand : dict of str
        Gate to the name of what its recurrent product takes in place of the output.
    statements : tuple of Statement
    bias : bool
        Whether the gates have biases.
    maps : dict
        What matrices are made of, as `Cell.maps` has it.
    inputs : tuple of str
        What is given at each step; ``x`` is the layer's input itself.
    shapes : dict of frozenset
        The axes of gates, states, parameters and inputs that are not one number for each unit.
    heads : int
        In how many heads the units are.
    keys : int, optional
        How many keys a head has; as many as units where it is None.
    text : str
        The function with its decorator, complete in itself: read again, it gives the same equations.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    params: dict[str, Start]
    constants: dict[str, float]
    operand: dict[str, str]
    statements: tuple[Statement, ...]
    bias: bool = True
    scalars: tuple[str, ...] = ()
    starts: dict[str, float] = field(default_factory=dict)
    maps: "dict[str, Map | str]" = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    shapes: dict[str, Axes] = field(default_factory=dict)
    heads: int = 1
    keys: int | None = None
    doc: str = ""
    text: str = field(default="", repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """What has a block of the pre-activation: gates, parameters of units, inputs at each step."""
        return (*self.gates, *self.params, *self.inputs)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the statements read that is set by none of them."""
        return (*self.columns, *self.before, *self.constants)

    @property
    def has_keys(self) -> bool:
        """Whether some value has keys."""
        return any("key" in axes for axes in self.axes.values())

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether all values are one number for each unit, and nothing goes over an axis or has its size."""
        return not self.shapes and not any(
            s.function in OVER or not SIZES.keys().isdisjoint(s.reads) for s in self.statements
        )

    @property
    def more(self) -> str:
        """In words, what the cell has beyond one number for each unit, one operand and the input."""
        found = {
            "values over axes": not self.is_elementwise,
            "several operands": len(self.operands) > 1,
            "a state as operand": bool({*self.operands} & {*self.before}),
            "inputs at each step": bool(self.inputs),
        }
        return " and ".join(words for words, there in found.items() if there)

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axes of each value; of a number, none."""
        own = dict.fromkeys((*self.columns, *self.states), UNIT) | self.shapes
        if not self.is_elementwise:
            own |= {n: frozenset[str]() for n in self.scalars}
        axes = {n: own[n] for n in self.columns} | {f"{s}_prev": own[s] for s in self.states}
        for s in self.statements:
            plain = s.name not in self.states and not self.is_elementwise
            axes[s.name] = axes_of(s.expr, axes) if plain else own.get(s.name, UNIT)
        return axes

    def sizes(self, H: int) -> tuple[int, int, int]:
        """Return how many heads there are, and units and keys of a head, where there are H units."""
        J, rest = divmod(H, self.heads)
        if rest:
            raise ShapeError(f"{self.name}: {H} units are no whole number for each of {self.heads} heads")
        return self.heads, J, J if self.keys is None else self.keys

    def shape(self, name: str, H: int) -> tuple[int, ...]:
        """Return a value's shape for one row, an axis each for heads, units and keys."""
        sizes = zip(PLACES, self.sizes(H), strict=True)
        return tuple(size if axis in self.axes[name] else 1 for axis, size in sizes)

    def point(self, name: str) -> tuple[int, ...]:
        """Return a value's shape at a point at which derivatives are compared: none where it is a number."""
        return () if self.is_elementwise else self.shape(name, SOME * self.heads)

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers along the axes of such a point, by name."""
        return {} if self.is_elementwise else numbers(*self.sizes(SOME * self.heads))

    def width(self, name: str, H: int) -> int:
        """Return how many numbers a value has for each row, flat, where there are H units."""
        return H if self.is_elementwise else math.prod(self.shape(name, H))

    def grows(self, names: Iterable[str]) -> bool:
        """Return whether these have more numbers together where there are more units."""
        names = [*names]
        one, two = (sum(self.width(n, k * self.heads) for n in names) for k in (1, 2))
        return two > one

    def hidden(self, names: Iterable[str], total: int) -> int:
        """Return with how many units these, which grow with them, have so many numbers together."""
        names = [*names]
        each = 1
        while each < total and sum(self.width(n, each * self.heads) for n in names) < total:
            each *= 2
        count = bisect_left(
            range(each + 1), total, lo=1, key=lambda k: sum(self.width(n, k * self.heads) for n in names)
        )
        return min(count, each) * self.heads

    @property
    def before(self) -> tuple[str, ...]:
        """The states before the step, by name."""
        return tuple(f"{s}_prev" for s in self.states)

    @property
    def names(self) -> tuple[str, ...]:
        """All names: the arguments', then the values' in the order of the text."""
        return (*self.arguments, *(s.name for s in self.statements))

    @property
    def operands(self) -> dict[str, tuple[str, ...]]:
        """The values that recurrent products take in place of the output, in order, and the gates of each."""
        order = {s.name: k for k, s in enumerate(self.statements)}
        names = sorted(dict.fromkeys(self.operand.values()), key=lambda q: order.get(q, -1))
        return {q: tuple(g for g in self.gates if self.operand.get(g) == q) for q in names}

    @property
    def made_first(self) -> tuple[str, ...]:
        """The gates whose products are there before any statement: none of these is what they take."""
        return tuple(g for g in self.gates if self.operand.get(g, self.before[0]) in self.before)

    @property
    def q(self) -> str | None:
        """The operand, where there is one and no more."""
        return next(iter(self.operands)) if len(self.operands) == 1 else None

    def made_of(self, name: str) -> set[str]:
        """Return the names of all that a value is made of."""
        return {n for s in self.ancestors((name,)) for n in s.reads}

    def ancestors(self, names: tuple[str, ...]) -> tuple[Statement, ...]:
        """Return the statements that `names` are made of, in order."""
        wanted, found = set(names), []
        for s in reversed(self.statements):
            if s.name in wanted:
                wanted.update(s.reads)
                found.append(s)
        return tuple(reversed(found))
