"""What a file has that can be shown: forwards, their backwards, and the functions that are both, by class."""

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bptt.checking.example.code import LOSS, NEVER, Code, is_closure, parameters
from bptt.checking.example.roles import without_d
from bptt.checking.example.scenes import Scene, inline, scenes

_BACK = re.compile(
    r"back|bptt|bprop|(?<!set_)grads?(?!_?(?:check|clip|num|norm|desc))|rewind|vjp|pullback|adjoint|bwd|"
    r"reverse|y_list_is|(?<!top_)diff_is",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"loss|train|step|fit|optimi[sz]e|learn|update|sgd|bptt|both|fb|forward_?back", re.IGNORECASE
)
TOP = "the top level"
TRAINS = re.compile(rf"{_BACK.pattern}|train|fit|optimi[sz]e|learn|update|sgd|loss_?f", re.IGNORECASE)
"""What the names of calls have in a loop that trains."""

_FORWARD = re.compile(
    r"f(?:or|ro)w(?:ar)?d|fwd|fprop|feed|fw|propagat|call|step|run|pass|predict|comput|cell|rnn|lstm|gru|unroll|"
    r"encode|model|network|x_list_add|activat|process",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Piece:
    """What one example shows."""

    owner: type | None  # the class whose methods they are
    calls: tuple[str, ...]  # the functions, as they are called one after the other; the last goes back
    weight: float = 0.0
    scene: Scene | None = None  # where the file itself calls the last

    @property
    def names(self) -> tuple[str, ...]:
        """The names, as a person would say them."""
        return tuple(f"{self.owner.__name__}.{name}" if self.owner else name for name in self.calls)


def pieces(code: Code) -> list[Piece]:
    """Return what can be shown, the most telling first: what goes through time before what does not.

    Each backward comes with the forwards that it may belong to, one piece for each.
    """
    found = [piece for owner in (*code.classes.values(), None) for piece in _of(code, owner)]
    found += [Piece(None, (TOP,), 1.5, scene) for scene in inline(code, goes_back)]
    return sorted(found, key=lambda piece: -piece.weight)


def _of(code: Code, owner: type | None) -> Iterator[Piece]:
    functions = {n: f for n, f in code.of(owner).items() if not NEVER.search(n)}
    handed = {n for n, f in functions.items() if any(_is_gradient(p.name) for p in parameters(f))}
    own = {n: f for n, f in functions.items() if code.is_own(f)}
    backs = {n: w for n, f in own.items() if (node := code.node(f)) and (w := _backwardness(node))}
    forwards = [n for n in functions if n not in {*backs, *handed} and (_FORWARD.search(n) or owner)]
    forwards = [n for n in forwards if owner or n in own] or forwards
    called = {n: {node.name for node in code.reached(functions[n], owner)} for n in functions}
    forwards = [n for n in forwards if not called[n] & {*backs}] or forwards  # what trains is none
    losses = {n for n in forwards if owner and LOSS.search(n) and "forward" not in n}
    forwards = [n for n in forwards if n not in losses and (n != "predict" or len(forwards) == 1)]
    for name, much in backs.items():
        weight = max(much, *(0.3 + w for n, w in backs.items() if n != name and n in called[name]), 0)
        trains = re.search("(?i)train|fit|sgd|optimi[sz]e|learn", name)  # it has a forward of its own
        weight += 2 * code.loops(functions[name], owner) + (0.5 if owner else 0) - bool(trains)
        inside = bool(called[name] & set(forwards))
        taken = {p.name for p in parameters(functions[name])}
        alone = not forwards or (_WHOLE.search(name) and not re.fullmatch(r"back\w*", name))
        alone = alone and not any(taken & {*code.returned(functions[n])} for n in forwards)
        whole = bool(inside or (alone and name not in handed))
        shown = scenes(code, name, {n for n, w in backs.items() if w >= 1}, alone=whole)
        yield from (Piece(owner, (name,), weight + 0.4 - 0.05 * k, one) for k, one in enumerate(shown[:3]))
        if whole:
            yield Piece(owner, (name,), weight + 0.2)
        likely = sorted(forwards, key=lambda n: -_alike(code, n, name, functions, owner))
        for k, forward in enumerate(() if trains and name not in handed else likely[:3]):
            yield Piece(owner, (forward, name), weight + 0.1 - 0.3 * k)
    for name in own:  # a step of training that calls these, or what is elsewhere
        if name not in (*backs, *handed) and _WHOLE.search(name):
            much = max((w for n, w in backs.items() if n in called[name]), default=0)
            if much or (owner and not backs):
                yield Piece(owner, (name,), much + 2.3 if much else 0.1)


def _is_gradient(name: str) -> bool:
    return "grad" in name or (
        without_d(name) != name
        and not name.startswith(("data", "dim", "dropout", "dt", "dict", "depth", "decay"))
    )


def backwards(tree: ast.Module) -> Iterator[tuple[str, list[int]]]:
    r"""Yield the functions of a file that take gradients back: a name, and the lines of its loop, or all.

    Examples
    --------
    >>> text = "class Net:\n def back(self, dys):\n  for dy in dys:\n   dh = dy\n   self.dW += dh"
    >>> list(backwards(ast.parse(text)))
    [('Net.back', [4, 5])]
    """
    owners: list[ast.Module | ast.ClassDef] = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]
    for owner in owners:
        for node in owner.body:
            if not isinstance(node, ast.FunctionDef) or NEVER.search(node.name) or _backwardness(node) < 1:
                continue
            name = f"{owner.name}.{node.name}" if isinstance(owner, ast.ClassDef) else node.name
            loops = [n for n in ast.walk(node) if isinstance(n, (ast.For, ast.While))]
            body = next((n.body for n in loops if len(_gradients(n.body)) > 1), node.body)
            if len(_gradients(body)) > 1:
                yield name, sorted({n.lineno for s in body for n in ast.walk(s) if isinstance(n, ast.stmt)})


