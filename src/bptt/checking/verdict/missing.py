"""Which arrays have no gradient where others beside them have theirs."""

from collections import Counter

import numpy as np

from bptt.checking.adjoints.point import STATE
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.values import Path, get, last
from bptt.checking.verdict.gradient import Gradient
from bptt.checking.verdict.kept import DATA


def missing(gradients: list[Gradient], found: Adjoints) -> list[Gradient]:
    """Return the arrays without a gradient beside which, in one object, dict or list, others have theirs.

    So do arrays of another object of that class, and of what the object is made of.
    """
    point, after = found.point, found.record.names[-1]
    right = [g for g in gradients if g.verdict == "right" and len(g.path) > 1]
    beside = {g.path[:n] for g in right for n in range(1, len(g.path))}
    kinds = {_kind(found, g.path) for g in right} - {None}
    named = [g for g in right if g.match and g.match.place and isinstance(g.match.source[1][-1][1], str)]
    kept = Counter(g.path[:-1] for g in named)  # in a dict of gradients
    zeros, first = point.first.names[point.start], found.record.names[point.start]
    out = []
    for one in gradients:
        name = last(one.path)
        state = STATE.match(name) and one.path in zeros
        state = state and (not zeros[one.path].any() or not np.array_equal(first[one.path], after[one.path]))
        lost = one.note.startswith("inside") and one.match is None and kept[one.path[:-1]] > 1
        lost = lost and one.path in point.made and np.array_equal(first[one.path], after[one.path])
        near = one.path[:-1] in beside or _kind(found, one.path) in kinds
        if (one.verdict == "not given" or lost) and near and not (state or DATA.match(name)):
            out += [one] if one.path not in point.buffers else []
    return out


def _kind(found: Adjoints, path: Path) -> type | None:
    """Return the class of what keeps an array in an attribute."""
    return type(get(found.record.outcome.names, path[:-1])) if path[-1][0] == "attr" else None
