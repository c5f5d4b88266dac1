"""A cell that is its equations: forward as they are written, backward as it is derived from them."""

import ast
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

import numpy as np

from bptt.cells import Cache, Cell, States, blocks
from bptt.derive.equations import EquationError, Equations, Start
from bptt.derive.origin import place, read_function
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
        self._columns = (*gates, *equations.params)
        self.gates = tuple(_id(g) for g in self._columns)
        self.from_x = tuple(_id(g) for g in gates if g[0] in "ax")
        self.from_h = tuple(_id(g) for g in gates if g[0] in "au" and g not in operand)
        self.from_q = tuple(_id(g) for g in gates if g in operand)
        self.units = tuple(equations.params)
        self.scalars = equations.scalars
        self.starts = equations.starts
        self.bias = equations.bias
        self.maps = equations.maps
        self._init = init

    @cached_property
    def plain(self) -> "EquationCell":
        """The cell without its maps."""
        if not self.maps:
            return self
        made = EquationCell(without_maps(self.equations), self._init)
        made.given = self.given
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

        return step_functions(self.derivation)

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
        cell.__dict__["_step"] = step_functions(self.derivation, NAMESPACE)
        return cell

    @_silent
    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        new, kept = self._step["forward"](**self._arguments(a, states))
        shape, dtype = states[0].shape, np.result_type(a, *states)
        # a state that is a constant, or a gate as it is, is an array of its own
        return tuple(np.array(np.broadcast_to(s, shape), dtype) for s in new), (kept, dtype)

    @_silent
    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        kept, dtype = cache
        gradients = self._step["backward"](*dstates, kept)
        da = np.zeros((*dstates[0].shape[:-1], len(self.gates) * dstates[0].shape[-1]), dtype)
        return self._collect(gradients, da, dstates[0])

    @_silent
    def operand(self, a: Array, states: States) -> tuple[Array, Cache]:
        (q,), kept = self._step["operand"](**self._arguments(a, states))
        return q, kept

    @_silent
    def operand_backward(self, dq: Array, cache: Cache, da: Array) -> States:
        gradients = self._step["operand_backward"](dq, cache)
        return self._collect(gradients, da, dq)[1]

    def start(self, rng: Generator, H: int) -> dict[str, Array]:
        """Return where parameters and biases start, those that the cell has a wish for."""
        shapes = {name: self.unit_shape(name, H) for name in self.units}
        drawn = {
            name: rng.uniform(*start, shapes[name])
            if isinstance(start, tuple)
            else np.full(shapes[name], start)
            for name, start in self.equations.params.items()
        }
        given = self._init(rng, H) if callable(self._init) else self._init or {}
        if not isinstance(given, Mapping):
            raise EquationError(f"{self.name}: init gives {given!r}; it must be values by gate")
        for name, value in given.items():
            if name not in self._columns:
                known = ", ".join(self._columns)
                raise EquationError(f"{self.name}: init gives {name!r}; the cell has {known}")
            try:
                shape = shapes.get(name, (H,))
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

    def _arguments(self, a: Array, states: States) -> dict[str, Array]:
        values = (*blocks(a, len(self.gates)), *states)
        return dict(zip((*self._columns, *self.equations.before), values, strict=True))

    def _collect(self, gradients: dict[str, Array], da: Array, like: Array) -> tuple[Array, States]:
        for name, block in zip(self._columns, blocks(da, len(self.gates)), strict=True):
            if name in gradients:
                block += gradients[name]
        return da, tuple(gradients.get(s, np.zeros_like(like)) for s in self.equations.before)


def cell(
    function: Callable[..., Any] | None = None,
    *,
    state: str | tuple[str, ...] = "h",
    params: str | Mapping[str, Start] = "",
    scalars: str | Mapping[str, Start] = "",
    start: Mapping[str, float] | None = None,
    operand: Mapping[str, str] | None = None,
    maps: Mapping[str, Any] | None = None,
    bias: bool = True,
    init: Init | Mapping[str, float] | None = None,
    name: str | None = None,
    **unknown: object,
) -> Any:
    """Make a cell from a function that holds its equations.

    The function is read and never called: its body is assignments of arithmetic, of the functions in
    ``bptt.derive.FUNCTIONS`` (sigmoid, tanh, relu, exp, log, softplus, sqrt, abs, max, min, where, sin, cos,
    erf, Phi, sign, floor, stop, surrogate), of silu, gelu, logsigmoid, clip, mod, and of helpers, for one
    hidden unit, and it returns the states after the step. They need not be imported.

    Parameters
    ----------
    state : str
        The names of the states, the output first: ``"h c"``. As arguments: before the step.
    params : str or dict
        Arguments that are parameters of each hidden unit, as ``"p_i p_f"``, which start at zero, or with
        where they start, a number or bounds: ``{"u": (-1, 1)}``.
    scalars : str or dict
        Arguments that are parameters of the whole layer, one number each, as `params` has them.
    start : dict, optional
        Where states start, and after a reset start anew: ``{"m": -1e38}``. Default: zeros.
    operand : dict, optional
        ``{"a_n": "q"}``: the recurrent product of a_n takes the value q in place of the output.
    maps : dict, optional
        ``{"a_h": "antisymmetric(0.01)"}``: the matrix U of a_h is made of others (see :mod:`bptt.maps`);
        ``W.a_h`` is its W, U and W are those of all gates, ``{"u_2": "u_1"}`` is the same matrix once more.
    bias : bool
        Whether the gates have biases.
    init : dict or function, optional
        Where the biases of gates start: ``{"a_f": 1.0}``, or a function of (rng, H) that returns such a dict.
    name : str, optional
        Default: the function's, with hyphens for underscores.

    Returns
    -------
    EquationCell

    Raises
    ------
    EquationError
        With the file, the line, and what is allowed.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> @bptt.cell(state="h c")
    ... def coupled(a_f, a_o, a_g, c):
    ...     f, o, g = sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    ...     c = f * c + (1 - f) * g
    ...     h = o * tanh(c)
    ...     return h, c
    >>> model = bptt.Model(inputs=9, outputs=9, hidden=4, cell=coupled)
    >>> model.init(np.random.default_rng(0))["layers.0.U"].shape
    (4, 12)
    """
    options: dict[str, Any] = {"state": state, "params": params, "bias": bias} | unknown
    options |= {"scalars": scalars, "start": {} if start is None else start}
    options["operand"] = {} if operand is None else operand
    options["maps"] = {} if maps is None else maps
    if name is not None:
        options["name"] = name

    def decorate(function: Callable[..., Any]) -> EquationCell:
        equations = read_function(function, options)
        try:
            made = EquationCell(equations, _init(equations.name, init))
            made.start(np.random.default_rng(0), 1)  # an init that names what is not there says so now
        except EquationError as error:
            raise EquationError(f"{place(function)}: {error}") from None
        made.__doc__ = function.__doc__
        return made

    return decorate if function is None else decorate(function)


def _init(name: str, init: Any) -> Init | dict[str, Any] | None:
    if init is None or callable(init):
        return cast(Init | None, init)
    if not isinstance(init, Mapping):
        wanted = '{"a_f": 1.0} or a function of (rng, H) that returns such a dict'
        raise EquationError(f"{name}: init= must be {wanted}; got {init!r}")
    return dict(init)


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
