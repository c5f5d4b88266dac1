"""Which array is kept for which gradient, where it is not the right one: by name, or by shape."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.point import STATE
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.values import Path, last, shape, written
from bptt.checking.verdict.gradient import (
    Gradient,
    compare,
    harmless,
    hits,
    learned,
    likeness,
    measured,
    owner_of,
    stepwise,
)
from bptt.checking.verdict.kept import DATA, Kept, is_cased
from bptt.checking.verdict.missing import missing
from bptt.checking.verdict.updates import rate

GRADIENT = re.compile(r"_*[dg](?!ata|i[cms]|rop|ec|ense|one|amma|ate|lobal)", re.IGNORECASE)
"""Names of arrays that may be gradients, and are no words that begin like one."""

LABEL = re.compile(r"_*([yt](?![a-z])|targ|label|true|expected|gold|truth)", re.IGNORECASE)
"""Names of arrays that are compared with outputs, and have no gradient."""

START = re.compile(r"state|hidden|cell|mem|init|prev|last|next|0$", re.IGNORECASE)
"""Names of what a sequence starts from, which has no gradient in many a backward."""


def claim(
    keeps: list[Kept],
    gradients: list[Gradient],
    found: Adjoints,
    chosen: Chosen,
    explained: set[int],
    found_inside: list[Kept],
) -> None:
    """Give each array without a right gradient what is kept for it, by name, or else by shape.

    What is handed back without a name has that of the local variable whose numbers it is.
    """
    inside: dict[bytes, set[int]] = {}
    for one in found_inside:
        if (owner := owner_of(one, gradients)) and one.numbers.any():
            inside.setdefault(one.numbers.tobytes(), set()).add(gradients.index(owner))

    alike = learned(gradients)

    def owner_by_name(one: Kept) -> Gradient | None:
        locally = inside.get(one.numbers.tobytes(), set())
        own = owner_of(one, gradients) or (gradients[min(locally)] if len(locally) == 1 else None)
        return own or (alike.get(one.path) if not one.update else None)

    keeps = [_summed(one, owner_by_name(one)) for one in keeps]
    keeps += [one for g in gradients if g.verdict != "right" for one in _joined(keeps, g, found, chosen)]
    owners = {id(one): owner_by_name(one) for one in keeps}
    by_rate = False
    changed: list[tuple[Kept, Gradient]] = []
    loose = [one for one in keeps if id(one) not in explained]
    uses = Counter(id(g.match) for g in gradients if g.match)  # one array may be two gradients
    for gradient in gradients:
        size = int(np.prod(gradient.shape or (1,)))
        if gradient.path in found.point.buffers:
            continue
        named = [k for k in keeps if owners[id(k)] is gradient and k.numbers.size == size]
        named = [k for k in named if not _is_an_outputs(k, gradient, found, chosen)]
        given = [k for k in named if not k.update]
        found_as = (row for k in given for row, _ in hits(k, chosen.rows.explain, chosen.factor))
        if any(row.path == gradient.path for row in found_as):
            shown = [k for k in given if len(k.path) == 1 and id(k) not in explained]
            any(harmless(k, gradient, found, chosen) for k in shown if k.named_for(gradient.path) > 1)
            continue  # what the example itself calls so may be scaled
        if gradient.verdict == "right" and (gradient.note.startswith("inside") or given):
            # where it has an array for itself, what only stands near is another's
            kept = gradient.match is not None and uses[id(gradient.match)] == 1
            given = [k for k in given if not kept or k.named_for(gradient.path) > 1]
            given = [k for k in given if not harmless(k, gradient, found, chosen)]
        elif gradient.verdict != "right":
            given = given or [k for k in named if k in loose]
        else:
            continue
        given.sort(key=lambda k: not (k.update and rate(k, gradient, chosen)))
        if pieces := _pieces(given, gradient, chosen):
            gradient.verdict, gradient.where = "right", f"{pieces[0].text} and on, added up"
            loose = [k for k in loose if k not in pieces]
        elif given and given[0].update and (by := rate(given[0], gradient, chosen)):
            gradient.verdict, gradient.where, gradient.note = "right", given[0].text, f"times {by:.6g}"
            gradient.match = given[0]
            by_rate = True
        elif given and given[0].update and STATE.match(last(gradient.path)):
            changed.append((given[0], gradient))
        elif given:
            compare(given[0], gradient, found, chosen)
            loose = [k for k in loose if k is not given[0]]
    if by_rate or not any(g.verdict == "right" and g.match and not g.match.update for g in gradients):
        for one, gradient in changed:  # else it is a state that goes on: weights are updated together
            compare(one, gradient, found, chosen)
    _one_factor(gradients, found, chosen)
    rest = [g for g in gradients if g.verdict == "not given" and g.path not in found.point.buffers]
    loose += [one for one in keeps if one not in loose and _among_totals(one, keeps, chosen)]
    unnamed = [k for k in loose if owners[id(k)] is None and not k.update]
    once = [g for g in gradients if g.verdict == "right" and g.note.startswith("inside")]
    for match in unnamed:  # it may be the gradient of one of these, clipped or scaled
        if any(harmless(match, g, found, chosen) for g in once if g.shape == match.shape):
            loose.remove(match)
    for match in loose:
        same = [g for g in rest if g.shape == match.shape and not match.update]
        same = [g for g in same if not (LABEL.match(last(g.path)) and g.path in found.point.given)]
        free, own = _is_free(match, owners[id(match)]), match.path[:-1]
        near = [g for g in same if g.shape or g.path[:-1] == own != ()]  # a number has its name, or owner
        same = [g for g in same if owners[id(match)] is g or (free and g in near)]
        if not same and match.place and _among_totals(match, keeps, chosen):  # it was right once, and went on
            once = [g for g in gradients if g.shape == match.shape and g.note == "inside"]
            same = [g for g in once if not harmless(match, g, found, chosen)]
            rest += same
        others = (k for k in keeps if k is not match and k.place == match.place)
        if not same and all(k.shape != match.shape for k in others):
            same = _made_of(match, gradients, found)
            rest += same
        if not same or _looks_like_state(match):
            continue
        likes = [likeness(match, g, found, chosen) if len(same) > 1 else 0.0 for g in same]
        order = [(n > 0.5, g.path in found.point.made, n) for g, n in zip(same, likes, strict=True)]
        best = same[order.index(max(order))]
        compare(match, best, found, chosen)
        rest.remove(best)
        loose = [k for k in loose if k is not match]
    for match in keeps:  # a bias's gradient that still has the batch's axis
        if len(match.shape) > 1:
            summed = match.numbers.reshape(match.shape).sum(0).reshape(-1) / chosen.factor
            paths = {row.path for row in chosen.rows.explain(summed) if row.kind == "total"}
            fits = [g for g in rest if g.path in paths and g.shape == match.shape[1:]]
            for gradient in [g for g in fits if match.place or match.named_for(g.path)]:
                _wrong(gradient, match, f"is not summed over its axis of {match.shape[0]}")
                rest.remove(gradient)
    for match in [one for one in loose if one.numbers.size == 1 and one.place]:
        for gradient in rest:
            whole = measured(found, chosen, gradient) * chosen.factor
            if whole.size > 1 and np.isclose(whole.sum(), match.numbers[0], rtol=1e-6, atol=1e-9):
                _wrong(gradient, match, "is summed over all entries")
    for gradient in missing(gradients, found):
        all_kept = (k for k in (*keeps, *_zeros(found)) if not k.update)
        named = [k for k in all_kept if k.named_for(gradient.path) > 1 or alike.get(k.path) is gradient]
        for match in named:
            if not match.numbers.any():
                _wrong(gradient, match, "is zero: nothing is added to it")
            elif not set(gradient.shape) - {1} <= set(match.shape) and not _are_rows(match, gradient):
                _wrong(gradient, match, f"has the shape {match.shape}, and not {gradient.shape}")
    for gradient in gradients:  # by its name it is given another's
        said = {k.numbers.tobytes() for k in found_inside if k.named_for(gradient.path) > 1}
        taken = gradient.match
        other = taken and owner_of(taken, gradients)
        if taken and other and other is not gradient and taken.named_for(other.path) > 1:
            said = {k.numbers.tobytes() for k in keeps}
        elif gradient.verdict != "not given":
            continue
        for match in [k for k in keeps if k.named_for(gradient.path) > 1 and k.numbers.tobytes() in said]:
            totals = [r for r, _ in hits(match, chosen.rows.explain, chosen.factor) if r.kind == "total"]
            if totals and not match.update and all(row.path != gradient.path for row in totals):
                _wrong(gradient, match, f"is {totals[0].text()}")
    uses = Counter(id(g.match) for g in gradients if g.match)
    for match in _zeros(found):  # among gradients that are right, and of the shape of one array alone
        like = [g for g in gradients if g.verdict == "not given" and g.shape == match.shape]
        like = like or [g for g in gradients if g.shape == match.shape and uses[id(g.match)] > 1][-1:]
        like = [g for g in like if g.path in found.point.made and not START.search(last(g.path))]
        beside = {k.path for k in keeps if id(k) in explained and k.path[:-1] == match.path[:-1]}
        if len(like) == 1 and len(beside) > 1 and match.path[-1][0] == "item":
            _wrong(like[0], match, "is zero: nothing is added to it")
    for match in loose:
        if (
            rest
            and match.numbers.size > 1
            and np.abs(match.numbers).max() > 1e-9  # a bias before batch norm has no effect, and no gradient
            and not match.update
            and _is_free(match, owners.get(id(match)))
            and _among_totals(match, keeps, chosen, least=1)
            and not stepwise(match, chosen.rows.explain, chosen.factor)
            and not any(row.whole for row, _ in hits(match, chosen.rows.explain, chosen.factor))
            and not any(chosen.rows.explain(match.numbers / chosen.factor / n) for n in _samples(match.shape))
        ):
            extra = Gradient(match.text, match.path, match.shape, "wrong", match.text, np.inf)
            extra.got, extra.note = match.numbers, "is the gradient at nothing that the example starts from"
            gradients.append(extra)
    _one_factor(gradients, found, chosen)


def _pieces(given: list[Kept], gradient: Gradient, chosen: Chosen) -> list[Kept]:
    """Return arrays that are a gradient together: each step's, in a list of steps."""
    groups: dict[Path, list[Kept]] = {}
    for one in given:
        groups.setdefault(tuple((k, "*" if isinstance(s, int) else s) for k, s in one.path), []).append(one)
    for some in (group for group in groups.values() if len(group) > 1):
        total = np.sum([one.numbers for one in some], axis=0) / chosen.factor
        if any(row.path == gradient.path for row in chosen.rows.explain(total)):
            return some
    return []


