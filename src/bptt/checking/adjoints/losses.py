"""What may be the loss: the code's own number, outputs with what is handed over, or what is implied."""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bptt.checking.adjoints.handed import handed
from bptt.checking.adjoints.implied import implied
from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Record
from bptt.checking.adjoints.terms import LOSSLIKE, MOST, Candidate, Term
from bptt.checking.taps.program import Outcome
from bptt.checking.taps.values import Path, flat, get, shape, written
from bptt.types import Array


def find(point: Point, record: Record) -> tuple[list[Term], list[Candidate]]:
    """Return all numbers that may be the loss, and the losses that they make."""
    terms: list[Term] = []
    candidates: list[Candidate] = []
    for term in itertools.islice(_scalars(point, record), MOST):
        candidates.append(Candidate(term.text, term.kind, (len(terms),)))
        terms.append(term)
    for combination, sure in itertools.islice(handed(point, record), 3 * MOST):
        numbers = []
        for term in combination:
            same = next((n for n, t in enumerate(terms) if t.text == term.text and t.step == term.step), None)
            numbers.append(len(terms) if same is None else same)
            if same is None:
                terms.append(term)
        text = " + ".join(t.text for t in combination)
        candidates.append(Candidate(text, "handed", tuple(numbers), sure))
    own = list(itertools.islice(implied(point, record), MOST))
    alone = [Candidate(t.text, t.kind, (len(terms) + n,)) for n, t in enumerate(own)]
    errors = [np.abs(t.weights) for t in own if t.weights is not None]
    candidates = [  # a difference of an output and its label is no loss
        one
        for one in candidates
        if one.kind != "scalar" or not any(_same(w, terms[one.terms[0]].weights) for w in errors)
    ]
    over = [one for one in candidates if one.kind == "handed"]
    given = [terms[n].weights for one in over if one.sure for n in one.terms]
    candidates += [one for one, t in zip(alone, own, strict=True) if all(_same(w, t.weights) for w in given)]
    candidates += [  # a step's backward is handed the next step's gradient beside its own labels
        Candidate(f"{one.text} + {more.text}", one.kind, (*one.terms, *more.terms))
        for one, more in itertools.islice(itertools.product(alone, over), 3 * MOST)
    ]
    return terms + own, [replace(one, number=n) for n, one in enumerate(candidates)]


def _same(handed: Array | None, own: Array | None) -> bool:
    """Say whether what is handed over is the gradient of a loss that the backward begins with."""
    if handed is None or own is None or handed.size != own.size:
        return False
    return bool(np.allclose(np.sort(handed), np.sort(own)))  # in whatever order of time


def _scalars(point: Point, record: Record) -> Iterator[Term]:
    found: list[tuple[bool, int, Term]] = []
    last = record.names[-1]
    inside: dict[int, list[float]] = {}
    statements = point.case.program.table.statements
    steps: dict[int, int] = {}
    for one in record.executions:
        results = one.changed or one.results
        if (
            one.step >= point.start
            and len(results) == 1
            and results[0][1].size == 1
            and statements[one.statement].function
        ):
            inside.setdefault(one.statement, []).append(float(results[0][1][0]))
            steps[one.statement] = max(steps.get(one.statement, 0), one.step)
    for path, numbers in last.items():
        if numbers.size != 1 or path in point.made or path in point.given:
            continue
        value = record.held[-1][path]
        text = written(path)
        loose = shape(value) not in ((),)
        if loose and not LOSSLIKE.search(text):
            continue
        times = (
            i
            for i, names in enumerate(record.names)
            if path in names and np.array_equal(names[path], numbers)
        )
        step = next(times, 0)
        if step - 1 >= point.start:
            at = next((j for j, values in inside.items() if values[-1] == numbers[0]), None)
            term = Term(text, "scalar", step - 1, lambda outcome, p=path: _number(outcome, p))  # type: ignore[misc]
            if at is not None:  # the same number is there earlier: a run can end with it
                term = Term(text, "scalar", step - 1, statement=at)
            found.append((not LOSSLIKE.search(text), loose, term))
    finals: set[float] = set()
    for j, values in inside.items():
        tree = statements[j].tree
        if values[-1] in finals:
            continue
        finals.add(values[-1])
        text = ast.unparse(tree.targets[0] if isinstance(tree, ast.Assign) else getattr(tree, "target", tree))
        text = " ".join(text.split())[:60]
        name = f"`{text}` of line {tree.lineno}"
        odd = not LOSSLIKE.search(text)
        if not isinstance(tree, ast.Expr):
            sizes = np.abs(values)
            found.append((odd, 2, Term(name, "scalar", steps[j], statement=j, weights=sizes)))
            if len(values) > 1 and not isinstance(tree, ast.AugAssign):
                found.append(
                    (odd, 3, Term(f"the sum of {name}", "scalar", steps[j], statement=j, total=True))
                )
    named = [f for f in found if not f[0]]
    yield from (term for _, _, term in sorted(named or found, key=lambda f: f[:2]))


def _number(outcome: Outcome, path: Path) -> float:
    numbers = flat(get(outcome.names, path))
    return 0.0 if numbers is None else float(numbers[0])
