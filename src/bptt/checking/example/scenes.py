"""Scenes: where a file itself goes back, with what leads up to it; the rest is left open.

A file goes back where it calls a backward, or in a loop of its own. What stands before is followed back from there:
the calls of the file's own code, and what is made of their results; and from a function to where the file calls
that, with what it hands over. What trains, reads data or draws is left out; a name that it would have set is a hole
of the example.
"""

import ast
import builtins
import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from bptt.checking.example.code import LOSS, Code, parameters, shows
from bptt.checking.example.roles import size_of, without_d
from bptt.checking.example.trial import run
from bptt.checking.file import bound, root

_PRODUCTS = "dot matmul einsum outer tanh exp randn rand normal uniform random".split()  # noqa: SIM905
_BACK = re.compile(r"reversed\(|\[::-1\]|, -1\)")
_FILLED = ("append", "insert", "extend", "update")
DEPTH = 2  # calls that are followed back
_SMALL = 5  # a size that is no larger stays
_SETTING = (ast.Assign, ast.AugAssign, ast.For, ast.Expr)
_DEFINED = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Scene:
    """A call as the file has it."""

    lines: tuple[str, ...]  # statements, the call last; a name that is open stands as <name>
    open: tuple[str, ...]  # the names that they read and that nothing sets
    objects: dict[str, str] = field(default_factory=dict)  # of names the class of which they are
    owner: type | None = None  # in one of whose methods they stand: self is an object of it
    # of open names the parameter to which each is handed over
    handed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Body:
    """The statements up to one that goes back, of a function or of the file itself."""

    before: list[ast.stmt]
    owner: type | None = None
    local: frozenset[str] = frozenset()
    node: ast.FunctionDef | None = None  # the function's; it may be called by the file itself


def scenes(code: Code, name: str, backwards: Iterable[str], *, alone: bool) -> list[Scene]:
    """Return where functions of a file, or the file itself, call one of that name, the shortest first.

    None is among the `backwards`. One that needs nothing before it may be shown `alone`.
    """

    found = dict[tuple[str, ...], Scene]()
    for body in _bodies(code, name, {*backwards}, whole=alone):
        one = _Slice(code, body)
        for own in (True, False):
            if scene := one.of(own=own, alone=alone):
                found.setdefault(scene.lines, scene)
    return sorted(found.values(), key=lambda scene: len(scene.open) + len(scene.lines))


def inline(code: Code, goes_back: Callable[[ast.AST], bool]) -> list[Scene]:
    """Return where the file itself, in no function, goes back in a loop; the last first, which has all before it."""
    before = _before(code.tree.body, goes_back, set())
    if not before:
        return []
    scene = _Slice(code, _Body(before), is_inline=True).of(own=True, alone=False)
    return [scene] if scene else []


def computing(code: Code) -> set[str]:
    """Return the functions and methods of a file that compute."""
    every = {n: f for c in (None, *code.classes.values()) for n, f in code.of(c).items() if shows(n)}
    return {n for n, f in every.items() if any(map(_computes, _parts(code.reached(f, None))))}


def _bodies(code: Code, name: str, backwards: set[str], *, whole: bool) -> Iterator[_Body]:
    """Yield what leads up to a call: where it stands, and from where the file calls that function in turn."""
    every = [_Body(code.tree.body)]
    for owner in (None, *code.classes.values()):
        nodes = (code.node(f) for own, f in code.of(owner).items() if own not in backwards)
        for node in filter(None, nodes):
            args = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
            every.append(_Body(node.body, owner, frozenset(args.union(*map(bound, node.body))), node))
    forwards = set() if whole else computing(code)

    def leading(one: _Body, called: str) -> _Body | None:
        before = _before(one.before, lambda node: _calls(node, {called}), forwards - {called})
        return replace(one, before=before) if before else None

    waiting = [(lead, 0) for one in every if (lead := leading(one, name))]
    while waiting:
        one, depth = waiting.pop(0)
        yield one
        for caller in every if one.node is not None and depth < DEPTH else ():
            if caller.node is not one.node and (lead := leading(caller, one.node.name)):
                inner = _inlined(one, lead)
                waiting += [(inner, depth + 1)] if inner else []


def _inlined(inner: _Body, caller: _Body) -> _Body | None:
    """Return what leads up to a call with the body of the function in place of the last statement, which calls it."""
    function = inner.node
    assert function is not None
    *lead, last = caller.before
    call = next(n for n in ast.walk(last) if isinstance(n, ast.Call) and _calls_only(n, function.name))
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
    taken = caller.local.union(*map(_names, lead)) - same
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
    return _Body(before, caller.owner, frozenset(local), caller.node)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _before(body: list[ast.stmt], calls: Callable[[ast.AST], bool], forwards: set[str]) -> list[ast.stmt]:
    """Return the statements of a block up to the one that goes back, without the loops around it.

    A loop that goes back through time stays: none of the `forwards` is called in it.
    """
    for k, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) or not calls(node):
            continue
        blocks = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
        if not any(blocks) or (isinstance(node, ast.For) and _BACK.search(ast.unparse(node.iter))):
            return body[: k + 1]
        inner = next(filter(None, (_before(block, calls, forwards) for block in blocks)), [])
        trains = not forwards or any(_calls(one, forwards) for one in inner)
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
    return ast.fix_missing_locations(ast.Assign([target], ast.parse(value, mode="eval").body, lineno=loop.lineno))


