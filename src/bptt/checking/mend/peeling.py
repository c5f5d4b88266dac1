"""Edits of the statement that is first seen to be wrong, by which it gives an adjoint: then it hides no more.

What it must give is not known, only that it is some adjoint, at the first time at which it gives none. No
accident makes one of random numbers; which of those that are found is meant tells what comes of it.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import sketch
from bptt.checking.locate.classes import Step, explained
from bptt.checking.mend.edit import Edit, Place, evaluate
from bptt.checking.mend.expressions import joining
from bptt.checking.mend.matching import Instance, Matching
from bptt.checking.mend.scope import copied
from bptt.checking.mend.terms import Sums
from bptt.checking.taps.values import flat, leaves
from bptt.types import Array

COST = 2.4  # of the dearest small edit that is looked at


def peels(
    place: Place, step: Step, names: Mapping[str, Any], chosen: Chosen, given: Collection[int]
) -> list[Edit]:
    """Return the edits of a statement's value after which it gives adjoints, the simplest first.

    `given` are the adjoints that are there already: what else is made of sums is none of these.
    """
    tree, now = step.statement.tree, np.zeros(0)
    sign = -1.0 if isinstance(getattr(tree, "op", None), ast.Sub) else 1.0
    scales = isinstance(tree, ast.AugAssign) and isinstance(tree.op, ast.Mult | ast.Div)
    if isinstance(tree, ast.AugAssign):
        now = np.asarray(eval(ast.unparse(tree.target), dict(names)), float)

    def is_one(value: Any) -> bool:
        every = [n for _, one in leaves(value) if (n := flat(one)) is not None]
        if isinstance(tree, ast.AugAssign) and scales:
            with np.errstate(all="ignore"):
                every = [np.ravel(now * value if isinstance(tree.op, ast.Mult) else now / value)]
        elif isinstance(tree, ast.AugAssign):
            every = [np.broadcast_to(np.asarray(value, float), now.shape).reshape(-1)]
        known = [bool(explained(sign * n, chosen)) for n in every]
        rest = (n for n, k in zip(every, known, strict=True) if not k)
        return any(known) and all(not n.any() or n.tobytes() in chosen.values for n in rest)

    matching = Matching(place, [Instance(names, np.zeros(0), ())])
    found: dict[str, Edit] = {}
    small = matching.blind(COST)
    if not scales:
        small += _sums(matching, now if now.size else None, sign * chosen.factor, chosen, given)
    for some in small:
        for edit in some:
            try:
                if is_one(evaluate(edit, place, copied(names))):
                    found.setdefault(place.edited(edit), edit)
                    break
            except Exception:
                continue
    return sorted(found.values(), key=lambda edit: edit.cost)


def _sums(
    matching: Matching, like: Array | None, factor: float, chosen: Chosen, given: Collection[int]
) -> Iterator[list[Edit]]:
    """Yield what makes of a value an adjoint that is nowhere yet: a term more, or a sum in its place."""
    place, scope = matching.place, matching.scope
    said = place.text.of(place.value)
    here = scope.value(said)
    numbers = flat(here)
    if numbers is None or isinstance(place.value, ast.Tuple | ast.List):
        return
    shape = np.shape(here) if like is None else like.shape
    if numbers.size != np.prod(shape):
        return
    table, two, _ = Sums(scope, place.forward).of(shape)
    slack = 2e-6 * float(np.abs(numbers).max()) * numbers.size**0.5 + 3e-9
    for row in chosen.rows.by_size.get(numbers.size, (None, []))[1] if table.texts else ():
        if id(row) in given or (like is None and not row.whole):
            continue  # a part of a gradient is what is added to something
        wanted = row.sketch * factor
        rest = wanted - sketch(numbers)
        ways = [("", wanted, 2.0, (table, two)), ("+", rest, 1.4, (table,)), ("-", -rest, 1.8, (table,))]
        for way, need, base, tables in ways:
            for text, cost in (hit for some in tables for hit in some.find(need, slack)):
                option = joining(said, text, way, base + cost / 3, scope)
                span = place.text.span(place.value)
                yield [Edit(((*span, new),), option.reason, option.cost) for new in option.texts]
