"""What a cell takes: its arguments and the options of its decorator, told apart and checked."""

import ast
import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bptt.derive import instead
from bptt.derive.axes import SHAPES, UNIT, Axes
from bptt.derive.equations import Start
from bptt.derive.mapping import mapped
from bptt.derive.source import FunctionText, is_in_range, plain_name

if TYPE_CHECKING:
    from bptt.maps import Map

OPTIONS = (
    *("state", "params", "scalars", "inputs", "start", "operand", "maps", "shapes", "sizes", "heads"),
    *("bias", "init", "name"),
)

_LAYER = ("W", "U", "b", "b_h")
"""The names of a layer's own arrays."""

MOST_KEYS = 4096
"""How many heads, and keys of a head, there are at most."""


@dataclass(frozen=True)
class Signature:
    """What a cell takes, as :class:`~bptt.derive.equations.Equations` has it."""

    gates: tuple[str, ...]
    states: tuple[str, ...]
    params: dict[str, Start]
    defaults: dict[str, ast.expr]  # the constants
    operand: dict[str, str]
    bias: bool
    scalars: tuple[str, ...]  # of the params, those that are one number of the layer
    starts: dict[str, float]  # of the states that do not start at zero
    maps: "dict[str, Map | str]"
    inputs: tuple[str, ...]
    shapes: dict[str, Axes]  # of arguments and states, those that are not one number for each unit
    heads: int
    keys: int | None
    stands: dict[str, str]  # each argument as it is written, to the name of its value: of a state c, c_prev


def signature(source: FunctionText, options: Mapping[str, object]) -> Signature:
    """Read a function's arguments.

    Raises
    ------
    EquationError
    """
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise source.wrong(f"cell() takes {', '.join(OPTIONS)}; got {', '.join(unknown)}")
    states = _states(source, options.get("state", "h"))
    params, scalars = (_params(source, n, options.get(n, "")) for n in ("params", "scalars"))
    if both := [n for n in params if n in scalars]:
        says = "one number of the layer, or one of each unit"
        raise source.wrong(f"params= and scalars= both name {both[0]}: it is {says}")
    params |= scalars
    inputs = dict.fromkeys(_names(source, "inputs", options.get("inputs", "")))
    if both := [n for n in inputs if n in params]:
        raise source.wrong(f"params= and inputs= both name {both[0]}: it is learnt, or it is given")
    starts = _starts(source, options.get("start", {}), states)
    bias = options.get("bias", True)
    if not isinstance(bias, bool):
        raise source.wrong(f"bias= must be True or False, got {bias!r}")

    plain, defaults = _arguments(source)
    for argument in (*plain, *defaults):
        source.may_be_named(argument.arg, argument)
    for argument in defaults:
        _may_have_value(source, argument, states, params)
    gates: list[str] = []
    stands = {argument.arg: argument.arg for argument in defaults}
    for argument in plain:
        name = argument.arg
        state = name.removesuffix("_prev")
        if name in params:
            stands[name] = name
        elif state in states:
            if f"{state}_prev" in stands.values():
                raise source.error(argument, f"{name}: the state {state} is an argument twice")
            stands[name] = f"{state}_prev"
        elif name in inputs or name == "x":
            inputs[name] = None
            stands[name] = name
        elif _is_gate(name):
            gates.append(name)
            stands[name] = name
        else:
            meant = instead.of_argument(name, states)
            raise source.error(
                argument,
                f"the argument {name} is neither a gate (a_, x_ or u_ and a name), nor a state "
                f"({', '.join(states)}), nor in params= or inputs=, nor a constant with its value{meant}",
            )
    if missing := [p for p in params if p not in stands]:
        option = "scalars" if missing[0] in scalars else "params"
        raise source.wrong(f"{option}= names {', '.join(missing)}, which is no argument")
    if missing := [n for n in inputs if n not in stands]:
        raise source.wrong(f"inputs= names {', '.join(missing)}, which is no argument")
    if not gates:
        raise source.wrong(f"a cell has at least one gate: an argument such as a_h; {instead.GATE}")
    _no_clash(source, gates, [*params, *inputs])
    operand = _operand(source, options.get("operand", {}), gates)
    constants = {argument.arg: value for argument, value in defaults.items()}
    known = {*gates, *params, *inputs, *states} - {*scalars}
    shapes, heads, keys = _shapes(source, options, known)
    return Signature(
        gates=tuple(gates),
        states=states,
        params=params,
        defaults=constants,
        operand=operand,
        bias=bias,
        scalars=tuple(scalars),
        starts=starts,
        maps=mapped(source, options.get("maps", {}), gates),
        inputs=tuple(inputs),
        shapes=shapes,
        heads=heads,
        keys=keys,
        stands=stands,
    )