def _calls(node: ast.AST, names: Iterable[str]) -> bool:
    return any(isinstance(n, ast.Call) and _calls_only(n, *names) for n in ast.walk(node))


def _calls_only(call: ast.Call, *names: str) -> bool:
    return getattr(call.func, "attr", getattr(call.func, "id", "")) in names


class _Quiet(ast.NodeTransformer):
    """Leaves out what is printed."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        is_print = isinstance(node.value, ast.Call) and _calls_only(node.value, "print")
        return ast.copy_location(ast.Pass(), node) if is_print else node


class _Slice:
    """What a call needs of the statements before it."""

    def __init__(self, code: Code, body: _Body, *, is_inline: bool = False) -> None:
        self.code, self.owner, self.is_inline = code, body.owner, is_inline
        self.before = [_Quiet().visit(copy.deepcopy(node)) for node in body.before]
        local = self.local = {*body.local}
        top = Counter(n for node in code.tree.body if not isinstance(node, _DEFINED) for n in _sets(node))
        changed = {n for n, count in top.items() if count > 1}  # what it is at the call is not known
        self.known = ({n for n in code.names if n[:1] != "_"} | {*dir(builtins), *code.builtins}) - local - changed | {"self"}
        names = {n for node in body.before for n in bound(node)}
        self.weights = {without_d(n) for n in names if without_d(n) != n}
        if is_inline:  # all that it computes is made before it
            self.known -= {n for n in top if not callable(code.names.get(n))}
        every = {n: f for c in (None, *code.classes.values()) for n, f in code.of(c).items() if shows(n)}
        self.parameters = {n: [p.name for p in parameters(f)] for n, f in every.items()}
        self.parameters |= {n: [p.name for p in parameters(c.__init__)] for n, c in code.made.items()}
        reached = {n: code.reached(f, self.owner) for n, f in every.items()}
        self.own = {n for n, nodes in reached.items() if any(map(_computes, _parts(nodes)))}
        stored = (part for n in self.own for part in _parts(reached[n]) if isinstance(part, ast.Attribute))
        self.state = {part.attr for part in stored if isinstance(part.ctx, ast.Store)}
        parts = (part for nodes in reached.values() for part in _parts(nodes))
        reads = {part.id for part in parts if isinstance(part, ast.Name)}
        # what functions read, and the script sets
        self.unset = reads & ({*top} - self.known if is_inline else code.script - code.names.keys())

    def of(self, *, own: bool, alone: bool) -> Scene | None:
        """Return the scene; an object is made as the file makes its `own`, or any way there is."""
        *rest, last = self.before
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
        for node, is_marked in zip(rest, flags, strict=True):
            is_own = "self" in _reads(node)
            if self._is_simple(node) and (is_own or self._runs([*ran, node])):
                simple.append(node)
                ran += [] if is_own else [node]
                self.set |= _sets(node)
            elif not is_marked and isinstance(node, _SETTING):
                self.set -= _sets(node) - self.known  # what it is then is not known
        needed, objects = _reads(last) | self.unset, dict[str, str]()
        taken: list[ast.stmt] = [last]
        for node, is_marked in zip(rest[::-1], flags[::-1], strict=True):
            match node:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name(made))) if made in self.code.made:
                    if own and name in needed:
                        needed |= _reads(node)
                        taken.append(node)
                    elif not own:
                        objects.setdefault(name, made)
                    continue
            sets = needed & _sets(node)
            more = isinstance(node, ast.Expr | ast.Assign | ast.For) and self._changes(node)
            more = more and is_marked and not (_sets(node) and _aside(node) and not sets)
            if more or (sets and is_marked) or (sets and node in simple):
                needed = (needed - _replaced(node)) | _reads(node)
                taken.append(node)
            elif isinstance(node, _SETTING):
                needed -= sets  # it is open
        there = needed.union(self.known, *map(_sets, taken))
        for node, is_marked in zip(rest, flags, strict=True):  # its loss, if it is made of what is there
            if is_marked and node not in taken and _is_loss(node) and not _aside(node) and _reads(node) <= there:
                taken.append(node)
        taken.sort(key=self.before.index, reverse=True)
        return self._scene(taken[::-1], objects) if len(taken) > 1 or alone else None

    def _is_made(self, node: ast.stmt) -> bool:
        """Return whether a statement calls what computes, or reads what that has left in an object."""
        if self.is_inline and any(map(_computes, ast.walk(node))):
            return True
        states = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in self.state)
        return _calls(node, self.own) or any(isinstance(n.ctx, ast.Load) for n in states)

    def _changes(self, node: ast.stmt) -> bool:
        """Return whether a statement calls a method that computes, and may leave something in an object."""
        calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and _calls_only(n, *self.own))
        return any(isinstance(n.func, ast.Attribute) for n in calls)

    def _is_simple(self, node: ast.stmt) -> bool:
        """Return whether a statement gives something that depends on nothing that is open."""
        if _sets(node) <= self.known or not isinstance(node, (*_SETTING, ast.If)):
            return False
        return _reads(node) <= self.set

    def _runs(self, nodes: list[ast.stmt]) -> bool:
        """Return whether statements run: what reads data that are not there does not."""
        error = run("\n".join(map(ast.unparse, nodes)), self.code.names).error
        return error is None or isinstance(error, NameError)  # what is open yet

    def _scene(self, taken: list[ast.stmt], objects: dict[str, str]) -> Scene:
        lines, is_open, set_before, handed = list[str](), dict[str, None](), set[str](), dict[str, str]()
        clash = self.local & self.code.names.keys()
        for node in taken:
            node = copy.deepcopy(node)
            match node:
                case ast.Assign([ast.Name(name)], value):
                    node.value = _sized(value, name)
                    drawn = re.search("random|randn|zeros|init", ast.unparse(value))
                    if self.is_inline and drawn and name in self.weights:  # neither small nor zero
                        new = f"np.random.randn(*np.shape({ast.unparse(value)})) / 2"
                        node.value = ast.parse(new, mode="eval").body
                case ast.Return(value) if value:
                    node = ast.Assign([ast.Name("grads", ast.Store())], value)
                case ast.Expr(ast.Call(func) as value) if LOSS.search(ast.unparse(func)):
                    node = ast.Assign([ast.Name("loss", ast.Store())], value)
            inner, sets = _inner(node) | ({*_names(node)} - _reads(node)), _sets(node)
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
                        if called in self.code.made:
                            names = self.parameters[called]
                            part.args = [*map(_sized, part.args, names), *part.args[len(names) :]]
                            for one in part.keywords:
                                one.value = _sized(one.value, one.arg or "")
                    case ast.AugAssign(ast.Name(name)) if name not in set_before | inner:
                        lines.append(f"{name}{'_' * (name in clash)} = 0.0")
                        set_before.add(name)
                    case ast.Name("self"):
                        part.id = "__self__"
                    case ast.Name(name, ast.Load()) if name[0] != "«" and (
                        name in objects or name not in self.known | set_before | inner
                    ):
                        is_open[name] = None
                        part.id = f"<{name}>"
                    case ast.Name(name) if name in clash:
                        part.id += "_"
            lines.append(ast.unparse(ast.fix_missing_locations(node)))
            set_before |= sets - set(objects)
        return Scene(tuple(lines), tuple(is_open), objects, self.owner, handed)


def _sized(value: ast.expr, name: str) -> ast.expr:
    """Return a number that is a size by its name as one that is small."""
    match value:
        case ast.Constant(int(n)) if n > _SMALL and size_of(name):
            return ast.Name(f"«size {size_of(name)}»", ast.Load())
    return value


def _parts(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    return (part for node in nodes for part in ast.walk(node))


def _replaced(node: ast.stmt) -> set[str]:
    """Return the names that a statement sets whatever they were."""
    if not isinstance(node, ast.Assign) or isinstance(node.value, ast.Call) and not node.value.args:
        return set()
    return {n for target in node.targets for n in bound(target)} - _reads(node)


def _aside(node: ast.stmt) -> bool:
    """Return whether a statement measures on data that are not trained on."""
    return any(re.search(r"(?i)(?:^|_)(?:val|valid\w*|dev|test\w*)(?:_|$)", n) for n in _names(node))


def _is_loss(node: ast.stmt) -> bool:
    is_made = isinstance(node, ast.Assign | ast.AugAssign) and not isinstance(node.value, ast.Name)
    return is_made and any(map(LOSS.search, bound(node)))


def _computes(part: ast.AST) -> bool:
    match part:
        case ast.BinOp(op=ast.MatMult()):
            return True
        case ast.Call(ast.Attribute(_, name) | ast.Name(name)):
            return name in _PRODUCTS
    return False


def _reads(node: ast.AST) -> set[str]:
    """Return the names that a statement reads before it sets them, save those that its loops set."""
    if isinstance(node, ast.For | ast.While | ast.If | ast.With):
        found = set[str]().union(*(_reads(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)))
        found |= {*found}.union(*(_reads(item.context_expr) for item in getattr(node, "items", ())))
        for block in (node.body, getattr(node, "orelse", [])):
            there = set[str]()
            for one in block:
                found |= _reads(one) - there
                there |= _surely([one])
        return found - _inner(node)
    found = set[str]()
    for part in ast.walk(node):
        match part:
            case ast.Name(name, ast.Load()) | ast.AugAssign(ast.Name(name)):
                found.add(name)
    return found - _inner(node)


def _surely(block: Iterable[ast.stmt]) -> set[str]:
    """Return the names that statements set whichever way they go."""
    found = set[str]()
    for one in block:
        found |= _surely(one.body) & _surely(one.orelse) if isinstance(one, ast.If) else {*bound(one)}
    return found


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
