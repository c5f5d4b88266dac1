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

from bptt.checking.cellmatch import Match
from bptt.checking.fault import Fault
from bptt.checking.faults import faults
from bptt.checking.faults_with_numbers import clipped, updated
from bptt.checking.judge import CLEAR
from bptt.checking.numeric import Numeric
from bptt.checking.quantities import with_wrong_quantities
from bptt.checking.reference import Reference, Update, Version, backward, forward, lines_of
from bptt.checking.subject import Subject, SubjectError
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
        Its forward, from :func:`bptt.checking.cellmatch.match`.
    gradients : dict of arrays
        What the user's backward gives at ``subject.at`` for ``subject.cotangents``.
    numeric : Numeric or dict of arrays
        The numerical gradient there: where the reference does not give it, nothing is said.

    Returns
    -------
    Diagnosis or None
        None where the gradients are right, and where no change gives them.
    """
    theirs = {name: np.asarray(g, np.float64) for name, g in gradients.items() if name in subject.at}
    theirs = {name: g for name, g in theirs.items() if g.shape == subject.at[name].shape}
    if not theirs or not all(np.isfinite(g).all() for g in theirs.values()):
        return None
    single = any(g.dtype in (np.float32, np.complex64, np.float16) for g in gradients.values())
    case = _Case(subject, match, theirs, 1e-4 if single or match.error > 1e-9 else 1e-6)
    if not case.theirs:
        return None
    if match.cell.slip is not None:
        return _of_forward(case, *match.cell.slip)
    if not _is_true(case.right, numeric) or case.off(case.right) < case.tolerance:
        return None
    changes = faults(match.cell, case.p, case.steps, case.given)
    mine = case.run(_versions(changes))
    return case.told(changes, mine) or _with_number(case) or _two(case, changes, mine)


class _Case:
    """The user's gradients, and the reference at the same point, to run versions of it."""

    def __init__(self, subject: Subject, match: Match, theirs: Params, tolerance: float) -> None:
        self.subject, self.match, self.tolerance = subject, match, tolerance
        self.p = match.to_canonical(subject.at)
        self.given = match.cotangents(subject.cotangents)
        self.steps = with_wrong_quantities(match.cell, forward(match.cell, self.p))
        self.right = self.one()
        self.theirs = {name: g for name, g in theirs.items() if name in self.right}

    def run(
        self,
        versions: Sequence[Version],
        cotangents: Params | None = None,
        steps: Sequence[Params] | None = None,
        update: Update | None = None,
    ) -> Params:
        """Return all versions' gradients as the user's arrays lie, with a leading axis of versions."""
        given, steps = self.given if cotangents is None else cotangents, steps or self.steps
        with np.errstate(all="ignore"):
            found = backward(self.match.cell, self.p, steps, given, versions, update)
        return self.match.from_canonical(found, self.subject.at)

    def one(self, steps: Sequence[Params] | None = None, update: Update | None = None) -> Params:
        """Return the gradients of the right version."""
        return {name: g[0] for name, g in self.run([{}], steps=steps, update=update).items()}

    def off(self, mine: Params) -> float:
        """Return how far gradients are from the user's."""
        return _error(self.theirs, mine)

    def told(
        self, found: Sequence[Fault | tuple[Fault, ...]], gives: Params, *known: Fault
    ) -> Diagnosis | None:
        """Return the first of changes (or of tuples of them) that gives the user's gradients, reported."""
        errors = _errors(self.theirs, self.right, gives)
        if not errors.min(initial=np.inf) < self.tolerance:
            return None
        whole = [(*known, *(one if isinstance(one, tuple) else (one,))) for one in found]
        first, *more = (int(k) for k in np.flatnonzero(errors < self.tolerance))
        alike = [" + ".join(fault.id for fault in whole[k]) for k in more]
        return _report(self.match, whole[first], float(errors[first]), alike)


def _versions(changes: Sequence[Fault]) -> list[Version]:
    """Return the changed lines of each change."""
    return [fault.version for fault in changes]