def _shapes(
    source: FunctionText, options: Mapping[str, object], known: Collection[str]
) -> tuple[dict[str, Axes], int, int | None]:
    """Read shapes=, sizes= and heads=."""
    given, sizes, heads = options.get("shapes", {}), options.get("sizes", {}), options.get("heads", 1)
    if isinstance(heads, bool) or not isinstance(heads, int) or not 1 <= heads <= MOST_KEYS:
        raise source.wrong(f"heads= must be a whole number, in how many heads the units are; got {heads!r}")
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        wanted = 'shapes= must be names and their shape, as in {"C": "unit key", "x_k x_q": "key"}'
        raise source.wrong(f"{wanted}; got {given!r}")
    shapes: dict[str, Axes] = {}
    for names, shape in given.items():
        axes = SHAPES.get(" ".join(shape.replace(",", " ").split()))
        if axes is None:
            raise source.wrong(f"shapes= has {shape!r}; a shape is one of {', '.join(map(repr, SHAPES))}")
        for name in _names(source, "shapes", names):
            if name not in known:
                others = "; that of a value follows from what it is made of"
                says = f"{name!r}, which is no gate, state, parameter or input{others}"
                raise source.wrong(f"shapes= names {says}")
            shapes[name] = axes
    keys = sizes.get("key") if isinstance(sizes, Mapping) else 0
    whole = isinstance(keys, int) and not isinstance(keys, bool) and 1 <= keys <= MOST_KEYS
    if sizes and (not isinstance(sizes, Mapping) or [*sizes] != ["key"] or not (whole or keys == "unit")):
        wanted = 'sizes= must be how many keys a head has, {"key": 16}, or as many as units, {"key": "unit"}'
        raise source.wrong(f"{wanted}; got {sizes!r}")
    if not sizes and any("key" in axes for axes in shapes.values()):
        raise source.wrong('shapes= has keys; sizes= must say how many: {"key": 16}, or {"key": "unit"}')
    return {n: axes for n, axes in shapes.items() if axes != UNIT}, heads, keys if whole else None


def _is_gate(name: str) -> bool:
    return name[:2] in ("a_", "x_", "u_") and len(name) > 2


def _names(source: FunctionText, option: str, given: object) -> tuple[str, ...]:
    """Return the names in an option: a text with blanks between them, or a list."""
    listed = given.replace(",", " ").split() if isinstance(given, str) else given
    names = [plain_name(n) for n in listed] if isinstance(listed, list | tuple | dict) else [None]
    if None in names:
        raise source.wrong(f'{option}= must be names, as in {option}="h c"; got {given!r}')
    if len(set(names)) < len(names):
        raise source.wrong(f"{option}= names something twice: {given!r}")
    return tuple(n for n in names if n is not None)


def _states(source: FunctionText, given: object) -> tuple[str, ...]:
    states = _names(source, "state", given)
    if not states:
        raise source.wrong('state= must name the states, the output first, as in state="h c"')
    for state in states:
        source.may_be_named(state, source.function)
        if _is_gate(state) or state.endswith("_prev"):
            raise source.wrong(f"state={state!r}: a_, x_, u_ begin the name of a gate, and _prev is put on")
    return states


