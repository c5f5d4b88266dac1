"""Scenes: where a file itself goes back, with what leads up to it; the rest is left open.

A file goes back where it calls a backward, or in a loop of its own. What stands before is followed back from
there: the calls of the file's own code, and what is made of their results; and from a function to where the
file calls that, with what it hands over. What trains, reads data or draws is left out; a name that it would
have set is a hole of the example.
"""

import ast
import builtins
import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bptt.checking.example.bodies import Body, bodies, has_call, is_call, is_product, named, up_to, walked
from bptt.checking.example.code import LOSS, Code, parameters, shows
from bptt.checking.example.roles import is_cotangent, size_of, without_d
from bptt.checking.example.trial import run
from bptt.checking.file import bound, root

_FILLED = ("append", "insert", "extend", "update")
_SMALL, _LARGE = 5, 12  # a size that is no larger stays; one that is larger is that size wherever it stands
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


def scenes(code: Code, name: str, backwards: Iterable[str], *, alone: bool) -> list[Scene]:
    """Return where functions of a file, or the file itself, call one of that name, the shortest first.

    None is among the `backwards`. One that needs nothing before it may be shown `alone`.
    """
    found = dict[tuple[str, ...], Scene]()
    for body in bodies(code, name, {*backwards}, whole=alone):
        one = _Slice(code, body)
        for own in (True, False):
            if scene := one.of(own=own, alone=alone):
                found.setdefault(scene.lines, scene)
    return sorted(found.values(), key=lambda scene: len(scene.open) + len(scene.lines))


def inline(code: Code, goes_back: Callable[[ast.AST], bool]) -> list[Scene]:
    """Return where the file itself, in no function, goes back in a loop."""
    before = up_to(code.tree.body, goes_back, set())
    if not before:
        return []
    scene = _Slice(code, Body(before), is_inline=True).of(own=True, alone=False)
    return [scene] if scene else []


