"""Which gates and units' parameters do not learn: their gradients are zero wherever they are looked at.

The points are random and of all sizes, so that some pass a threshold far away, as that of relu(a - 50). Where
a gradient cancels, as that of sigmoid(a) + sigmoid(-a), a rounding error is left, and float32 makes another
one than float64. So a number on which both agree is a gradient, and one on which they differ is rounding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt.derive.equations import Equations
from bptt.types import Array

SIZES = (1.0, 10.0, 100.0, 1e4, 1e6)
POINTS = 64
"""For each of the sizes, and as many of sizes of all kinds together."""

CLOSE = 0.01
"""Float32 and float64 agree on a gradient where they differ by no more than this part of it."""

CLEAR = 1e-9
"""Where all arguments are of size 1, a gradient above this is no rounding error, even if they disagree."""

FAR = 1e-7
"""Elsewhere one below this may be a rounding error on which both agree, as where the sigmoid's 1 - y is 0."""


def idle(eq: Equations, step: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of those that do not learn.

    Parameters
    ----------
    eq : Equations
    step : dict of functions
        As :func:`bptt.derive.numpy_code.step_functions` returns them.

    Returns
    -------
    tuple of two tuples of str
        Those whose gradient is zero; those that only states depend on which never reach the output.
    """
    rng = np.random.default_rng(0)
    names = (*eq.columns, *eq.before)
    sizes = np.repeat(SIZES, POINTS)
    sizes = np.concatenate(
        [np.broadcast_to(sizes, (len(names), len(sizes))), rng.choice(SIZES, (len(names), 2 * POINTS))], 1
    )
    count = len(sizes[0])
    shapes = {n: (count, *eq.point(n)) for n in (*names, *eq.states, *eq.operands)}
    at = {
        n: size.reshape(-1, *(1,) * (len(shapes[n]) - 1)) * rng.normal(size=shapes[n])
        for n, size in zip(names, sizes, strict=True)
    }
    with np.errstate(all="ignore"):
        made_of = {s: _read(step, ("forward", "backward"), at, eq.states, s, shapes) for s in eq.states}
        for k, (name, gates) in reversed([*enumerate(eq.operands.items())]):
            pair = (f"operand_{k}", f"operand_{k}_backward")
            q = _read(step, pair, at, (name,), name, shapes)
            for read in made_of.values():
                read |= q if read & {*gates} else set()
    live = {eq.states[0]}  # the states that pass on what a loss of the outputs says
    while more := {s for s in eq.states for to in live if f"{s}_prev" in made_of[to]} - live:
        live |= more
    learns = set().union(*(made_of[s] for s in live))
    anywhere = set().union(*made_of.values())
    learners = (*eq.gates, *eq.params)
    zero = tuple(n for n in learners if n not in anywhere)
    return zero, tuple(n for n in learners if n in anywhere - learns)


def _read(
    step: Mapping[str, Any],
    pair: tuple[str, str],
    at: dict[str, Array],
    outputs: Sequence[str],
    of: str,
    shapes: Mapping[str, tuple[int, ...]],
) -> set[str]:
    """Return the names at which the gradient of an output is not zero everywhere."""
    forward, backward = (step[name] for name in pair)

    def gradients(dtype: type) -> dict[str, Array]:
        _, kept = forward(**{name: values.astype(dtype) for name, values in at.items()})
        seeds: list[Array] = [np.full(shapes[name], float(name == of), dtype) for name in outputs]
        return {n: np.broadcast_to(g, shapes[n]) for n, g in backward(*seeds, kept).items()}

    found, rough = gradients(np.float64), gradients(np.float32)
    return {name for name, g in found.items() if not _is_zero(g, rough[name])}


def _is_zero(g: Array, rough: Array) -> bool:
    """Return whether a gradient is zero, or rounding, where it is a number; not where it never is one."""
    number, size = np.isfinite(g), np.abs(g)
    agree = number & (g != 0) & (np.abs(rough - g) <= CLOSE * size)
    near, far = slice(POINTS), slice(POINTS, None)
    clear = (number[near] & (size[near] > CLEAR)).any() or (agree[far] & (size[far] > FAR)).any()
    mostly = 2 * agree[near].sum() > number[near].sum()  # a small number, as of 1e-30 tanh(a)
    return bool(number.any() and not clear and not mostly)
