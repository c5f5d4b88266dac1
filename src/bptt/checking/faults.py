"""Changes of a backward pass, generated from its lines: what can be wrong, with a name and a sentence.

Nothing is listed by hand. Each line is taken apart, and every term is dropped, negated or scaled; every
factor is left out or replaced by another quantity of its shape; every matrix is transposed or replaced by
another gate's; every sum keeps one step only. The same is done to all gates' lines at once, and to all
gradients handed out; and the time loop is run the wrong way round.
"""

from collections.abc import Mapping, Sequence

from bptt.checking.fault import EDGES, Fault
from bptt.checking.faults_of_line import of_line
from bptt.checking.faults_of_lines import (
    of_all_gates,
    of_all_weights,
    of_everything,
    of_units,
    partial_ways,
    swaps,
)
from bptt.checking.reference import Reference, Term, lines_of
from bptt.types import Params


def faults(cell: Reference, p: Params, steps: Sequence[Params], cotangents: Params) -> list[Fault]:
    """Return all single changes of a cell's backward, the plainest first.

    Parameters
    ----------
    cell, p, steps, cotangents
        As for :func:`bptt.checking.reference.backward`; `steps` from `quantities.with_wrong_quantities`.
    """
    lines = lines_of(cell, p, cotangents)
    T, (N, _) = len(steps), p["h0"].shape
    theirs = [line for line in lines if line.terms[:1] != (Term(("dout",)),)]  # what is put in is no term
    single = [fault for line in theirs for fault in of_line(cell, lines, line, steps[0], T, N)]
    found = single + list(of_all_gates(cell, single)) + list(swaps(cell, lines, steps[0]))
    found += [*partial_ways(cell, lines), *of_all_weights(cell, lines, T, N)]
    found += [*of_everything(cell, lines, T, N), *of_units(cell, lines)]
    order = {line.target: k for k, line in enumerate(line for line in lines if line.target not in EDGES)}
    unique: dict[str, Fault] = {}
    for fault in found:
        if _can_run(fault, order):
            unique.setdefault(fault.id, fault)
    return sorted(unique.values(), key=lambda fault: (fault.rank, len(fault.version)))


def _can_run(fault: Fault, order: Mapping[str, int]) -> bool:
    """Return whether the changed lines use only what is there when they run."""
    return all(
        order[factor] < order[target]
        for target, line in fault.version.items()
        if target not in EDGES
        for term in line.terms
        for factor in term.factors
        if factor in order
    )
