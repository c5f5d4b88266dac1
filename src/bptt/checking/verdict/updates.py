"""Updates of weights: what most of them make of their gradients, and those that make something else."""

from collections import Counter

import numpy as np

from bptt.checking.adjoints.choice import Chosen, is_written
from bptt.checking.adjoints.point import STATE
from bptt.checking.adjoints.record import sketch
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.values import last, written
from bptt.checking.verdict.gradient import Gradient, cosine, measured, owner_of
from bptt.checking.verdict.kept import Kept
from bptt.types import Array

MOST = 0.2  # of weights, that decays in one update

AGREE = 0.75  # which part of an update's signs are the gradient's, where a decay of weights changes some


def rate(one: Kept, gradient: Gradient, chosen: Chosen) -> float | None:
    """Return the learning rate by which an update is the gradient; None: it is none."""
    totals = (r.sketch for r in chosen.rows.rows if r.kind == "total" and r.path == gradient.path)
    total, own = next(totals, None), sketch(one.numbers)
    if total is None or gradient.shape != one.shape:
        return None
    rate = float(own @ total / (total @ total))
    return rate if np.abs(own - rate * total).max() <= 1e-6 * np.abs(own).max() else None


def judge_updates(
    keeps: list[Kept], gradients: list[Gradient], local: list[Kept], found: Adjoints, chosen: Chosen
) -> None:
    """Say wrong of right gradients with which weights are updated otherwise than most are.

    Most follow one rule: a rate times the gradient, or times its signs, as the first step of Adagrad or Adam.
    """
    made = {k.path: k for k in keeps if k.update}
    pairs = [(made[g.path], g) for g in gradients if g.path in made and g.verdict == "right"]
    rules = [_rule(k, g, found, chosen) for k, g in pairs]
    counts = Counter(f"{of}{by:.3g}" for of, by in rules if by)
    if not counts:
        return
    count = max(counts.values())
    of, step = next((of, by) for of, by in rules if by and counts[f"{of}{by:.3g}"] == count)
    for (kept, gradient), (own, by) in zip(pairs, rules, strict=True):
        alike = counts[f"{own}{by:.3g}"]
        if alike == count or alike > 1 or (count == 1 and gradient.match is not kept):
            continue
        change = step * _of(of, measured(found, chosen, gradient))
        start = found.record.names[found.point.start][kept.path]
        if not by and (STATE.match(last(kept.path)) or _is_meant(kept.numbers, change, start, of)):
            continue
        if (
            by
            and own == of == ""
            and 0 < by < step
            and is_written(float(np.linalg.norm(kept.numbers) / step))
        ):
            continue  # its norm is clipped
        times = (
            f"{by / step:.4g} times as large as the others'" if by and own == of else "not as the others' are"
        )
        _odd(gradient, kept, change, f"its update is {times}")
    beside = Counter(k.path[:-1] for k, _ in pairs)
    for gradient in gradients if count > 1 else ():
        path, there = gradient.path, gradient.verdict == "right" and gradient.match is None
        if path in made or path not in found.point.made or beside[path[:-1]] < 2 or STATE.match(last(path)):
            continue
        if there and any(owner_of(k, gradients) is gradient for k in local):
            change = step * _of(of, measured(found, chosen, gradient))
            text, source = f"the change of {written(path)}", (-1, path)
            kept = Kept(text, 0 * change, gradient.shape, path, update=True, source=source)
            _odd(gradient, kept, change, "nothing is updated with it")


def _odd(gradient: Gradient, kept: Kept, change: Array, note: str) -> None:
    gradient.verdict, gradient.error, gradient.match = "wrong", np.inf, kept
    gradient.where, gradient.got, gradient.note, gradient.change = kept.text, kept.numbers, note, change


def _rule(one: Kept, gradient: Gradient, found: Adjoints, chosen: Chosen) -> tuple[str, float]:
    """Return of what an update is a multiple, and by how much: the gradient, or its signs; 0: of neither."""
    if by := rate(one, gradient, chosen):
        return "", by
    signs = _of("signs", measured(found, chosen, gradient))
    own = (one.numbers * signs)[signs != 0]
    middle = float(np.median(own)) if own.size > 1 else 0.0
    return "signs", middle * bool(np.abs(own - middle).max(initial=0) <= 0.01 * abs(middle))


def _of(rule: str, wanted: Array) -> Array:
    """Return what an update is a multiple of; no sign where nothing tells it."""
    large = np.abs(wanted) > 1e-4 * np.abs(wanted).max()
    return np.where(large, np.sign(wanted), 0.0) if rule else wanted


def _is_meant(change: Array, wanted: Array, start: Array, rule: str) -> bool:
    """Return whether an update is clipped, or weights decay in it."""
    bound, some = np.abs(change).max(), wanted != 0
    if not rule and np.allclose(np.clip(wanted, -bound, bound), change, rtol=1e-5):
        return True
    rest, own = (change - wanted)[some], start[some]
    if cosine(rest, own) > 1 - 1e-6 and np.linalg.norm(rest) < MOST * np.linalg.norm(own):
        return True
    agree = np.sign(change[some]) == np.sign(wanted[some])
    return bool(rule) and bool(agree.mean() >= AGREE)