def _starts(source: FunctionText, given: object, states: tuple[str, ...]) -> dict[str, float]:
    wanted = f'start= must be states and numbers, as in {{"{states[-1]}": 1.0}}'
    if not isinstance(given, Mapping) or not all(_is_number(v) for v in given.values()):
        raise source.wrong(f"{wanted}; got {given!r}")
    if unknown := [n for n in given if n not in states]:
        raise source.wrong(f"start= names {unknown[0]!r}; the states are {', '.join(states)}")
    return {n: float(v) for n, v in given.items() if v != 0}


def _params(source: FunctionText, option: str, given: object) -> dict[str, Start]:
    names = _names(source, option, given)
    for name in names:
        if _is_gate(name) or name.endswith("_prev"):
            says = "a_, x_, u_ begin the name of a gate, and _prev ends that of a state before the step"
            free = name.removesuffix("_prev")
            free = f"w_{free[2:]}" if _is_gate(free) else free
            raise source.wrong(f"{option}= {name!r}: {says}; call it {free}, say")
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, 0.0)
    params: dict[str, Start] = {}
    for name, start in zip(names, given.values(), strict=True):
        bounds = start if isinstance(start, list | tuple) else (start,)
        valid = len(bounds) in (1, 2) and all(_is_number(b) for b in bounds)
        if not valid or not 0 <= float(bounds[-1]) - float(bounds[0]) < math.inf:
            raise source.wrong(
                f"{option}= {name!r}: where it starts is a number or a pair of bounds, got {start!r}"
            )
        params[name] = float(bounds[0]) if len(bounds) == 1 else (float(bounds[0]), float(bounds[1]))
    return params


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_in_range(value)


def _arguments(source: FunctionText) -> tuple[list[ast.arg], dict[ast.arg, ast.expr]]:
    """Return the arguments without and with a value."""
    given = source.function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        raise source.wrong("the arguments are named one by one: no * and no /")
    without = [None] * (len(given.args) - len(given.defaults))
    values = [*without, *given.defaults, *given.kw_defaults]
    arguments = list(zip([*given.args, *given.kwonlyargs], values, strict=True))
    return [a for a, value in arguments if value is None], {a: value for a, value in arguments if value}


def _may_have_value(
    source: FunctionText, argument: ast.arg, states: tuple[str, ...], params: Mapping[str, Start]
) -> None:
    name = argument.arg
    if name in params:
        says = f'a parameter has no value here: where it starts stands in params={{"{name}": 0.1}}'
    elif name.removesuffix("_prev") in states:
        says = f'a state has no value here: where it starts stands in start={{"{name}": 1.0}}'
    elif _is_gate(name):
        says = f'a gate has no value here: where its bias starts stands in init={{"{name}": 1.0}}'
    else:
        return
    raise source.error(argument, f"{name}: {says}")


def _no_clash(source: FunctionText, gates: list[str], params: list[str]) -> None:
    """Raise if two columns of the pre-activation would have one name: the gate a_f is called f."""
    columns: dict[str, str] = {}
    for name in (*gates, *params):
        column = name if name in params else name.removeprefix("a_")
        if column in columns:
            raise source.wrong(f"{columns[column]} and {name} have one name ({column}): rename one of them")
        columns[column] = name
    if clash := [p for p in params if p in _LAYER]:
        raise source.wrong(
            f"the parameter {clash[0]} has the name of a layer's own ({', '.join(_LAYER)}): "
            f"call it {clash[0]}_0, say"
        )


def _operand(source: FunctionText, given: object, gates: list[str]) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        raise source.wrong(f'operand= must be as in {{"a_n": "q"}}, got {given!r}')
    given = {unicodedata.normalize("NFKC", str(gate)): plain_name(q) or q for gate, q in given.items()}
    for gate in given:
        if gate not in gates or gate.startswith("x_"):
            raise source.wrong(f"operand= names {gate!r}, which is no argument with a recurrent part")
    return given
