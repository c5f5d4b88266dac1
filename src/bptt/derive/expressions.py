"""From an expression as it is written to one over unique names, with functions at its head alone."""

import ast
import builtins
import math
from collections import Counter
from collections.abc import Collection, Mapping
from copy import deepcopy

from bptt.derive import instead
from bptt.derive.axes import MADE, SHAPES, SIZES, Axes, axes_of, over_axis
from bptt.derive.equations import Statement
from bptt.derive.functions import ALIASES, FUNCTIONS, HELPERS, OPERATORS, arithmetic, computed
from bptt.derive.helpers import Helper, words
from bptt.derive.source import ARITHMETIC, MOST_PARTS, MOST_VALUES, FunctionText, literal, minus, shown

LARGEST_POWER = 64


class Expressions:
    """Reads expressions one after the other, as names stand at each line."""

    def __init__(
        self, source: FunctionText, known: Mapping[str, float], foreign: Collection[str], sets: Counter[str]
    ) -> None:
        self.source, self.known, self.foreign = source, known, foreign
        self.sets = sets  # how often the text sets each name
        self.stands: dict[str, str] = {}  # a name as written, to the name that it stands for at this line
        self.values: dict[str, float] = {}  # what is a number, by its unique name
        self.taken: set[str] = set()  # all unique names so far
        self.statements: list[Statement] = []
        self.number = 0  # of the equation that is read
        self.axes: dict[str, Axes] = {}  # of each value, by its unique name
        self.helpers: Mapping[str, Helper] = {}  # that can be called at this line
        self._inside: Helper | None = None  # the helper that is written in
        self._bound: dict[str, ast.expr] = {}  # what its names stand for
        self._at: ast.expr | None = None  # the call in the cell
        self._parts = 0  # read of helpers so far
        self._known: dict[str, str] = {}  # a function's call, or a quotient, to the name of its value

    def set(self, name: str, expr: ast.expr, number: int, *, written: bool = True) -> None:
        """Add a statement."""
        if len(self.statements) == MOST_VALUES:
            raise self.source.error(
                expr, f"a cell has at most {MOST_VALUES} values: names, functions, quotients"
            )
        self._relocate(expr)
        self.taken.add(name)
        self.statements.append(Statement(name, expr, number, written))
        self.axes[name] = axes_of(expr, self.axes)
        value = self.value(expr)
        if value is not None:
            self.values[name] = value
        if isinstance(expr, ast.Call) or self._is_quotient(expr):
            self._known.setdefault(ast.unparse(expr), name)

    def read(self, node: ast.expr, *, root: bool = False) -> ast.expr:
        """Return the expression; unless at the root, a function or a quotient is a statement."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._finite(node, value)
            case ast.Constant(value=complex()):
                says = f"{node.value!r}: a complex value is two, with an equation each"
                raise self.source.error(node, says)
            case ast.Constant():
                raise self.source.error(node, f"{node.value!r}: {ARITHMETIC}")
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.UnaryOp(op=ast.USub()):
                return ast.copy_location(ast.UnaryOp(node.op, self.read(node.operand)), node)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.read(node.operand, root=root)
            case ast.BinOp(op=ast.MatMult()):
                says = "a matrix product: it is outside the equations; a_i is x W_i + h U_i + b_i already"
                raise self.source.error(node, says)
            case ast.BinOp() if type(node.op) in OPERATORS:
                right = self._power if isinstance(node.op, ast.Pow) else self.read
                made = self._checked(ast.BinOp(self.read(node.left), node.op, right(node.right)), node)
                return made if root or not self._is_quotient(made) else self._value(made, "ratio", [made])
            case ast.BinOp(op=ast.FloorDiv()):
                raise self.source.error(node, f"{ast.unparse(node)}: write floor(a / b)")
            case ast.BinOp(op=ast.Mod()):
                return self._written_in(words()["mod"], node, [node.left, node.right], root=root)
            case ast.Call():
                return self._call(node, root=root)
            case _:
                raise self.source.refused(node, f"{ast.unparse(node)}: {ARITHMETIC}")

    def value(self, expr: ast.expr) -> float | None:
        """Return what an expression is, if it is a number."""
        match expr:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.values.get(name)
            case ast.UnaryOp():
                inner = self.value(expr.operand)
                return None if inner is None else -inner
            case ast.BinOp():
                a, b = self.value(expr.left), self.value(expr.right)
                return None if a is None or b is None else arithmetic(expr.op, a, b)
        return None

    # -- the parts

    def _finite(self, node: ast.expr, value: float) -> ast.expr:
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            shown = "this" if isinstance(node, ast.Constant) else ast.unparse(node)
            raise self.source.error(node, f"{shown} is {value} and no number")
        # beyond these, an integer of Python is none of NumPy's
        return literal(value if abs(value) < 2**53 else float(value), node)

    def _checked(self, expr: ast.BinOp, node: ast.expr) -> ast.expr:
        divides = isinstance(expr.op, ast.Div) and self.value(expr.right) == 0
        value = self.value(expr)
        if divides or not (value is None or math.isfinite(value)):
            why = "a division by zero" if divides else "no number"
            raise self.source.error(node, f"{ast.unparse(node)} is {why}")
        return ast.copy_location(expr, node)

    def _power(self, node: ast.expr) -> ast.expr:
        power = self.value(self.read(node))
        if power is None:
            raise self.source.error(node, "a power is a number; write exp(y * log(x)) for x to the y")
        if abs(power) > LARGEST_POWER:
            says = f"the power {power:g}: at most {LARGEST_POWER}, and no less than -{LARGEST_POWER}"
            raise self.source.error(node, says)
        return literal(int(power) if power == int(power) else power, node)

    def _name(self, node: ast.Name) -> ast.expr:
        name = node.id
        if name in self._bound:
            return deepcopy(self._bound[name])
        if name in self.stands:
            return ast.copy_location(ast.Name(self.stands[name], ast.Load()), node)
        if name in self.sets and self._inside is None:
            hint = "; for a state before the step, make it an argument"
            raise self.source.error(node, f"{name} is not known here: it is set further down{hint}")
        if name in self.known:
            if not math.isfinite(self.known[name]):
                raise self.source.error(node, f"{name} is {self.known[name]}, which is no number")
            return literal(self.known[name], node)
        if name in {*FUNCTIONS, *HELPERS, *ALIASES, *self.helpers} or hasattr(builtins, name):
            raise self.source.error(node, f"{name} is a function: {name}(...)")
        if name in SIZES:
            return ast.copy_location(ast.Name(name, ast.Load()), node)
        if self._inside is not None:
            says = (
                f"{name} is not known in {self._inside.name}, which reads its arguments, what it sets, and "
            )
            raise self.source.error(node, f"{says}numbers: hand {name} over as an argument")
        raise self.source.error(
            node, f"{name} is not known: no argument, set by no equation, and no number set above in the file"
        )

    def _attribute(self, node: ast.Attribute) -> ast.expr:
        path = ast.unparse(node)
        if path.split(".", 1)[0] not in self.stands:
            if node.attr in ("pi", "e", "tau") and path.split(".")[0] in ("np", "numpy", "math"):
                return literal(float(getattr(math, node.attr)), node)
            says = f"{path} is not known: give the number a name above the function, k = {path}"
            raise self.source.error(node, says)
        raise self.source.error(node, f"{path}: a value is a number of each hidden unit; {ARITHMETIC}")

    def _call(self, node: ast.Call, *, root: bool) -> ast.expr:
        own = self.helpers.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if own is None and (word := over_axis(node, {*self.stands, *self.foreign})):
            return self._over(word, node, root=root)
        function = self._function(node) if own is None else ""
        if own is not None or function in HELPERS:
            return self._written_in(own or words()[function], node, node.args, root=root)
        wanted = FUNCTIONS[function].arity
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args) or len(node.args) != wanted:
            more = f": {function}({function}(a, b), c)" if wanted == 2 and len(node.args) > 2 else ""
            plain = ", by position" if node.keywords else ""
            raise self.source.error(
                node, f"{function} takes {wanted} value{'s' * (wanted > 1)}{plain}{more}; got {shown(node)}"
            )
        arguments = self._where(node) if function == "where" else [self.read(a) for a in node.args]
        numbers = [self.value(a) for a in arguments]
        known = [n for n in numbers if n is not None]
        if len(known) == len(numbers):
            value = computed(function, known)
            return literal(value, node) if function == "where" else self._finite(node, value)
        if function == "where" and numbers[0] is not None:
            return arguments[1] if numbers[0] > 0 else arguments[2]
        if function in ("max", "min") and numbers[0] is not None:
            arguments.reverse()  # a tie goes to the second: d max(0, x) is d max(x, 0), and 0 at 0
        call = ast.copy_location(ast.Call(ast.Name(function, ast.Load()), arguments, []), node)
        if root:
            return call
        return self._value(call, function, arguments)

    def _over(self, word: str, node: ast.Call, *, root: bool) -> ast.expr:
        """Return what goes over an axis of a value."""
        match node.args, node.keywords:
            case [value], []:
                axis = "unit"
            case [value, ast.Name(id=("unit" | "key") as axis)], [] if axis not in self.stands:
                pass
            case _:
                says = f"{word}(v) goes over the units, {word}(v, key) over the keys"
                raise self.source.error(node, f"{says}; got {ast.unparse(node)}")
        if word in MADE:
            return self._written_in(words()[f"{word}_{axis}"], node, [value], root=root)
        given = self.read(value)
        if axis not in (has := axes_of(given, self.axes)):
            shape = next((s for s, axes in SHAPES.items() if axes == has), "number")
            says = f"{ast.unparse(value)} has one shape for all {axis}s ({shape})"
            raise self.source.error(
                node, f"{ast.unparse(node)}: {says}; shapes= says which values have {axis}s"
            )
        if word == "max" and not isinstance(given, ast.Name):  # the backward compares it with the largest
            given = self._value(given, "of_max", [])
        call = ast.copy_location(ast.Call(ast.Name(f"{word}_{axis}", ast.Load()), [given], []), node)
        return call if root else self._value(call, word, [given])

    def _written_in(self, helper: Helper, node: ast.expr, values: list[ast.expr], *, root: bool) -> ast.expr:
        """Return what a helper returns of some values; unless at the root, by a name."""
        names, defaults = helper.arguments, helper.function.args.defaults
        least = len(names) - len(defaults)
        loose = (isinstance(node, ast.Call) and node.keywords) or any(
            isinstance(v, ast.Starred) for v in values
        )
        if loose or not least <= len(values) <= len(names):
            n = f"{least} to {len(names)}" if defaults else f"{least}"
            says = f"{helper.name} takes {n} value{'s' * (len(names) > 1)}, by position: {helper.signature}"
            raise self.source.error(node, f"{says}; got {ast.unparse(node)}")
        given = [self.read(v) for v in values]
        self._parts += helper.parts
        if self._parts > MOST_PARTS:
            says = f"with helpers written in, a cell has at most {MOST_PARTS:,} names, numbers and operators"
            raise self.source.error(node, says)
        lines, last = helper.lines
        outside = self.source, self.known, self.helpers, self.stands, self._inside, self._bound
        is_first, self._at = self._at is None, self._at or node
        self.source, self.known, self.helpers = helper.source, helper.known, helper.above
        self.stands, self._inside, self._bound = {}, helper, {}
        try:
            given += [self.read(d) for d in defaults[len(values) - least :]]
            self._bound = {n: self._once(helper, n, v) for n, v in zip(names, given, strict=True)}
            for name, value in lines:
                self.source.may_be_named(name, value)
                made = self.read(value, root=True)
                self._bound[name] = (
                    made if self._is_plain(made) else self._value(made, f"{helper.name}_{name}", [])
                )
            made = self.read(last, root=True)
        finally:
            self.source, self.known, self.helpers, self.stands, self._inside, self._bound = outside
        made = made if (number := self.value(made)) is None else literal(number, node)
        self._relocate(made)
        self._at = None if is_first else self._at
        return made if root or self._is_plain(made) else self._value(made, helper.name, given)

    def _once(self, helper: Helper, name: str, value: ast.expr) -> ast.expr:
        """Return a helper's argument; what it reads more than once has a name."""
        loads = [n for n in ast.walk(helper.function) if isinstance(n, ast.Name) and n.id == name]
        if self._is_plain(value) or len(loads) < 2:
            return value
        return self._value(value, f"{helper.name}_{name}", [])

    def _is_plain(self, expr: ast.expr) -> bool:
        return isinstance(expr, ast.Name) or self.value(expr) is not None

    def _relocate(self, expr: ast.expr) -> None:
        """Let what comes of a helper stand where it is called: the order of names is that of their places."""
        if self._at is not None:
            for node in ast.walk(expr):
                ast.copy_location(node, self._at)

    def _is_quotient(self, expr: ast.expr) -> bool:
        """Return whether what is no number is divided by; then the derivative is written by the value."""
        match expr:
            case ast.BinOp(op=ast.Div(), right=right):
                return self.value(right) is None
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                return self.value(left) is None and (self.value(right) or 0) < 0
        return False

    def _value(self, expr: ast.expr, called: str, arguments: list[ast.expr]) -> ast.expr:
        """Return the name of an expression's value, which gets a statement; equal ones have one."""
        key = ast.unparse(expr)
        if key not in self._known:
            self.set(self._invent(called, arguments), expr, self.number, written=False)
            self._known.setdefault(key, self.statements[-1].name)
        return ast.copy_location(ast.Name(self._known[key], ast.Load()), expr)

    def _function(self, node: ast.Call) -> str:
        """Return which function is called: tanh, np.tanh and torch.tanh are one."""
        path = ast.unparse(node.func)
        dotted = all(part.isidentifier() for part in path.split("."))
        first, called = path.split(".")[0], path.split(".")[-1]
        function = ALIASES.get(called, called)
        if dotted and first in self.stands:
            given = ", ".join([first, *map(ast.unparse, node.args)])
            given += ", low, high" if function == "clip" and len(node.args) < 2 else ""
            way_out = f"{first} * (...) multiplies" if path == first else f"{function}({given}) is meant"
            raise self.source.error(node, f"{path}(...): {first} is a value and has no functions; {way_out}")
        if not dotted or function not in (*FUNCTIONS, *HELPERS):
            raise self.source.error(node, instead.of_function(path, (*FUNCTIONS, *HELPERS)))
        if path in self.foreign:
            says = f"{path} is another function in this file than in equations, which are read and not run"
            raise self.source.error(node, f"{says}: write it out, or rename the file's own")
        return function

    def _where(self, node: ast.Call) -> list[ast.expr]:
        """Return u, v, w for a comparison: v where u > 0, else w."""
        condition, *branches = node.args
        if not isinstance(condition, ast.Compare) or len(condition.ops) != 1:
            raise self.source.error(condition, instead.of_condition(condition))
        left, right = self.read(condition.left), self.read(condition.comparators[0])
        then, otherwise = (self.read(b) for b in branches)
        values = self.value(then), self.value(otherwise)
        if values[0] is not None and values[1] is not None:  # the code can tell that they are numbers
            then, otherwise = literal(values[0], then), literal(values[1], otherwise)
        comparison = condition.ops[0]
        if not isinstance(comparison, ast.Gt | ast.Lt | ast.GtE | ast.LtE):
            says = "values are compared by < <= > >=: equal ones are met by chance"
            raise self.source.error(condition, says)
        if isinstance(comparison, ast.Lt | ast.GtE):
            left, right = right, left
        if isinstance(comparison, ast.GtE | ast.LtE):  # a >= b is not b > a
            then, otherwise = otherwise, then
        return [minus(left, right, condition), then, otherwise]

    def _invent(self, function: str, arguments: list[ast.expr]) -> str:
        """Return a name for a value inside an expression: tanh_c for tanh(c), ratio_1 for a quotient."""
        match arguments:
            case [] if function not in self.taken and function not in self.sets:
                return function
            case [ast.Name(id=inner)]:
                name = f"{function}_{inner}"
                return self.numbered(function, 2) if name in self.taken or name in self.sets else name
        return self.numbered(function)

    def numbered(self, stem: str, k: int = 1) -> str:
        """Return a name that is not taken, with a number from k."""
        while f"{stem}_{k}" in self.taken or f"{stem}_{k}" in self.sets:
            k += 1
        return f"{stem}_{k}"
