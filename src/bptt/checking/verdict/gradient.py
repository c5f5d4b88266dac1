"""The verdict on one array's gradient: what is kept, compared with what is measured."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import NONE, Adjoints
from bptt.checking.taps.values import Path, last
from bptt.checking.verdict.kept import Kept, slices
from bptt.types import Array


@dataclass(eq=False)
class Gradient:
    """The verdict on the gradient at one array."""

    name: str
    path: Path
    shape: tuple[int, ...]
    verdict: str = "not given"  # or "right", "wrong"
    where: str = ""  # what is taken for it
    error: float = 0.0  # the largest difference, next to the gradient's largest entry
    wanted: Array | None = None  # of shape (size,), as what is there
    got: Array | None = None
    note: str = ""  # that it is averaged, clipped, summed
    scaled: tuple[Kept, float] | None = None  # what is a multiple of it, and by how much
    match: Kept | None = None  # what is taken for it, where that is one array
    change: Array | None = None  # what an update of the array must be, where that is known
    aliases: tuple[Path, ...] = ()  # other names of the array


@dataclass(eq=False)
class Judged:
    """The verdict on an example under one loss."""

    chosen: Chosen
    gradients: list[Gradient]
    verdict: str
    reason: str = ""
    kept: list[Kept] = field(default_factory=list)

    @property
    def wrong(self) -> list[Gradient]:
        """The gradients that are wrong."""
        return [one for one in self.gradients if one.verdict == "wrong"]


def hits(one: Kept, explain, factor: float) -> list[tuple[Row, str]]:  # type: ignore[no-untyped-def]
    """Return the adjoints that a kept array is: as it stands, transposed, or summed over an axis."""
    for scale in dict.fromkeys((factor, 1.0)):
        note = "" if scale == 1.0 else f"times {scale:.6g}"
        found = explain(one.numbers / scale)
        if found:
            return [(row, note) for row in found]
        if len(one.shape) >= 2:
            array = one.numbers.reshape(one.shape)
            turned = np.ascontiguousarray(array.swapaxes(-1, -2)).reshape(-1)
            if array.shape[-1] != array.shape[-2] and (found := explain(turned / scale)):
                return [(row, "transposed" + (", " + note if note else "")) for row in found]
            for axis in (0, len(one.shape) - 1):
                summed = [row for row in explain(array.sum(axis).reshape(-1) / scale) if row.kind == "total"]
                if summed and array.shape[axis] > 1:
                    note = f"with an axis of {array.shape[axis]} that is still to be summed"
                    return [(row, note) for row in summed]
    return []


def stepwise(one: Kept, explain, factor: float) -> list[Row]:  # type: ignore[no-untyped-def]
    """Return the adjoints that a kept array's slices along an axis are, each a whole one (or zero)."""
    for parts in slices(one):
        found = [[row for row in explain(part / factor) if row.whole] for part in parts if part.any()]
        if all(found):
            return [*itertools.chain(*found)]
    return []


def owner_of(one: Kept, gradients: list[Gradient]) -> Gradient | None:
    """Return the array whose gradient a kept array is by its name: of several, the nearest to it."""

    def near(gradient: Gradient) -> int:
        named = [path for path in (gradient.path, *gradient.aliases) if one.named_for(path)]
        same = (sum(a == b for a, b in zip(one.path, path, strict=False)) for path in named)
        return max(same, default=-1)

    return max((g for g in gradients if near(g) >= 0), key=near, default=None)