class _Quiet(ast.NodeTransformer):
    """Leaves out what is printed."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        is_print = isinstance(node.value, ast.Call) and is_call(node.value, "print")
        return ast.copy_location(ast.Pass(), node) if is_print else node


class _Slice:
    """What a call needs of the statements before it."""

    def __init__(self, code: Code, body: Body, *, is_inline: bool = False) -> None:
        self.code, self.owner, self.is_inline = code, body.owner, is_inline
        self.before = [_Quiet().visit(copy.deepcopy(node)) for node in body.before]
        local = self.local = {*body.local}
        top = Counter(n for node in code.tree.body if not isinstance(node, _DEFINED) for n in _sets(node))
        changed = {n for n, count in top.items() if count > 1}  # what it is at the call is not known
        self.known = (
            {n for n in code.names if n[:1] != "_"} | {*dir(builtins), *code.builtins}
        ) - local - changed | {"self"}
        names = {n for node in body.before for n in bound(node)}
        self.weights = {without_d(n) for n in names if without_d(n) != n}
        if is_inline:  # all that it computes is made before it
            self.known -= {n for n in top if not callable(code.names.get(n))}
        every = {n: f for c in (None, *code.classes.values()) for n, f in code.of(c).items() if shows(n)}
        functions = [pair for c in (None, *code.classes.values()) for pair in code.of(c).items()]
        self.parameters = {n: [p.name for p in parameters(f)] for n, f in functions}
        self.parameters |= {n: [p.name for p in parameters(c)] for n, c in code.made.items()}
        reached = {n: code.reached(f, self.owner) for n, f in every.items()}
        self.own = {n for n, nodes in reached.items() if any(map(is_product, walked(nodes)))}
        stored = (part for n in self.own for part in walked(reached[n]) if isinstance(part, ast.Attribute))
        self.state = {part.attr for part in stored if isinstance(part.ctx, ast.Store)}
        nodes = {one for some in reached.values() for one in some}
        reads = set[str]().union(*(named(one) - {*map(_stored, ast.walk(one))} for one in nodes))
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
            if (
                (is_marked or node in simple)
                and node not in taken
                and _is_loss(node)
                and not _aside(node)
                and _reads(node) <= there
            ):
                taken.append(node)
        taken.sort(key=self.before.index, reverse=True)
        return self._scene(taken[::-1], objects) if len(taken) > 1 or alone else None

    def _is_made(self, node: ast.stmt) -> bool:
        """Return whether a statement calls what computes, or reads what that has left in an object."""
        if self.is_inline and any(map(is_product, ast.walk(node))):
            return True
        states = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in self.state)
        return has_call(node, self.own) or any(isinstance(n.ctx, ast.Load) for n in states)

    def _changes(self, node: ast.stmt) -> bool:
        """Return whether a statement calls a method that computes, and may leave something in an object."""
        calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and is_call(n, *self.own))
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

    def _sized(self, value: ast.expr, name: str) -> ast.expr:
        """Return a number that is a size by its name as one that is small."""
        match value:
            case ast.Constant(int(n)) if n > _SMALL and (symbol := size_of(name)):
                self.small |= {n: symbol} if n > _LARGE else {}
                return ast.Name(f"«size {symbol}»", ast.Load())
        return value

    def _scene(self, taken: list[ast.stmt], objects: dict[str, str]) -> Scene:
        lines, is_open, set_before, handed = list[str](), dict[str, None](), set[str](), dict[str, str]()
        clash = self.local & self.code.names.keys()
        self.small: dict[int, str] = {}  # numbers that were sizes
        for node in taken:
            node = copy.deepcopy(node)
            match node:
                case ast.Assign([ast.Tuple(targets)], ast.Tuple(values) as pair):
                    pair.elts = [*map(self._sized, values, (getattr(one, "id", "") for one in targets))]
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name(called), args)) if (
                    is_cotangent(name)
                    and called not in self.known | set_before  # what gives it is nowhere
                    and (made := [ast.unparse(a) for a in args if _reads(a) <= set_before])
                ):
                    new = f"np.random.randn(*np.shape({made[-1]}))"
                    node.value = ast.parse(new, mode="eval").body
                case ast.Assign([ast.Name(name)], value):
                    node.value = self._sized(value, name)
                    drawn = re.search("random|randn|zeros|init", ast.unparse(value))
                    if self.is_inline and drawn and name in self.weights:  # neither small nor zero
                        new = f"np.random.randn(*np.shape({ast.unparse(value)})) / 2"
                        node.value = ast.parse(new, mode="eval").body
                case ast.Return(value) if value:
                    node = ast.Assign([ast.Name("grads", ast.Store())], value)
                case ast.Expr(ast.Call(func) as value) if LOSS.search(ast.unparse(func)):
                    node = ast.Assign([ast.Name("loss", ast.Store())], value)
            inner, sets = _inner(node) | ({*named(node)} - _reads(node)), _sets(node)
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
                        names = self.parameters[called]
                        part.args = [*map(self._sized, part.args, names), *part.args[len(names) :]]
                        for one in part.keywords:
                            one.value = self._sized(one.value, one.arg or "")
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
        for number, symbol in self.small.items():  # what was that number elsewhere is that size
            there = re.compile(rf"(?<![\w.«'\"]){number}(?![\w.»'\"])")
            lines = [there.sub(f"«size {symbol}»", line) for line in lines]
        return Scene(tuple(lines), tuple(is_open), objects, self.owner, handed)


def _stored(part: ast.AST) -> str:
    """Return the name that a part of a function makes its own."""
    match part:
        case ast.Name(name, ast.Store()) | ast.arg(name):
            return name
    return ""


def _replaced(node: ast.stmt) -> set[str]:
    """Return the names that a statement sets whatever they were."""
    if not isinstance(node, ast.Assign):
        return set()
    return {n for target in node.targets for n in bound(target)} - _reads(node)


def _aside(node: ast.stmt) -> bool:
    """Return whether a statement measures on data that are not trained on."""
    return any(re.search(r"(?i)(?:^|_)(?:val|valid\w*|dev|test\w*)(?:_|$)", n) for n in named(node))


def _is_loss(node: ast.stmt) -> bool:
    is_made = isinstance(node, ast.Assign | ast.AugAssign) and not isinstance(node.value, ast.Name)
    return is_made and any(map(LOSS.search, bound(node)))


def _reads(node: ast.AST) -> set[str]:
    """Return the names that a statement reads before it sets them, save those that its loops set."""
    if isinstance(node, ast.For | ast.While | ast.If | ast.With):
        heads = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr | ast.withitem)]
        found = set[str]().union(*map(_reads, heads))
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