def _joined(keeps: list[Kept], gradient: Gradient, found: Adjoints, chosen: Chosen) -> list[Kept]:
    """Return a list of rows, or of columns, that is named for a matrix's gradient, as one array."""
    lists: dict[Path, list[Kept]] = {}
    for one in keeps:
        if len(one.path) > 1 and isinstance(one.path[-1][1], int) and one.source[0] < 0 and not one.update:
            lists.setdefault(one.path[:-1], []).append(one)
    out = []
    for path, some in lists.items():
        whole = replace(
            some[0], text=written(path), shape=gradient.shape, path=path, place=(), source=(-1, path)
        )
        alike = len({one.shape for one in some}) == 1 < len(some) and whole.named_for(gradient.path) > 1
        stacked = np.array([one.numbers.reshape(one.shape) for one in some]) if alike else np.zeros(0)
        for axis in range(stacked.ndim if alike else 0):
            moved = np.moveaxis(stacked, 0, axis)
            if [n for n in moved.shape if n > 1] == [n for n in gradient.shape if n > 1]:
                out.append(replace(whole, numbers=moved.reshape(-1), axis=axis))
    return sorted(out, key=lambda one: -likeness(one, gradient, found, chosen))[:1]


def _wrong(gradient: Gradient, match: Kept, note: str) -> None:
    gradient.verdict, gradient.where, gradient.got = "wrong", match.text, match.numbers
    gradient.match, gradient.note, gradient.error = match, note, np.inf


