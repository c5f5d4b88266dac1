"""Outputs times the arrays that an example hands to the backward."""

import ast
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Record
from bptt.checking.adjoints.terms import Term
from bptt.checking.taps.program import Call, Outcome
from bptt.checking.taps.values import Path, entries, flat, get, identity, leaves, shape, written

COTANGENT = re.compile(
    r"^_*(d|grad|delta|up|g)(?![a-z])|^_*d_?[a-zA-Z]{1,3}(_|\d|$)|^_*(grad|delta|upstream)"
    r"|^_*d_?(value|output|hidden|logit|score|prob|state|activation)s?(_|\d|$)|\w+_(delta|grad)s?$"
)
"""Names of arguments that are gradients at outputs, whatever else fits."""


LABEL = re.compile(r"targ|label|true|expected|gold|truth|actual|desired", re.IGNORECASE)
"""Names of arguments that are what an output must be, and no gradient at it."""


@dataclass(eq=False)
class _Output:
    text: str
    step: int
    read: Callable[[Outcome], Any]
    value: Any
    call: int = -1
    deep: bool = False  # it is kept in something, and no result by itself
    inner: bool = False  # it is kept in an object, where calls have results
    names: frozenset[str] = frozenset()

    def before(self, call: int, step: int) -> bool:
        """Return whether it is there when a call is made."""
        return self.call < call if self.call >= 0 else self.step < step


def handed(point: Point, record: Record) -> Iterator[tuple[tuple[Term, ...], bool]]:
    """Yield the sums of outputs times the arrays that a later call gets, and whether these must be in it."""
    calls = record.outcome.calls
    outputs = _distinct(_outputs(point, record, calls))
    for one in outputs:
        one.inner = one.call < 0 and one.deep and any(other.call >= 0 for other in outputs)
    whole: set[int] = set()  # what is handed over as it is: no list of what is handed over step by step
    earlier = _started(record, point.made)
    for n, call in enumerate(calls):
        named = zip(call.names, call.arguments, call.given, strict=True)
        handed = [
            (value, was, name)
            for name, one, kept in named
            if not (LABEL.search(name) or (_are_labels(one) and not COTANGENT.match(name)))
            for value, was in _pairs(one, kept, outputs)
            if not any(identity(one) in earlier for _, one in leaves(value))
        ]
        known = (one for value in [*call.arguments, call.result] for one in leaves(value))
        # an object may keep what it is handed later
        earlier |= {identity(one) for path, one in known if all(kind == "item" for kind, _ in path)}
        choices: list[list[tuple[_Output, Any, str] | None]] = []
        for value, was, name in handed:
            fits = _fits([o for o in outputs if o.before(n, call.at)], value, name)
            none = [] if COTANGENT.match(name) and fits else [None]
            choices.append([*((o, was, name) for o in fits[:6]), *none])
        if not any(c != [None] for c in choices):
            continue
        whole |= {id(value) for (value, _, _), own in zip(handed, choices, strict=True) if None not in own}
        some = [[one for one in chosen if one] for chosen in itertools.product(*choices)]
        for again in (False, True):  # a step's output is handed a gradient beside the next step's
            for pairs in some:
                twice = len({id(o) for o, *_ in pairs}) < len(pairs)
                if pairs and twice == again and (not again or all(COTANGENT.match(s) for *_, s in pairs)):
                    terms = tuple(_contracted(o, value, name if again else "") for o, value, name in pairs)
                    yield terms, any(None not in c for c in choices)
    yield from ((terms, False) for terms in _groups(point, record, outputs, whole))


def _are_labels(value: Any) -> bool:
    """Return whether zeros and ones stand in arrays, with a single one in each row, or in each column."""
    arrays = [np.reshape(n, shape(one)) for _, one in leaves(value) if (n := flat(one)) is not None]
    return bool(arrays) and all(
        np.isin(one, (0, 1)).all() and any(n > 1 and (one.sum(k) == 1).all() for k, n in enumerate(one.shape))
        for one in arrays
    )


