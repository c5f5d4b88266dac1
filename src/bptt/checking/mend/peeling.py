"""Edits of the statement that is first seen to be wrong, by which it gives an adjoint: then it hides no more.

What it must give is not known, only that it is some adjoint, at the first time at which it gives none. No
accident makes one of random numbers; which of those that are found is meant tells what comes of it.
"""

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.locate.classes import Step, explained
from bptt.checking.mend.edit import Edit, Place, evaluate
from bptt.checking.mend.matching import Instance, Matching
from bptt.checking.mend.scope import copied
from bptt.checking.taps.values import flat, leaves

COST = 2.4  # of the dearest small edit that is looked at


def peels(place: Place, step: Step, names: Mapping[str, Any], chosen: Chosen) -> list[Edit]:
    """Return the edits of a statement's value after which it gives adjoints, the simplest first."""
    tree, now = step.statement.tree, np.zeros(0)
    sign = -1.0 if isinstance(getattr(tree, "op", None), ast.Sub) else 1.0
    if isinstance(tree, ast.AugAssign):
        now = np.asarray(eval(ast.unparse(tree.target), dict(names)), float)

    def is_one(value: Any) -> bool:
        every = [n for _, one in leaves(value) if (n := flat(one)) is not None]
        if isinstance(tree, ast.AugAssign) and isinstance(tree.op, ast.Mult | ast.Div):
            with np.errstate(all="ignore"):
                every = [np.ravel(now * value if isinstance(tree.op, ast.Mult) else now / value)]
        elif isinstance(tree, ast.AugAssign):
            every = [np.broadcast_to(np.asarray(value, float), now.shape).reshape(-1)]
        known = [bool(explained(sign * n, chosen)) for n in every]
        rest = (n for n, k in zip(every, known, strict=True) if not k)
        return any(known) and all(not n.any() or n.tobytes() in chosen.values for n in rest)

    matching = Matching(place, [Instance(names, np.zeros(0), ())])
    found: dict[str, Edit] = {}
    for some in matching.blind(COST):
        for edit in some:
            try:
                if is_one(evaluate(edit, place, copied(names))):
                    found.setdefault(place.edited(edit), edit)
                    break
            except Exception:
                continue
    return sorted(found.values(), key=lambda edit: edit.cost)
