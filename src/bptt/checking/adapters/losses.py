"""Which loss a backward differentiates: where the code does not compute it, or computes another.

A backward that starts from predictions and targets says by its output matrix's gradient which loss it is of;
that one is judged. Where the code returns a loss, and all gradients are one multiple of that loss's, the
multiple is what they are gradients of: a sum where the mean is printed, half a square where its root is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bptt.checking.numeric import derivative
from bptt.checking.subject import Sizes, Subject, SubjectError
from bptt.types import Array, Params

CROSS_ENTROPY, SQUARE = "the cross-entropy", "half the squared error"
SOFTMAX = "the cross-entropy of the softmax"

CLOSE = 1e-5
"""Relative; what two slopes may differ by."""


def loss(kind: str, y: Array, wanted: Array, axis: int) -> Any:
    """Return the sum of the losses of predictions.

    Parameters
    ----------
    kind : str
    y, wanted : array
        Predictions and targets, these one-hot where they are classes.
    axis : int
        Of the classes.
    """
    if kind == SQUARE:
        return np.sum((y - wanted) ** 2) / 2
    if kind == SOFTMAX:
        y = np.exp(y) / np.exp(y).sum(axis, keepdims=True)
    return -np.sum(np.log(y) * wanted)


def slopes(subject: Subject, names: Sequence[str], seed: int) -> tuple[float, float]:
    """Return how the loss changes in a random direction of these arrays: by the gradients, and by itself."""
    rng = np.random.default_rng(seed)
    way = {name: rng.normal(size=subject.at[name].shape) for name in names}
    given = subject.gradients(subject.at, subject.cotangents)

    def along(s: float) -> float:
        at: Params = {**subject.at, **{name: subject.at[name] + s * way[name] for name in names}}
        outputs = subject.outputs(at)
        return float(sum(np.sum(np.real(outputs[n]) * c) for n, c in subject.cotangents.items()))

    here, _ = derivative(along, 0.25)
    return float(sum(np.sum(given[name] * way[name]) for name in names)), here


def agrees(subject: Subject) -> bool:
    """Return whether the gradient at the output matrix is that of the subject's loss."""
    names = [name for name, role in subject.roles.items() if role == "V"]
    try:
        if not names or names[0] not in subject.gradients(subject.at, subject.cotangents):
            return False
        by_gradient, by_itself = slopes(subject, names, 0)
    except SubjectError:
        return False
    return abs(by_gradient - by_itself) <= CLOSE * max(abs(by_gradient), abs(by_itself))


def multiple(subject: Subject) -> tuple[float, str]:
    """Return which multiple of the loss the gradients are of, and this in words; 1 where they are of none.

    At least two of them must be that multiple exactly, and none the loss's own: the others are wrong then.
    """
    ratios = [k for k in _ratios(subject).values() if np.isfinite(k)]
    if len(ratios) < 2 or any(abs(k - 1) < CLOSE for k in ratios):
        return 1.0, ""
    value = float(np.real(subject.outputs(subject.at)["loss"]))
    for words, wanted in _named(subject.sizes, value):
        if sum(abs(k / wanted - 1) < CLOSE for k in ratios) >= 2:
            return wanted, words
    return 1.0, ""


def is_negative(subject: Subject) -> bool:
    """Return whether some gradients are exactly those of minus the loss, and none those of the loss."""
    ratios = [k for k in _ratios(subject).values() if np.isfinite(k)]
    return any(abs(k + 1) < CLOSE for k in ratios) and not any(abs(k - 1) < CLOSE for k in ratios)


def _ratios(subject: Subject) -> dict[str, float]:
    """Return for each gradient which multiple it is of the right one; not a number where it is none."""
    try:
        names = list(subject.gradients(subject.at, subject.cotangents))
        by_gradients, by_itself = slopes(subject, names, 0)
        if abs(by_gradients - by_itself) <= CLOSE * abs(by_itself):
            return dict.fromkeys(names, 1.0)
        pairs = {name: [slopes(subject, [name], seed) for seed in (1, 2)] for name in names}
    except (SubjectError, KeyError, ValueError):
        return {}
    found = {}
    for name, both in pairs.items():
        one, other = (given / wanted if wanted else np.nan for given, wanted in both)
        found[name] = float(one) if abs(one - other) <= CLOSE * abs(one) else float("nan")
    return found


def _named(sizes: Sizes, value: float) -> list[tuple[str, float]]:
    T, N, V = sizes.T, sizes.N, sizes.V
    counts = {"T": T, "N": N, "T N": T * N, "V": V, "T V": T * V, "N V": N * V, "T N V": T * N * V}
    found = [(f"{n} times {{}} (a sum, where that is a mean)", float(k)) for n, k in counts.items()]
    found += [(f"1/({n}) of {{}} (a mean, where that is a sum)", 1 / k) for n, k in counts.items()]
    found += [("half of {}", 0.5), ("twice {}", 2.0), ("minus {} (the steps go up)", -1.0)]
    found += [(f"half the sum, where {{}} is a mean over {n}", k / 2) for n, k in counts.items()]
    rooted = "half the squared error, where {} is the root of its mean over"
    found += [(f"{rooted} {n}", value * k) for n, k in counts.items()]
    return [*found, ("half the square of {}", value), ("the square of {}", 2 * value)]
