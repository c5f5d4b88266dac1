"""The loss that a backward begins with: the one whose gradient its first difference is."""

import ast
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Record, Seen
from bptt.checking.adjoints.terms import Term
from bptt.checking.taps.instrument import Node
from bptt.checking.taps.values import shape
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
    known = np.unique(np.round(np.concatenate([[0.0], *record.names[point.start].values()]), 9))
    for a, target in itertools.chain(
        _differences(record.taps[start:], nodes), _in_place(record.taps[start:])
    ):
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
        yield Term(text, "implied", record.executions[-1].step, node=k, of=of, weights=weights)


def _differences(taps: list[Seen], nodes: list[Node]) -> Iterator[tuple[Seen, Array]]:
    """Yield values and what is taken from them, or they from it, where a difference is written."""
    latest: dict[int, Seen] = {}
    for seen in taps:
        tree = nodes[seen.node].tree
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Sub):
            for operand, sign in ((tree.left, -1.0), (tree.right, 1.0)):
                a = latest.get(id(operand))
                other = tree.right if operand is tree.left else tree.left
                if (
                    a is not None
                    and not isinstance(other, ast.Constant)
                    and a.numbers.size == seen.numbers.size
                ):
                    yield a, a.numbers + sign * seen.numbers
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
