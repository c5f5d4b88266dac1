"""Edits of whole statements: they can only be tried in the whole program, and are few."""

import ast
import itertools
import re
from collections.abc import Iterator, Sequence

from bptt.checking.mend.edit import Change, Edit, Text

Loop = ast.For | ast.While
Simple = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr

# What is added to must start at zero: other ways in which it may start, and the right one.
STARTS = [
    (r"^(np|numpy)\.(copy|array|ones_like|empty_like)\((.*)\)$", r"\1.zeros_like(\3)"),
    (r"^(np|numpy)\.(ones|empty)\((.*)\)$", r"\1.zeros(\3)"),
    (r"^(.*)\.copy\(\)$", r"np.zeros_like(\1)"),
]
# A loop's head, and the one that goes the other way.
HEADS = [
    (r"reversed\((.*)\)", r"\1"),
    (r"(.*)\[::-1\]", r"\1"),
    (r"range\((.*?) ?- ?1, ?-1, ?-1\)", r"range(\1)"),
    (r"((?:range|list)\(.*\)|[\w.]+)", r"reversed(\1)"),
    (r"(.*)", r"reversed(list(\1))"),
]


def rewrites(text: Text, functions: Sequence[ast.FunctionDef], suspects: Sequence[int] = ()) -> list[Edit]:
    """Return the edits of statements in some functions: near suspected lines, in the first ones first."""
    found: dict[str, tuple[float, Edit]] = {}
    for place, function in enumerate(functions):
        for edit in _Rewriter(text, function).all():
            first, last = text.line(edit.changes[0][0]), text.line(edit.changes[-1][0])
            far = min([abs(line - at) for line in (first, last) for at in suspects], default=9)
            said = edit.applied(text.text)
            order = edit.cost + min(far, 9) / 6 + place / 2
            if said not in found or found[said][0] > order:
                found[said] = order, edit
    return [edit for _, edit in sorted(found.values(), key=lambda item: item[0])]


def operators(text: Text, function: ast.FunctionDef, statement: ast.stmt, loop: Loop | None) -> list[Edit]:
    """Return the edits of a statement's operator: ``+=`` for ``=``, and the others."""
    return list(_Rewriter(text, function)._operator(statement, loop))


