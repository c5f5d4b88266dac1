"""From a function's text to equations: named values, each set once, of an expression that can be derived.

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
``floor=0.1``  a constant with its value
=============  =====================================================================================

The equations hold one hidden unit's arithmetic; the matrix products are outside. Where a gate's recurrent
product takes something else than h_{t-1}, as in the GRU with the reset before the product,
``operand={"a_n": "q"}`` says which of the equations' values it takes.
"""

import ast
import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bptt.derive.functions import ALIASES, FUNCTIONS
from bptt.errors import BpttError


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

    @property
    def reads(self) -> list[str]:
        """The names in the expression, in order of appearance, once each."""
        called = {id(n.func) for n in ast.walk(self.expr) if isinstance(n, ast.Call)}
        names = [n for n in ast.walk(self.expr) if isinstance(n, ast.Name) and id(n) not in called]
        names.sort(key=lambda n: (n.lineno, n.col_offset))
        return list(dict.fromkeys(n.id for n in names))

    @property
    def function(self) -> str | None:
        """The function at the head of the expression, if one is."""
        return (
            self.expr.func.id
            if isinstance(self.expr, ast.Call) and isinstance(self.expr.func, ast.Name)
            else None
        )


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
        Each hidden unit's own parameters, and where they start: a number, or the bounds between which they
        are drawn.
    constants : dict of float
    operand : dict of str
        Gate to the name of what its recurrent product takes in place of the output.
    statements : tuple of Statement
    bias : bool
        Whether the gates have biases.
    text : str
        The function with its decorator, complete in itself.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    params: dict[str, "Start"]
    constants: dict[str, float]
    operand: dict[str, str]
    statements: tuple[Statement, ...]
    bias: bool = True
    doc: str = ""
    text: str = field(default="", repr=False)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the statements read that is set by none of them."""
        return (*self.gates, *self.params, *self.before, *self.constants)

    @property
    def before(self) -> tuple[str, ...]:
        """The states before the step, by name."""
        return tuple(f"{s}_prev" for s in self.states)

    def ancestors(self, names: tuple[str, ...]) -> tuple[Statement, ...]:
        """Return the statements that `names` are made of, in order."""
        wanted, found = set(names), []
        for s in reversed(self.statements):
            if s.name in wanted:
                wanted.update(s.reads)
                found.append(s)
        return tuple(reversed(found))


Start = float | tuple[float, float]


def read(
    text: str,
    *,
    name: str | None = None,
    file: str = "<equations>",
    first_line: int = 1,
    known: Mapping[str, float] | None = None,
    options: Mapping[str, object] | None = None,
) -> Equations:
    """Read a function's text.

    Parameters
    ----------
    text : str
        The function, with or without its decorator.
    name : str, optional
        What the cell is called. Default: the function's name, with hyphens.
    file, first_line
        Where it stands, for messages.
    known : dict of float, optional
        Numbers by the names under which the text uses them.
    options : dict, optional
        ``state``, ``params``, ``operand``, ``bias``. Default: those written in the decorator.

    Raises
    ------
    EquationError
        With file, line, and what is allowed.
    """
    return _Reader(text, name, file, first_line, known or {}, options).read()


_UNITS = "an equation is arithmetic (+ - * / **) and " + ", ".join(FUNCTIONS)

_REFUSED: dict[type[ast.AST], str] = {
    ast.For: "a loop: a step holds no loop; the one through time is outside",
    ast.While: "a loop: a step holds no loop; the one through time is outside",
    ast.If: "an if: the choice is each hidden unit's own; write where(a > b, this, that)",
    ast.IfExp: "an if: the choice is each hidden unit's own; write where(a > b, this, that)",
    ast.With: "a with statement: " + _UNITS,
    ast.Try: "a try statement: " + _UNITS,
    ast.FunctionDef: "a function inside: write its equations out",
    ast.Lambda: "a lambda: write its equation out",
    ast.Subscript: "an index: the equations are those of one hidden unit; matrices and shifts are outside",
    ast.BoolOp: "and/or: nest where(...) instead",
    ast.ListComp: "a list: " + _UNITS,
    ast.List: "a list: " + _UNITS,
    ast.Dict: "a dict: " + _UNITS,
    ast.Import: "an import: it is not needed; " + _UNITS,
    ast.ImportFrom: "an import: it is not needed; " + _UNITS,
    ast.Global: "a global: a cell has no memory but its states",
    ast.Delete: "a del: it is not needed",
}

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


class _Reader:
    def __init__(
        self,
        text: str,
        name: str | None,
        file: str,
        first_line: int,
        known: Mapping[str, float],
        options: Mapping[str, object] | None,
    ) -> None:
        self.file, self.offset, self.known = file, first_line - 1, known
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            raise self.error(error.lineno or 1, f"this is not Python: {error.msg}") from None
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        if len(functions) != 1 or len(tree.body) != 1:
            raise self.error(1, "the equations are one function")
        self.function = functions[0]
        self.name = name or self.function.name.replace("_", "-")
        self.options = dict(self._written() if options is None else options)
        self.text = text
        self.statements: list[Statement] = []
        self.hoisted: dict[str, str] = {}
        self.now: dict[str, str] = {}  # a name as written, to the name it stands for at this line
        self.names: set[str] = set()
        self.number = 0

    # -- the signature

    def read(self) -> Equations:
        """Return the equations."""
        where = self.function
        states = self._names("state")
        if not states:
            raise self.error(where, 'state= must name the states, the output first, as in state="h c"')
        params = self._params()
        gates, constants = self._arguments(states, params)
        operand = self._operand(gates)
        bias = self.options.get("bias", True)
        if not isinstance(bias, bool):
            raise self.error(where, f"bias= must be True or False, got {bias!r}")
        unknown = self.options.keys() - {"state", "params", "operand", "bias", "init", "name"}
        if unknown:
            raise self.error(
                where, f"cell() takes state, params, operand, bias and init; got {', '.join(unknown)}"
            )
        self.names |= {*gates, *params, *constants, *(f"{s}_prev" for s in states)}
        self._count(states)
        outputs = self._body(states)
        self._finish(states, outputs)
        equations = Equations(
            self.name,
            tuple(gates),
            states,
            params,
            constants,
            operand,
            tuple(self.statements),
            bias,
            ast.get_docstring(self.function) or "",
            self._canonical(),
        )
        self._check(equations)
        needed = equations.ancestors((*states, *operand.values()))
        return replace(equations, statements=needed)

    def _written(self) -> dict[str, object]:
        """Return the options in the decorator's own text."""
        for decorator in self.function.decorator_list:
            if isinstance(decorator, ast.Call) and _last(decorator.func) == "cell":
                try:
                    return {
                        k.arg or "**": ast.literal_eval(k.value)
                        for k in decorator.keywords
                        if k.arg != "init"
                    }
                except ValueError:
                    raise self.error(decorator, "cell(...) takes plain values") from None
        raise self.error(self.function, 'a cell wants its decorator, as in @bptt.cell(state="h c")')

    def _names(self, option: str) -> tuple[str, ...]:
        given = self.options.get(option, "")
        names = given.split() if isinstance(given, str) else given
        if not isinstance(names, list | tuple) or not all(
            isinstance(n, str) and n.isidentifier() for n in names
        ):
            raise self.error(self.function, f'{option}= must be names, as in {option}="h c"; got {given!r}')
        if len(set(names)) < len(names):
            raise self.error(self.function, f"{option}= names something twice: {given!r}")
        return tuple(names)

    def _params(self) -> dict[str, Start]:
        given = self.options.get("params", "")
        if not isinstance(given, Mapping):
            return dict.fromkeys(self._names("params"), 0.0)
        params: dict[str, Start] = {}
        for name, start in given.items():
            bounds = start if isinstance(start, list | tuple) else (start,)
            if len(bounds) not in (1, 2) or not all(isinstance(b, int | float) for b in bounds):
                raise self.error(
                    self.function,
                    f"params= {name!r}: where it starts is a number or a pair of bounds, got {start!r}",
                )
            params[name] = float(bounds[0]) if len(bounds) == 1 else (float(bounds[0]), float(bounds[1]))
        return params

    def _arguments(
        self, states: tuple[str, ...], params: dict[str, Start]
    ) -> tuple[list[str], dict[str, float]]:
        arguments = self.function.args
        if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
            raise self.error(self.function, "the arguments are named one by one: no * and no /")
        gates: list[str] = []
        constants: dict[str, float] = {}
        plain = arguments.args[: len(arguments.args) - len(arguments.defaults)]
        plain += [a for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None]
        defaults = [
            *zip(
                arguments.args[len(arguments.args) - len(arguments.defaults) :],
                arguments.defaults,
                strict=True,
            )
        ]
        defaults += [
            (a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None
        ]
        for argument, default in defaults:
            constants[argument.arg] = self._number(default, f"the constant {argument.arg}")
            self.now[argument.arg] = argument.arg
        for argument in plain:
            name = argument.arg
            state = name.removesuffix("_prev")
            if name in params:
                self.now[name] = name
            elif state in states:
                if f"{state}_prev" in self.now.values():
                    raise self.error(argument, f"{name}: the state {state} is an argument twice")
                self.now[name] = f"{state}_prev"
            elif name[:2] in ("a_", "x_", "u_") and len(name) > 2:
                gates.append(name)
                self.now[name] = name
            else:
                raise self.error(
                    argument,
                    f"the argument {name} is neither a gate (a_, x_ or u_ and a name), nor a state "
                    f"({', '.join(states)}), nor in params=, nor a constant with its value",
                )
        missing = [p for p in params if p not in self.now]
        if missing:
            raise self.error(self.function, f"params= names {', '.join(missing)}, which is no argument")
        if not gates:
            raise self.error(self.function, "a cell has at least one gate: an argument such as a_h")
        return gates, constants

    def _operand(self, gates: list[str]) -> dict[str, str]:
        given = self.options.get("operand", {})
        if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
            raise self.error(self.function, f'operand= must be as in {{"a_n": "q"}}, got {given!r}')
        for gate in given:
            if gate not in gates or gate.startswith("x_"):
                raise self.error(
                    self.function, f"operand= names {gate!r}, which is no argument with a recurrent part"
                )
        if len(set(given.values())) > 1:
            raise self.error(
                self.function, "operand=: one operand of its own at most, which several gates may share"
            )
        return {str(gate): str(q) for gate, q in given.items()}

    # -- the body

    def _count(self, states: tuple[str, ...]) -> None:
        """Count how often each name is set, so that the last keeps the plain name."""
        self.states = states
        self.left: dict[str, int] = {}
        for node in ast.walk(self.function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.left[node.id] = self.left.get(node.id, 0) + 1
        self.total = dict(self.left)
        self.as_given = {n for n in self.now if self.now[n] == n}

    def _body(self, states: tuple[str, ...]) -> list[ast.expr]:
        body = list(self.function.body)
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        for node in body:
            if isinstance(node, ast.Return):
                if node is not body[-1]:
                    raise self.error(node, "nothing can follow the return")
                value = node.value
                outputs = list(value.elts) if isinstance(value, ast.Tuple) else [value] if value else []
                if len(outputs) != len(states):
                    raise self.error(
                        node,
                        f"returns {len(outputs)} values; the states are {len(states)}: {', '.join(states)}",
                    )
                return outputs
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                before = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
                value = ast.copy_location(ast.BinOp(before, node.op, node.value), node)
                self._assign([node.target], [value], node)
            elif isinstance(node, ast.Assign) and len(node.targets) == 1:
                target, value = node.targets[0], node.value
                if isinstance(target, ast.Tuple):
                    if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
                        raise self.error(node, "as many values as names: i, f = sigmoid(a_i), sigmoid(a_f)")
                    self._assign(target.elts, value.elts, node)
                else:
                    self._assign([target], [value], node)
            else:
                said = _REFUSED.get(type(node), "an equation sets a name: c = f * c + i * g")
                raise self.error(node, said)
        raise self.error(
            self.function, f"the function ends without returning its states: return {', '.join(states)}"
        )

    def _assign(self, targets: list[ast.expr], values: list[ast.expr], node: ast.stmt) -> None:
        ready = []
        for target, value in zip(targets, values, strict=True):
            if not isinstance(target, ast.Name):
                raise self.error(node, "an equation sets a name: c = f * c + i * g")
            self.number += 1
            ready.append((target.id, self._expression(value, root=True), self.number))
        for written, expr, number in ready:  # after all of the right-hand sides: a tuple is set at once
            if isinstance(expr, ast.Name) and written not in self.states:
                self.now[written] = expr.id  # m_prev = m sets nothing: it is one more name
                self.left[written] -= 1
                self.number -= 1
                continue
            name = self._fresh(written)
            self.now[written] = name
            self.statements.append(Statement(name, expr, number))

    def _fresh(self, written: str) -> str:
        self.left[written] -= 1
        k = self.total[written] - self.left[written]
        if written in self.as_given:
            name = f"{written}_{k}"
        else:
            name = f"{written}_{k}" if self.left[written] else written
        if name in self.names:
            raise self.error(
                self.function, f"the name {name} is needed for a value of {written}: choose another"
            )
        self.names.add(name)
        return name

    def _expression(self, node: ast.expr, *, root: bool = False) -> ast.expr:
        """Return the expression over unique names, its inner functions made statements of their own."""
        match node:
            case ast.Constant(value=bool()) | ast.Constant(value=str()):
                raise self.error(node, f"{node.value!r}: {_UNITS}")
            case ast.Constant(value=int() | float()):
                return node
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub()):
                return ast.copy_location(ast.UnaryOp(node.op, self._expression(node.operand)), node)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._expression(node.operand)
            case ast.BinOp(op=ast.Pow()):
                power = self._number(
                    node.right, "the power", "a power is a number; write exp(y * log(x)) for x to the y"
                )
                exponent = ast.copy_location(
                    ast.Constant(int(power) if power == int(power) else power), node.right
                )
                return ast.copy_location(ast.BinOp(self._expression(node.left), node.op, exponent), node)
            case ast.BinOp(op=ast.MatMult()):
                raise self.error(
                    node, "a matrix product: it is outside the equations; a_i is x W_i + h U_i + b_i already"
                )
            case ast.BinOp() if isinstance(node.op, _OPERATORS):
                sides = self._expression(node.left), self._expression(node.right)
                return ast.copy_location(ast.BinOp(sides[0], node.op, sides[1]), node)
            case ast.Call():
                return self._call(node, root=root)
            case ast.Attribute() if isinstance(node.value, ast.Name):
                return ast.copy_location(ast.Constant(self._number(node, ast.unparse(node))), node)
            case ast.Compare():
                raise self.error(node, "a comparison stands in where(...) only: where(a > b, this, that)")
            case ast.Tuple():
                raise self.error(node, "a tuple inside an expression")
            case _:
                said = _REFUSED.get(type(node), f"{ast.unparse(node)}: {_UNITS}")
                raise self.error(node, said)

    def _name(self, node: ast.Name, name: str) -> ast.expr:
        if name in self.now:
            return ast.copy_location(ast.Name(self.now[name], ast.Load()), node)
        if name in self.known:
            return ast.copy_location(ast.Constant(float(self.known[name])), node)
        if name in FUNCTIONS or name in ALIASES or hasattr(builtins, name):
            raise self.error(node, f"{name} is a function: {name}(...)")
        later = (
            " here: it is set further down"
            if name in self.left
            else ": it is no argument and set by no equation"
        )
        raise self.error(node, f"{name} is not known{later}")

    def _call(self, node: ast.Call, *, root: bool) -> ast.expr:
        called = _last(node.func)
        function = ALIASES.get(called, called)
        if function not in FUNCTIONS:
            raise self.error(
                node, f"the function {ast.unparse(node.func)} is not known; there are {', '.join(FUNCTIONS)}"
            )
        wanted = FUNCTIONS[function].arity
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args) or len(node.args) != wanted:
            raise self.error(node, f"{function} takes {wanted} value{'s' * (wanted > 1)}")
        if function == "where":
            condition, then, otherwise = node.args
            arguments = self._condition(condition, self._expression(then), self._expression(otherwise))
        else:
            arguments = [self._expression(a) for a in node.args]
        call = ast.copy_location(ast.Call(ast.Name(function, ast.Load()), arguments, []), node)
        if root:
            return call
        key = ast.unparse(call)
        if key not in self.hoisted:
            name = self._invent(function, arguments)
            self.hoisted[key] = name
            self.statements.append(Statement(name, call, self.number or 1, written=False))
        return ast.copy_location(ast.Name(self.hoisted[key], ast.Load()), node)

    def _condition(self, node: ast.expr, then: ast.expr, otherwise: ast.expr) -> list[ast.expr]:
        """Return u, v, w for a comparison: v where u > 0, else w."""
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            raise self.error(node, "where(...) compares two values first: where(a > b, this, that)")
        left, right = self._expression(node.left), self._expression(node.comparators[0])
        match node.ops[0]:
            case ast.Gt():
                return [_minus(left, right, node), then, otherwise]
            case ast.Lt():
                return [_minus(right, left, node), then, otherwise]
            case ast.GtE():
                return [_minus(right, left, node), otherwise, then]
            case ast.LtE():
                return [_minus(left, right, node), otherwise, then]
        raise self.error(node, "values are compared by < <= > >=: equal ones are met by chance")

    def _invent(self, function: str, arguments: list[ast.expr]) -> str:
        inner = arguments[0]
        stem = (
            f"{function}_{inner.id}"
            if len(arguments) == 1 and isinstance(inner, ast.Name)
            else f"{function}_1"
        )
        k = 1
        while stem in self.names or stem in self.left:
            k += 1
            stem = f"{function}_{k}"
        self.names.add(stem)
        return stem

    def _number(self, node: ast.expr, what: str, otherwise: str = "") -> float:
        """Return the value of a number, a known name, or arithmetic of these."""
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
            case ast.Name(id=name) if name in self.known and name not in self.now:
                return float(self.known[name])
            case ast.Attribute(value=ast.Name(id="np" | "numpy" | "math"), attr="pi" | "e"):
                import math

                return float(getattr(math, node.attr))
            case ast.UnaryOp(op=ast.USub()):
                return -self._number(node.operand, what, otherwise)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
                a, b = self._number(node.left, what, otherwise), self._number(node.right, what, otherwise)
                if isinstance(node.op, ast.Div) and b == 0:
                    raise self.error(node, f"{what} divides by zero")
                return {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b, ast.Div: a / (b or 1)}[type(node.op)]
        raise self.error(node, otherwise or f"{what} must be a number, got {ast.unparse(node)}")

    # -- the end

    def _finish(self, states: tuple[str, ...], outputs: list[ast.expr]) -> None:
        """Give the returned values the names of their states."""
        ready = [self._expression(value, root=True) for value in outputs]
        set_by_last = {s.name for s in self.statements}
        for state, value in zip(states, ready, strict=True):
            if isinstance(value, ast.Name) and value.id == state:
                continue
            if (
                isinstance(value, ast.Name)
                and state not in self.names
                and value.id in set_by_last
                and value.id not in states
                and sum(isinstance(v, ast.Name) and v.id == value.id for v in ready) == 1
            ):
                self._rename(value.id, state)
                continue
            if state in self.names:
                raise self.error(
                    self.function,
                    f"{state} is set and is not what is returned for the state {state}: rename it",
                )
            self.number += 1
            self.names.add(state)
            self.statements.append(Statement(state, value, self.number))

    def _rename(self, old: str, new: str) -> None:
        self.names.add(new)
        for k, s in enumerate(self.statements):
            for node in ast.walk(s.expr):
                if isinstance(node, ast.Name) and node.id == old:
                    node.id = new
            if s.name == old:
                self.statements[k] = replace(s, name=new)

    def _check(self, equations: Equations) -> None:
        operands = tuple(equations.operand.values())
        needed = equations.ancestors((*equations.states, *operands))
        read = {name for s in needed for name in s.reads}
        for gate in equations.gates:
            if gate not in read:
                raise self.error(self.function, f"{gate} is used nowhere: its weights could not learn")
        for param in equations.params:
            if param not in read:
                raise self.error(self.function, f"the parameter {param} is used nowhere")
        names = {s.name for s in equations.statements}
        for name in operands:
            if name not in names:
                raise self.error(self.function, f"operand= names {name!r}, which no equation sets")
            made_of = {n for s in equations.ancestors((name,)) for n in s.reads}
            for gate in equations.operand:
                if gate in made_of:
                    raise self.error(self.function, f"{name} is the operand of {gate} and is made of it")
        adjoints = {f"d{n}": n for n in (*names, *equations.arguments)}
        for name in (*names, *equations.arguments):
            if name in adjoints:
                raise self.error(
                    self.function,
                    f"{name} is what the gradient at {adjoints[name]} is called: choose another name",
                )

    def _canonical(self) -> str:
        """Return the text with known numbers written in, so that it stands alone."""
        function = _Known(self.known, set(self.now)).visit(ast.parse(ast.unparse(self.function)).body[0])
        shown = {k: v for k, v in self.options.items() if k not in ("init", "name") and v not in ({}, "")}
        keywords = [ast.keyword(k, ast.parse(repr(v), mode="eval").body) for k, v in shown.items()]
        decorator = ast.Call(ast.Attribute(ast.Name("bptt", ast.Load()), "cell", ast.Load()), [], keywords)
        function.decorator_list = [decorator]
        return ast.unparse(ast.fix_missing_locations(function)) + "\n"

    def error(self, where: ast.AST | int, says: str) -> EquationError:
        """Return the error with its place."""
        line = where if isinstance(where, int) else getattr(where, "lineno", 1)
        name = f"{self.name}: " if hasattr(self, "name") else ""
        return EquationError(f"{self.file}:{line + self.offset}: {name}{says}")


class _Known(ast.NodeTransformer):
    """Writes numbers in place of the names that stand for them outside."""

    def __init__(self, known: Mapping[str, float], own: set[str]) -> None:
        self.known = {name: value for name, value in known.items() if name not in own}

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            return ast.copy_location(ast.Constant(float(self.known[node.id])), node)
        return node


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def _minus(a: ast.expr, b: ast.expr, at: ast.expr) -> ast.expr:
    if isinstance(b, ast.Constant) and b.value == 0:
        return a
    return ast.copy_location(ast.BinOp(a, ast.Sub(), b), at)
