"""What code does besides returning numbers, and should not.

A backward that changes what it is given is right once: the caller's next use of the array is wrong. One that
adds to what the last call left gives a gradient that grows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt.check.adapters.calls import copied, walk
from bptt.check.adapters.pair import PairSubject
from bptt.check.subject import Subject
from bptt.types import Array


def side_effects(subject: Subject) -> list[str]:
    """Return, in words, what a subject's code does besides returning numbers.

    Arguments and caches changed in place, gradients that differ at a second call, gradients of nothing that
    are not zero.
    """
    effects = list(_changes(subject)) if isinstance(subject, PairSubject) else []
    first = subject.gradients(subject.at, subject.cotangents)
    second = subject.gradients(subject.at, subject.cotangents)
    differ = [name for name in first if name in second and not _same(first[name], second[name])]
    if differ:
        grown = all(np.allclose(second[name], 2 * first[name]) for name in differ)
        how = ": they are added to those of the call before" if grown else ""
        effects.append(f"a second call gives other gradients at {', '.join(differ)}{how}")
    if "loss" not in subject.cotangents:
        nothing = {name: np.zeros_like(c) for name, c in subject.cotangents.items()}
        some = [name for name, g in subject.gradients(subject.at, nothing).items() if np.any(g)]
        if some:
            effects.append(f"with nothing put in, the gradient at {', '.join(some)} is not zero")
    return effects


def _changes(subject: PairSubject) -> Iterator[str]:
    """Yield what the forward and the backward change in place, and what a second backward then gives."""
    with subject.watched(subject.at) as code:
        before = copied(code.arguments)
        result = code.forward()
        yield from (
            f"the forward changes its argument {name} in place" for name in _differ(before, code.arguments)
        )
        given = code.back_arguments(result, subject.cotangents)
        before, inputs = copied(given), copied(code.arguments)
        first = copied(code.backward(given))
        yield from (f"the backward changes its argument {name} in place" for name in _differ(before, given))
        yield from (
            f"the backward changes the forward's argument {name} in place"
            for name in _differ(inputs, code.arguments)
        )
        again = code.backward(code.back_arguments(result, subject.cotangents))
        if not _all_same(first, again):
            yield "a second backward from the same cache gives other gradients"


def _differ(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in before.items() if not _all_same(value, after[name])]


def _all_same(one: Any, other: Any) -> bool:
    ones, others = list(walk(one)), list(walk(other))
    return len(ones) == len(others) and all(
        _same(a, b) for (_, _, a), (_, _, b) in zip(ones, others, strict=True)
    )


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
