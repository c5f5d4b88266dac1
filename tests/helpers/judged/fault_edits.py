"""Edits that make a backward wrong, of any kind, read off its syntax tree: what to put in place of what."""

import ast
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

from judged.fault_source import Function, Sources

LIBRARIES = ("np", "numpy", "torch")
OTHER_AXES = (
    ("axis=0", "axis=1"), ("axis=1", "axis=0"), ("(0)", "(1)"), ("(1)", "(0)"),
    ("(1,", "(0,"), ("(-1,", "(0,"), ("0, 2", "0, 1"),
)  # fmt: skip


class Edit(NamedTuple):
    """One fault to plant: its kind, the bytes it replaces, and with what.

    ``loose`` is an expression that may need parentheses where it is put.
    """

    kind: str
    start: int
    end: int
    new: str
    loose: bool = True


def edits(source: Sources, statements: list[ast.stmt]) -> Iterator[Edit]:
    """Yield every edit of some statements that may be a fault; many crash, and some change nothing."""
    for statement in statements:
        if isinstance(statement, ast.Assert | Function):
            continue
        for rule in STATEMENT_RULES:
            yield from rule(source, statement)
        for node in within(statement):
            for kind, new in (pair for rule in EXPRESSION_RULES for pair in rule(source, node)):
                yield Edit(kind, *source.span(node), new)


