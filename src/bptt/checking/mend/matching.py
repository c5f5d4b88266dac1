"""Which expressions give what a place must give, at all of its times: nothing is run again for it."""

import ast
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np

from bptt.checking.mend.edit import Edit, Place, compiled, evaluate
from bptt.checking.mend.expressions import Option, holes, instead, joining, options
from bptt.checking.mend.scope import Names, Scope, array, copied, spread
from bptt.checking.mend.terms import Sums
from bptt.checking.taps.values import entries, flat, shape
from bptt.types import Array

HOLE = "hole_"

LINEAR = 64  # entries of a part for which it is found out what they must be

PLAIN = ast.Name | ast.Attribute | ast.Subscript


@dataclass(frozen=True)
class Instance:
    """One time of a place: the names as they are then, what it must give, and in which shape."""

    names: Names
    wanted: Array
    shape: tuple[int, ...]

    def met(self, value: Any) -> bool:
        """Say whether a value is what is wanted (what is added may be broadcast)."""
        numbers = flat(value)
        if numbers is None:
            return False
        if numbers.size != self.wanted.size:
            try:
                numbers = np.broadcast_to(np.asarray(value, float), self.shape).reshape(-1)
            except (ValueError, TypeError):
                return False
        slack = 2e-6 * float(np.abs(self.wanted).max()) + 1e-9
        return numbers.size == self.wanted.size and bool((np.abs(numbers - self.wanted) <= slack).all())


