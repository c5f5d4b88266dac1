"""A function's text and the place where it stands; and what is said of what an equation cannot hold."""

import ast
import keyword
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from bptt.characters import MOST_MARKS, crowded
from bptt.derive.equations import EquationError
from bptt.derive.functions import ALIASES, FUNCTIONS, HELPERS, LATER, NAMESPACE
from bptt.derive.manual import hint

ARITHMETIC = "an equation is arithmetic (+ - * / **) and " + ", ".join((*FUNCTIONS, *HELPERS))
SETS = "an equation sets a name: c = f * c + i * g"

_LOOP = "a loop: a step holds no loop, so write its rounds out; the one through time is outside"
_IF = "an if: the choice is each hidden unit's own; write where(a > b, this, that)"
_INDEX = (
    "an index: the equations are those of one hidden unit; {0} is that unit's, of a state the step before's"
)

REFUSED: list[tuple[Any, str]] = [
    (ast.For | ast.While | ast.ListComp | ast.GeneratorExp, _LOOP),
    (ast.If | ast.IfExp | ast.Match, _IF),
    (ast.With, f"a with statement: {SETS}"),
    (ast.Try, f"a try statement: {SETS}"),
    (ast.Assert, f"an assert: {SETS}"),
    (ast.Raise, f"a raise: {SETS}"),
    (ast.ClassDef, f"a class: {SETS}"),
    (ast.FunctionDef | ast.AsyncFunctionDef, "a function inside a helper: it stands above, beside the other"),
    (ast.Lambda, "a lambda: write its equation out, or a helper: def swish(u): return u * sigmoid(u)"),
    (ast.NamedExpr, "a := inside an expression: give it an equation of its own"),
    (ast.Subscript | ast.Slice, _INDEX.format("h")),
    (ast.BoolOp, "and/or: nest where(...) instead"),
    (ast.Compare, "a comparison stands in where(...) only: where(a > b, this, that)"),
    (ast.Tuple, "a tuple inside an expression: its values are equations of their own"),
    (ast.List, f"a list: {ARITHMETIC}"),
    (ast.Dict, f"a dict: {ARITHMETIC}"),
    (ast.JoinedStr, f"a text: {ARITHMETIC}"),
    (ast.Starred, "a *: values and names are written one by one"),
    (ast.Yield | ast.YieldFrom, "a yield: a step returns its states"),
    (ast.Await, "an await: a step is a plain function"),
    (ast.Import | ast.ImportFrom, "an import: functions need none, and numbers are imported above"),
    (ast.Global, "a global: a cell has no memory but its states"),
    (ast.Nonlocal, "a nonlocal: a cell has no memory but its states"),
    (ast.Delete, "a del: it is not needed"),
]
"""What a function can hold in Python and not as equations, and what to do instead."""

_TAKEN = {*NAMESPACE, "erfcx", "ERF", "ERFC", "kept", "float", "_", "__debug__"}
"""Names that code made from equations has for itself."""

LONGEST_TEXT = 200_000
LONGEST_NAME = 100
DEEPEST = 60
MOST_PARTS = 5_000
MOST_VALUES = 300
MOST_ARGUMENTS = 100
"""What a cell may have at most: characters; in a name; operators one within the other; names, numbers and
operators; values, of names set and of functions called; arguments. So large, it is derived in seconds."""


_TOO_DEEP = f"an equation is nested more than {DEEPEST} deep: give parts of it names"


