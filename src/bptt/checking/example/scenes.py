"""Scenes: where a file itself calls a backward, with what leads up to the call; the rest is left open.

What stands before the call is followed back from it: the calls of the file's own code, and what is made of
their results. What trains, reads data or draws is left out; a name that it would have set is a hole of the
example.
"""

import ast
import builtins
import copy
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bptt.checking.example.code import LOSS, Code, parameters, shows
from bptt.checking.example.roles import size_of
from bptt.checking.example.trial import run
from bptt.checking.file import bound, root

_PRODUCTS = "dot matmul einsum outer tanh exp randn rand normal uniform random".split()  # noqa: SIM905
_BACK = re.compile(r"reversed\(|\[::-1\]|, -1\)")
_FILLED = ("append", "insert", "extend", "update")


@dataclass(frozen=True)
class Scene:
    """A call as the file has it."""

    lines: tuple[str, ...]  # statements, the call last; a name that is open stands as <name>
    open: tuple[str, ...]  # the names that they read and that nothing sets
    objects: dict[str, str] = field(default_factory=dict)  # of names the class of which they are
    owner: type | None = None  # in one of whose methods they stand: self is an object of it
    # of open names the parameter to which each is handed over
    handed: dict[str, str] = field(default_factory=dict)


def scenes(code: Code, name: str, backwards: Iterable[str], *, alone: bool) -> list[Scene]:
    """Return where functions of a file, or the file itself, call one of that name, the shortest first.

    None is among the `backwards`. One that needs nothing before it may be shown `alone`.
    """
    bodies: list[tuple[list[ast.stmt], type | None, set[str]]] = [(code.tree.body, None, set())]
    for owner in (None, *code.classes.values()):
        nodes = (code.node(f) for own, f in code.of(owner).items() if own not in backwards)
        for node in filter(None, nodes):
            local = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
            bodies.append((node.body, owner, local.union(*map(bound, node.body))))
    bodies = [one for one in bodies if any(_calls(node, {name}) for node in one[0])]
    slices = [(_Slice(code, owner, local), body) for body, owner, local in bodies]
    befores = [(one, _before(body, name, set() if alone else one.own)) for one, body in slices]
    found = [scene for one, before in befores if before and (scene := one.of(before, alone=alone))]
    return sorted(found, key=lambda scene: len(scene.open) + len(scene.lines))


def _before(body: list[ast.stmt], name: str, forwards: set[str]) -> list[ast.stmt]:
    """Return the statements of a block up to the one that calls a function, without the loops around it.

    A loop that goes back through time stays: none of the `forwards` is called in it.
    """
    for k, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) or not _calls(node, {name}):
            continue
        blocks = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
        if not any(blocks) or (isinstance(node, ast.For) and _BACK.search(ast.unparse(node.iter))):
            return body[: k + 1]
        inner = next(filter(None, (_before(block, name, forwards) for block in blocks)), [])
        trains = not forwards or any(_calls(one, forwards - {name}) for one in inner)
        endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant)
        is_loop = isinstance(node, ast.For | ast.While) and inner and not trains and not endless
        return body[:k] + ([node] if is_loop else inner)
    return []


def _calls(node: ast.AST, names: Iterable[str]) -> bool:
    called = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(getattr(func, "attr", getattr(func, "id", "")) in names for func in called)


