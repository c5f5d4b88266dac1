"""What must be kept at the end of a run: read and compared in one plain run, with nothing written down."""

import ast
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.record import Case
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.instrument import targets
from bptt.checking.taps.program import Hooks, Outcome, Program
from bptt.checking.taps.values import flat, get
from bptt.checking.verdict.gradient import Judged, measured
from bptt.checking.verdict.kept import Kept
from bptt.types import Array


@dataclass(frozen=True)
class Wanted:
    """A gradient's place, and the numbers that belong there."""

    name: str
    kept: Kept
    numbers: Array
    start: Array | None  # of an array that is updated by a rate that nobody knows: its change is parallel
    was_right: bool
    exact: bool = False  # the change is known
    others: tuple[Kept, ...] = ()  # in which it may be as well: nothing has a name there

    def met(self, value: Any) -> float:
        """Return which part of the entries is right; of an update, whether all are."""
        numbers = flat(value)
        if numbers is None:
            return 0.0
        if self.start is not None:
            if numbers.size != self.start.size:
                return 0.0
            change = self.start - numbers
            if self.exact:
                return float((np.abs(change - self.numbers) <= 0.02 * np.abs(self.numbers) + 1e-9).mean())
            sizes = float(np.linalg.norm(change) * np.linalg.norm(self.numbers))
            return float(sizes > 0 and change @ self.numbers > (1 - 1e-11) * sizes)
        wanted = self.numbers
        if numbers.size != wanted.size:
            if numbers.size == 0 or wanted.size == 0 or numbers.size % wanted.size:
                return 0.0
            numbers = numbers.reshape(-1, wanted.size).sum(0)  # an axis that is still to be summed
        largest, bound = float(np.abs(wanted).max()), float(np.abs(numbers).max())
        slack = 2e-6 * max(largest, 1e-7)
        if (
            0 < bound < largest - slack
            and (np.abs(np.clip(wanted, -bound, bound) - numbers) <= 2e-6 * bound).all()
        ):
            return 1.0  # it is clipped after it
        return float((np.abs(numbers - wanted) <= slack).mean())

    def changed(self, before: Array | None, after: Array | None) -> bool:
        """Return whether what is wrong is something else."""
        if before is None or after is None or before.size != after.size:
            return True
        if self.start is not None or before.size != self.numbers.size:
            return not np.array_equal(before, after)
        wrong = np.abs(before - self.numbers) > 2e-6 * max(float(np.abs(self.numbers).max()), 1e-7)
        return bool((before != after)[wrong].any())  # a clip may hold some


class Goal:
    """All gradients that are kept, as they must be, by the verdict on the run as it is."""

    def __init__(self, found: Adjoints, judged: Judged) -> None:
        self.wanted, factor = list[Wanted](), judged.chosen.factor * _scaled(judged)
        for gradient in judged.gradients:
            match = gradient.match
            if match is None or gradient.verdict not in ("right", "wrong"):
                continue
            right = gradient.verdict == "right"
            known = gradient.change is not None
            numbers = match.numbers if right else gradient.change
            numbers = measured(found, judged.chosen, gradient) * factor if numbers is None else numbers
            start = found.record.names[found.point.start].get(match.path) if match.update else None
            self.wanted.append(Wanted(gradient.name, match, numbers, start, right, known))
        paths = {gradient.name: gradient.path for gradient in judged.gradients}
        wrong = [
            one.kept
            for one in self.wanted
            if not (one.was_right or one.kept.update or one.kept.named_for(paths[one.name]))
        ]
        for n, one in enumerate(self.wanted):
            if one.kept in wrong:
                alike = [k for k in wrong if k is not one.kept and k.shape == one.kept.shape]
                self.wanted[n] = replace(one, others=tuple(alike))

    def reached(self, case: Case, hooks: Hooks | None = None) -> list[float]:
        """Return which part of each gradient is right after a run; raises what the run raises."""
        kept = self._kept(case, hooks)
        return [max(map(one.met, values)) for one, values in zip(self.wanted, kept, strict=True)]

    def moved(self, case: Case, hooks: Hooks) -> list[bool]:
        """Return for each gradient that is wrong whether a run changes it."""
        before, after = ([list(map(flat, values)) for values in self._kept(case, h)] for h in (None, hooks))
        return [
            any(one.changed(*pair) for pair in zip(*pairs, strict=True))
            for one, *pairs in zip(self.wanted, before, after, strict=True)
            if not one.was_right
        ]

    def _kept(self, case: Case, hooks: Hooks | None) -> list[list[Any]]:
        """Return what a run keeps for each gradient."""
        held: dict[tuple[str, str], Any] = {}
        hooks = self._watching(case.program, hooks or Hooks(), held)
        outcome = case.run(hooks)
        return [[_read(kept, outcome, held) for kept in (one.kept, *one.others)] for one in self.wanted]

    def _watching(self, program: Program, hooks: Hooks, held: dict[tuple[str, str], Any]) -> Hooks:
        """Return hooks that also note the local variables in which gradients are wanted."""
        local = {one.kept.local for one in self.wanted if one.kept.local[0]}
        if not local:
            return hooks
        put, post = dict[int, list[tuple[tuple[str, str], int]]](), dict[int, tuple[str, str]]()
        for j, statement in enumerate(program.table.statements):
            tree, function = statement.tree, statement.function
            for part, n in targets(tree):
                key = function.name if function is not None else "", ast.unparse(part)
                if key in local and isinstance(tree, ast.AugAssign):
                    post[j] = key
                elif key in local:
                    put.setdefault(j, []).append((key, n))

        def noted(j: int, value: Any) -> Any:
            value = hooks.put(j, value)
            for key, n in put.get(j, ()):
                held[key] = value if n < 0 else value[n]
            return value

        def after(j: int, value: Any) -> None:
            if j in post:
                held[post[j]] = value
            hooks.post(j, value)

        return replace(hooks, put=noted, post=after)


def _scaled(judged: Judged) -> float:
    """Return by what all gradients that are right are multiplied before they are kept."""
    right = [one for one in judged.gradients if one.verdict == "right" and (one.scaled or one.match)]
    rates = {float(f"{one.scaled[1]:.9g}") if one.scaled else 1.0 for one in right}
    return rates.pop() if len(rates) == 1 < len(right) else 1.0


def _read(kept: Kept, outcome: Outcome, held: dict[tuple[str, str], Any]) -> Any:
    if kept.local[0]:
        return held.get(kept.local)
    call, path = kept.source
    try:
        if call < 0:
            value = get(outcome.names, path)
            return value if kept.axis < 0 else np.moveaxis(np.array(value), 0, kept.axis)
        return get({"": outcome.calls[call].result}, (("item", ""), *path))
    except (LookupError, AttributeError, TypeError, ValueError):
        return None