class FunctionText:
    """One function's text, where it stands, and the cell's name: as it is called, or else the function's."""

    def __init__(self, text: str, name: str | None, file: str, first_line: int) -> None:
        self.file, self.offset, self.name = file, first_line - 1, ""
        if name is not None:
            self.name = self._valid(name)
        if len(text) > LONGEST_TEXT:
            raise self.error(1, f"a text of {len(text):,} characters: at most {LONGEST_TEXT:,}")
        if crowded(text):
            raise self.error(
                1, f"a text with more than {MOST_MARKS} combining marks in a row, which is no name"
            )
        inside = text[:1].isspace() and text.lstrip("\r\n\f")[:1].isspace()
        if inside:  # as a function in a function stands
            text, self.offset = "if True:\n" + text, self.offset - 1
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError) as error:
            line, says = getattr(error, "lineno", None) or 1, getattr(error, "msg", error)
            raise self.error(line, f"this is not Python: {printable(str(says))}") from None
        except (RecursionError, MemoryError):
            raise self.error(1, _TOO_DEEP) from None
        if inside and isinstance(body[0], ast.If):
            body = body[0].body
        first = body[0] if body else None
        if isinstance(first, ast.AsyncFunctionDef):
            raise self.error(first, f"async def {first.name}: a step is a plain function: def {first.name}")
        if len(body) != 1 or not isinstance(first, ast.FunctionDef):
            raise self.error(first or 1, "the equations are one function: def name(a_h, h): ...")
        self.function = first
        self.own_name = first.name.strip("_").replace("_", "-") or "cell"
        self.name = self.name or self.own_name[:LONGEST_NAME]
        self.calls_later = any(_is_later(node) for node in ast.walk(first) if node is not first)
        self._measure()

    def error(self, where: ast.AST | int, says: str) -> EquationError:
        """Return the error with its place."""
        line = where if isinstance(where, int) else getattr(where, "lineno", 1)
        name = f"{self.name}: " if self.name else ""
        return EquationError(f"{self.file}:{line + self.offset}: {name}{says}{hint(says)}")

    def wrong(self, says: str) -> EquationError:
        """Return the error of the function as a whole."""
        return self.error(self.function, says)

    def refused(self, node: ast.AST, otherwise: str) -> EquationError:
        """Return the error for a node that has no place in an equation."""
        says = next((says for kind, says in REFUSED if isinstance(node, kind)), otherwise)
        if isinstance(node, ast.Subscript):
            says = _INDEX.format(node.value.id if isinstance(node.value, ast.Name) else "h")
        return self.error(node, says)

    def may_be_named(self, name: str, where: ast.AST) -> None:
        """Raise if a value cannot have this name."""
        if name in LATER and not self.calls_later:
            return
        if name in FUNCTIONS or name in ALIASES or name in HELPERS:
            raise self.error(where, f"{name} is a function in equations: call the value something else")
        if name in _TAKEN:
            raise self.error(where, f"{name} has a meaning in the code: call the value something else")

    def called(self, name: object) -> None:
        """Take the name that an option gives, if no other has been given."""
        valid = self._valid(name)
        if self.name == self.own_name[:LONGEST_NAME]:
            self.name = valid

    def _valid(self, name: object) -> str:
        """Return a cell's name, or raise."""
        if isinstance(name, str) and not crowded(name):
            name = unicodedata.normalize("NFKC", name)
            if len(name) <= LONGEST_NAME and name.replace("-", "").replace("_", "").isalnum():
                return name
        shown = ascii(name) if len(ascii(name)) <= LONGEST_NAME else f"{ascii(name)[:LONGEST_NAME]}..."
        says = f"name= must be letters, digits, - and _, {LONGEST_NAME} at most; got {shown}"
        raise self.error(getattr(self, "function", 1), says)

    def _measure(self) -> None:
        """Raise where the function is larger than what can be derived in seconds."""
        arguments = self.function.args
        count = len(arguments.args) + len(arguments.kwonlyargs)
        if count > MOST_ARGUMENTS:
            raise self.wrong(f"{count:,} arguments: at most {MOST_ARGUMENTS}")
        parts = 0
        nodes: list[tuple[ast.AST, int]] = [(self.function, 0)]
        while nodes:  # without recursion, which the depth could exhaust
            node, depth = nodes.pop()
            inside = depth + isinstance(node, ast.expr)
            nodes += ((child, inside) for child in ast.iter_child_nodes(node))
            parts += isinstance(node, ast.expr)
            if inside > DEEPEST:
                raise self.error(node, _TOO_DEEP)
            if isinstance(node, ast.Constant) and not is_in_range(node.value):
                raise self.error(node, "a number beyond 1.8e308")
        if parts > MOST_PARTS:
            raise self.wrong(f"{parts:,} names, numbers and operators in a cell: at most {MOST_PARTS:,}")

    def options(self) -> dict[str, object]:
        """Return the options in the decorator's own text."""
        for decorator in self.function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).split(".")[-1] != "cell":
                continue
            if not isinstance(decorator, ast.Call):
                return {}
            given = {k.arg or "**": k.value for k in decorator.keywords if k.arg != "init"}
            try:
                assert not decorator.args
                return {name: ast.literal_eval(value) for name, value in given.items()}
            except (AssertionError, ValueError, TypeError):
                says = 'cell(...) takes plain values by name, as in cell(state="h c")'
                raise self.error(decorator, says) from None
        raise self.wrong('a cell wants its decorator, as in @bptt.cell(state="h c")')


def _is_later(node: ast.AST) -> bool:
    """Return whether a node is a call of a word that came later, or holds what might be."""
    match node:
        case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)):
            return name in LATER
        case ast.BinOp(op=ast.Mod()) | ast.FunctionDef():
            return True
    return False


def is_in_range(value: object) -> bool:
    """Return whether a value is no number, or one that floating point has."""
    if not isinstance(value, int | float):
        return True
    return abs(value) <= sys.float_info.max  # which compares an integer of any length exactly


def printable(text: str) -> str:
    """Return a text with what no terminal should get written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain_name(name: object) -> str | None:
    """Return a name as Python has it in code, or None if it is none."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return None
    return unicodedata.normalize("NFKC", name)


def literal(value: float, at: ast.expr | None = None) -> ast.expr:
    """Return a number as Python writes it, a negative one as the minus of one, in an expression's place."""
    node = ast.parse(repr(value), mode="eval").body
    return ast.copy_location(node, at) if at is not None else node


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield a function's nodes, without those of functions in it."""
    left: list[ast.AST] = [function]
    while left:
        node = left.pop()
        left += (n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.FunctionDef))
        yield node


class Known(ast.NodeTransformer):
    """Writes numbers in place of the names that stand for them outside."""

    def __init__(self, known: Mapping[str, float]) -> None:
        self.known = known

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Return the function, in which names of its own are no others'."""
        own = {n.arg for n in node.args.args}
        own |= {n.id for n in own_nodes(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        outside, self.known = self.known, {n: v for n, v in self.known.items() if n not in own}
        self.generic_visit(node)
        self.known = outside
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Return the number, where the name stands for one."""
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            return literal(self.known[node.id], node)
        return node


def minus(a: ast.expr, b: ast.expr, at: ast.expr) -> ast.expr:
    """Return a - b, placed as `at` is."""
    if isinstance(b, ast.Constant) and b.value == 0:
        return a
    return ast.copy_location(ast.BinOp(a, ast.Sub(), b), at)


def shown(node: ast.Call) -> str:
    """Return what a call is given, as it is written."""
    values = [ast.unparse(a) for a in node.args] + [ast.unparse(k) for k in node.keywords]
    return ", ".join(values) or "none"