def _fits(outputs: list[_Output], value: Any, name: str) -> list[_Output]:
    """Return the outputs at which an argument may be the gradient: those of its name, or results first."""
    fits = [o for o in outputs if _alike(o.value, value) and o.value is not value]
    if COTANGENT.match(name):
        fits = fits or [last for o in outputs for last in _lasts(o) if _alike(last.value, value)]
        own = _bare(name)
        fits = [o for o in fits if own in o.names] or fits
        fits = [o for o in fits if own.partition("_")[0] in {n.partition("_")[0] for n in o.names}] or fits
        fits = [o for o in fits if not o.deep] or fits
    return fits


def _lasts(output: _Output) -> Iterator[_Output]:
    """Yield the last step of an output that holds all: time may be any axis."""
    value = output.value
    axes = len(shape(value)) if flat(value) is not None else 2 * (isinstance(value, list) and len(value) > 1)
    cuts = {"[-1]": -1, "[:, -1]": (slice(None), -1), "[..., -1]": (..., -1)}
    for text, at in itertools.islice(cuts.items(), 0 if axes < 2 else 1 if axes < 3 else 3):

        def read(outcome: Outcome, at: Any = at) -> Any:
            return output.read(outcome)[at]

        yield replace(output, text=output.text + text, read=read, value=value[at], deep=True)


def _bare(name: str) -> str:
    """Return the name of what something is the gradient at: ``h_last`` of ``dh_last``."""
    return re.sub(r"^_*(grad|delta|d)_?|_?(grad|delta)$", "", name).lower()


def _pairs(value: Any, was: Any, outputs: list[_Output]) -> Iterator[tuple[Any, Any]]:
    """Yield an argument's arrays as they are and were; a list that is no output's gradient by its members."""
    for one, kept in zip(_parts(value), _parts(was), strict=False):
        if type(one) is list and not any(_alike(o.value, one) for o in outputs):
            yield from zip(one, kept, strict=True)
        else:
            yield one, kept


def _parts(value: Any) -> list[Any]:
    """Return an argument's arrays: itself, or the members of a tuple or a list of unlike ones."""
    if flat(value) is not None:
        return [value] if shape(value) else []
    unlike = isinstance(value, list) and len({shape(v) for _, v in leaves(value)}) > 1
    if isinstance(value, tuple) or unlike:
        return [part for one in value for part in _parts(one)]
    return [value] if isinstance(value, list | dict) and entries(value) is not None else []


def _distinct(outputs: Iterator[_Output]) -> list[_Output]:
    """Return outputs without those that are the same numbers in memory under another name."""
    found: dict[tuple[Any, ...], _Output] = {}
    for one in outputs:
        first = found.setdefault(identity(one.value), one)
        first.names |= {one.text.lower(), one.text.lower().rpartition(".")[2]}  # an attribute by its own name
    return list(found.values())


def _outputs(point: Point, record: Record, calls: list[Call]) -> Iterator[_Output]:
    kept = {path: at for path, at in point.made.items() if path not in point.buffers}
    started = _started(record, kept | point.given)  # a buffer is filled: it may be an output
    for n, call in enumerate(calls):
        if isinstance(call.function, type):
            continue  # what an object holds at first is no output yet
        members = list(call.result) if isinstance(call.result, tuple) else [call.result]
        for i, one in enumerate(members):
            if entries(one) is None or call.at < point.start or identity(one) in started:
                continue
            index = i if isinstance(call.result, tuple) else None
            text = call.text if index is None else f"{call.text}[{index}]"
            for pattern, value in _views(one):

                def read(
                    outcome: Outcome, n: int = n, index: int | None = index, pattern: Path | None = pattern
                ) -> Any:
                    result = outcome.calls[n].result
                    result = result if index is None else result[index]
                    return result if pattern is None else dict(_views(result)).get(pattern)

                name = "" if pattern is None else "".join(f"[{s}]" for _, s in pattern)
                deep = pattern is not None or isinstance(one, dict)
                yield _Output(f"what {text} returns{name}", call.at, read, value, n, deep)
    seen: set[int] = set()
    starts = [
        (record.names[n], path) for path, at in (kept | point.given).items() for n in (at + 1, point.start)
    ]
    given = {names[path].tobytes() for names, path in starts if path in names}
    for step in range(point.start + 1, len(record.held)):
        for parent in dict.fromkeys(p[:cut] for p in record.held[step] for cut in range(1, len(p) + 1)):
            try:  # an array as it was then; what holds arrays as it is at the end
                value = record.held[step].get(parent)
                value = get(record.outcome.names, parent) if value is None else value
            except (LookupError, AttributeError, TypeError):
                continue
            if parent[0][1] == "_" or id(value) in seen or entries(value) is None:
                continue
            numbers = flat(value)
            if not isinstance(value, list) and (numbers is None or numbers.tobytes() in given):
                continue  # an input that is kept in another shape is no output
            within = (p for p in (*point.made, *point.given) if len(p) > len(parent))
            if any(p[: len(parent)] == parent for p in within) or identity(value) in started:
                continue
            seen.add(id(value))
            read = functools.partial(_held, parent)
            yield _Output(written(parent), step - 1, read, value, deep=len(parent) > 1)