def _are_rows(match: Kept, gradient: Gradient) -> bool:
    """Return whether an array may be some rows of a gradient: those that were looked up."""
    return len(match.shape) > 1 and match.shape[1:] == gradient.shape[1:]


def _made_of(match: Kept, gradients: list[Gradient], found: Adjoints) -> list[Gradient]:
    """Return the gradient that was right in a variable and of which a statement has made what is kept."""
    key, taps = match.numbers.tobytes(), found.record.taps
    made = {e.number for e in found.record.executions if any(n.tobytes() == key for _, n in e.results)}
    read = {seen.numbers.tobytes() for seen in taps if seen.execution in made}
    once = [g for g in gradients if g.note == "inside" and g.match is None and g.shape == match.shape]
    return [g for g in once if g.wanted is not None and g.wanted.tobytes() in read][:1]


def _zeros(found: Adjoints) -> list[Kept]:
    """Return what was zero from the start, and is."""
    cased = is_cased(found.arrays)
    return [
        Kept(written(path), found.record.names[-1][path], shape(value), path, source=(-1, path), cased=cased)
        for path, value in found.record.held[-1].items()
        if not found.record.names[-1][path].any()
    ]


def _is_free(one: Kept, owner: Gradient | None) -> bool:
    """Return whether a kept array is nobody's by its name, or its owner has its gradient elsewhere."""
    return owner is None or (owner.verdict == "right" and owner.match is not None and owner.match is not one)