class Matching:
    """The edits of one expression after which it gives what it must."""

    def __init__(self, place: Place, times: Sequence[Instance], seconds: float = 3.0) -> None:
        place, times = _element(place, times)
        self.place, self.text, self.seconds = place, place.text, seconds
        # the most telling time is looked at first: neither the first nor the last step, and nothing zero
        middle = len(times) / 2
        order = sorted(range(len(times)), key=lambda k: (not times[k].wanted.any(), abs(k - middle)))
        self.times = [times[k] for k in order]
        self.main = self.times[0]
        self.names, self.pure = dict(self.main.names), self._leaves_alone(self.main.names)
        self.scope = Scope(self.text, place.function, self.main.names, pure=self.pure)

    @np.errstate(all="ignore")
    def edits(self) -> list[Edit]:
        """Return the edits that give what is wanted at all times, the simplest first."""
        found: dict[str, Edit] = {}
        for nodes, option in itertools.chain(self._small(), self._solved()):
            if (edit := self._written(nodes, option)) is not None:
                said = edit.applied(self.text.text)
                found[said] = min(edit, found.get(said, edit), key=lambda e: e.cost)
        return sorted(found.values(), key=lambda e: (round(e.cost, 2), len(e.applied(self.text.text))))

    @np.errstate(all="ignore")
    def blind(self, most: float) -> list[list[Edit]]:
        """Return the small edits up to a cost that give something else, whatever that is.

        Each with fewer parentheses first, and last with as many as it may need.
        """
        value = self._filled(compiled(self.place.edited(Edit((), "", 0.0))), None)
        now, found = _bytes(value), dict[bytes, list[list[Edit]]]()
        for node, parent, bound in holes(self.place.value):
            code, said = self._with_hole(node), self.text.of(node)
            here, plain = array(self.scope.value(said)), isinstance(node, PLAIN) and not bound
            others = instead(node, said, self.scope) if plain and here is not None else ()
            like = [one for one in others if here is not None and one.value.shape == here.shape]
            alike = [joining(said, one.text, "", one.cost + 0.3, self.scope) for one in like]
            for option in itertools.chain(options(node, parent, self.text, self.scope), alike):
                edits = [self._edit([node], text, option) for text in dict.fromkeys(option.texts)]
                if option.cost > most or _vanishes(edited := self.place.edited(edits[-1])):
                    continue
                value = None if bound else self._filled(code, self.scope.value(option.texts[-1]))
                key = edited.encode() if bound else _bytes(value)
                if key not in (now, b""):
                    found.setdefault(key, []).append(edits)
        return [one for some in found.values() for one in sorted(some, key=lambda edits: edits[0].cost)[:2]]

    def _small(self) -> Iterator[tuple[list[ast.expr], Option]]:
        until = time.process_time() + self.seconds
        for nodes, parent, bound in self._holes():
            node = nodes[0]
            code, now = self._with_hole(*nodes), self.text.of(node)
            for option in options(node, parent, self.text, self.scope):
                if time.process_time() > until:
                    return
                value = None if bound else self.scope.value(option.texts[-1])
                if bound or (value is not None and self.main.met(self._filled(code, value))):
                    yield nodes, option  # names of a comprehension have values in it alone
            if bound or (isinstance(parent, ast.Subscript) and node is parent.slice):
                continue
            for part in instead(node, now, self.scope):
                if time.process_time() > until:
                    return
                if self.main.met(self._filled(code, part.value)):
                    yield nodes, joining(now, part.text, "", part.cost, self.scope)
            here = array(self.scope.value(now))
            like = spread(self.scope.arrays, here.shape)[:40] if here is not None and here.ndim else []
            like += [p for p in self.scope.arrays if here is not None and _widens(p.value, here)][:40]
            for part in like:
                if part.text != now and self.main.met(self._filled(code, here * part.value)):
                    yield nodes, joining(now, part.text, "*", part.cost, self.scope)

    def _solved(self) -> Iterator[tuple[list[ast.expr], Option]]:
        """Yield what may stand in the place of the whole, or of a part that it is linear in.

        What such a part must be is known: it, and sums of products of what is in scope are looked for.
        """
        found = Sums(self.scope, self.place.forward)
        for node, parent, bound in holes(self.place.value):
            whole = node is self.place.value
            if bound or isinstance(node, ast.Constant) or (isinstance(parent, ast.Subscript) and not whole):
                continue
            now = self.text.of(node)
            here = array(self.scope.value(now))
            if whole:
                wanted = self.main.wanted.reshape(self.main.shape)
                try:
                    here = np.broadcast_to(np.asarray(here, float), self.main.shape)
                except (ValueError, TypeError):
                    here = np.zeros(self.main.shape)
            elif here is None or (needed := self._needed(self._with_hole(node), here)) is None:
                continue
            else:
                wanted = needed
            for text, sign, cost in found.find(wanted, here, now, self.seconds * whole):
                yield [node], joining(now, text, sign, cost + 0.3 * (not whole), self.scope)

    def _needed(self, code: CodeType, here: Array) -> Array | None:
        if here.size == 1 < self.main.wanted.size:
            return None
        return solved(lambda part: self._filled(code, part), here, self.main)

    def _holes(self) -> Iterator[tuple[list[ast.expr], ast.AST | None, bool]]:
        """Yield what may be replaced: each expression, and what is said more than once, all at once."""
        said: dict[str, list[ast.expr]] = {}
        for node, parent, bound in holes(self.place.value):
            yield [node], parent, bound
            if isinstance(node, ast.Subscript | ast.Attribute | ast.Name):
                said.setdefault(self.text.of(node), []).append(node)
        yield from ((nodes, None, False) for nodes in said.values() if len(nodes) > 1)

    def _edit(self, nodes: Sequence[ast.expr], text: str, option: Option) -> Edit:
        more = 0.3 * (len(nodes) > 1)
        return Edit(tuple((*self.text.span(n), text) for n in nodes), option.reason, option.cost + more)

    def _with_hole(self, *nodes: ast.expr) -> CodeType:
        changes = tuple((*self.text.span(node), f"({HOLE})") for node in nodes)
        return compiled(self.place.edited(Edit(changes, "", 0.0)))

    def _filled(self, code: CodeType, value: Any) -> Any:
        self.names[HOLE] = value
        try:
            return eval(code, self.names if self.pure else copied(self.names))
        except Exception:
            return None

    def _written(self, nodes: Sequence[ast.expr], option: Option) -> Edit | None:
        """Return an option as an edit with as few parentheses as have the right values, or None."""
        (low, high), (start, end) = self.text.span(self.place.value), self.text.span(nodes[0])
        closed = low < start and end < high and self.text.text[start - 1] + self.text.text[end] == "()"
        for text, is_bare in itertools.product(option.texts, (True, False) if closed else (False,)):
            edit = self._edit(nodes, text, option)
            if is_bare and len(nodes) == 1:
                edit = replace(edit, changes=((start - 1, end + 1, text),))
            try:
                if _vanishes(self.place.edited(edit)):
                    continue
                value = evaluate(edit, self.place, self.names if self.pure else copied(self.names))
                if self.main.met(value) and all(
                    one.met(evaluate(edit, self.place, copied(one.names))) for one in self.times[1:]
                ):
                    same = shape(value) == self.main.shape
                    return edit if same else replace(edit, cost=edit.cost + 0.6)
            except Exception:
                continue
        return None

    def _leaves_alone(self, names: Names) -> bool:
        """Say whether evaluating the place changes nothing that it is given."""
        trial = copied(names)
        try:
            evaluate(Edit((), "", 0.0), self.place, trial)
        except Exception:
            return False
        own = [n for n in names if not n.startswith("__")]
        before, after = (entries([some[n] for n in own]) for some in (names, trial))
        return before is None or (after is not None and np.array_equal(before, after))


