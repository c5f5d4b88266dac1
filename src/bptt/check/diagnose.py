"""Which term is wrong? The one change of the reference backward that gives the user's own numbers.

All single changes are run at once and compared with all of the user's gradients, the right ones too. If
none gives them all, pairs are tried: a change that explains some of the gradients exactly, with each other
change; and pairs beside a change at the logits, which the output layer's own gradients show by themselves.
What does not give the numbers is not named.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypedDict

import numpy as np

from bptt.check.cellmatch import Match
from bptt.check.fault import Fault
from bptt.check.faults import faults
from bptt.check.numeric import Numeric
from bptt.check.quantities import with_wrong_quantities
from bptt.check.reference import Version, backward, forward
from bptt.check.subject import Subject, SubjectError
from bptt.types import Array, Params

FIRST, BATCH = 12, 2000
"""For pairs: how many first changes are tried, and how many versions are run at once."""


class Diagnosis(TypedDict):
    """What is wrong.

    ``id`` is stable; ``says`` is a sentence; ``match_error`` how exactly the change gives the user's
    numbers, relative to the largest of each gradient; ``fix`` what to do; ``equation`` the lines as they
    should be; ``alike`` the ids of other changes that give the same numbers here; ``targets`` the
    gradients whose lines are wrong, as the reference calls them.
    """

    id: str
    says: str
    match_error: float
    fix: str
    equation: str
    alike: list[str]
    targets: list[str]


def diagnose(
    subject: Subject, match: Match, gradients: Params, numeric: Numeric | Params
) -> Diagnosis | None:
    """Return the change, or the two changes, that turn the right backward into the user's.

    Parameters
    ----------
    subject : Subject
    match : Match
        Its forward, from :func:`bptt.check.cellmatch.match`.
    gradients : dict of arrays
        What the user's backward gives at ``subject.at`` for ``subject.cotangents``.
    numeric : Numeric or dict of arrays
        The numerical gradient there: where the reference does not give it, nothing is said.

    Returns
    -------
    Diagnosis or None
        None where the gradients are right, and where no change gives them.
    """
    p = match.to_canonical(subject.at)
    given = match.cotangents(subject.cotangents)
    steps = with_wrong_quantities(match.cell, forward(match.cell, p))
    theirs = {name: np.asarray(g, np.float64) for name, g in gradients.items() if name in subject.at}
    theirs = {name: g for name, g in theirs.items() if g.shape == subject.at[name].shape}
    if not theirs or not all(np.isfinite(g).all() for g in theirs.values()):
        return None

    def run(versions: Sequence[Version], cotangents: Params = given) -> Params:
        with np.errstate(all="ignore"):
            found = backward(match.cell, p, steps, cotangents, versions)
        return match.from_canonical(found, subject.at)

    right = {name: g[0] for name, g in run([{}]).items()}
    truth = numeric.gradient if isinstance(numeric, Numeric) else numeric
    if _error(truth, right) > 1e-4:
        return None
    single = any(g.dtype in (np.float32, np.complex64, np.float16) for g in gradients.values())
    tolerance = 1e-4 if single or match.error > 1e-9 else 1e-6
    theirs = {name: g for name, g in theirs.items() if name in right}
    if not theirs or _error(theirs, right) < tolerance:
        return None

    changes = faults(match.cell, p, steps, given)
    mine = run([fault.version for fault in changes])
    errors = _errors(theirs, right, mine)
    if errors.min() < tolerance:
        found = [changes[k] for k in np.flatnonzero(errors < tolerance)]
        return _report(match, [found[0]], float(errors[changes.index(found[0])]), [f.id for f in found[1:]])

    seen = [(theirs, given), *_seen(subject, match, theirs)]
    for base in (None, *_at_logits(match, changes, theirs, right, mine, tolerance)):
        known = () if base is None else (base,)

        def with_base(*more: Fault, known: tuple[Fault, ...] = known) -> Version:
            return {target: line for fault in (*known, *more) for target, line in fault.version.items()}

        others = [
            fault for fault in changes if base is None or not fault.version.keys() & base.version.keys()
        ]
        hits = []
        for wanted, own in seen:
            before = {name: g[0] for name, g in run([with_base()], own).items()}
            hits.append(_hits(wanted, before, run([with_base(f) for f in others], own), tolerance))
        for pairs in _pairs(match, others, np.concatenate(hits, axis=1)):
            for at in range(0, len(pairs), BATCH):
                some = pairs[at : at + BATCH]
                errors = _errors(theirs, right, run([with_base(*pair) for pair in some]))
                if errors.min() < tolerance:
                    best, *rest = (int(k) for k in np.flatnonzero(errors < tolerance))
                    alike = [" + ".join(fault.id for fault in (*known, *some[k])) for k in rest]
                    return _report(match, (*known, *some[best]), float(errors[best]), alike)
    return None


def _seen(subject: Subject, match: Match, theirs: Params) -> Iterator[tuple[Params, Params]]:
    """Yield what the user's backward gives for gradients at single outputs, and those gradients."""
    for probe in _probes(subject, match):
        try:
            seen = subject.gradients(subject.at, probe)
        except SubjectError:
            continue
        seen = {name: np.asarray(g, np.float64) for name, g in seen.items() if name in theirs}
        if all(g.shape == theirs[name].shape for name, g in seen.items()):
            yield seen, match.cotangents(probe)


