"""The verdict: which gradients are right, which are wrong, and where.

The loss that is differentiated is L = Σ cotangent · output over everything that the code puts out, so that
every path from an input to an output counts. A gradient is

wrong        where it differs from the numerical one by clearly more than that one may be off,
right        where it does not, and the numerical one is known well enough to have shown it,
cannot tell  where the numerical one is not; the reason is given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from bptt.checking.numeric import Method, Numeric, numerical_gradient
from bptt.checking.readings import Link
from bptt.checking.relations import Where, by_gate, where_wrong, wrong_and_shown
from bptt.checking.subject import Subject, SubjectError
from bptt.types import Array, Params

Verdict: TypeAlias = Literal["right", "wrong", "cannot tell"]

TOLERANCE = {"complex step": 1e-9, "central differences": 1e-6}
"""How far a gradient may be from the numerical one, next to that tensor's largest entry."""

SINGLE = 2e-4
"""The same for gradients in single precision."""

CLEAR = 10.0
"""A difference is clear where it is this many times the estimate of the numerical gradient's error."""

COARSE, FINE, MOST = 1e-3, 1e-12, 1e-6
"""Relative changes of an array: one that shows in single precision, one that shows in double alone where the
outputs depend on the array as much, and the most that is tried where they hardly do."""


@dataclass(frozen=True)
class GradientJudgement:
    """The verdict on the gradient at one array.

    Attributes
    ----------
    name : str
    verdict : "right", "wrong" or "cannot tell"
    error : float
        Largest difference from the numerical gradient, next to the latter's largest entry.
    estimate : float
        How far off the numerical gradient may be itself, on the same scale.
    first_wrong_T : int or None
        The least number of time steps at which it is wrong.
    where : Where or None
        For a wrong one: the worst entry, the blocks, and what it is instead.
    """

    name: str
    verdict: Verdict
    error: float
    estimate: float
    first_wrong_T: int | None = None
    where: Where | None = None


@dataclass(frozen=True)
class Judgement:
    """All there is to say of a piece of code.

    Attributes
    ----------
    subject, form : str
        What was judged.
    verdict : "right", "wrong" or "cannot tell"
    gradients : tuple of GradientJudgement
    method : str
        How the numerical gradient was taken.
    cell, fault : dict or None
        The known cell that the forward is, and the one change to a right backward that gives these
        gradients; None where they are not known.
    lags : dict
        For gradients that run through time: the lags (steps from the loss back) at which they are wrong.
    side_effects, notes : tuple of str
    """

    subject: str
    form: str
    verdict: Verdict
    gradients: tuple[GradientJudgement, ...]
    method: str
    cell: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    lags: dict[str, list[int]] = field(default_factory=dict)
    side_effects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the judgement as JSON values."""
        return {key: _plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Judged:
    """A judgement, and the arrays that it was made from."""

    judgement: Judgement
    gradients: Params
    numeric: Numeric


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: what is not finite is null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def judge(subject: Subject, *, seed: int = 0) -> Judged:
    """Judge the gradients of a subject at its point, and find where they go wrong.

    Parameters
    ----------
    subject : Subject
    seed : int
        For the directions and sizes that are tried.

    Raises
    ------
    SubjectError
        If the code fails by itself.
    """
    rng = np.random.default_rng(seed)
    gradients, numeric = compare(subject, rng)
    notes: list[str] = []
    if not _repeats(subject):
        note = "the forward gives another loss for the same numbers (it draws at random, or keeps a state)"
        undecided = tuple(GradientJudgement(name, "cannot tell", np.nan, np.nan) for name in gradients)
        judgement = Judgement(subject.name, subject.form, "cannot tell", undecided, "none", notes=(note,))
        return Judged(judgement, gradients, numeric)
    judged = judge_gradients(gradients, numeric, subject.at)
    missing = [name for name in subject.at if name not in gradients]
    if missing:
        notes.append(f"the code returns no gradient at {', '.join(missing)}")
    notes += getattr(subject, "notes", [])
    if any(j.verdict == "cannot tell" for j in judged):
        notes.append(_why_unclear(gradients, numeric))
    judgement = Judgement(
        subject=subject.name,
        form=subject.form,
        verdict=overall([j.verdict for j in judged]),
        gradients=judged,
        method=numeric.method,
        notes=tuple(notes),
    )
    if judgement.verdict == "wrong":
        judgement = replace(
            judgement,
            gradients=_with_first_wrong_T(subject, judged, rng),
            lags=_wrong_lags(subject, [j.name for j in judged if j.verdict == "wrong"], numeric.method),
        )
    return Judged(judgement, gradients, numeric)


def judge_gradients(gradients: Params, numeric: Numeric, at: Params) -> tuple[GradientJudgement, ...]:
    """Return the verdict on each gradient, next to the numerical one."""
    judged = []
    largest = max((float(np.abs(g).max(initial=0)) for g in numeric.gradient.values()), default=0.0)
    for name, got in gradients.items():
        wanted, estimate = numeric.gradient[name], numeric.estimate[name]
        if got.shape != wanted.shape:
            shapes = f"of shape {got.shape}, where {wanted.shape} belongs"
            judged.append(
                GradientJudgement(
                    name, "wrong", np.inf, 0.0, where=Where((), np.nan, np.nan, relation=shapes)
                )
            )
            continue
        scale = float(np.abs(wanted).max(initial=0)) or largest or 1.0
        tolerance = tolerance_of(got, numeric)
        off = np.abs(np.where(np.isfinite(got), got - wanted, np.inf))
        error, unsure = float(off.max(initial=0)) / scale, float(estimate.max(initial=0)) / scale
        wrong = off > np.maximum(tolerance * scale, CLEAR * estimate)
        verdict: Verdict = "wrong" if wrong.any() else "cannot tell" if unsure > 1e-3 else "right"
        where = where_wrong(name, got, numeric.gradient, at, tolerance) if verdict == "wrong" else None
        judged.append(GradientJudgement(name, verdict, error, unsure, where=where))
    return tuple(judged)


def tolerance_of(got: Array, numeric: Numeric) -> float:
    """Return how far a gradient may be from the numerical one, next to that one's largest entry."""
    return SINGLE if got.dtype.itemsize <= 4 else TOLERANCE[numeric.method]