def within(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield the expressions of a statement, not those of the statements in its body."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from (node for node in ast.walk(child) if isinstance(node, ast.expr))


Pairs = Iterator[tuple[str, str]]


def transposed(source: Sources, node: ast.expr) -> Pairs:
    match node:
        case ast.Attribute(value=value, attr="T") | ast.Call(func=ast.Attribute(value=value, attr="t")):
            yield "transpose", source.of(value)
        case ast.Name(ctx=ast.Load()) | ast.Subscript(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
            match source.parents[node]:
                case ast.BinOp(op=ast.MatMult()) | ast.Call(func=ast.Attribute(attr="dot" | "outer")):
                    yield "transpose", source.of(node) + ".T"


def named(source: Sources, node: ast.expr) -> Pairs:
    """Another name of the same function and kind; another attribute of the same object."""
    function, parent = next(source.functions(node)), source.parents[node]
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            if isinstance(parent, ast.Call) and parent.func is node:
                return
            if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
                return
            inside = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
            written = {n.id for n in inside if isinstance(n.ctx, ast.Store)}
            kinds = source.kinds.get(function.lineno, {})
            for new in sorted({n.id for n in inside} - {name}):
                if new in kinds and kinds[new] == kinds.get(name):
                    at = (name in written) - (new in written)
                    yield ("another name", "value for gradient", "gradient for value")[at], new
        case ast.Attribute(value=ast.Name(id=base), attr=name, ctx=ast.Load()) if base not in LIBRARIES:
            for n in ast.walk(function):
                match n:
                    case ast.Attribute(value=ast.Name(id=same), attr=new) if (
                        same == base and new != name != "T"
                    ):
                        around = source.parents[n]
                        if not (isinstance(around, ast.Call) and around.func is n):
                            yield "another name", f"{base}.{new}"


def keyed(source: Sources, node: ast.expr) -> Pairs:
    """Another key of the same function: the wrong gate, the wrong cache."""
    match node:
        case ast.Constant(value=str(key)) if isinstance(source.parents[node], ast.Subscript):
            inside = ast.walk(next(source.functions(node)))
            keys = {n.value for n in inside if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            yield from (("wrong gate", repr(new)) for new in sorted(keys - {key}) if "\n" not in new)


def indexed(source: Sources, node: ast.expr) -> Pairs:
    match node:
        case ast.Subscript(value=value, slice=index):
            here, many = source.of(value), isinstance(index, ast.Tuple)
            first = index.elts[0] if isinstance(index, ast.Tuple) else index
            rest = (
                "".join(", " + source.of(e) for e in index.elts[1:]) if isinstance(index, ast.Tuple) else ""
            )
            match first:
                case ast.Name(id=t):
                    yield "cache of another step", f"{here}[{t} - 1{rest}]"
                    yield "cache of another step", f"{here}[{t} + 1{rest}]"
                case ast.BinOp(left=ast.Name(id=t), op=ast.Add() | ast.Sub(), right=ast.Constant(value=1)):
                    yield "index one off", f"{here}[{t}{rest}]"
            slices = list(index.elts) if isinstance(index, ast.Tuple) else [index]
            for k, part in enumerate(slices):
                if isinstance(part, ast.Slice) and (part.lower or part.upper) and part.step is None:
                    lower, upper = (source.of(e) if e else "" for e in (part.lower, part.upper))
                    others = {f"{upper}:{lower}", f"{lower}:", f":{upper}", f":{lower}", f"{upper}:"}
                    for new in sorted(others - {f"{lower}:{upper}", ":"}):
                        parts = [new if n == k else source.of(e) for n, e in enumerate(slices)]
                        yield "slice bounds", f"{here}[{', '.join(parts) if many else new}]"


def summed(source: Sources, node: ast.expr) -> Pairs:
    """Terms and factors: dropped, doubled, with the other sign or order."""
    held, tight = source.held, source.tight
    if source.index(node):
        return
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            minus = isinstance(op, ast.Sub)
            if not isinstance(left, ast.Constant):
                yield "term dropped", source.of(left)
            if not chained(left):
                yield "term dropped", f"-{held(right)}" if minus else source.of(right)
            yield "sign", f"{source.of(left)} {'+' if minus else '-'} {held(right)}"
            yield "term doubled", f"{source.of(left)} {'-' if minus else '+'} 2 * {held(right)}"
            yield "product for sum", f"{held(left)} * {held(right)}"
            if minus:
                yield "operands swapped", f"{source.of(right)} - {held(left)}"
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield "factor dropped", source.of(left)
            if not chained(left):
                yield "factor dropped", source.of(right)
            yield "factor doubled", f"{held(left)} * {held(right)} * {held(right)}"
            yield "factor doubled", f"2 * {held(left)} * {held(right)}"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield "factor dropped", source.of(left)
            yield "product for quotient", f"{held(left)} * {tight(right)}"
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            yield "operands swapped", f"{tight(right)} @ {tight(left)}"
            yield "operand transposed", f"({tight(right)} @ {tight(left)}).T"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "sign", source.of(operand)
        case ast.Call(func=ast.Attribute(attr="dot" | "outer"), args=[first, second], keywords=[]):
            yield "operands swapped", f"{source.of(node.func)}({source.of(second)}, {source.of(first)})"


def chained(left: ast.expr) -> bool:
    """Return whether the left of a sum or product is one itself, whose parts are dropped one by one."""
    return isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add | ast.Sub | ast.Mult)


def derived(source: Sources, node: ast.expr) -> Pairs:
    """Derivatives of activations in the wrong form, or of the wrong value."""
    match node:
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right) if not source.index(node):
            match right:
                case ast.BinOp(left=x, op=ast.Pow() | ast.Mult()) | ast.Call(args=[x]):
                    v = source.tight(x)
                    forms = [
                        f"1 + {v}**2", f"1 - {v}", f"1 - 2 * {v}**2", f"{v} * (1 - {v})", v,
                        f"1 - np.tanh({v}) ** 2", f"1 / (1 - {v} ** 2)", f"(1 - {v}**2) ** 2",
                    ]  # fmt: skip
                case _:
                    v = source.tight(right)
                    forms = [
                        f"1 + {v}", f"1 - {v}**2", f"1 - 2 * {v}", f"1 - 1 / (1 + np.exp(-{v}))",
                        f"{v} - 1", f"(1 - {v}) ** 2", v, "1.0",
                    ]  # fmt: skip
            yield from (("wrong derivative", form) for form in forms)
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            yield "wrong derivative", f"{source.of(left)} < {source.of(right)}"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="tanh"), args=[x]):
            yield "wrong derivative", source.of(x)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="where"), args=[test, yes, no]):
            yield "wrong derivative", f"np.where({source.of(test)}, {source.of(no)}, {source.of(yes)})"


