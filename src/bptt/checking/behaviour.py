"""What code does besides returning numbers, and should not.

A backward that changes what it is given is right once: the caller's next use of the array is wrong. One that
adds to what the last call left gives a gradient that grows. One that reads what the last forward left
somewhere gives another call's gradient, whatever cache it is handed.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import copied, pick, walk
from bptt.checking.adapters.pair import PairSubject, Result
from bptt.checking.subject import Subject, SubjectError
from bptt.types import Params

LARGEST = 1_000_000
"""Global arrays with more entries than this are not watched."""


def side_effects(subject: Subject) -> list[str]:
    """Return, in words, what a subject's code does besides returning numbers.

    Arguments, caches and globals changed, gradients that depend on the calls before, gradients of nothing
    that are not zero, a backward that belongs to the last forward and not to its cache.
    """
    effects = list(_changes(subject)) if isinstance(subject, PairSubject) else []
    with suppress(SubjectError):  # a call elsewhere, so that what calls leave behind is another thing here
        subject.gradients({name: 0.9 * array for name, array in subject.at.items()}, subject.cotangents)
    before = _globals(subject)
    first = subject.gradients(subject.at, subject.cotangents)
    left = [name for name, value in _globals(subject).items() if not _same(before.get(name), value)]
    second = subject.gradients(subject.at, subject.cotangents)
    differ = [name for name in first if name in second and not _same(first[name], second[name])]
    if differ:
        grown = all(np.allclose(second[name], 2 * first[name]) for name in differ)
        how = ": they are added to those of the call before" if grown else ""
        where = f" (calls change the global {', '.join(left)})" if left else ""
        effects.append(f"a second call gives other gradients at {', '.join(differ)}{how}{where}")
    if "loss" not in subject.cotangents:
        nothing = {name: np.zeros_like(c) for name, c in subject.cotangents.items()}
        some = [name for name, g in subject.gradients(subject.at, nothing).items() if np.any(g)]
        if some:
            effects.append(f"with nothing put in, the gradient at {', '.join(some)} is not zero")
    return effects


def shared(subject: Subject) -> list[str]:
    """Return what is no fault, but good to know: outputs that a caller must not change in place, and why."""
    if not isinstance(subject, PairSubject):
        return []
    found = []
    for name, path in subject.plan.outputs.items():
        if any(t == Result(path) for t in subject.plan.back.values()):
            continue  # the caller hands it back himself
        try:
            kept, inputs = _gradients(subject, ()), _sharing(subject, path)
            moved = _gradients(subject, path)
        except (SubjectError, TypeError, ValueError):
            continue
        if inputs:
            found.append(f"the output {name} is the caller's own {', '.join(inputs)}: the same memory")
        if not _same(kept, moved):
            found.append(
                f"the output {name} is memory that the backward reads: it must not be changed in place before"
            )
    return found


def _sharing(subject: PairSubject, path: Any) -> list[str]:
    """Return the forward's arguments that an output shares its memory with."""
    with subject.watched(subject.at) as code:
        output = pick(code.forward(), path)
        return [
            name
            for name, value in code.arguments.items()
            if any(np.shares_memory(output, array) for _, _, array in walk(value))
        ]


def _gradients(subject: PairSubject, changed: Any) -> Any:
    """Return what the backward returns if the output at a path is changed in place before; none for ()."""
    with subject.watched(subject.at) as code:
        result = code.forward()
        if changed:
            pick(result, changed)[...] += 1
        return copied(code.backward(code.back_arguments(result, subject.cotangents)))


def _changes(subject: PairSubject) -> Iterator[str]:
    """Yield what the forward and the backward change in place, and what a second backward then gives."""
    with subject.watched(subject.at) as code:
        before = copied(code.arguments)
        result = code.forward()
        yield from _changed("the forward changes its argument", before, code.arguments)
        given = code.back_arguments(result, subject.cotangents)
        before, inputs = copied(given), copied(code.arguments)
        first = copied(code.backward(given))
        yield from _changed("the backward changes its argument", before, given)
        yield from _changed("the backward changes the forward's argument", inputs, code.arguments)
        if not _same(first, copied(code.backward(code.back_arguments(result, subject.cotangents)))):
            yield "a second backward from the same cache gives other gradients"
            return
    if any(isinstance(template, Result) for template in subject.plan.back.values()):
        with subject.watched(subject.at) as code, suppress(SubjectError):
            given = code.back_arguments(code.forward(), subject.cotangents)
            for name, value in code.arguments.items():
                code.arguments[name] = _halved(value)
            code.forward()
            if not _same(first, copied(code.backward(given))):
                yield "after another forward the backward gives other gradients: it reads what that one left"


def _changed(what: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name, value in before.items():
        if not _same(value, after[name]):
            yield f"{what} {name} in place"


def _globals(subject: Subject) -> Params:
    """Return copies of the arrays and numbers in the globals of a subject's functions, by their names."""
    home = getattr(getattr(subject, "plan", None), "home", None)
    found: Params = {}
    for place in getattr(home, "places", ()):
        for name, value in list(place.items()):
            for path, _, array in walk(value):
                if name[:2] != "__" and array.size < LARGEST:
                    found[".".join(map(str, (name, *path)))] = array.copy()
    return found


def _halved(value: Any) -> Any:
    """Return a value whose arrays are half of what they were."""
    value = copied(value)
    for _, _, array in walk(value):
        if array.dtype.kind in "fc" and array.ndim:
            array *= 0.5
    return value


def _same(one: Any, other: Any) -> bool:
    """Return whether two values hold the same arrays, to the last bit."""
    ones, others = list(walk(one)), list(walk(other))
    return len(ones) == len(others) and all(
        a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        for (_, _, a), (_, _, b) in zip(ones, others, strict=True)
    )
