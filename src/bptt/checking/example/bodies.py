"""What leads up to a statement that goes back: where it stands, and where the file calls that in turn."""

import ast
import copy
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from bptt.checking.example.code import Code, shows
from bptt.checking.file import bound

DEPTH = 2  # calls that are followed back
_PRODUCTS = "dot matmul einsum outer tanh exp randn rand normal uniform random".split()  # noqa: SIM905
_BACK = re.compile(r"reversed\(|\[::-1\]|, -1\)")


@dataclass(frozen=True)
class Body:
    """The statements up to one that goes back, of a function or of the file itself."""

    before: list[ast.stmt]
    owner: type | None = None
    local: frozenset[str] = frozenset()
    node: ast.FunctionDef | None = None  # the function's; it may be called by the file itself


def computing(code: Code) -> set[str]:
    """Return the functions and methods of a file that compute."""
    every = {n: f for c in (None, *code.classes.values()) for n, f in code.of(c).items() if shows(n)}
    return {n for n, f in every.items() if any(map(is_product, walked(code.reached(f, None))))}


def bodies(code: Code, name: str, backwards: set[str], *, whole: bool) -> Iterator[Body]:
    """Yield what leads up to a call: where it stands, and from where the file calls that function in turn."""
    every = [Body(code.tree.body)]
    for owner in (None, *code.classes.values()):
        nodes = (code.node(f) for own, f in code.of(owner).items() if own not in backwards)
        for node in filter(None, nodes):
            args = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
            every.append(Body(node.body, owner, frozenset(args.union(*map(bound, node.body))), node))
    forwards = set() if whole else computing(code)

    def leading(one: Body, called: str) -> Body | None:
        before = up_to(one.before, lambda node: has_call(node, {called}), forwards - {called})
        return replace(one, before=before) if before else None

    waiting = [(lead, 0) for one in every if (lead := leading(one, name))]
    while waiting:
        one, depth = waiting.pop(0)
        yield one
        function = one.node if depth < DEPTH else None
        for caller in every if function is not None else ():
            if caller.node is not function and function and (lead := leading(caller, function.name)):
                inner = _inlined(one, lead)
                waiting += [(inner, depth + 1)] if inner else []


def _inlined(inner: Body, caller: Body) -> Body | None:
    """Return what leads up to a call, with the function's body in place of the call."""
    function = inner.node
    assert function is not None
    *lead, last = caller.before
    call = next(n for n in ast.walk(last) if isinstance(n, ast.Call) and is_call(n, function.name))
    args = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    receiver: ast.expr | None = None
    if args[:1] == ["self"]:
        if not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
            return None
        receiver, args = call.func.value, args[1:]
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return None
    given = dict(zip(reversed(args), reversed(function.args.defaults), strict=False))
    given |= dict(zip(args, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    same = {p for p, value in given.items() if isinstance(value, ast.Name) and value.id == p}
    taken = caller.local.union(*map(named, lead)) - same
    new = {name: f"{name}_" for name in inner.local - same if name in taken}
    binds = [ast.Assign([ast.Name(p, ast.Store())], value) for p, value in given.items() if p not in same]
    body = [copy.deepcopy(node) for node in (*binds, *inner.before)]
    for node in body[len(binds) :]:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id == "self" and isinstance(receiver, ast.Name):
                part.id = receiver.id
            elif isinstance(part, ast.Name):
                part.id = new.get(part.id, part.id)
    for node in body[: len(binds)]:
        target = node.targets[0]  # type: ignore[attr-defined]
        target.id = new.get(target.id, target.id)
    local = caller.local | {new.get(n, n) for n in inner.local - same - {"self"}}
    before = [ast.fix_missing_locations(node) for node in (*lead, *body)]
    return Body(before, caller.owner, frozenset(local), caller.node)


def named(node: ast.AST) -> set[str]:
    """Return the names in a statement."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def up_to(body: list[ast.stmt], calls: Callable[[ast.AST], bool], forwards: set[str]) -> list[ast.stmt]:
    """Return the statements of a block up to the one that goes back, without the loops around it.

    A loop that goes back through time stays: none of the `forwards` is called in it.
    """
    for k, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) or not calls(node):
            continue
        blocks = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
        if not any(blocks) or (isinstance(node, ast.For) and _BACK.search(ast.unparse(node.iter))):
            return body[: k + 1]
        inner = next(filter(None, (up_to(block, calls, forwards) for block in blocks)), [])
        trains = not forwards or any(has_call(one, forwards) for one in inner)
        endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant)
        is_loop = isinstance(node, ast.For | ast.While) and inner and not trains and not endless
        if is_loop or not inner:
            return body[: k + 1]
        return body[:k] + ([_first(node)] if isinstance(node, ast.For) else []) + inner
    return []


def _first(loop: ast.For) -> ast.stmt:
    """Return what a loop sets at first."""
    target, value = copy.deepcopy(loop.target), f"next(iter({ast.unparse(loop.iter)}))"
    if re.match(r"x?range\((?![^()]*,)", ast.unparse(loop.iter)):
        value = "0"
    return ast.fix_missing_locations(
        ast.Assign([target], ast.parse(value, mode="eval").body, lineno=loop.lineno)
    )


def has_call(node: ast.AST, names: Iterable[str]) -> bool:
    """Return whether something of one of the names is called in a statement."""
    return any(isinstance(n, ast.Call) and is_call(n, *names) for n in ast.walk(node))


def is_call(call: ast.Call, *names: str) -> bool:
    """Return whether a call is of one of the names."""
    return getattr(call.func, "attr", getattr(call.func, "id", "")) in names


def walked(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield all that is within nodes."""
    return (part for node in nodes for part in ast.walk(node))


def is_product(part: ast.AST) -> bool:
    """Return whether an expression computes as a network does."""
    match part:
        case ast.BinOp(op=ast.MatMult()):
            return True
        case ast.Call(ast.Attribute(_, name) | ast.Name(name)):
            return name in _PRODUCTS
    return False