def reduced(source: Sources, node: ast.expr) -> Pairs:
    match node:
        case ast.Call(
            func=ast.Attribute(value=value, attr="sum" | "mean" as what), args=args, keywords=keywords
        ):
            end = source.of(node)[len(source.of(node.func)) :]
            dot = f"{source.tight(value)}."
            yield (
                ("mean for sum", "sum for mean")[what == "mean"],
                f"{dot}{'mean' if what == 'sum' else 'sum'}{end}",
            )
            for old, new in OTHER_AXES if args or keywords else ():
                if old in end:
                    yield "wrong axis", f"{dot}{what}{end.replace(old, new)}"
            numpy = isinstance(value, ast.Name) and value.id in ("np", "numpy")
            yield "sum dropped", source.of(args[0]) if numpy and args else source.of(value)


def started(source: Sources, node: ast.expr) -> Pairs:
    """Where a gradient begins: with ones, or with the parameter; outputs that are no copies."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name() as base, attr="zeros_like"), args=[what]):
            yield "start is not zero", f"{base.id}.ones_like({source.of(what)})"
            yield (
                "seeded with parameters",
                f"{base.id}.array({source.of(what)})" if base.id != "torch" else f"{source.of(what)}.clone()",
            )
        case ast.Call(func=ast.Attribute(attr="zeros"), args=[ast.Attribute(value=what, attr="shape")]):
            yield "seeded with parameters", f"np.array({source.of(what)})"
        case ast.BinOp(left=ast.Constant(value=0), op=ast.Mult(), right=what):
            yield "seeded with parameters", source.of(what)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="copy"), args=[what]):
            yield "aliased", source.of(what)
        case ast.Call(func=ast.Attribute(value=what, attr="copy"), args=[]):
            yield "aliased", source.of(what)
        case ast.IfExp(test=test, body=body):
            counts = isinstance(test, ast.Compare) and isinstance(test.comparators[0], ast.Constant)
            yield "wrapped index" if counts else "one branch only", source.of(body)


def ordered(source: Sources, node: ast.expr) -> Pairs:
    """Time in the other order; two of a tuple exchanged."""
    match node:
        case ast.Call(func=ast.Name(id="reversed"), args=[what]):
            yield "loop order", source.of(what)
        case ast.Subscript(value=what, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp())):
            yield "loop order", source.of(what)
        case ast.Call(func=ast.Name(id="range"), args=[last, _, ast.UnaryOp()]):
            count = source.of(last)
            yield "loop order", f"range({count.removesuffix(' - 1')})"
            yield "step left out", f"range({count}, 0, -1)"
        case ast.Tuple(elts=elts):
            parts = [source.of(e) for e in elts]
            kind = "unpacked in another order" if isinstance(node.ctx, ast.Store) else "values exchanged"
            kind = "returns exchanged" if isinstance(source.parents[node], ast.Return) else kind
            for i, j in combinations(range(len(parts)), 2):
                swapped = list(parts)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                yield kind, ", ".join(swapped)


EXPRESSION_RULES: tuple[Callable[[Sources, ast.expr], Pairs], ...] = (
    transposed, named, keyed, indexed, summed, derived, reduced, started, ordered,
)  # fmt: skip


def lines_of(source: Sources, statement: ast.stmt) -> tuple[int, int] | None:
    """Return the bytes of a statement's lines; None where it shares them."""
    start, end = source.span(statement)
    first = source.starts[statement.lineno - 1]
    last = source.text.find(b"\n", end) + 1 or len(source.text)
    alone = not source.text[first:start].strip() and not source.text[end:last].split(b"#")[0].strip()
    return (first, last) if alone else None