def _element(place: Place, times: Sequence[Instance]) -> tuple[Place, Sequence[Instance]]:
    """Return a comprehension's element and its times in the place of the list; all else as it is."""
    while isinstance(made := place.value, ast.ListComp):
        names = {n.id for g in made.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        bound = ast.Dict([ast.Constant(n) for n in names], [ast.Name(n) for n in names])
        code, inner = compiled(ast.unparse(ast.ListComp(bound, made.generators))), list[Instance]()
        try:
            for one in times:
                every = eval(code, copied(one.names))
                parts = one.wanted.reshape(len(every), -1)
                inner += [
                    Instance({**one.names, **own}, part, one.shape[1:])
                    for own, part in zip(every, parts, strict=True)
                ]
        except Exception:  # the lists may differ in length
            break
        place, times = replace(place, value=made.elt), inner
    return place, times


def _widens(value: Array, here: Array) -> bool:
    """Return whether one array is spread over another that has its axes, of which some are longer."""
    if here.ndim != value.ndim or here.shape == value.shape:
        return False
    return all(n in (1, m) for n, m in zip(here.shape, value.shape, strict=True))


def solved(filled: Callable[[Array], Any], here: Array, one: Instance) -> Array | None:
    """Return what a part must be for the whole to be what is wanted; None: it is not linear in it.

    `here` is what the part is, `filled` gives the whole with another.
    """

    def given(part: Array) -> Array:
        return np.broadcast_to(np.asarray(filled(part), float), one.shape).reshape(-1)

    probe = np.random.default_rng(0).normal(size=here.shape)
    try:
        base = given(np.zeros(here.shape))
        then, rest = given(probe) - base, one.wanted - base
        if here.shape == one.shape:  # most are: each entry by itself
            slope = given(np.ones(here.shape)) - base
            if np.abs(slope).min() > 1e-9 and np.allclose(then, slope * probe.reshape(-1)):
                alone: Array = (rest / slope).reshape(here.shape)
                return alone
        if here.size > LINEAR:
            return None
        columns = np.stack([given(e.reshape(here.shape)) - base for e in np.eye(here.size)], axis=1)
        if not np.allclose(then, columns @ probe.reshape(-1)):
            return None
        found, _, rank, _ = np.linalg.lstsq(columns, rest, rcond=None)
    except (ValueError, TypeError, np.linalg.LinAlgError):
        return None
    is_one = rank == here.size and np.allclose(columns @ found, rest, rtol=1e-6, atol=1e-9)
    part: Array = found.reshape(here.shape)
    return part if is_one else None


def _bytes(value: Any) -> bytes:
    """Return what two values share if they are the same numbers; nothing where there is none."""
    numbers = entries(value)
    if numbers is not None:
        return (numbers + 0.0).tobytes()  # -0 is 0
    return b"" if value is None else repr(value)[:2000].encode()


def _vanishes(text: str) -> bool:
    """Say whether an expression takes something from itself, or by zero, or is none: nobody means that."""
    try:
        tree = ast.parse(f"({text}\n)", mode="eval")
    except SyntaxError:
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Mult):
            sides = [ast.dump(node.left), ast.dump(node.right)]
            if ast.dump(ast.Constant(0)) in sides or (isinstance(node.op, ast.Sub) and sides[0] == sides[1]):
                return True
    return False
