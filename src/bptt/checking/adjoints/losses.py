"""What may be the loss: the code's own number, outputs with what is handed over, or what is implied."""

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bptt.checking.adjoints.handed import handed
from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Record, Seen
from bptt.checking.adjoints.terms import LOSSLIKE, MOST, Candidate, Term
from bptt.checking.taps.instrument import Node
from bptt.checking.taps.program import Outcome
from bptt.checking.taps.values import Path, flat, get, shape, written
from bptt.types import Array


def implied(point: Point, record: Record) -> Iterator[Term]:
    """Yield the losses whose gradient a difference in the backward is: softmax, sigmoid, half squares.

    A value ``p - t``, where p is computed and t are labels, is the gradient of the cross-entropy where p are
    probabilities, and of half the square elsewhere. It is written as a difference, or made in place.
    """
    nodes = point.case.program.table.nodes
    start = record.marks[point.start - 1] if point.start else 0
    pairs: dict[tuple[int, str], dict[int, Array]] = {}
    gradients: dict[int, dict[int, Array]] = {}
    given = [record.names[after + 1][path] for path, after in point.given.items()]  # before the backward
    known = np.unique(np.round(np.concatenate([[0.0], *record.names[point.start].values(), *given]), 9))
    taps = record.taps[start:]
    for a, target in itertools.chain(_differences(taps, nodes), _in_place(taps)):
        hot = (np.abs(target * (target - 1)) < 1e-9).all()
        inside = ((a.numbers > 0) & (a.numbers < 1)).all()
        if not hot and not np.isin(np.round(target, 9), known).all():
            continue  # it is computed: no label
        kinds = ["square"]
        if hot and inside:
            whole = abs(a.numbers.sum() - target.sum()) < 1e-9 and target.any()
            kinds = ["softmax"] if whole else ["sigmoid", "square"]
        for kind in kinds:
            pairs.setdefault((a.node, kind), {})[a.use] = target
            gradients.setdefault(a.node, {})[a.use] = a.numbers - target
    for (k, kind), uses in pairs.items():
        if any(all((target == one).all() for target in uses.values()) for one in (0, 1)):
            continue  # `1 - p`, with ones for 1; a sum that begins at zero
        none = np.zeros(1) if kind == "sigmoid" else None  # labels that are all zero leave no trace
        count = max(uses) + 1 if none is None else sum(seen.node == k for seen in record.taps)
        of = [_implied(kind, uses.get(u, none)) for u in range(count)]
        tree = nodes[k].tree
        name = {"softmax": "cross-entropy", "sigmoid": "binary cross-entropy", "square": "half squares"}[kind]
        text = f"the {name} of `{ast.unparse(tree)[:40]}` (line {tree.lineno})"
        weights = np.concatenate([gradients[k][use] for use in sorted(uses)])
        labels = np.concatenate([uses[use] for use in sorted(uses)]) if kind == "softmax" else None
        step = record.executions[-1].step
        yield Term(text, "implied", step, node=k, of=of, weights=weights, labels=labels)


def _differences(taps: list[Seen], nodes: list[Node]) -> Iterator[tuple[Seen, Array]]:
    """Yield values and what is taken from them, or they from it, or is divided by them."""
    latest: dict[int, Seen] = {}
    for seen in taps:
        tree = nodes[seen.node].tree
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Sub):
            for operand, sign in ((tree.left, -1.0), (tree.right, 1.0)):
                a = latest.get(id(operand))
                other = tree.right if operand is tree.left else tree.left
                same = a is not None and a.numbers.size == seen.numbers.size
                if a is not None and same and not isinstance(other, ast.Constant):
                    yield a, a.numbers + sign * seen.numbers
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div):  # of a cross-entropy: t / p
            a = latest.get(id(tree.right))
            if a is not None and a.numbers.size == seen.numbers.size:
                yield a, a.numbers * np.abs(seen.numbers)
        latest[id(tree)] = seen