def _at_logits(
    match: Match, changes: Sequence[Fault], theirs: Params, right: Params, mine: Params, tolerance: float
) -> list[Fault]:
    """Return the plainest change at the logits that alone gives the wrong gradients of the output layer."""
    layer = {link.name for link in match.links if link.key in ("V", "k")} & theirs.keys()
    own = {name: theirs[name] for name in layer}
    if not own or _error(own, {name: right[name] for name in layer}) < tolerance:
        return []
    errors = _errors(own, right, {name: mine[name] for name in layer})
    return [f for f, e in zip(changes, errors, strict=True) if e < tolerance and [*f.version] == ["dlogits"]][
        :1
    ]


def _errors(theirs: Params, right: Params, mine: Params) -> Array:
    """Return for each version the largest difference over all gradients, relative to the gradient's size."""
    worst: Array = np.zeros(len(next(iter(mine.values()))))
    for name, g in theirs.items():
        size = max(float(np.abs(g).max(initial=0)), 1e-3 * float(np.abs(right[name]).max(initial=0)), 1e-30)
        off = np.abs(mine[name] - g).reshape(len(worst), -1).max(axis=1) / size
        worst = np.maximum(worst, np.where(np.isfinite(off), off, np.inf))
    return worst


def _error(theirs: Params, mine: Params) -> float:
    names = [name for name in theirs if name in mine]
    one = {name: mine[name][None] for name in names}
    return float(_errors({name: theirs[name] for name in names}, mine, one)[0]) if names else np.inf


def _probes(subject: Subject, match: Match) -> Iterator[Params]:
    """Yield gradients at one output alone, at the first or the last step alone: there two faults part."""
    for link in match.outputs:
        if link.key == "loss":
            return
        for t in {0, len(link.ids) - 1} if link.key in ("h", "c") else {-1}:
            probe = {name: np.zeros_like(g) for name, g in subject.cotangents.items()}
            ids = link.ids if t < 0 else link.ids[t]
            probe[link.name].reshape(-1)[ids] = subject.cotangents[link.name].reshape(-1)[ids]
            yield probe


def _hits(theirs: Params, right: Params, mine: Params, tolerance: float) -> Array:
    """Return (versions, entries): where a version gives exactly what the user has, and right is not."""
    marks = []
    for name, g in theirs.items():
        near = tolerance * max(float(np.abs(g).max(initial=0)), 1e-30)
        hit = (np.abs(mine[name] - g) < near) & (np.abs(right[name] - g) > near)
        marks.append(hit.reshape(len(hit), -1))
    return np.concatenate(marks, axis=1)


def _promising(changes: Sequence[Fault], hits: Array) -> list[Fault]:
    """Return the changes that explain most; of those that explain the same, the plainest."""
    scores = hits.sum(axis=1)
    seen: set[bytes] = set()
    found = []
    for k in sorted(range(len(changes)), key=lambda k: -int(scores[k])):
        key = hits[k].tobytes()
        if scores[k] and key not in seen:
            seen.add(key)
            found.append(changes[k])
    return found[:FIRST]


def _pairs(match: Match, changes: Sequence[Fault], hits: Array) -> Iterator[list[tuple[Fault, Fault]]]:
    """Yield pairs to be tried: each promising change with all others; then two on the way to one delta."""
    for first in _promising(changes, hits):
        yield [(first, second) for second in changes if not second.version.keys() & first.version.keys()]
    by_line: dict[str, list[Fault]] = {}
    for fault in changes:
        if len(fault.version) == 1:
            by_line.setdefault(next(iter(fault.version)), []).append(fault)
    for gate in match.cell.gates:
        before = "dh" if gate == "a" else f"d{gate}"
        yield list(product(by_line[before], by_line[f"da_{gate}"]))


def _report(match: Match, found: Sequence[Fault], error: float, alike: list[str]) -> Diagnosis:
    equation = match.spelled("; ".join(fault.fix for fault in found))
    says = match.spelled("; and ".join(fault.says for fault in found))
    return Diagnosis(
        id=" + ".join(fault.id for fault in found),
        says=says,
        match_error=error,
        fix=f"it should be: {equation}",
        equation=equation,
        alike=alike,
        targets=[target for fault in found for target in fault.version],
    )
