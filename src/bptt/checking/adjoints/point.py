"""The point at which a program is judged: the code's arrays are drawn anew, what the example wrote stands."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checking.adjoints.record import Bump, Case, Record, named
from bptt.checking.file import bound
from bptt.checking.taps.example import ExampleError, calls_code
from bptt.checking.taps.program import Outcome, Program
from bptt.checking.taps.values import Path, flat, get, identity, last, shape
from bptt.types import Array

STATE = re.compile(r"^_*(h|c|s|a|state|hidden|cell|prev|last|memory|short|long)", re.IGNORECASE)

GRADIENT = re.compile(r"_*(grad|gradient|deriv|derivative|adjoint|g|d)_?", re.IGNORECASE)
OF_GRADIENT = re.compile(r"_*(?:d(?=[A-Z_])|delta|\w*grad)", re.ASCII)
PREFIX, SUFFIX = re.compile(r"^_*(grad_|delta_|d)_?"), re.compile(r"_(grad|gradient|delta)$")


@dataclass
class Point:
    """Where the arrays come from."""

    # of the file's code, before anything was computed: each by the statement that made it
    made: dict[Path, int] = field(default_factory=dict)
    given: dict[Path, int] = field(default_factory=dict)  # what the example wrote
    start: int = 0  # the first statement of the example that computes something from them
    # arrays of zeros that the forward writes into: states, memories
    buffers: set[Path] = field(default_factory=set)
    case: Case = field(default=None)  # type: ignore[assignment]  # point() fills it in
    first: Record = field(default_factory=Record)
    drawn: set[Path] = field(default_factory=set)  # what the example wrote and that is drawn all the same

    def after(self, path: Path) -> int:
        """Return the statement after which an array may be changed: the last before anything is computed."""
        made = (self.made | self.given).get(path, 0)
        return max(made, self.start - 1) if path in self.made else made


def point(program: Program, seed: int = 0) -> Point:
    """Find which arrays a program starts from."""
    plain = Case(program, seed)
    first, own = plain.record(), _named(program)
    bumps, seen = list[Bump](), set[Path]()
    new: list[list[Path]] = []
    for i, names in enumerate(first.names):
        again = set(bound(program.statements[i - 1])) if i else set()  # names that are given another value
        fresh = [p for p in names if p not in seen or p[0][1] in again]
        fresh = [p for p in fresh if i == 0 or not _is_alias(p, first, i)]
        shortest = {identity(first.held[i][p]): p for p in sorted(fresh, key=len, reverse=True)}
        fresh = [p for p in fresh if shortest[identity(first.held[i][p])] == p]
        seen |= set(names)
        new.append(fresh)
        for p in fresh:
            if shape(first.held[i][p]) or _is_entry(p, first, own):
                by = 1e-3 * np.random.default_rng(len(bumps)).normal(size=names[p].size)
                bumps.append(Bump(p, i - 1, by))
    try:
        second = _moved(plain, bumps, first)
    except ExampleError:  # it looks labels up, and a changed one is none
        bumps = [one for one in bumps if not _is_whole(first.names[one.after + 1][one.path])]
        second = _moved(plain, bumps, first)
    found = Point()
    computed_at: list[int] = []
    steps = program.statements
    assert first.outcome is not None
    objects = {call.at for call in first.outcome.calls if isinstance(call.function, type)}
    copies = set[bytes]()
    for i, fresh in enumerate(new):
        calls = i == 0 or calls_code(steps[i - 1], program.code)
        for p in fresh:
            found.made.pop(p, None)
            found.given.pop(p, None)
            computed = p in second[i] and not _same(second[i][p], first.names[i][p])
            if computed and i - 1 in objects and first.names[i][p].tobytes() in copies:
                continue  # a new object that keeps what it was given has computed nothing
            if computed:
                computed_at += [i - 1] if calls else []
            elif not shape(first.held[i][p]) and not _is_entry(p, first, own):
                continue
            elif calls:
                found.made[p] = i - 1
            else:
                found.given[p] = i - 1
                copies.add(first.names[i][p].tobytes())
    changed = []
    for i in range(1, len(first.names)):
        was = {p: n for p, n in first.names[i - 1].items() if p in first.names[i] and p not in new[i]}
        moved = any(not _same(n, first.names[i][p]) for p, n in was.items())
        changed += [i - 1] if moved and calls_code(steps[i - 1], program.code) else []
    found.start = min(computed_at + changed, default=max(len(steps) - 1, 0))
    found.made = {p: i for p, i in found.made.items() if i < found.start}
    later = first.names[min(found.start + 1, len(first.names) - 1)]
    for p in found.made:
        old = first.names[found.start].get(p)
        if old is not None and not old.any() and p in later and not np.array_equal(later[p], old):
            found.buffers.add(p)
    found.first = first
    found.case = plain
    return found


def drawn(found: Point, matters: Callable[[Bump], bool]) -> Case:
    """Return the program with the arrays drawn anew that its own code made, where a change matters."""
    draws, first = [], found.first
    for n, p in enumerate((*found.made, *found.drawn)):
        if p in found.drawn:
            size = first.names[found.after(p) + 1][p].size
            new = np.random.default_rng([found.case.seed, n]).normal(size=size)
            draws.append(Bump(p, found.after(p), new, draw=True))
            continue
        old = first.names[found.start].get(p)
        if old is None or _is_state(p, old, first, found.start) or _is_data(old, first.held[found.start][p]):
            continue
        if not old.any() and OF_GRADIENT.match(str(last(p))):  # what gradients are added to begins at zero
            continue
        rng = np.random.default_rng([found.case.seed, n])
        if matters(Bump(p, found.start - 1, 1e-3 * rng.normal(size=old.size))):
            draws.append(Bump(p, found.start - 1, _drawn(old, rng), draw=True))
    return Case(found.case.program, found.case.seed, draws)


def _is_entry(path: Path, record: Record, named: set[str]) -> bool:
    """Return whether a number is a parameter: its gradient is named in the code, or kept beside it.

    Any other number by itself is a rate, a probability, a size: it stays as it is.
    """
    if last(path) in named:
        return True
    if path[-1][0] != "attr" or GRADIENT.fullmatch(path[-1][1]):
        return False
    try:
        owner = get(record.outcome.names, path[:-1])
    except (LookupError, AttributeError, TypeError):
        return False
    beside = [*getattr(owner, "__dict__", ()), *getattr(type(owner), "__slots__", ())]
    its = re.compile(rf"{GRADIENT.pattern}({re.escape(path[-1][1].lstrip('_'))})?", re.IGNORECASE)
    gradients = (getattr(owner, name, None) for name in beside if its.fullmatch(name))
    return any(isinstance(one, float | int) for one in gradients)


def _named(program: Program) -> set[str]:
    """Return the names whose gradients are named in the code: ``w`` of ``dw``, ``grad_w``, ``w_grad``."""
    nodes = [node for source in program.sources.values() for node in ast.walk(source.tree)]
    made = (node for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store))
    said = {getattr(node, "id", getattr(node, "attr", "")) for node in made}
    return {
        part
        for name in said
        for part in (PREFIX.sub("", name), SUFFIX.sub("", name))
        if part not in ("", name)
    }


def _is_alias(path: Path, record: Record, i: int) -> bool:
    """Return whether an array was there before, under another name."""
    value = record.held[i][path]
    return any(value is one for one in record.held[i - 1].values())


def _moved(case: Case, bumps: list[Bump], first: Record) -> list[dict[Path, Array]]:
    """Return the numbers after each statement where what is not computed is changed when it is made."""
    out: list[dict[Path, Array]] = []
    by: dict[int, list[Bump]] = {}
    for one in bumps:
        by.setdefault(one.after, []).append(one)

    def after(i: int, outcome: Outcome) -> None:
        out.append({p: n.copy() for p, v in named(outcome.names) if (n := flat(v)) is not None})
        for one in by.get(i, ()):
            now, was = out[-1].get(one.path), first.names[i + 1].get(one.path)
            if now is not None and was is not None and np.array_equal(now, was):
                one.make(outcome.names)

    case.run(after=after)
    return out


def _is_state(path: Path, old: Array, record: Record, start: int) -> bool:
    """Return whether an array of zeros is a state, which the forward pass replaces: it stays zero."""
    if old.any():
        return False
    later = record.names[start + 1].get(path)
    return later is None or (not np.array_equal(later, old) and bool(STATE.match(last(path))))


def _same(one: Array, other: Array) -> bool:
    """Return whether numbers are the same; ``nan``, which ``from numpy import *`` brings, is nan."""
    return np.array_equal(one, other, equal_nan=True)


def _is_whole(old: Array) -> bool:
    return bool((old == np.round(old)).all() and (old != old[0]).any())


def _is_data(old: Array, value: Any) -> bool:
    """Return whether an array of whole numbers is labels or words: what is drawn for these is none."""
    sizes = shape(value)
    return bool(
        _is_whole(old)
        and not (len(sizes) == 2 and sizes[0] == sizes[1] and (old == np.eye(sizes[0]).reshape(-1)).all())
    )


def _drawn(old: Array, rng: np.random.Generator) -> Array:
    """Return random numbers for an array: positive where it is one positive number."""
    scale = 0.7 if old.size <= 64 else min(0.7, max(0.1, float(np.std(old)) or 0.1))
    new: Array = rng.normal(size=old.size) * scale
    return 0.5 + np.abs(new) if (old == old[0]).all() and old[0] > 0 else new