def goes_back(node: ast.AST) -> bool:
    r"""Return whether a statement is a loop that takes gradients back, and adds to some.

    Examples
    --------
    >>> goes_back(ast.parse("for x in xs:\n dh = x\n dW += dh\n db += dh\n dU += dh").body[0])
    True
    """
    if not isinstance(node, ast.For | ast.While):
        return any(map(goes_back, ast.iter_child_nodes(node)))
    added = {ast.unparse(n.target) for n in ast.walk(node) if isinstance(n, ast.AugAssign)}
    return len(_gradients(node.body)) > 3 and len({*filter(_is_gradient, added)}) > 1


def equations(tree: ast.Module) -> list[str]:
    r"""Return the cells of a file that are equations: functions under ``@bptt.cell``.

    Examples
    --------
    >>> equations(ast.parse("@bptt.cell(state='h')\ndef gru(x, h): return h"))
    ['gru']
    """
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    is_cell = re.compile(r"(?:bptt\.)?cell(?:\(|$)")
    return [n.name for n in found if any(is_cell.match(ast.unparse(d)) for d in n.decorator_list)]


def sibling(tree: ast.Module, name: str) -> str:
    r"""Return another function beside one, or method of its class, that takes all that it takes; or nothing.

    Examples
    --------
    >>> sibling(ast.parse("def back(x, dy): pass\ndef bptt(x, dy, steps): pass"), "back")
    'bptt'
    """
    *owner, last = name.split(".")
    body = next((n.body for n in tree.body if isinstance(n, ast.ClassDef) and [n.name] == owner), tree.body)
    taken = {n.name: {a.arg for a in n.args.args} for n in body if isinstance(n, ast.FunctionDef)}
    mine = taken.get(last, set())
    return next((n for n, its in taken.items() if n != last and mine <= its and len(mine) > 1), "")


def _backwardness(node: ast.FunctionDef) -> float:
    if node.name.startswith("__"):
        return 0
    if is_closure(node):
        return 1.5  # a result, and what takes its gradient back
    count = len(_gradients(node.body))
    if _BACK.search(node.name) or (re.search("loss", node.name, re.IGNORECASE) and count > 2):
        return 1 + min(count, 6) / 6
    return 0.5 if count > 3 + 3 * bool(_FORWARD.fullmatch(node.name)) else 0


def _gradients(body: Iterable[ast.stmt]) -> set[str]:
    """Return the names of gradients that statements give."""
    found = set()
    for n in (n for statement in body for n in ast.walk(statement)):
        match n:
            case ast.Name(name, ast.Store()) | ast.Attribute(_, name, ast.Store()):
                found.add(name)
            case ast.Subscript(ast.Name(name) | ast.Attribute(_, name), _, ast.Store()):
                found.add(name)
    return set(filter(_is_gradient, found))


def _alike(code: Code, forward: str, backward: str, functions: dict[str, Any], owner: type | None) -> float:
    """Return how well two names, and what the functions are, go together."""
    affixes = r"f(?:or|ro)?ward|back(?:ward)?|prop\w*|pass|fwd|bwd|bptt"
    stems = [re.sub(affixes, "", n.lower()).strip("_") for n in (forward, backward)]
    likeness = difflib.SequenceMatcher(None, stems[0], stems[1]).ratio() if any(stems) else 1.0
    both = code.loops(functions[forward], owner) == code.loops(functions[backward], owner)
    near = list(functions)
    distance = abs(near.index(forward) - near.index(backward)) / 50
    return 2 * likeness + both + bool(re.search(r"f(?:or|ro)w(?:ar)?d|fwd|fprop", forward.lower())) - distance
