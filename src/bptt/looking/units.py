"""How long units remember, and what they follow.

Where a state has a way to itself through no weight matrix, as an LSTM's c by way of f, a unit's gradient is
multiplied on that way by a factor d_t at each step. From step t the unit remembers for as many steps as the
product of these factors stays at or above 1/e, and counted is the first step at which it does not::

    n(t) = min { n : |d_t d_{t-1} ... d_{t-n+1}| < 1/e }        remembers = the median of n(t) over steps t

With a constant factor f that is the first whole number above -1/log f. Where there is no such way, it is the
autocorrelation time: the first lag at which the autocorrelation of the unit's values is below 1/e. Both are
looked for up to a limit, and a unit that reaches it remembers at least so long.

A unit follows a property of the text as much as they correlate (Pearson; of two yes-or-no arrays that is φ),
over the steps at which the property says something.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bptt.looking.forward import LayerRun
from bptt.looking.values import per_unit
from bptt.looking.view import Property
from bptt.types import Array, Params

MOST = 1000
"""The most steps that a unit may be found to remember."""

AT_ONCE = 1 << 22
"""Numbers whose products are looked at together."""


def most_of(lengths: Sequence[int]) -> int:
    """Return up to how many steps are looked at, of sequences of these lengths: half of the longest."""
    return max(1, min(MOST, max(lengths) // 2))


def direct_factors(own: LayerRun) -> Params:
    """Return for each state that has such a way its factors d_t, (T, width), in the order that it reads.

    That it is one number for each of a state's own is tried with a gradient of random signs at each step.
    """
    cell, T = own.cell, len(own.a)
    rng, order = np.random.default_rng(0), range(T - 1, -1, -1) if own.reverse else range(T)
    found = {}
    for s, state in enumerate(cell.states):
        signs = rng.choice([-1.0, 1.0], own.states[state].shape)
        d, mixed = np.zeros_like(signs), np.zeros_like(signs)
        for n, t in enumerate(order):
            for out, start in ((d, np.ones_like(signs[:1])), (mixed, signs[n : n + 1])):
                zeros = (np.zeros_like(other[:1]) for other in own.states.values())
                dstates = tuple(start if k == s else zero for k, zero in enumerate(zeros))
                out[n] = own.run.direct_backward(t, dstates)[s][0]
        if d.any() and np.allclose(mixed, d * signs, rtol=1e-9, atol=1e-12):
            found[state] = d
    return found


def by_factors(pieces: Sequence[Array], most: int) -> Array:
    """Return how many steps each unit remembers, (H,), by its factors in some sequences, (T, H) each.

    Counted are the steps that have `most` before them, or in short sequences the last steps.
    """
    counts = []
    for d in pieces:
        T, H = d.shape
        with np.errstate(divide="ignore"):
            sums = np.concatenate([np.zeros((1, H)), np.cumsum(_finite(np.log(np.abs(d))), axis=0)])
        ends = np.arange(min(most, T), T + 1)
        ends = ends[:: -(-len(ends) * H // AT_ONCE) or 1]
        n, alive = np.full((len(ends), H), most), np.ones((len(ends), H), bool)
        for back in range(1, min(most, T) + 1):
            fallen = alive & (sums[ends] - sums[ends - back] < -1)
            n[fallen] = back
            alive &= ~fallen
            if not alive.any():
                break
        counts.append(n)
    median: Array = np.median(np.concatenate(counts), axis=0).astype(np.float32)
    return median


def _finite(logs: Array) -> Array:
    """Return logarithms with a large number in place of minus infinity, so that sums can be subtracted."""
    return np.maximum(logs, -1e4)


def by_autocorrelation(pieces: Sequence[Array], most: int) -> Array:
    """Return the first lag, up to `most`, at which the autocorrelation of a unit is below 1/e, (H,)."""
    H = pieces[0].shape[1]
    mean = np.concatenate(pieces).mean(axis=0)
    summed, count = np.zeros((most + 1, H)), np.zeros(most + 1)
    for piece in pieces:
        y, T = piece - mean, len(piece)
        size = 1 << (2 * T - 1).bit_length()
        spectrum = np.fft.rfft(y, size, axis=0)
        lags = min(most + 1, T)
        summed[:lags] += np.fft.irfft(spectrum * spectrum.conj(), size, axis=0)[:lags]
        count[:lags] += T - np.arange(lags)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (summed / count[:, None]) / (summed[0] / count[0])
    below = ~(r >= np.exp(-1.0))  # of a unit that never changes there is none
    below[0] = False
    below[-1] = True
    first: Array = below.argmax(axis=0).astype(np.float32)
    return first


def remembers(
    pieces: Sequence[LayerRun], shown: Mapping[str, Sequence[Array]], most: int
) -> tuple[Params, dict[str, str]]:
    """Return for each state how many steps its units remember, (H,), and by which of the two measures.

    Parameters
    ----------
    pieces : sequence of LayerRun
        A layer on some sequences.
    shown : mapping of sequence of (T, H)
        The states as they are shown there.
    most : int
    """
    with np.errstate(all="ignore"):
        factors = [direct_factors(own) for own in pieces]
    found, by = {}, {}
    for state, arrays in shown.items():
        own = [f[state] for f in factors if state in f]
        if len(own) == len(pieces):
            each = by_factors(own, most)[None]
            found[state], by[state] = per_unit(pieces[0], state, each, np.median)[0], "direct"
        else:
            turned = [a[:: -1 if p.reverse else 1] for p, a in zip(pieces, arrays, strict=True)]
            found[state], by[state] = by_autocorrelation(turned, most), "autocorrelation"
    return found, by


def follows(properties: Sequence[Property], values: Array) -> Array:
    """Return the correlation of each property with each unit, (P, H); 0 where one of both never changes."""
    found = np.zeros((len(properties), values.shape[1]), np.float32)
    for k, prop in enumerate(properties):
        some = np.isfinite(prop.array)
        if some.sum() < 2:
            continue
        x, y = prop.array[some].astype(np.float64), values[some].astype(np.float64)
        x, y = x - x.mean(), y - y.mean(axis=0)
        size = np.sqrt((x @ x) * np.einsum("th,th->h", y, y))
        tiny = 1e-12 * np.sqrt(len(x)) * (1 + np.abs(values).max())
        np.divide(x @ y, size, out=found[k], where=size > tiny, casting="same_kind")
    return found
