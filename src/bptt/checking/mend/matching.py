"""Which edits of a statement give a value that it may have: nothing is run again for it."""

import ast
import itertools
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

import numpy as np

from bptt.checking.adjoints.record import sketch
from bptt.checking.mend.edit import Edit, Place, compiled, evaluate
from bptt.checking.mend.expressions import Option, holes, joined, joining, options
from bptt.checking.mend.scope import Names, Scope, copied
from bptt.checking.taps.values import entries, flat, leaves, shape
from bptt.types import Array

HOLE = "hole_"
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "": lambda here, part: part,
    "*": operator.mul,
    "+": operator.add,
    "-": operator.sub,
}


@dataclass
class Goal:
    """What a statement's value may be: one of some arrays, by the sketches of those of a size.

    `kept` says how many parts of a value, of a tuple, are right already: none of them may be lost.
    """

    sketches: dict[int, Array]
    kept: Callable[[Any], int] = lambda value: 0
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    least: int = 0

    def start(self, value: Any) -> "Goal":
        """Note what the statement gives as it is."""
        self.least, self.shapes = self.kept(value), [shape(v) for _, v in leaves(value)]
        return self

    def met(self, value: Any) -> bool:
        """Say whether a value is what is wanted."""
        parts = [value] if isinstance(value, np.ndarray) else [v for _, v in leaves(value)]
        return any(self._met(part) for part in parts) and self.kept(value) >= self.least

    def _met(self, part: Any) -> bool:
        numbers = flat(part)
        if numbers is None or numbers.size not in self.sketches:
            return False
        largest = float(np.abs(numbers).max())
        slack = largest * 2e-6 * numbers.size**0.5 + 3e-9
        near = np.abs(self.sketches[numbers.size] - sketch(numbers)) <= slack
        return 1e-9 < largest < 1e12 and bool(near.all(axis=1).any())


class Matching:
    """The edits of one statement that give a value which it may have, where its names stand for `names`."""

    def __init__(self, place: Place, names: Names, goal: Goal, seconds: float = 3.0) -> None:
        self.place, self.text, self.goal, self.seconds = place, place.text, goal, seconds
        self.names, self.pure = dict(names), self._leaves_alone(names)
        self.scope = Scope(self.text, place.function, names, pure=self.pure)

    @np.errstate(all="ignore")
    def one(self, blind: float = 0.0) -> list[Edit]:
        """Return the small edits of one expression that give what is wanted, the simplest first.

        What is read here may be wrong, too: up to a cost edits are returned `blind`, whatever they give.
        """
        found: dict[str, Edit] = {}
        for node, option in self._options(blind):
            if (edit := self._written(node, option, anything=bool(blind))) is not None:
                said = edit.applied(self.text.text)
                found[said] = min(edit, found.get(said, edit), key=lambda e: e.cost)
        return sorted(found.values(), key=lambda e: e.cost)

    def _options(self, blind: float) -> Iterator[tuple[ast.expr, Option]]:
        assert self.place.value is not None
        until = time.monotonic() + self.seconds
        for node, parent, bound in holes(self.place.value):
            code, now = self._with_hole(node), self.text.of(node)
            here = self.scope.value(now)
            for option in options(node, parent, self.text, self.scope):
                if time.monotonic() > until:
                    return
                if blind:
                    yield from [(node, option)] if option.cost <= blind else []
                    continue
                value = None if bound else self.scope.value(option.texts[-1])
                if bound or (value is not None and self.goal.met(self._filled(code, value))):
                    yield node, option  # names of a comprehension have values in it alone
            if blind or bound or (isinstance(parent, ast.Subscript) and node is parent.slice):
                continue
            for part, sign, cost in joined(node, parent, here, now, self.scope):
                if time.monotonic() > until:
                    return
                try:
                    value = SIGNS[sign](here, part.value)
                except Exception:
                    continue
                numbers = flat(value)
                if (numbers is None or numbers.any()) and self.goal.met(self._filled(code, value)):
                    yield node, joining(now, part, sign, cost, self.scope)

    def _with_hole(self, node: ast.expr) -> CodeType:
        return compiled(self.place.edited(Edit(((*self.text.span(node), f"({HOLE})"),), "", 0.0)))

    def _filled(self, code: CodeType, value: Any) -> Any:
        self.names[HOLE] = value
        try:
            return eval(code, self.names if self.pure else copied(self.names))
        except Exception:
            return None

    def _written(self, node: ast.expr, option: Option, *, anything: bool = False) -> Edit | None:
        """Return an option as an edit with as few parentheses as have the right value, or None."""
        assert self.place.value is not None
        (low, high), (start, end) = self.text.span(self.place.value), self.text.span(node)
        closed = low < start and end < high and self.text.text[start - 1] + self.text.text[end] == "()"
        spans = [(start - 1, end + 1), (start, end)] if closed else [(start, end)]
        for text, span in itertools.product(option.texts, spans):
            edit = Edit(((*span, text),), option.reason, option.cost)
            try:
                if _vanishes(self.place.edited(edit)):
                    continue
                value = evaluate(edit, self.place, self.names if self.pure else copied(self.names))
            except Exception:
                continue
            same = [shape(v) for _, v in leaves(value)] == self.goal.shapes
            if (anything and same) or self.goal.met(value):
                return edit if same else replace(edit, cost=edit.cost + 0.6)
        return None

    def _leaves_alone(self, names: Names) -> bool:
        """Say whether evaluating the statement changes nothing that it is given."""
        trial = copied(names)
        try:
            evaluate(Edit((), "", 0.0), self.place, trial)
        except Exception:
            return False
        own = [n for n in names if not n.startswith("__")]
        before, after = (entries([some[n] for n in own]) for some in (names, trial))
        return before is None or (after is not None and np.array_equal(before, after))


def _vanishes(text: str) -> bool:
    """Say whether an expression takes something from itself, or by zero: nobody means that."""
    for node in ast.walk(ast.parse(f"({text}\n)", mode="eval")):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Mult):
            sides = [ast.dump(node.left), ast.dump(node.right)]
            if ast.dump(ast.Constant(0)) in sides or (isinstance(node.op, ast.Sub) and sides[0] == sides[1]):
                return True
    return False
