"""A cell that is its equations: forward as they are written, backward as it is derived from them."""

import ast
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from bptt.cells import Cache, Cell, States
from bptt.derive import axes
from bptt.derive.equations import EquationError, Equations
from bptt.derive.functions import NAMESPACE
from bptt.derive.reader import read
from bptt.derive.source import FunctionText
from bptt.errors import ZeroGradientWarning
from bptt.types import Array, Generator

if TYPE_CHECKING:
    from bptt.derive.backward import Derivation

Init = Callable[[Generator, int], Mapping[str, Any]]
"""From a generator and H to where biases (by gate) and parameters start: numbers or arrays (H,)."""


_silent = np.errstate(all="ignore")  # as compiled code is: what is no number shows itself in the loss


class EquationCell(Cell):
    """A cell made from its equations.

    The derivation is made when first needed, and proven (see :mod:`bptt.derive.proof`) before it is used.

    A copy is the cell itself, which does not change. Pickled, it is its equations and `init`: a dict always
    will do, a function where it can be imported by its name.

    Parameters
    ----------
    equations : Equations
    init : dict or function, optional
        Where its biases and parameters start, as ``cell(init=)`` has it.

    Examples
    --------
    >>> import bptt
    >>> @bptt.cell(state="h")
    ... def leaky(a_h, h, keep=0.9):
    ...     h = keep * h + (1 - keep) * tanh(a_h)
    ...     return h
    >>> leaky
    <cell leaky: gates h, states h>
    """

    def __init__(self, equations: Equations, init: Init | Mapping[str, Any] | None = None) -> None:
        self.equations = equations
        self.name = equations.name
        self.states = equations.states
        gates, operand = equations.gates, equations.operand
        self._columns = equations.columns
        self._named = {_id(column): column for column in self._columns}
        self.gates = tuple(self._named)
        self.from_x = tuple(_id(g) for g in gates if g[0] in "ax")
        self.from_h = tuple(_id(g) for g in gates if g[0] in "au" and g not in operand)
        self.operands = tuple((q, tuple(map(_id, fed))) for q, fed in equations.operands.items())
        self.from_q = tuple(g for _, fed in self.operands for g in fed)
        self.units = (*equations.params, *equations.inputs)
        self.given = self.inputs = equations.inputs
        self.scalars = equations.scalars
        self.starts = equations.starts
        self.bias = equations.bias
        self.maps = equations.maps
        self.heads = equations.heads
        self.more = equations.more
        own = equations.axes
        self._matrices = {q: f"U_{q}" for q in equations.operands if own[q] != own[self.states[0]]}
        if not self._seen and any("unit" in a for a in own.values()):
            says = "nothing that is learnt or given has units, so that none says how many there are"
            raise EquationError(f"{self.name}: {says}: let the output, a gate or a parameter have some")
        self._init = init
        self._sized: dict[int, dict[str, Any]] = {}  # a step's functions, by H
        self._numbers: Mapping[str, Any] = NAMESPACE

    @cached_property
    def plain(self) -> "EquationCell":
        """The cell without its maps."""
        if not self.maps:
            return self
        made = EquationCell(without_maps(self.equations), self._init)
        made.given, made._matrices = self.given, self._matrices
        return made

    @cached_property
    def derivation(self) -> "Derivation":
        """The backward pass as it is derived."""
        from bptt.derive.backward import Derivation

        try:
            return Derivation(self.equations)
        except RecursionError:
            raise EquationError(f"{self.name}: an equation is too long: give parts of it names") from None

    @cached_property
    def _functions(self) -> dict[str, Any]:
        from bptt.derive.numpy_code import step_functions

        return step_functions(self.derivation, sizes=self.equations.numbers)  # of other sizes: see `_at`

    @cached_property
    def _step(self) -> dict[str, Any]:
        from bptt.derive.proof import prove

        step = self._functions
        prove(self.derivation)
        if self.idle:
            warnings.warn(idle_note(self), ZeroGradientWarning, stacklevel=2)
        return step

    @property
    def idle(self) -> tuple[str, ...]:
        """The gates and units' parameters that a loss of the outputs does not train."""
        zero, unread = self._idle
        return tuple(n for n in self._columns if n in (*zero, *unread))

    @cached_property
    def _idle(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        from bptt.derive.idle import idle

        return idle(self.equations, self._functions)

    def exactly(self) -> "EquationCell":
        """Return the cell for numbers of many digits (see :mod:`bptt.derive.exact`)."""
        from bptt.derive.exact import NAMESPACE
        from bptt.derive.numpy_code import step_functions

        cell = EquationCell(self.equations)
        cell._numbers = NAMESPACE
        cell.__dict__["_step"] = step_functions(self.derivation, NAMESPACE)
        return cell

    def fixed(self, **numbers: float) -> "EquationCell":
        """Return the cell with inputs that are the same number at each step, as in ``fixed(t=1.0)``."""
        from bptt.derive.fixed import fixed

        made = fixed(self.equations, numbers)
        return self if made is self.equations else EquationCell(made, self._init)

    def width(self, name: str, H: int) -> int:
        return self.equations.width(self._named.get(name, name), H)

    def matrix(self, operand: str) -> str:
        return self._matrices.get(operand, "U")

    def name_matrices(self, names: Mapping[str, str]) -> None:
        """Call operands' matrices so."""
        self._matrices |= names

    def hidden(self, params: Mapping[str, Array]) -> int:
        names, array, at = next((seen for seen in self._seen if seen[1] in params), ([], "", 0))
        if not array:
            return self.heads
        total = int(params[array].shape[at])
        if self.equations.is_elementwise:
            return total // len(names)
        return self.equations.hidden([self._named.get(n, n) for n in names], total)

    @cached_property
    def _seen(self) -> list[tuple[list[str], str, int]]:
        """By which values, along which axis of which array it is seen how many units there are."""
        output, mapped = self.states[0], {n.replace(".a_", ".") for n in self.maps}
        found = [([output], "U", 0), *(([q], self.matrix(q), 0) for q, _ in self.operands)]
        fed = [("W", self.from_x), ("U", self.from_h)]
        fed += [(self.matrix(q), gates) for q, gates in self.operands]
        for matrix in dict(fed):  # of the columns without a map
            gates = [g for name, some in fed for g in some if name == matrix]
            kind = matrix[0]
            left = [] if matrix in mapped else [g for g in gates if f"{kind}.{g}" not in mapped]
            found.append((left, matrix, 1))
        own = [n for n in self.units if n not in self.scalars]
        found += [([n], "W", 0) if n == "x" else ([n], n, -1) for n in own]  # x is as wide as W has rows
        return [seen for seen in found if self.equations.grows(self._named.get(n, n) for n in seen[0])]

    def _at(self, H: int) -> dict[str, Any]:
        """Return the functions of a step of a layer with H units."""
        if self.equations.is_elementwise:
            return self._step
        if H not in self._sized:
            from bptt.derive.numpy_code import step_functions

            _ = self._step  # which is proven
            sizes = axes.numbers(*self.equations.sizes(H))
            self._sized[H] = step_functions(self.derivation, self._numbers, sizes)
        return self._sized[H]

    @_silent
    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        H, dtype = self._units(a, states), np.result_type(a, *states)
        new, kept = self._at(H)["forward"](**self._arguments(a, states, H))
        # a state that is a constant, or a gate as it is, is an array of its own
        made = (self._flat(n, s, H, a.shape[:-1]) for n, s in zip(self.states, new, strict=True))
        return tuple(np.array(s, dtype) for s in made), (kept, dtype, H)

    @_silent
    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        kept, dtype, H = cache
        seeds = (self._shaped(s, d, H) for s, d in zip(self.states, dstates, strict=True))
        gradients = self._at(H)["backward"](*seeds, kept)
        rows = dstates[0].shape[:-1]
        da = np.zeros((*rows, sum(self.width(g, H) for g in self.gates)), dtype)
        return self._collect(gradients, da, H)

    @_silent
    def operand(self, a: Array, states: States, k: int = 0) -> tuple[Array, Cache]:
        H = self._units(a, states)
        (q,), kept = self._at(H)[f"operand_{k}"](**self._arguments(a, states, H))
        return self._flat(self.operands[k][0], q, H, a.shape[:-1]), (kept, H)

    @_silent
    def operand_backward(self, dq: Array, cache: Cache, da: Array, k: int = 0) -> States:
        kept, H = cache
        gradients = self._at(H)[f"operand_{k}_backward"](self._shaped(self.operands[k][0], dq, H), kept)
        return self._collect(gradients, da, H)[1]

    def start(self, rng: Generator, H: int) -> dict[str, Array]:
        """Return where parameters and biases start, those that the cell has a wish for."""
        shapes = {name: self.unit_shape(name, H) for name in self.equations.params}
        drawn = {
            name: rng.uniform(*start, shapes[name])
            if isinstance(start, tuple)
            else np.full(shapes[name], start)
            for name, start in self.equations.params.items()
        }
        given = self._init(rng, H) if callable(self._init) else self._init or {}
        if not isinstance(given, Mapping):
            raise EquationError(f"{self.name}: init gives {given!r}; it must be values by gate")
        known = (*self.equations.gates, *self.equations.params)
        for name, value in given.items():
            if name not in known:
                raise EquationError(f"{self.name}: init gives {name!r}; the cell has {', '.join(known)}")
            try:
                shape = shapes.get(name) or (self.width(name, H),)
                begin = np.broadcast_to(np.asarray(value, np.float64), shape).copy()
            except (TypeError, ValueError, OverflowError):
                begin = np.full(H, np.nan)
            if not np.isfinite(begin).all():
                raise EquationError(
                    f"{self.name}: init of {name} must be a number or (H,) = ({H},), got {value!r}"
                )
            drawn[_id(name)] = begin
        return drawn

    def __copy__(self) -> "EquationCell":
        return self

    def __deepcopy__(self, memo: object) -> "EquationCell":
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.pickled is not None:
            return self.pickled
        try:
            pickle.dumps(self._init)
        except Exception as error:
            raise pickle.PicklingError(
                f"{self.name}: init= is a function that another process cannot import ({error}): "
                'give numbers, init={"a_f": 1.0}, or define it with def in a module that can be imported'
            ) from None
        return _from_text, (self.plain.equations.text, self.name, self._init, dict(self.maps))

    def _units(self, a: Array, states: States) -> int:
        """Return H, of the pre-activations (·, G·H), or of states where no gate has units."""
        if self.equations.is_elementwise:
            return int(a.shape[-1]) // len(self.gates)
        pairs = (
            (self._columns, a),
            *(([s], array) for s, array in zip(self.equations.before, states, strict=True)),
        )
        names, array = next((pair for pair in pairs if self.equations.grows(pair[0])), ([], a))
        return self.equations.hidden(names, array.shape[-1]) if names else self.heads

    def _shaped(self, name: str, flat: Array, H: int) -> Array:
        """Return an array (·, width) with an axis for heads, units and keys, where values have such."""
        eq = self.equations
        return flat if eq.is_elementwise else flat.reshape(*flat.shape[:-1], *eq.shape(name, H))

    def _flat(self, name: str, shaped: Array, H: int, rows: tuple[int, ...]) -> Array:
        eq = self.equations
        shape = (H,) if eq.is_elementwise else eq.shape(name, H)
        return np.broadcast_to(shaped, (*rows, *shape)).reshape(*rows, self.width(name, H))

    def _arguments(self, a: Array, states: States, H: int) -> dict[str, Array]:
        blocks = (a[..., at] for at in self.columns(H).values())
        named = zip((*self._columns, *self.equations.before), (*blocks, *states), strict=True)
        return {name: self._shaped(name, flat, H) for name, flat in named}

    def _collect(self, gradients: dict[str, Array], da: Array, H: int) -> tuple[Array, States]:
        rows = da.shape[:-1]
        for name, at in zip(self._columns, self.columns(H).values(), strict=True):
            if name in gradients:
                da[..., at] += self._flat(name, gradients[name], H, rows)
        zero = np.zeros((), da.dtype)
        found = ((s, gradients.get(s, zero)) for s in self.equations.before)
        return da, tuple(np.asarray(self._flat(s, g, H, rows), da.dtype) for s, g in found)


def without_maps(equations: Equations) -> Equations:
    """Return equations whose matrices are learnt as they are."""
    function = ast.parse(equations.text).body[0]
    assert isinstance(function, ast.FunctionDef)
    (decorator,) = function.decorator_list
    assert isinstance(decorator, ast.Call)
    decorator.keywords = [k for k in decorator.keywords if k.arg != "maps"]
    return replace(equations, maps={}, text=ast.unparse(function) + "\n")


def _from_text(text: str, name: str, init: Any, maps: Mapping[str, Any] | None = None) -> EquationCell:
    """Return a cell of its equations, for pickle."""
    options = FunctionText(text, None, "<equations>", 1).options() | {"maps": maps or {}}
    made = EquationCell(read(text, name=name, options=options), init)
    made.__doc__ = made.equations.doc or None
    return made


def idle_note(cell: EquationCell) -> str:
    """Return what is to be known of a cell with gates that do not learn."""
    zero, unread = cell._idle
    said = []
    if zero:
        why = f"the gradient at {' and '.join(zero)} is zero whatever the numbers are"
        they = "it does" if len(zero) == 1 else "they do"
        said.append(f"{why}, so {they} not learn (bptt derive shows why)")
    if unread:
        why = f"the state of {' and '.join(unread)} never reaches the output"
        it = "it" if len(unread) == 1 else "them"
        said.append(f"{why}, so a loss of the outputs does not train {it}")
    return f"{cell.name}: {'; '.join(said)}"


def _id(argument: str) -> str:
    """Return a gate's name: a_i is the gate i; x_n and u_n, two parts of one, keep theirs."""
    return argument.removeprefix("a_")