def _of_forward(case: _Case, slug: str, says: str, fix: str) -> Diagnosis | None:
    """Return the mistake in the forward, if the backward is the right one's."""
    error = min(case.off(way) for way in (case.right, case.one(_carried(case.match.cell, case.steps))))
    says = f"{says}, and the backward is the right one's"
    fault = Fault(f"{case.match.cell.name}/{slug}", 0, says, fix, {})
    return _report(case.match, [fault], error, []) if error < case.tolerance else None


def _with_number(case: _Case) -> Diagnosis | None:
    """Return a change with a number in it: a limit, or a rate."""
    cell = case.match.cell
    limits = list(clipped(cell, lines_of(cell, case.p, case.given), case.theirs))
    found = case.told(limits, case.run(_versions(limits)))
    if found is None and len(case.steps) > 1:
        moved = updated(cell, case.theirs, lambda update: case.one(update=update), case.tolerance)
        found = None if moved is None else _report(case.match, [moved[0]], moved[1], [])
    return found


def _two(case: _Case, changes: Sequence[Fault], mine: Params) -> Diagnosis | None:
    """Return the two changes, or the two beside one at the logits, that give the user's gradients."""
    seen = [(case.theirs, case.given), *_seen(case.subject, case.match, case.theirs)]
    for known in ((), *((base,) for base in _at_logits(case, changes, mine))):
        fixed = {target: line for fault in known for target, line in fault.version.items()}
        others = [fault for fault in changes if not fault.version.keys() & fixed.keys()]
        hits = []
        for wanted, given in seen:
            before = {name: g[0] for name, g in case.run([fixed], given).items()}
            gives = case.run([{**fixed, **fault.version} for fault in others], given)
            hits.append(_hits(wanted, before, gives, case.tolerance))
        for pairs in _pairs(case.match, others, np.concatenate(hits, axis=1)):
            for at in range(0, len(pairs), BATCH):
                some = pairs[at : at + BATCH]
                gives = case.run([{**fixed, **one.version, **other.version} for one, other in some])
                if (found := case.told(some, gives, *known)) is not None:
                    return found
    return None


def _carried(cell: Reference, steps: Sequence[Params]) -> list[Params]:
    """Return the steps with the states before each one as they came out of the one before."""
    return [
        now | {f"{s}_prev": before[s] for s in cell.states if s in before}
        for before, now in zip([{}, *steps], steps, strict=False)
    ]


def _is_true(right: Params, numeric: Numeric | Params) -> bool:
    """Return whether the reference gives the numerical gradient, as far as that is known."""
    if not isinstance(numeric, Numeric):
        return _error(numeric, right) < 1e-4
    return all(
        np.all(np.abs(truth - right[name]) < np.maximum(1e-4 * np.abs(truth).max(initial=0), unsure))
        for name, truth in numeric.gradient.items()
        if name in right
        for unsure in [CLEAR * numeric.estimate[name] + 1e-12]
    )


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


def _at_logits(case: _Case, changes: Sequence[Fault], mine: Params) -> list[Fault]:
    """Return the plainest change at the logits that alone gives the wrong gradients of the output layer."""
    layer = {link.name for link in case.match.links if link.key in ("V", "k")} & case.theirs.keys()
    own = {name: case.theirs[name] for name in layer}
    if not own or _error(own, case.right) < case.tolerance:
        return []
    errors = _errors(own, case.right, {name: mine[name] for name in layer})
    at_logits = [f for f, e in zip(changes, errors, strict=True) if e < case.tolerance]
    return [fault for fault in at_logits if [*fault.version] == ["dlogits"]][:1]


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
    habits = [f for f in changes if f.id.endswith("weights-first-only-step")]  # = where += belongs
    return found[:FIRST] + [fault for fault in habits if fault not in found[:FIRST]]


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
    fix = match.spelled("; ".join(fault.fix for fault in found))
    is_equation = " = " in fix or " += " in fix
    return Diagnosis(
        id=" + ".join(fault.id for fault in found),
        says=match.spelled("; and ".join(fault.says for fault in found)),
        match_error=error,
        fix=f"it should be: {fix}" if is_equation else fix,
        equation=fix if is_equation else "",
        alike=alike,
        targets=[target for fault in found for target in fault.version],
    )
