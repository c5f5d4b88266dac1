"""Changes of a backward pass, generated from its lines: what can be wrong, with a name and a sentence.

Nothing is listed by hand. Each line is taken apart, and every term is dropped, negated or scaled; every
factor is left out or replaced by another quantity of its shape; every matrix is transposed or replaced by
another gate's; every sum keeps one step only. The same is done to all gates' lines at once.
"""

from collections.abc import Sequence

from bptt.check.fault import EDGES, Fault
from bptt.check.faults_of_line import of_line
from bptt.check.faults_of_lines import of_all_gates, of_all_weights, partial_ways, swaps
from bptt.check.reference import Line, Reference, lines_of
from bptt.types import Params


def faults(cell: Reference, p: Params, steps: Sequence[Params], cotangents: Params) -> list[Fault]:
    """Return all single changes of a cell's backward, the plainest first.

    Parameters
    ----------
    cell, p, steps, cotangents
        As for :func:`bptt.check.reference.backward`; `steps` from `quantities.with_wrong_quantities`.
    """
    lines = lines_of(cell, p, cotangents)
    T, (N, _) = len(steps), p["h0"].shape
    single = [fault for line in lines for fault in of_line(cell, lines, line, steps[0], T, N)]
    found = single + list(of_all_gates(cell, single)) + list(swaps(cell, lines, steps[0]))
    found += [*partial_ways(cell, lines), *of_all_weights(cell, lines, T, N)]
    unique: dict[str, Fault] = {}
    for fault in found:
        if _can_run(fault, lines):
            unique.setdefault(fault.id, fault)
    return sorted(unique.values(), key=lambda fault: (fault.rank, len(fault.version)))


def _can_run(fault: Fault, lines: Sequence[Line]) -> bool:
    """Return whether the changed lines use only what is there when they run."""
    order = [line.target for line in lines if line.target not in EDGES]
    return all(
        order.index(factor) < order.index(target)
        for target, line in fault.version.items()
        if target not in EDGES
        for term in line.terms
        for factor in term.factors
        if factor in order
    )