def _in_place(taps: list[Seen]) -> Iterator[tuple[Seen, Array]]:
    """Yield probabilities and the labels that were taken from them in place: ``p[label] -= 1``."""
    by_size: dict[int, dict[bytes, Seen]] = {}
    for seen in taps:
        by_size.setdefault(seen.numbers.size, {}).setdefault(seen.numbers.tobytes(), seen)
    for size, values in by_size.items():
        seen_first = list(values.values())[: max(200, 20_000 // size)]
        matrix = np.array([seen.numbers for seen in seen_first])
        inside = (matrix.min(axis=1) > 0) & (matrix.max(axis=1) < 1)
        for i in range(1, len(seen_first) if size > 1 else 0):
            scales = {1.0, *map(float, shape(seen_first[i].value)[:1])}  # a mean over the batch, too
            for scale in scales:
                with np.errstate(all="ignore"):  # a value may be infinite: it is no probability
                    difference = matrix[:i] - scale * matrix[i]
                labels = np.round(difference)
                hot = np.abs(difference - labels).max(axis=1) < 1e-9
                hot &= inside[:i] & (labels.min(axis=1) >= 0) & (labels.max(axis=1) == 1)
                yield from ((seen_first[n], labels[n]) for n in np.nonzero(hot)[0])


def _implied(kind: str, target: Array | None) -> Callable[[Array], float]:
    if target is None:
        return lambda _: 0.0
    if kind == "softmax":
        return lambda p: float(-(target * np.log(p)).sum())
    if kind == "sigmoid":
        return lambda p: float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).sum())
    return lambda a: float(0.5 * ((a - target) ** 2).sum())


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
            same = next((n for n, t in enumerate(terms) if t.same(term)), None)
            numbers.append(len(terms) if same is None else same)
            if same is None:
                terms.append(term)
        text = " + ".join(t.text for t in combination)
        inner = any(t.inner for t in combination)
        candidates.append(Candidate(text, "handed", tuple(numbers), sure, inner))
    own = list(itertools.islice(implied(point, record), MOST))
    alone = [Candidate(t.text, t.kind, (len(terms) + n,)) for n, t in enumerate(own)]
    errors = [np.abs(t.weights) for t in own if t.weights is not None]
    candidates = [  # a difference of an output and its label is no loss
        one
        for one in candidates
        if one.kind != "scalar" or not any(_same(w, terms[one.terms[0]].weights) for w in errors)
    ]
    labelled = [(len(terms) + n, t.labels) for n, t in enumerate(own) if t.labels is not None]
    candidates = [_as_labels(one, terms + own, labelled) for one in candidates]
    over = [one for one in candidates if one.kind == "handed"]
    given = [terms[n].weights for one in over if one.sure for n in one.terms]
    candidates += [one for one, t in zip(alone, own, strict=True) if all(_same(w, t.weights) for w in given)]
    candidates += [  # a step's backward is handed the next step's gradient beside its own labels
        Candidate(f"{one.text} + {more.text}", one.kind, (*one.terms, *more.terms))
        for one, more in itertools.islice(itertools.product(alone, over), 3 * MOST)
    ]
    return terms + own, [replace(one, number=n) for n, one in enumerate(candidates)]


def _as_labels(one: Candidate, terms: list[Term], labelled: list[tuple[int, Array]]) -> Candidate:
    """Return a loss in which labels that are handed over make a cross-entropy: they are no gradient."""
    ways = {n: [k for k, labels in labelled if _same(terms[n].weights, labels)][:1] for n in one.terms}
    if one.kind != "handed" or not any(ways.values()):
        return one
    own = tuple(k for n in one.terms for k in ways[n] or [n])
    return Candidate(" + ".join(terms[n].text for n in own), "implied", own)


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
        is_number = len(results) == 1 and results[0][1].size == 1
        if is_number and one.step >= point.start and statements[one.statement].function:
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
        there = (path in names and np.array_equal(names[path], numbers) for names in record.names)
        step = next((i for i, is_there in enumerate(there) if is_there), 0)
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
                whole = Term(f"the sum of {name}", "scalar", steps[j], statement=j, total=True)
                found.append((odd, 3, whole))
    named = [f for f in found if not f[0]]
    yield from (term for _, _, term in sorted(named or found, key=lambda f: f[:2]))


def _number(outcome: Outcome, path: Path) -> float:
    numbers = flat(get(outcome.names, path))
    return 0.0 if numbers is None else float(numbers[0])