def with_gates(judged: Judged, links: Sequence[Link]) -> Judgement:
    """Return the judgement with the gates named that are wrong, for a cell whose arrays are known."""

    def named(own: GradientJudgement) -> GradientJudgement:
        got, wanted = judged.gradients[own.name], judged.numeric.gradient[own.name]
        mine = [link for link in links if link.name == own.name]
        if own.where is None or got.shape != wanted.shape or not mine:
            return own
        masks = wrong_and_shown(got, wanted, tolerance_of(got, judged.numeric))
        return replace(own, where=by_gate(own.where, *masks, mine))

    return replace(judged.judgement, gradients=tuple(map(named, judged.judgement.gradients)))


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on all: wrong if one is wrong, right if all are right."""
    if "wrong" in verdicts:
        return "wrong"
    return "right" if verdicts and all(v == "right" for v in verdicts) else "cannot tell"


def loss_of(subject: Subject, at: Params, cotangents: Params | None = None) -> Any:
    """Return L = Σ cotangent · output; complex where the outputs are."""
    outputs = subject.outputs(at)
    total: Any = 0.0
    for name, cotangent in (subject.cotangents if cotangents is None else cotangents).items():
        total = total + np.sum(outputs[name] * cotangent)
    return total


def compare(
    subject: Subject, rng: np.random.Generator, cotangents: Params | None = None
) -> tuple[Params, Numeric]:
    """Return the code's gradients and the numerical one, at the subject's point."""
    cotangents = subject.cotangents if cotangents is None else cotangents
    gradients = {
        name: np.asarray(g)
        for name, g in subject.gradients(subject.at, cotangents).items()
        if name in subject.at
    }
    if not gradients:
        raise SubjectError(f"{subject.name} returns no gradient at anything that it was given")
    for name in rounded(subject, gradients):
        # what comes of numbers in single precision is no better than that, whatever its dtype
        gradients[name] = gradients[name].astype(np.float32)
    at = {name: array for name, array in subject.at.items() if name in gradients}
    numeric = numerical_gradient(lambda arrays: loss_of(subject, subject.at | arrays, cotangents), at, rng)
    return gradients, numeric


def rounded(subject: Subject, names: Iterable[str]) -> list[str]:
    """Return those arrays that the code rounds to single precision: a change that double shows is lost.

    How small a change double precision shows depends on how much the outputs depend on the array at all; a
    few directions, because along one of them they may not.
    """
    here, rng = subject.outputs(subject.at), np.random.default_rng(0)

    def lost(name: str) -> bool:
        way = subject.at[name] * rng.normal(size=subject.at[name].shape)

        def change(size: float) -> float:
            moved = subject.outputs({**subject.at, name: subject.at[name] + size * way})
            with np.errstate(all="ignore"):
                each = [np.abs(moved[key] - a) / np.maximum(np.abs(a), 1e-300) for key, a in here.items()]
            return max((float(np.nanmax(c, initial=0.0)) for c in each), default=0.0)

        slope = change(COARSE) / COARSE
        return bool(slope) and not change(min(max(FINE / slope, FINE), MOST))

    return [name for name in names if all(lost(name) for _ in range(3))]


def _repeats(subject: Subject, times: int = 6) -> bool:
    """Return whether the loss is the same each time; a few times, for draws with few outcomes."""
    losses = np.array([loss_of(subject, subject.at) for _ in range(times)])
    return bool(np.all((losses == losses[0]) | np.isnan(losses)))


def _why_unclear(gradients: Params, numeric: Numeric) -> str:
    if any(g.dtype.itemsize <= 4 for g in gradients.values()):
        return "the code computes in single precision, where differences are too coarse to decide"
    if numeric.method == "central differences":
        return (
            "the loss has a kink (an absolute value, a relu, a clipping) within the smallest step, or noise"
        )
    return "the loss is not finite near this point"


def _with_first_wrong_T(  # noqa: N802 the symbol is T
    subject: Subject, judged: tuple[GradientJudgement, ...], rng: np.random.Generator
) -> tuple[GradientJudgement, ...]:
    """Return the judgements with the least T at which each wrong one is wrong."""
    if not subject.time_axis and subject.form not in ("chunk", "model"):
        return judged
    first: dict[str, int] = {}
    for T in range(1, subject.sizes.T + 1):
        shorter = subject
        if subject.sizes.T != T:
            try:
                shorter = subject.resized(replace(subject.sizes, T=T), rng)
                gradients, numeric = compare(shorter, rng)
            except SubjectError:
                continue  # code that cannot run at this length says nothing about it
        else:
            gradients, numeric = compare(shorter, rng)
        for j in judge_gradients(gradients, numeric, shorter.at):
            if j.verdict == "wrong":
                first.setdefault(j.name, T)
    return tuple(replace(j, first_wrong_T=first.get(j.name)) if j.verdict == "wrong" else j for j in judged)


def _wrong_lags(subject: Subject, names: list[str], method: Method) -> dict[str, list[int]]:
    """Return, for gradients that run through time, at which lags from a loss at one step they are wrong."""
    through = [name for name in names if name in subject.time_axis]
    outputs = [name for name in subject.cotangents if name in subject.time_axis]
    if not through or not outputs:
        return {}
    rng = np.random.default_rng(1)
    wrong: dict[str, set[int]] = {name: set() for name in through}
    for s in range(subject.sizes.T):
        only = {name: np.zeros_like(c) for name, c in subject.cotangents.items()}
        for name in outputs:
            at_s = _at_time(only[name], subject.time_axis[name], s)
            at_s[...] = _at_time(subject.cotangents[name], subject.time_axis[name], s)
        gradients, numeric = compare(subject, rng, only)
        for name in through:
            wanted = numeric.gradient[name]
            scale = float(np.abs(wanted).max(initial=0)) or 1.0
            limit = np.maximum(TOLERANCE[method] * scale, CLEAR * numeric.estimate[name])
            bad = np.abs(gradients[name] - wanted) > limit
            for t in range(subject.sizes.T):
                if _at_time(bad, subject.time_axis[name], t).any():
                    wrong[name].add(s - t)
    return {name: sorted(lags) for name, lags in wrong.items() if lags}


def _at_time(array: Array, axis: int, t: int) -> Array:
    """Return the part of `array` at time t, as a view."""
    return array[(slice(None),) * axis + (t,)]