class _Rewriter:
    """The edits of one function's statements."""

    def __init__(self, text: Text, function: ast.FunctionDef) -> None:
        self.text, self.function, self.of = text, function, text.of

    def all(self) -> Iterator[Edit]:
        """Yield them all."""
        for block, loop in _blocks(self.function, None):
            for place, statement in enumerate(block):
                yield from self._operator(statement, loop)
                if self._alone(statement):
                    yield from self._order(block, place)
                    yield from self._loops(block, place, loop)
                if isinstance(statement, ast.For):
                    yield from self._head(statement.iter)
                if isinstance(statement, ast.Assign):
                    yield from self._starts(statement.value)
                tuples = [*getattr(statement, "targets", ()), getattr(statement, "value", None)]
                for parts in tuples[: None if isinstance(statement, ast.Return) else -1]:
                    if isinstance(parts, ast.Tuple | ast.List):
                        yield from self._places(parts)

    def _operator(self, statement: ast.stmt, loop: Loop | None) -> Iterator[Edit]:
        """`=` for `+=` and back; the other sign; a change in place that changes what others hold."""
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if not isinstance(target, ast.Tuple | ast.List) and (loop or not isinstance(target, ast.Name)):
                change = self._between(target, statement.value, " += ")
                reason = f"`{self.of(target)}` is assigned where it must be added to"
                yield Edit((change,), reason, 1.0)
                if loop is not None and self._alone(loop):  # it has no value before
                    start = self._lines(loop)[0]
                    first = f"{' ' * loop.col_offset}{self.of(target)} = 0\n"
                    yield Edit(((start, start, first), change), reason, 1.3)
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add | ast.Sub | ast.Mult):
            said, name = self.of(statement), self.of(statement.target)
            own = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}[type(statement.op)]
            for sign, reason, cost in (
                (" = ", f"`{name}` is added to where it must be assigned", 1.0),
                (" -= " if own == "+" else " += ", f"the sign of `{said}` is wrong", 1.2),
                (f" = {name} {own} ", f"`{said}` changes in place an array that is read elsewhere", 1.6),
            ):
                yield Edit((self._between(statement.target, statement.value, sign),), reason, cost)
            yield from self._numbers(statement, name)

    def _numbers(self, statement: ast.AugAssign, name: str) -> Iterator[Edit]:
        """Replace a product with an integer by a sum into the rows or columns that it names."""
        product, pair = statement.value, []
        if isinstance(product, ast.Call) and len(product.args) == 2:
            pair = product.args
        elif isinstance(product, ast.BinOp) and isinstance(product.op, ast.MatMult | ast.Mult):
            pair = [product.left, product.right]
        for a, b in itertools.permutations(pair, 2):
            if isinstance(b, ast.Name | ast.Subscript):
                row, index = self.of(a).removesuffix(".T"), self.of(b)
                reason = f"`{index}` is a number, which stands for a one-hot vector here"
                added = (f"{name}[:, {index}] += {row}", f"{name}[{index}] += {row}")
                for new in (*added, f"np.add.at({name}, {index}, {row})"):
                    yield Edit(((*self.text.span(statement), new),), reason, 1.4)

    def _order(self, block: list[ast.stmt], place: int) -> Iterator[Edit]:
        """Yield it left out, and moved before or after another on which it depends."""
        statement, said = block[place], self._first_line(block[place])
        if not isinstance(statement, Simple) or len(block) < 2 or isinstance(statement.value, ast.Constant):
            return
        gone = (*self._lines(statement), "")
        yield Edit((gone,), f"`{said}` does not belong here", 1.8)
        reads, writes = self._uses(statement)
        for at, other in enumerate(block):
            loads, stores = self._uses(other)
            if at == place or not self._alone(other) or isinstance(other, ast.Return):
                continue
            to, line = self._lines(other)[at > place], self._line_of(statement)
            lines = [line] if writes & (loads | stores) or reads & stores else []
            if at > place and isinstance(other, ast.Assign) and isinstance(other.targets[0], ast.Name):
                later = other.targets[0].id  # what is made there of what is read here may be meant
                lines += [
                    re.sub(rf"\b{re.escape(name)}\b", later, line)
                    for name in sorted(reads & loads - {"self", "np"})
                ]
            where = f"{'after' if at > place else 'before'} `{self._first_line(other)}`"
            for new in lines:
                more = new != line
                reason = f"`{new.strip()}` must stand {where}" + (f", not `{said}` here" if more else "")
                changes = tuple(sorted([gone, (to, to, new)]))
                yield Edit(changes, reason, (1.3 if more else 1.6) + 0.1 * abs(at - place))

    def _loops(self, block: list[ast.stmt], place: int, loop: Loop | None) -> Iterator[Edit]:
        """Yield it moved before or behind the loop that it stands in."""
        statement, said = block[place], self._first_line(block[place])
        if loop is not None and block is loop.body and len(block) > 1 and self._alone(loop):
            (before, _), moved = self._lines(loop), self._line_of(statement, loop.col_offset)
            if isinstance(statement, ast.Assign) and re.search(r"zeros|empty|full|\[\]|\* ?0|^0|= 0", said):
                reason = f"`{said}` forgets what earlier steps gave: it must stand before the loop"
                yield Edit(((before, before, moved), (*self._lines(statement), "")), reason, 0.8)
            if place == len(block) - 1 and isinstance(statement, Simple | ast.Return):
                reason = f"`{said}` must stand behind the loop, not in it"
                cost = 0.8 if isinstance(statement, ast.Return) else 1.6
                yield Edit(((*self._lines(statement), moved),), reason, cost)

    def _head(self, steps: ast.expr) -> Iterator[Edit]:
        """Yield a loop that goes through other steps, or in the other order."""
        head, span = self.of(steps), self.text.span(steps)
        for pattern, other in HEADS:
            if re.fullmatch(pattern, head, re.S):
                new = re.sub(f"^{pattern}$", other, head, flags=re.S)
                reason = f"the loop goes through the steps in the wrong order: `{new}` belongs there"
                yield Edit(((*span, new),), reason, 1.2 if pattern != "(.*)" else 1.5)
                if pattern != HEADS[-2][0]:
                    break
        if re.match(r"(reversed\()?range", head):
            callees = {id(c.func) for c in ast.walk(steps) if isinstance(c, ast.Call)}
            for node in ast.walk(steps):
                number = isinstance(node, ast.Constant) and type(node.value) is int
                size = isinstance(node, ast.Name | ast.Call) and "range" not in self.of(node)
                if isinstance(node, ast.expr) and (number or size) and id(node) not in callees:
                    for by in (1, -1):
                        new = str(ast.literal_eval(node) + by) if number else f"{self.of(node)} {by:+d}"
                        new = re.sub(r" ([-+])1$", r" \1 1", new)
                        reason = "the loop takes a step too many or too few"
                        yield Edit(((*self.text.span(node), new),), reason, 1.5)

    def _starts(self, value: ast.expr) -> Iterator[Edit]:
        """Yield what is added up to, starting at zero."""
        for call in [c for c in ast.walk(value) if isinstance(c, ast.Call)]:
            for pattern, new in STARTS:
                if re.match(pattern, inner := self.of(call), re.S):
                    change = (*self.text.span(call), re.sub(pattern, new, inner, flags=re.S))
                    yield Edit((change,), f"`{inner}` is what is added to: it must start at zero", 1.0)

    def _places(self, parts: ast.Tuple | ast.List) -> Iterator[Edit]:
        for a, b in itertools.combinations(parts.elts[:8], 2):
            one, other = self.of(a), self.of(b)
            if "*" not in one[:1] + other[:1]:
                changes = ((*self.text.span(a), other), (*self.text.span(b), one))
                yield Edit(changes, f"`{one}` and `{other}` stand in each other's place", 1.5)

    def _base(self, node: ast.expr) -> str:
        """Return the name whose array an expression is, or is a part of."""
        while isinstance(node, ast.Subscript):
            node = node.value
        return self.of(node)

    def _uses(self, statement: ast.stmt) -> tuple[set[str], set[str]]:
        """Return what a statement reads and what it changes."""
        reads: set[str] = set()
        writes: set[str] = set()
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
                (reads if isinstance(node.ctx, ast.Load) else writes).add(self._base(node))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                writes.add(self._base(node.func.value))  # a method may change what it is called on
        return reads, writes - {"np", "self"}

    def _between(self, left: ast.expr, right: ast.expr, sign: str) -> Change:
        """Return the change of what stands between two expressions (parentheses stay)."""
        start, end = self.text.span(left)[1], self.text.span(right)[0]
        old = self.text.text[start:end]
        return start, end, sign + old[len(old.rstrip("( \t")) :].lstrip()

    def _alone(self, statement: ast.stmt) -> bool:
        """Say whether a statement has its lines for itself."""
        (start, end), (first, last) = self.text.span(statement), self._lines(statement)
        behind = self.text.text[end:last].strip()
        return not self.text.text[first:start].strip() and (not behind or behind.startswith("#"))

    def _lines(self, statement: ast.stmt) -> tuple[int, int]:
        return self.text.lines(statement.lineno, statement.end_lineno or statement.lineno)

    def _first_line(self, statement: ast.stmt) -> str:
        return self.of(statement).split("\n")[0]

    def _line_of(self, statement: ast.stmt, pad: int | None = None) -> str:
        start, end = self._lines(statement)
        lines = self.text.text[start:end].rstrip("\n")
        if pad is not None:
            lines = re.sub(rf"(?m)^ {{{statement.col_offset}}}", " " * pad, lines)
        return lines + "\n"


def _blocks(node: ast.AST, loop: Loop | None) -> Iterator[tuple[list[ast.stmt], Loop | None]]:
    """Yield the blocks of statements in a function, each with the loop around it."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(node, field, None)
        if isinstance(block, list) and block:
            inner = node if isinstance(node, Loop) else loop
            yield block, inner
            for statement in block:
                if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                    yield from _blocks(statement, inner)
    for handler in getattr(node, "handlers", []):
        yield from _blocks(handler, loop)
