"""One to five faults planted in the backward of right code, each of which changes a gradient."""

import ast
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from bptt.types import Array
from judged.fault_edits import Edit, edits
from judged.fault_source import Kinds, Sources
from judged.truth import FILE, Run, Truth, apart, unlike
from judged.unlike_truths import TRUTHS

SEEDS = (11, 12)
CLEAR = 1e-3
STEPS = 300_000  # lines: a loop that a fault keeps from ending is stopped there

Gradients = list[dict[str, Array]]


class Fault(NamedTuple):
    """What was planted: its kind, its lines in the planted text and in the right one, before and after."""

    kind: str
    lines: tuple[int, ...]
    right_lines: tuple[int, ...]
    before: str
    after: str


class Planted(NamedTuple):
    """Wrong code, its faults from the top, and the example that shows them."""

    text: str
    faults: list[Fault]
    example: str


def plant(name: str, seed: int, count: int = 1) -> Planted:
    """Plant faults in a file of `unlike`.

    Raises
    ------
    ValueError
        No ``count`` faults were found that each change a gradient.
    """
    return plant_in(unlike(name), TRUTHS[name], seed, count)


def plant_in(text: str, truth: Truth, seed: int, count: int = 1) -> Planted:
    """Plant faults in any right code. Without one of them, the gradients are others: none hides another."""
    rng = np.random.default_rng(seed)
    source = Sources(text, kinds_of(text, truth))
    right = gradients(text, truth)
    by_kind: dict[str, list[Edit]] = {}
    for edit in edits(source, source.backward(truth)):
        by_kind.setdefault(edit.kind, []).append(edit)
    loss = Run(text, truth, SEEDS[0]).loss()
    taken: list[Edit] = []
    for _ in range(60 * count):
        if not by_kind:
            break
        kind = str(rng.choice(sorted(by_kind)))
        drawn = fitted(text, by_kind[kind].pop(int(rng.integers(len(by_kind[kind])))))
        by_kind = {kind: left for kind, left in by_kind.items() if left}
        if drawn is None or any(near(source, drawn, other) for other in taken):
            continue
        if not (changes(text, truth, [drawn], right) and forward(text, truth, drawn) == loss):
            continue
        if not taken or (
            changes(text, truth, [*taken, drawn], right) and independent(text, truth, [*taken, drawn])
        ):
            taken.append(drawn)
        if len(taken) == count:
            return Planted(spliced(text, taken), recorded(text, taken), truth.example)
    raise ValueError(f"{len(taken)} of {count} faults planted with seed {seed}: try another seed")


def forward(text: str, truth: Truth, edit: Edit) -> float:
    """Return the loss with an edit, which no fault of a backward changes; nan where there is none."""
    try:
        return Run(spliced(text, [edit]), truth, SEEDS[0]).loss()
    except Exception:  # whatever judged code may raise
        return float("nan")


def near(source: Sources, edit: Edit, other: Edit) -> bool:
    """Return whether two edits touch a line together."""

    def lines(one: Edit) -> tuple[int, int]:
        last = max(one.end - 1, one.start)
        return source.text.count(b"\n", 0, one.start), source.text.count(b"\n", 0, last)

    (a, b), (c, d) = lines(edit), lines(other)
    return a <= d and c <= b


def independent(text: str, truth: Truth, taken: list[Edit]) -> bool:
    """Return whether each of some edits, left out, gives other gradients than all of them."""
    whole = gradients(spliced(text, taken), truth)
    return all(changes(text, truth, [e for e in taken if e is not left], whole) for left in taken)


def changes(text: str, truth: Truth, some: list[Edit], right: Gradients) -> bool:
    """Return whether code runs with some edits and has clearly other gradients, of the same shapes."""
    try:
        got = gradients(spliced(text, some), truth)
    except Exception:  # whatever judged code may raise
        return False
    return all(CLEAR < apart(g, r) < np.inf for g, r in zip(got, right, strict=True))


def gradients(text: str, truth: Truth) -> Gradients:
    """Return what the code makes of the example, at two seeds."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [bounded(Run(text, truth, seed).gradients) for seed in SEEDS]


def bounded(call: Callable[[], dict[str, Array]], kinds: Kinds | None = None) -> dict[str, Array]:
    """Call a function; raise a RuntimeError where it runs without an end; note what names hold."""
    left = STEPS

    def traced(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("it does not end")
        if kinds is not None and event == "return" and frame.f_code.co_filename == FILE:
            kinds.setdefault(frame.f_code.co_firstlineno, {}).update(
                (name, kind_of(value)) for name, value in frame.f_locals.items()
            )
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        return call()
    finally:
        sys.settrace(before)


def kinds_of(text: str, truth: Truth) -> Kinds:
    """Return what the names of each function hold as it returns."""
    kinds: Kinds = {}
    bounded(Run(text, truth, SEEDS[0]).gradients, kinds)
    return kinds


def kind_of(value: object) -> object:
    return type(value), getattr(value, "shape", None), len(value) if isinstance(value, list | tuple) else None


def fitted(text: str, edit: Edit) -> Edit | None:
    """Return an edit with parentheses where its place needs them; None where it is no Python."""
    bare, held = edit, edit._replace(new=f"({edit.new})")
    try:
        wanted = ast.dump(ast.parse(spliced(text, [held if edit.loose else bare])))
    except SyntaxError:
        return None
    try:
        return bare if ast.dump(ast.parse(spliced(text, [bare]))) == wanted else held
    except SyntaxError:
        return held


def spliced(text: str, some: list[Edit]) -> str:
    data = text.encode()
    for edit in sorted(some, key=lambda e: e.start, reverse=True):
        data = data[: edit.start] + edit.new.encode() + data[edit.end :]
    return data.decode()


def recorded(text: str, taken: list[Edit]) -> list[Fault]:
    """Return what was planted, with the lines that an edit touches in the text with all edits."""
    data, faults, shift = text.encode(), [], 0
    for edit in sorted(taken, key=lambda e: e.start):
        new = edit.new.encode()
        first = data.rfind(b"\n", 0, edit.start) + 1
        last = data.find(b"\n", max(edit.end - 1, edit.start))
        before = data[first:last].decode()
        after = (data[first : edit.start] + new + data[edit.end : max(last, edit.end)]).decode().rstrip("\n")
        line = data.count(b"\n", 0, edit.start) + 1
        faults.append(
            Fault(
                edit.kind,
                tuple(line + shift + k for k in range(after.count("\n") + 1)),
                tuple(line + k for k in range(before.count("\n") + 1)),
                before,
                after,
            )
        )
        shift += new.count(b"\n") - data[edit.start : edit.end].count(b"\n")
    return faults
