"""Which expressions give what a place must give, at all of its times: nothing is run again for it."""

import ast
import itertools
import operator
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np

from bptt.checking.mend.edit import Edit, Place, compiled, evaluate
from bptt.checking.mend.expressions import Option, holes, joined, joining, options
from bptt.checking.mend.scope import Names, Scope, copied
from bptt.checking.mend.terms import sums
from bptt.checking.taps.values import entries, flat, shape
from bptt.types import Array

HOLE = "hole_"
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "": lambda here, part: part,
    "*": operator.mul,
    "+": operator.add,
    "-": operator.sub,
}

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
        for node, option in itertools.chain(self._small(), self._whole()):
            if (edit := self._written(node, option)) is not None:
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
        if isinstance(self.place.value, PLAIN) and isinstance(value, np.ndarray):
            said = self.text.of(self.place.value)
            change = (*self.text.span(self.place.value), f"{said}.copy()")
            found[b"copy"] = [[Edit((change,), f"`{said}` is changed later: a copy must be kept", 0.9)]]
        for node, parent, bound in holes(self.place.value):
            code, said = self._with_hole(node), self.text.of(node)
            here = self.scope.value(said)
            plain = isinstance(node, PLAIN) and not bound
            others = joined(node, parent, here, said, self.scope) if plain else ()
            alike = (o for o in others if not o[1] and o[0].value.shape == getattr(here, "shape", None))
            instead = (joining(said, part, "", cost + 0.3, self.scope) for part, _, cost in alike)
            for option in itertools.chain(options(node, parent, self.text, self.scope), instead):
                span, why = self.text.span(node), (option.reason, option.cost)
                edits = [Edit(((*span, text),), *why) for text in dict.fromkeys(option.texts)]
                if option.cost > most or _vanishes(edited := self.place.edited(edits[-1])):
                    continue
                value = None if bound else self._filled(code, self.scope.value(option.texts[-1]))
                key = edited.encode() if bound else _bytes(value)
                if key not in (now, b""):
                    found.setdefault(key, []).append(edits)
        return [one for some in found.values() for one in sorted(some, key=lambda edits: edits[0].cost)[:2]]

    def _small(self) -> Iterator[tuple[ast.expr, Option]]:
        until = time.process_time() + self.seconds
        for node, parent, bound in holes(self.place.value):
            code, now = self._with_hole(node), self.text.of(node)
            here = self.scope.value(now)
            for option in options(node, parent, self.text, self.scope):
                if time.process_time() > until:
                    return
                value = None if bound else self.scope.value(option.texts[-1])
                if bound or (value is not None and self.main.met(self._filled(code, value))):
                    yield node, option  # names of a comprehension have values in it alone
            if bound or (isinstance(parent, ast.Subscript) and node is parent.slice):
                continue
            for part, sign, cost in joined(node, parent, here, now, self.scope):
                if time.process_time() > until:
                    return
                try:
                    value = SIGNS[sign](here, part.value)
                except Exception:
                    continue
                numbers = flat(value)
                if (numbers is None or numbers.any()) and self.main.met(self._filled(code, value)):
                    yield node, joining(now, part, sign, cost, self.scope)

    def _whole(self) -> Iterator[tuple[ast.expr, Option]]:
        """Yield what may stand in the place of the whole: it, and sums of products of what is in scope."""
        now = self.text.of(self.place.value)
        try:
            here = np.broadcast_to(np.asarray(self.scope.value(now), float), self.main.shape)
        except (ValueError, TypeError):
            here = np.zeros(self.main.shape)
        wanted = self.main.wanted.reshape(self.main.shape)
        for text, reason, cost in sums(wanted, here, now, self.scope, self.place.forward, self.seconds):
            yield self.place.value, Option((text, f"({text})"), reason, cost)

    def _with_hole(self, node: ast.expr) -> CodeType:
        return compiled(self.place.edited(Edit(((*self.text.span(node), f"({HOLE})"),), "", 0.0)))

    def _filled(self, code: CodeType, value: Any) -> Any:
        self.names[HOLE] = value
        try:
            return eval(code, self.names if self.pure else copied(self.names))
        except Exception:
            return None

    def _written(self, node: ast.expr, option: Option) -> Edit | None:
        """Return an option as an edit with as few parentheses as have the right values, or None."""
        (low, high), (start, end) = self.text.span(self.place.value), self.text.span(node)
        closed = low < start and end < high and self.text.text[start - 1] + self.text.text[end] == "()"
        spans = [(start - 1, end + 1), (start, end)] if closed else [(start, end)]
        for text, span in itertools.product(option.texts, spans):
            edit = Edit(((*span, text),), option.reason, option.cost)
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
