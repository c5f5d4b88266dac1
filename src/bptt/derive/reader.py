"""From a function's body to statements: each line in turn, then the returned states, then what must hold."""

import ast
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bptt.derive.axes import UNIT, axes_of
from bptt.derive.checks import check
from bptt.derive.equations import Equations
from bptt.derive.expressions import Expressions
from bptt.derive.helpers import Helper, HelperText, helper
from bptt.derive.mapping import as_text
from bptt.derive.signature import signature
from bptt.derive.source import SETS, FunctionText, Known, literal, own_nodes


def read(
    text: str,
    *,
    name: str | None = None,
    file: str = "<equations>",
    first_line: int = 1,
    known: Mapping[str, float] | None = None,
    defaults: Mapping[str, object] | None = None,
    foreign: Collection[str] = (),
    helpers: Sequence[HelperText] = (),
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
    defaults : dict, optional
        The values of arguments that have one. Default: as the text has them.
    foreign : names, optional
        Functions that are called as one of the equations' own and mean something else.
    helpers : list of HelperText, optional
        Functions outside of the text that are written in where they are called; each below those it calls.
    options : dict, optional
        Those of :func:`bptt.cell`, such as ``state``. Default: those written in the decorator.

    Raises
    ------
    EquationError
        With file, line, and what is allowed.

    Examples
    --------
    >>> equations = read('''
    ... @bptt.cell(state="h")
    ... def leaky(a_h, h, keep=0.9):
    ...     return keep * h + (1 - keep) * tanh(a_h)
    ... ''')
    >>> [(s.name, s.reads) for s in equations.statements]
    [('tanh_a_h', ['a_h']), ('h', ['keep', 'h_prev', 'tanh_a_h'])]
    >>> read("def leaky(a_h, h): return a_h ** h", options={"state": "h"}, file="cells.py")
    Traceback (most recent call last):
    ...
    bptt.derive.equations.EquationError: cells.py:1: leaky: a power is a number; write exp(y * log(x)) for ...
    """
    source = FunctionText(text, name, file, first_line)
    return Reader(source, known or {}, defaults or {}, foreign, helpers, options).read()


class Reader:
    """Reads one function; what is asked of it is in `read`."""

    def __init__(
        self,
        source: FunctionText,
        known: Mapping[str, float],
        defaults: Mapping[str, object],
        foreign: Collection[str],
        helpers: Sequence[HelperText],
        options: Mapping[str, object] | None,
    ) -> None:
        self.source, self.function, self.known = source, source.function, known
        if options is None:
            options = source.options()
        elif len(decorators := self.function.decorator_list) > 1:
            other = next((d for d in decorators if "cell" not in ast.unparse(d)), decorators[-1])
            says = "a cell has one decorator: its function is read, and no other would see it run"
            raise source.error(other, says)
        if "name" in options:
            source.called(options["name"])
        self.options = options
        self.signature = signature(source, options)
        self.own = {
            *self.signature.states,
            *self.signature.operand.values(),
        }  # values whatever they are set to
        self.left = Counter(
            node.id
            for node in own_nodes(self.function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )
        self.sets = Counter(self.left)
        self.expressions = Expressions(source, known, foreign, self.sets)
        self.constants = self._constants(defaults)
        self.helpers: dict[str, Helper] = {}
        self.source.calls_later |= bool(helpers)
        for text, file, first_line, numbers in helpers:
            of = FunctionText(text, None, file, first_line)
            self._define(helper(of.function, of, numbers, self.helpers))
        self.outside = [*self.helpers.values()]

    def read(self) -> Equations:
        """Return the equations."""
        it, expressions = self.signature, self.expressions
        expressions.stands |= it.stands
        expressions.values |= self.constants
        before = [f"{s}_prev" for s in it.states]
        expressions.taken |= {*it.gates, *it.params, *it.inputs, *self.constants, *before}
        own = dict.fromkeys((*it.gates, *it.params, *it.inputs, *it.states), UNIT) | it.shapes
        own |= dict.fromkeys(it.scalars, frozenset[str]())
        expressions.axes |= {n: own[n.removesuffix("_prev") if n in before else n] for n in (*own, *before)}
        # what a derivation has a name of its own for: dc_next is what comes back to c, Σ a sum over time
        expressions.taken |= {f"{s}_next" for s in it.states} - {*it.states} | {"Σ"}
        outputs = self._body()
        self._finish(outputs)
        equations = Equations(
            name=self.source.name,
            gates=it.gates,
            states=it.states,
            params=it.params,
            constants=self.constants,
            operand=it.operand,
            statements=tuple(expressions.statements),
            bias=it.bias,
            scalars=it.scalars,
            starts=it.starts,
            maps=it.maps,
            inputs=it.inputs,
            shapes=it.shapes,
            heads=it.heads,
            keys=it.keys,
            doc=ast.get_docstring(self.function) or "",
            text=self._canonical(),
        )
        check(equations, self.source)
        needed = equations.ancestors((*it.states, *it.operand.values()))
        number = {n: k for k, n in enumerate(sorted({s.number for s in needed}), 1)}  # 1, 2, 3, ...
        return replace(equations, statements=tuple(replace(s, number=number[s.number]) for s in needed))

    def _constants(self, defaults: Mapping[str, object]) -> dict[str, float]:
        """Return the values of arguments that have one, known numbers by name among them."""
        constants = {}
        for name, node in self.signature.defaults.items():
            given = defaults.get(name)
            if name in defaults:
                if isinstance(given, bool) or not isinstance(given, int | float):
                    says = f"the constant {name} must be a number, got {type(given).__name__}"
                    raise self.source.error(node, says)
                node = ast.copy_location(ast.Constant(given), node)
            is_text = isinstance(node, ast.Constant) and not isinstance(node.value, int | float | complex)
            if is_text or isinstance(node, ast.List | ast.Tuple | ast.Dict):
                says = f"the constant {name} must be a number, got {ast.unparse(node)}"
                raise self.source.error(node, says)
            value = self.expressions.value(self.expressions.read(node))
            assert value is not None  # nothing else is known yet
            constants[name] = value
        return constants

    # -- the body

    def _body(self) -> list[ast.expr]:
        """Read the lines, and return what the last returns."""
        *lines, last = self.function.body
        for node in lines:
            self._line(node)
        states = self.signature.states
        names = ", ".join(states)
        if not isinstance(last, ast.Return):
            self._line(last)
            raise self.source.wrong(f"the function ends without returning its states: return {names}")
        value = last.value
        outputs = list(value.elts) if isinstance(value, ast.Tuple | ast.List) else [value] if value else []
        if len(outputs) != len(states):
            got = f"returns {len(outputs)} value{'s' * (len(outputs) != 1)}"
            wanted = f"the states are {len(states)}: {names}" if len(states) > 1 else f"the state is {names}"
            says = f"{got}; {wanted}: return {names}, or name the states in state="
            raise self.source.error(last, says)
        return outputs

    def _line(self, node: ast.stmt) -> None:
        match node:
            case ast.Return():
                raise self.source.error(node, "nothing can follow the return")
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return  # a docstring, a remark
            case ast.FunctionDef():
                self._define(helper(node, self.source, self.known, self.helpers))
            case ast.AugAssign(target=ast.Name(id=name) as target):
                before = ast.copy_location(ast.Name(name, ast.Load()), target)
                value = ast.copy_location(ast.BinOp(before, node.op, node.value), node)
                self._assign([target], [value], node)
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                self._assign([target], [value], node)
            case ast.Assign(targets=[ast.Tuple() | ast.List() as names], value=value):
                if not isinstance(value, ast.Tuple | ast.List) or len(value.elts) != len(names.elts):
                    says = "as many values as names: i, f = sigmoid(a_i), sigmoid(a_f), each an argument"
                    raise self.source.error(node, says)
                self._assign(names.elts, value.elts, node)
            case ast.Assign(targets=[ast.Name(id=name) as first, *others], value=value):
                self._assign([first], [value], node)
                for other in others:  # a = b = value: b is one more name for a
                    self._assign([other], [ast.copy_location(ast.Name(name, ast.Load()), other)], node)
            case ast.Assign(targets=[ast.Subscript() as target]):
                says = f"{ast.unparse(target)}: an equation sets a name, h = ..., and h is the step before's"
                raise self.source.error(node, says)
            case ast.Expr():
                raise self.source.refused(node.value, f"{ast.unparse(node)}: {SETS}")
            case _:
                raise self.source.refused(node, SETS)

    def _define(self, made: Helper) -> None:
        """Take a helper, which what stands below can call."""
        it = self.signature
        if made.name in self.sets or made.name in it.stands:
            raise made.source.error(
                made.function, f"{made.name} is a value, too: call the helper something else"
            )
        self.helpers[made.name] = made
        self.expressions.helpers = self.helpers

    def _assign(self, targets: list[ast.expr], values: list[ast.expr], node: ast.stmt) -> None:
        expressions = self.expressions
        ready = []
        for target, value in zip(targets, values, strict=True):
            if not isinstance(target, ast.Name):
                raise self.source.error(node, SETS)
            self.source.may_be_named(target.id, node)
            if target.id.removesuffix("_prev") in self.signature.states and target.id.endswith("_prev"):
                self._is_before(target, value)
            expressions.number += 1
            ready.append((target.id, expressions.read(value, root=True), expressions.number))
        for written, expr, number in ready:  # after all of the right-hand sides: a tuple is set at once
            if isinstance(expr, ast.Name) and written not in self.own:
                expressions.stands[written] = expr.id  # m_prev = m sets nothing: it is one more name
                self.left[written] -= 1
                expressions.number -= 1
                continue
            name = self._fresh(written)
            expressions.set(name, expr, number)
            expressions.stands[written] = name

    def _is_before(self, target: ast.Name, value: ast.expr) -> None:
        """Raise unless c_prev is set to what it means anyway."""
        stands = self.expressions.stands.get(value.id) if isinstance(value, ast.Name) else None
        if stands != target.id:
            state = target.id.removesuffix("_prev")
            says = f"{target.id} is the state {state} before the step: call the value something else"
            raise self.source.error(target, says)

    def _fresh(self, written: str) -> str:
        """Return a unique name: where one is set several times, the last has the plain one."""
        self.left[written] -= 1
        taken = self.expressions.taken
        if not self.left[written] and written not in taken:
            return written
        return self.expressions.numbered(written, self.sets[written] - self.left[written])

    # -- the end

    def _finish(self, outputs: list[ast.expr]) -> None:
        """Give the returned values the names of their states."""
        expressions, states = self.expressions, self.signature.states
        expressions.number += 1
        ready = [expressions.read(value, root=True) for value in outputs]
        expressions.number -= 1
        names = [value.id if isinstance(value, ast.Name) else "" for value in ready]
        for k, state in enumerate(states):
            if names[k] != state and state in expressions.taken:  # set, and returned as another or not at all
                other = expressions.numbered(state)
                self._rename(state, other, ready)
                names = [other if n == state else n for n in names]
        made = {s.name for s in expressions.statements} - {*states, *self.signature.operand.values()}
        for state, name, value in zip(states, names, ready, strict=True):
            if name in made and names.count(name) == 1:
                self._rename(name, state, ready)
            elif name != state:
                expressions.number += 1
                expressions.set(state, value, expressions.number)
            self._has_shape(state, outputs[states.index(state)])

    def _has_shape(self, state: str, value: ast.expr) -> None:
        """Raise where a state has axes that it is not said to have."""
        own = self.signature.shapes.get(state, UNIT)
        made = next(s.expr for s in self.expressions.statements if s.name == state)
        if more := axes_of(made, self.expressions.axes) - own:
            says = (
                f"the state {state} has {' and '.join(sorted(more))}s; shapes= must say so, or a sum end them"
            )
            raise self.source.error(value, says)

    def _rename(self, old: str, new: str, outputs: list[ast.expr]) -> None:
        statements = self.expressions.statements
        self.expressions.taken.add(new)
        for expr in (*(s.expr for s in statements), *outputs):
            for node in ast.walk(expr):
                if isinstance(node, ast.Name) and node.id == old:
                    node.id = new
        statements[:] = [replace(s, name=new) if s.name == old else s for s in statements]
        if old in self.expressions.axes:
            self.expressions.axes[new] = self.expressions.axes[old]

    def _canonical(self) -> str:
        """Return the text with known numbers written in, so that it stands alone."""
        shadowed = {*self.expressions.stands, *self.sets}
        known = {name: value for name, value in self.known.items() if name not in shadowed}
        function = Known(known).visit(ast.parse(ast.unparse(self.function)).body[0])
        outside = [Known(h.known).visit(ast.parse(ast.unparse(h.function)).body[0]) for h in self.outside]
        at = 1 if ast.get_docstring(self.function) is not None else 0
        function.body[at:at] = outside
        given = function.args
        for arguments, values in ((given.args, given.defaults), (given.kwonlyargs, given.kw_defaults)):
            for k, argument in enumerate(reversed(arguments), 1):
                if argument.arg in self.constants:
                    values[-k] = literal(self.constants[argument.arg])
        shown = {k: v for k, v in self.options.items() if k not in ("init", "name") and v not in ({}, "")}
        if self.signature.maps:
            shown["maps"] = {name: as_text(made) for name, made in self.signature.maps.items()}
        if self.signature.heads == 1:
            shown.pop("heads", None)
        if self.source.name != self.source.own_name:
            shown["name"] = self.source.name
        keywords = [ast.keyword(k, ast.parse(repr(v), mode="eval").body) for k, v in shown.items()]
        decorator = ast.Call(ast.Attribute(ast.Name("bptt", ast.Load()), "cell", ast.Load()), [], keywords)
        function.decorator_list = [decorator]
        return ast.unparse(ast.fix_missing_locations(function)) + "\n"