class _Slice:
    """What a call needs of the statements before it."""

    def __init__(self, code: Code, owner: type | None, local: set[str]) -> None:
        self.code, self.owner, self.local = code, owner, local
        top = Counter(n for node in code.tree.body for n in _sets(node))
        changed = {n for n, count in top.items() if count > 1}  # what it is at the call is not known
        self.known = ({n for n in code.names if n[:1] != "_"} | {*dir(builtins)}) - local - changed | {"self"}
        every = {n: f for c in (None, *code.classes.values()) for n, f in code.of(c).items() if shows(n)}
        self.parameters = {n: [p.name for p in parameters(f)] for n, f in every.items()}
        reached = {n: code.reached(f, owner) for n, f in every.items()}
        self.own = {n for n, nodes in reached.items() if any(map(_computes, _parts(nodes)))}
        stored = (part for n in self.own for part in _parts(reached[n]) if isinstance(part, ast.Attribute))
        self.state = {part.attr for part in stored if isinstance(part.ctx, ast.Store)}
        parts = (part for nodes in reached.values() for part in _parts(nodes))
        reads = {part.id for part in parts if isinstance(part, ast.Name)}
        self.unset = reads & (code.script - code.names.keys())  # what functions read, and the script sets

    def of(self, before: list[ast.stmt], *, alone: bool) -> Scene | None:
        *rest, last = before
        if not isinstance(last, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return | ast.For | ast.While):
            return None
        marked, flags = set[str](), list[bool]()
        self.set = self.known | _reads(last)
        for node in rest:
            no = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.While
            flags.append(not isinstance(node, no) and (self._is_made(node) or bool(_reads(node) & marked)))
            marked |= _sets(node) if flags[-1] else set()
            self.set |= _reads(node) if flags[-1] else set()
        simple, ran = list[ast.stmt](), list[ast.stmt]()
        for node in filter(self._is_simple, rest):
            is_own = "self" in _reads(node)
            if is_own or self._runs([*ran, node]):
                simple.append(node)
                ran += [] if is_own else [node]
                self.set |= _sets(node)
        needed, objects = _reads(last) | self.unset, dict[str, str]()
        taken: list[ast.stmt] = [last]
        for node, is_marked in zip(rest[::-1], flags[::-1], strict=True):
            match node:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name(made))) if made in self.code.made:
                    objects.setdefault(name, made)
                    continue
            more = isinstance(node, ast.Expr | ast.Assign | ast.For) and _calls(node, self.own)
            more = is_marked and (more or _is_loss(node))
            sets = needed & _sets(node)
            if more or (sets and is_marked) or (sets and node in simple):
                needed |= _reads(node)
                taken.append(node)
        return self._scene(taken[::-1], objects) if len(taken) > 1 or alone else None

    def _is_made(self, node: ast.stmt) -> bool:
        """Return whether a statement calls what computes, or reads what that has left in an object."""
        states = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in self.state)
        return _calls(node, self.own) or any(isinstance(n.ctx, ast.Load) for n in states)

    def _is_simple(self, node: ast.stmt) -> bool:
        """Return whether a statement gives something that depends on nothing that is open."""
        if _sets(node) <= self.known or not isinstance(node, ast.Assign | ast.For | ast.If):
            return False
        return _reads(node) <= self.set

    def _runs(self, nodes: list[ast.stmt]) -> bool:
        """Return whether statements run: what reads data that are not there does not."""
        error = run("\n".join(map(ast.unparse, nodes)), self.code.names).error
        return error is None or isinstance(error, NameError)  # what is open yet

    def _scene(self, taken: list[ast.stmt], objects: dict[str, str]) -> Scene:
        lines, is_open, set_before, handed = list[str](), dict[str, None](), set[str](), dict[str, str]()
        for node in taken:
            node = copy.deepcopy(node)
            match node:
                case ast.Assign([ast.Name(name)], ast.Constant(int(n))) if n > 5 and size_of(name) == "H":
                    lines.append(f"{name} = «size H»")
                    set_before.add(name)
                    continue
                case ast.Return(value) if value:
                    node = ast.Assign([ast.Name("grads", ast.Store())], value)
                case ast.Expr(ast.Call(func) as value) if LOSS.search(ast.unparse(func)):
                    node = ast.Assign([ast.Name("loss", ast.Store())], value)
            inner = _inner(node)
            for piece in (part for part in ast.walk(node) if isinstance(part, ast.Slice)):
                for side in ("lower", "upper"):  # a batch of the data: all of them
                    value = getattr(piece, side)
                    if value is not None and _reads(value) - self.known - set_before - inner:
                        setattr(piece, side, None)
            for part in ast.walk(node):
                match part:
                    case ast.Call(ast.Name(called) | ast.Attribute(_, called)) if called in self.parameters:
                        pairs = [*zip(self.parameters[called], part.args, strict=False)]
                        pairs += [(one.arg or "", one.value) for one in part.keywords]
                        handed |= {ast.unparse(value): p for p, value in pairs}
                    case ast.AugAssign(ast.Name(name)) if name not in set_before | inner:
                        lines.append(f"{name} = 0.0")
                        set_before.add(name)
                    case ast.Name("self"):
                        part.id = "__self__"
                    case ast.Name(name, ast.Load()) if (
                        name in objects or name not in self.known | set_before | inner
                    ):
                        is_open[name] = None
                        part.id = f"<{name}>"
                    case ast.Name(name) if name in self.local & self.code.names.keys():
                        part.id += "_"
            lines.append(ast.unparse(ast.fix_missing_locations(node)))
            set_before |= _sets(node) - set(objects)
        return Scene(tuple(lines), tuple(is_open), objects, self.owner, handed)


def _parts(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    return (part for node in nodes for part in ast.walk(node))


def _is_loss(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AugAssign) and any(map(LOSS.search, bound(node)))


def _computes(part: ast.AST) -> bool:
    match part:
        case ast.BinOp(op=ast.MatMult()):
            return True
        case ast.Call(ast.Attribute(attr=attr)):
            return attr in _PRODUCTS
    return False


def _reads(node: ast.AST) -> set[str]:
    """Return the names that a statement reads, save those that its loops set."""
    found = set[str]()
    for part in ast.walk(node):
        match part:
            case ast.Name(name, ast.Load()) | ast.AugAssign(ast.Name(name)):
                found.add(name)
    return found - _inner(node)


def _inner(node: ast.AST) -> set[str]:
    loops = (part.target for part in ast.walk(node) if isinstance(part, ast.comprehension | ast.For))
    return {name for target in loops for name in bound(target)}


def _sets(node: ast.AST) -> set[str]:
    """Return the names that a statement sets, fills, or changes a part of."""
    found = set(bound(node))
    for part in ast.walk(node):
        match part:
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                found.add(root(part))
            case ast.Call(ast.Attribute(value, attr)) if attr in _FILLED:
                found.add(root(value))
    return found - {"self"}