def assigned(source: Sources, statement: ast.stmt) -> Iterator[Edit]:
    match statement:
        case ast.AugAssign(target=target, op=op, value=value):
            name, new, at = source.of(target), source.of(value), source.span(statement)
            sign = {ast.Add: "+", ast.Sub: "-"}.get(type(op))
            if sign:
                yield Edit("= for +=", *at, f"{name} = {new if sign == '+' else '-(' + new + ')'}", False)
                yield Edit("sign", *at, f"{name} {'-' if sign == '+' else '+'}= {new}", False)
            if sign and isinstance(target, ast.Subscript) and isinstance(value, ast.Constant):
                of, index = source.of(target.value), source.of(target.slice)
                yield Edit("integer for one-hot", *at, f"{of} -= {index}", False)
        case ast.Assign(targets=[ast.Name() | ast.Attribute() | ast.Subscript() as target], value=value):
            name, new, at = source.of(target), source.of(value), source.span(statement)
            yield Edit("+= for =", *at, f"{name} += {new}", False)
            if (
                isinstance(value, ast.BinOp)
                and isinstance(value.op, ast.Add)
                and source.of(value.left) == name
            ):
                yield Edit("aliased", *at, f"{name} += {source.of(value.right)}", False)


def placed(source: Sources, statement: ast.stmt) -> Iterator[Edit]:
    """Statements deleted, doubled, moved; resets in the loop."""
    parent, lines = source.parents[statement], lines_of(source, statement)
    if lines is None or isinstance(statement, ast.Return):
        return
    simple = isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.AnnAssign)
    text = source.text[slice(*lines)].decode()
    indent = text[: len(text) - len(text.lstrip())]
    body = next(b for b in (getattr(parent, "body", []), getattr(parent, "orelse", [])) if statement in b)
    after = body[body.index(statement) + 1 :]
    if simple:
        carry = isinstance(parent, ast.For | ast.While) and read_before(statement, body)
        yield Edit(
            "carry not updated" if carry else "deleted",
            *lines,
            "" if len(body) > 1 else f"{indent}pass\n",
            False,
        )
        yield Edit("doubled", *lines, text + text, False)
        for later in after[:1] + after[-1:]:
            if (past := lines_of(source, later)) and not isinstance(later, ast.Return):
                between = source.text[lines[1] : past[1]].decode()
                yield Edit("moved", lines[0], past[1], between + text, False)
        if isinstance(statement, ast.Assign) and after and isinstance(after[0], ast.For | ast.While):
            loop = after[0]
            head = source.text[lines[1] : source.starts[loop.body[0].lineno - 1]].decode()
            deeper = source.text[source.starts[loop.body[0].lineno - 1] :].decode()
            margin = deeper[: len(deeper) - len(deeper.lstrip())]
            end = source.starts[loop.body[0].lineno - 1]
            yield Edit("reset in the loop", lines[0], end, text + head + margin + text.lstrip(), False)
    if isinstance(statement, ast.If) and statement.orelse:
        first, last = lines_of(source, statement.body[0]), lines_of(source, statement.body[-1])
        if first and last:
            kept = source.text[first[0] : last[1]].decode().splitlines(keepends=True)
            margin = " " * statement.body[0].col_offset
            yield Edit("wrapped index", *lines, "".join(indent + k.removeprefix(margin) for k in kept), False)


def read_before(statement: ast.stmt, body: list[ast.stmt]) -> bool:
    """Return whether a loop reads what a statement assigns before the statement does: a carry."""
    stored = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for earlier in body[: body.index(statement) + 1]:
        names = [n for n in ast.walk(earlier) if isinstance(n, ast.Name) and n.id in stored]
        if any(isinstance(n.ctx, ast.Load) for n in names):
            return True
        if names:
            return False
    return False


STATEMENT_RULES: tuple[Callable[[Sources, ast.stmt], Iterator[Edit]], ...] = (assigned, placed)