def _summed(one: Kept, owner: Gradient | None) -> Kept:
    """Return a gradient that still has an axis of time or of the batch in front, summed over it."""
    if owner is None or len(one.shape) < 2 or one.shape[1:] != owner.shape:
        return one
    return replace(one, numbers=one.numbers.reshape(one.shape).sum(0).reshape(-1), shape=owner.shape)


def _one_factor(gradients: list[Gradient], found: Adjoints, chosen: Chosen) -> None:
    """Say wrong of a gradient that is scaled where the others are not."""
    kept = [g for g in gradients if g.verdict == "right" and g.path in found.point.made | found.point.given]
    scaled = [g for g in kept if g.scaled is not None]
    plain = [g for g in kept if not g.note or (g.match and g.scaled is None and g.note.startswith("times"))]
    if scaled and (plain or len({f"{g.scaled[1]:.6g}" for g in scaled if g.scaled}) > 1):
        for gradient in scaled:
            assert gradient.scaled is not None
            compare(gradient.scaled[0], gradient, found, chosen)
    times = [g for g in plain if g.note and g.scaled is None]
    if chosen.factor != 1.0 and len(times) < len(plain) / 2:
        chosen.factor = 1.0  # it comes in on the way, and not for most
        for gradient in times:
            assert gradient.match is not None
            compare(gradient.match, gradient, found, chosen)


def claim_locals(
    found_inside: list[Kept], gradients: list[Gradient], found: Adjoints, chosen: Chosen
) -> None:
    """Compare what nothing is kept for with the local variable that has its gradient's name."""
    updated = {g.path for g in gradients if g.where.startswith("the change of")}
    for gradient in gradients:
        if gradient.path in found.point.buffers or gradient.verdict == "right":
            continue
        if gradient.verdict == "wrong" and gradient.path not in updated:
            continue
        size = int(np.prod(gradient.shape or (1,)))
        named = [k for k in found_inside if k.numbers.size == size and owner_of(k, gradients) is gradient]
        named = [k for k in named if not _is_an_outputs(k, gradient, found, chosen)]
        if named:
            compare(named[-1], gradient, found, chosen)
    for gradient in gradients:
        _by_sample(gradient, chosen)


def _samples(shape: tuple[int, ...]) -> set[int]:
    """Return over how many samples a mean may be, by a shape with their axes: the batch, and time."""
    return {a * b for a, b in itertools.combinations((1, *shape), 2)} - {1}


def _by_sample(gradient: Gradient, chosen: Chosen) -> None:
    """Say right of an input's gradient that is not averaged where the loss and the weights' gradients are."""
    name = last(gradient.path)
    if gradient.verdict != "wrong" or not (DATA.match(name) or STATE.match(name)) or gradient.wanted is None:
        return
    if chosen.candidate.kind == "handed" or gradient.got is None or gradient.got.size != gradient.wanted.size:
        return
    wanted = gradient.wanted * chosen.factor
    for count in _samples(gradient.shape):
        if wanted.any() and np.allclose(gradient.got, count * wanted, rtol=1e-5, atol=1e-9):
            gradient.verdict, gradient.error = "right", 0.0
            gradient.note = f"times {count}: of each sample's loss, and not of their mean"


def _is_an_outputs(one: Kept, gradient: Gradient, found: Adjoints, chosen: Chosen) -> bool:
    """Return whether an array is the gradient at an output whose name labels or inputs have, too."""
    name = last(gradient.path)
    may_be = gradient.path in found.point.given and DATA.match(name)
    rows = chosen.rows.explain(one.numbers / chosen.factor) if may_be else []
    return any(row.whole for row in rows) and not any(row.path for row in rows)


def _among_totals(one: Kept, keeps: list[Kept], chosen: Chosen, least: int = 2) -> bool:
    """Return whether a kept array is no whole gradient and stands among such, in their list or dict."""

    def total(other: Kept) -> bool:
        return any(row.kind == "total" for row, _ in hits(other, chosen.rows.explain, chosen.factor))

    place = one.place
    return (
        bool(place)
        and not total(one)
        and sum(k.place == place and total(k) for k in keeps if k is not one) >= least
    )


def _looks_like_state(match: Kept) -> bool:
    """Return whether a kept array's name says that it is no gradient; in a returned tuple it has none."""
    if not match.path or (len(match.path) > 1 and all(isinstance(s, int) for _, s in match.path[1:])):
        return False
    return not GRADIENT.match(last(match.path)) and "grad" not in match.text