def _started(record: Record, paths: dict[Path, int]) -> set[tuple[Any, ...]]:
    """Return the arrays that the program starts from: a name may hold another one at the end."""
    return {identity(record.held[after + 1][path]) for path, after in paths.items()}


def _held(path: Path, outcome: Outcome) -> Any:
    return get(outcome.names, path)


def _views(value: Any) -> Iterator[tuple[Path | None, Any]]:
    """Yield what in a result may be an output: itself, or its members of one name, all times together."""
    plain = flat(value) is not None or (isinstance(value, list) and all(flat(v) is not None for v in value))
    if plain or isinstance(value, dict):
        yield None, value
        return
    groups: dict[Path, list[Any]] = {}
    for path, one in leaves(value):
        first = next((i for i, (_, s) in enumerate(path) if isinstance(s, int)), len(path))
        anywhere = ((kind, "*") for kind, _ in path[first : first + 1])
        groups.setdefault((*path[:first], *anywhere, *path[first + 1 :]), []).append(one)
    for pattern, members in groups.items():
        yield pattern, members if len(members) > 1 else members[0]


def _groups(
    point: Point, record: Record, outputs: list[_Output], whole: set[int]
) -> Iterator[tuple[Term, ...]]:
    """Yield the sums for code that is called step by step: lists of outputs with lists of the example's."""
    tops, steps = {p[:1] for p in point.given}, point.case.program.statements
    for top in tops:
        value = record.outcome.names.get(top[0][1])
        if entries(value) is None or id(value) in whole or _are_labels(value):
            continue
        first = min((i for i, one in enumerate(steps) if _reads(one, str(top[0][1]))), default=len(steps))
        for o in outputs:
            if o.step >= first or o.text.startswith("what") or not _alike(o.value, value, loosely=True):
                continue
            yield (_contracted(o, value, name=str(top[0][1])),)


def _reads(statement: ast.stmt, name: str) -> bool:
    names = (n for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    return any(n.id == name for n in names)


def _alike(a: Any, b: Any, *, loosely: bool = False) -> bool:
    first, second = entries(a), entries(b)
    if first is None or second is None or first.size != second.size:
        return False
    if flat(a) is not None and flat(b) is not None:
        return [n for n in shape(a) if n > 1] == [n for n in shape(b) if n > 1]
    counts = [shape(v)[0] if flat(v) is not None and shape(v) else len(list(leaves(v))) for v in (a, b)]
    return counts[0] == counts[1] or loosely


def _contracted(output: _Output, value: Any, name: str = "") -> Term:
    weights = entries(value)
    assert weights is not None
    kept = weights.copy()

    def read(outcome: Outcome) -> float:
        numbers = entries(output.read(outcome))
        return 0.0 if numbers is None or numbers.size != kept.size else float(numbers @ kept)

    text = f"sum({output.text} * {name or 'what is handed over'})"
    return Term(text, "handed", output.step, read, weights=kept, inner=output.inner, call=output.call)
