"""What a backward keeps: the arrays that are there at the end and were not before, by their names."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.instrument import targets
from bptt.checking.taps.values import Path, flat, identity, last, leaves, shape, written
from bptt.types import Array

AFFIX = re.compile(
    r"^(d[LJEC](oss)?_?(d|wrt)|grads?|gradients?|delta|nabla|del|g|d|D)_?(?=.)|(?<=.)_?(grads?|gradients?|delta|nabla)$"
)
DATA = re.compile(
    r"_*([xyt](?![a-z])|input|data|targ|label|sampl|seq|train|test|mask|batch|pos|lr|rate)", re.I
)
"""Names of arrays that have no gradient in many a backward."""

PLACES = re.compile(r"grad|delta|nabla|^_*d|^_*g$", re.IGNORECASE)


@dataclass(eq=False)
class Kept:
    """An array that is there at the end."""

    text: str
    numbers: Array
    shape: tuple[int, ...]
    path: Path = ()  # empty for what a call returned and the example gave no name
    update: bool = False  # the change of an array that the program started from
    place: tuple[Any, ...] = ()  # the list, tuple or dict in which it is
    source: tuple[int, Path] = (-1, ())  # the call that returns it (-1: a name holds it), and its path there
    local: tuple[str, str] = ("", "")  # the function and the name, of a local variable
    axis: int = -1  # of a list of rows or columns: that along which they are one array
    cased: bool = False  # the program has names that differ in case alone, as `A` and `a`

    def named_for(self, path: Path) -> int:
        """Return whether its name says that it is the gradient at the array of a path: 2; or its place: 1."""
        if self.update:
            return 2 * (self.path == path)
        if not self.path or not path or self.path == path:
            return 0
        if self.path[-1] == ("attr", "grad") and self.path[:-1] == path:
            return 2
        name, own = last(path), last(self.path)
        bare = AFFIX.sub("", own.lstrip("_"))
        tail = self.path[-1][1] if self.path[-1][0] == "item" and isinstance(self.path[-1][1], int) else None
        same = path[-1][1] if path[-1][0] == "item" and isinstance(path[-1][1], int) else None
        if tail != same:
            return 0
        if bare != own.lstrip("_") and self._same(bare, name):
            return 2
        shared = next((n for n, (a, b) in enumerate(zip(self.path, path, strict=False)) if a != b), 0)
        inside = any(isinstance(s, str) and PLACES.search(s) for _, s in self.path[shared:-1])
        return int(inside and self._same(own, name))

    def _same(self, own: str, name: str) -> bool:
        plain = [one.replace("_", "") for one in (own, name)]
        return plain[0] == plain[1] or (not self.cased and plain[0].lower() == plain[1].lower())


def is_gradient(path: Path) -> bool:
    """Return whether an array's name says that it is a gradient: ``dW``, ``grads['W']``."""
    own = last(path).lstrip("_")
    return AFFIX.sub("", own) != own or any(isinstance(s, str) and PLACES.search(s) for _, s in path[:-1])


def is_cased(paths: Iterable[Path]) -> bool:
    """Return whether arrays have names that differ in case alone."""
    names = {last(path).replace("_", "") for path in paths}
    return len({name.lower() for name in names}) < len(names)


def kept(found: Adjoints, chosen: Chosen) -> list[Kept]:
    """Return what is kept at the end, without what was there before and what the forward pass computed."""
    record, point = found.record, found.point
    before, out = record.names[point.start], []
    seen: set[tuple[Any, ...]] = set()
    forward = chosen.values | chosen.unknown
    held = record.held[-1]
    started = {row.path for row in chosen.rows.rows if row.kind == "total"}
    cased = is_cased(started)
    paths = sorted(held, key=lambda p: (p[0][1] == "_", len(p)))
    given = {record.names[-1][p].tobytes() for p in point.given if p in record.names[-1]}
    for path in paths:
        value, numbers = held[path], record.names[-1][path]
        start = before.get(path)
        if start is not None and start.size == numbers.size:
            if np.array_equal(start, numbers):
                continue
            if path in started and numbers.tobytes() in forward:
                continue  # a state, which the forward pass itself changes
            if path in started:
                text, change = f"the change of {written(path)}", start - numbers
                out.append(Kept(text, change, shape(value), path, update=True, source=(-1, path)))
                continue
        one = Kept(written(path), numbers, shape(value), path if path[0][1] != "_" else (), cased=cased)
        claims = path not in point.given and any(one.named_for(at) for at in started)
        if not claims and (
            identity(value) in seen or numbers.tobytes() in forward or numbers.tobytes() in given
        ):
            continue
        seen.add(identity(value))
        name = "what is returned" + written(path)[1:] if path[0][1] == "_" else written(path)
        place = path[:-1] if path[-1][0] == "item" and len(path) > 1 else ()
        out.append(replace(one, text=name, numbers=numbers.copy(), place=place, source=(-1, path)))
    for n, call in enumerate(record.outcome.calls):
        if call.at < point.start:
            continue
        for path, value in leaves(call.result):
            entries = flat(value)
            if entries is None or identity(value) in seen:
                continue
            if entries.tobytes() in forward or entries.tobytes() in given:
                continue
            seen.add(identity(value))
            text = f"what {call.text} returns" + "".join(f"[{s!r}]" for _, s in path)
            named = path if path and isinstance(path[-1][1], str) else ()
            within: tuple[Any, ...] = (call.at, call.text, *path[:-1]) if path else ()
            one = Kept(text, entries.copy(), shape(value), named, place=within, source=(n, path), cased=cased)
            out.append(one)
    return out


def inside(found: Adjoints, chosen: Chosen) -> list[Kept]:
    """Return the local variables of functions that the loss does not depend on, as they are at the end."""
    nodes, statements = found.point.case.program.table.nodes, found.point.case.program.table.statements
    out: dict[tuple[int, str], Kept] = {}
    cased = is_cased(row.path for row in chosen.rows.rows if row.kind == "total")

    def note(function: ast.FunctionDef | None, name: str, value: Any, numbers: Array) -> None:
        if function is None or numbers.tobytes() in chosen.values:
            return
        end = flat(value)  # what is written into it entry by entry stands there at the end only
        if end is not None and end.size == numbers.size and end.tobytes() not in chosen.values:
            numbers = end.copy()
        path, local = (("item", name.split(".")[-1]),), (function.name, name)
        text = f"`{name}` in {function.name}"
        size = numbers.size
        out[id(function), name] = Kept(text, numbers, shape(value, size), path, local=local, cased=cased)

    for seen in found.record.taps[found.start :]:
        node = nodes[seen.node]
        if node.statement >= 0 and isinstance(node.tree, ast.Name | ast.Attribute):
            note(statements[node.statement].function, ast.unparse(node.tree), seen.value, seen.numbers)
    for one in found.record.executions:
        tree, results = statements[one.statement].tree, one.changed or one.results
        given = targets(tree)
        names = [target for target, n in given if n >= 0] or [target for target, _ in given[:1]]
        if len(names) == len(results) and one.step >= found.point.start:
            for target, result in zip(names, results, strict=True):
                if isinstance(target, ast.Name):
                    note(statements[one.statement].function, target.id, *result)
    return list(out.values())


def slices(one: Kept) -> Iterator[list[Array]]:
    """Yield an array's slices along each of its axes: time may be any."""
    array = one.numbers.reshape(one.shape)
    for axis in range(array.ndim if array.ndim > 1 else 0):
        if array.shape[axis] > 1:
            yield [np.ascontiguousarray(part).reshape(-1) for part in np.moveaxis(array, axis, 0)]