def learned(gradients: list[Gradient]) -> dict[Path, Gradient]:
    """Return where gradients are kept if they are named, or lie, as those that are right do."""
    lie, names = set[tuple[Path, Path]](), set[tuple[str, str]]()
    for path, own in [(g.path, g.match.path) for g in gradients if g.verdict == "right" and g.match]:
        same = next((n for n, (a, b) in enumerate(zip(path[::-1], own[::-1], strict=False)) if a != b), 0)
        lie |= {(path[:-same], own[:-same])} if same else set()
        if path[:-1] == own[:-1] and isinstance(path[-1][1], str) and last(path) != last(own):
            names.add((last(path), last(own)))
    out = {b + g.path[len(a) :]: g for g in gradients for a, b in lie if g.path[: len(a)] == a}
    for g in gradients:
        for name, kept in names if isinstance(g.path[-1][1], str) else ():
            if name in kept or name == last(g.path):
                out[(*g.path[:-1], (g.path[-1][0], kept.replace(name, last(g.path), 1)))] = g
    return out


def cosine(a: Array, b: Array) -> float:
    """Return the cosine of the angle between two vectors."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-300))


def likeness(match: Kept, gradient: Gradient, found: Adjoints, chosen: Chosen) -> float:
    """Return a cosine as `cosine` does; where not all entries are known yet, it is roughly so."""
    if gradient.wanted is not None:
        return abs(cosine(match.numbers, gradient.wanted))
    unit = match.numbers / (np.linalg.norm(match.numbers) + 1e-300)
    some = np.random.default_rng(unit.size).normal(size=(8, unit.size))
    along = [found.along(chosen.candidate.terms, one, gradient.path) for one in (unit, *some)]
    return float(abs(along[0]) / (np.sqrt(np.square(along[1:]).mean()) + 1e-300))


def is_bound(numbers: Array) -> bool:
    """Return whether an array's norm is a number of few digits, as bounds are."""
    norm = float(np.linalg.norm(numbers))
    return abs(norm - float(f"{norm:.3g}")) < 1e-5 * norm


def harmless(match: Kept, gradient: Gradient, found: Adjoints, chosen: Chosen) -> bool:
    """Return whether what is kept is the right gradient, clipped or scaled."""
    if likeness(match, gradient, found, chosen) < 0.1:
        return False
    wanted = measured(found, chosen, gradient)
    bound = np.abs(match.numbers).max()
    clipped = np.clip(wanted, -bound, bound)
    if 0 < bound < np.abs(wanted).max() and np.allclose(clipped, match.numbers, rtol=1e-5):
        gradient.note = f"clipped to {bound:.4g} after it"
        return True
    if abs(cosine(match.numbers, wanted)) > 1 - 1e-9:
        factor = float(match.numbers @ wanted / (wanted @ wanted))
        if 0 < factor < 1 and is_bound(match.numbers):
            gradient.note = f"its norm clipped to {np.linalg.norm(match.numbers):.4g} after it"
            return True
        gradient.note, gradient.scaled = f"times {factor:.6g} after it", (match, factor)
        return True
    return False


def measured(found: Adjoints, chosen: Chosen, gradient: Gradient) -> Array:
    """Return a gradient's entries under the loss."""
    if gradient.wanted is None:
        size = int(np.prod(gradient.shape or (1,)))
        gradient.wanted = found.entries(chosen.candidate.terms, size, path=gradient.path)
    return gradient.wanted


def compare(match: Kept, gradient: Gradient, found: Adjoints, chosen: Chosen) -> None:
    """Judge a gradient by the array that is kept for it."""
    wanted = measured(found, chosen, gradient) * chosen.factor
    base = max(1.0, abs(float(found.base[list(chosen.candidate.terms)].sum())))
    largest = max(float(np.abs(wanted).max()), NONE * base)
    errors = np.abs(match.numbers - wanted)
    doubts = abs(chosen.factor) * found.doubts.get(gradient.path, np.zeros(1))
    if doubts.max() < 1e-4 * largest:  # no kink: it is rounding, and may be at any entry
        doubts = doubts.max()
    gradient.error = float(errors.max() / largest)
    gradient.verdict = "wrong" if not (errors < 2e-6 * largest + 10 * doubts).all() else "right"
    gradient.where, gradient.got, gradient.note, gradient.match = match.text, match.numbers, "", match
