"""A training step whose batch is cut into shards, by one process or several, to the same bits.

::

    (1)  rows are cut into S parts; each one's loss and gradient by itself, weighed by its part of the targets
    (2)  L = Σ L_s,  g = Σ g_s      in a fixed binary tree: shards of a worker first, then those of pairs, ...
    (3)  clip;  the optimiser moves p, alike in each worker

S is a setting of the run; W workers, which divide S, take S/W shards each. What is added to what, and when,
depends on S alone. States belong to rows: a worker has those of its own. Between machines the sums of upper
layers travel while lower ones are computed (:mod:`.beside`), to the same bits.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise

import numpy as np

from bptt.nets import activation
from bptt.nets.model import Model
from bptt.nets.planned import Done
from bptt.training import optim
from bptt.training.beside import Beside, parts
from bptt.training.step import Step
from bptt.training.workers import Workers
from bptt.types import Array, Batch, Generator, Params

DIGESTS = 100
"""Steps after which workers compare their parameters."""


class Sharded:
    """A training step as :class:`bptt.Step` is one, of shards.

    Parameters
    ----------
    model, params, optimizer, slots
        As `Step` has them.
    shards : int
        S, a power of two that the number of workers divides.
    workers : Workers
    clip_value, clip_norm : float, optional

    Attributes
    ----------
    total : float
        The sum of all positions' losses at the last step.
    grads : dict of arrays
        As the last step used them. The next writes over these arrays.
    state : dict of (N, H)
        Where the last step's sequences ended, in the rows of this worker.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        optimizer: optim.Optimizer,
        slots: Params,
        shards: int,
        workers: Workers,
        *,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        workers.expect_to_share(shards)
        self.model, self.params, self.optimizer, self.slots = model, params, optimizer, slots
        self.clip_value, self.clip_norm = clip_value, clip_norm
        self.shards, self.workers = shards, workers
        self._each = shards // workers.size
        self._take = Step(model, params)
        order, start = parts(params), 0
        self._sums = [_Sum(params, chain(*order)) for _ in range(self._each.bit_length())]
        self._parts: list[tuple[list[str], slice]] = []
        for names in order if workers.overlaps else [[*chain(*order)]]:
            stop = start + sum(params[name].size for name in names)
            self._parts.append((names, slice(start, stop)))
            start = stop
        self.grads, self.state, self.total = self._sums[0].parts, Params(), 0.0
        self.norm = math.nan

    def __call__(
        self,
        batch: Batch,
        lr: float,
        state: Params | None = None,
        *,
        rng: Generator | None = None,
    ) -> float:
        """Take a step and return the loss before it; where that is not finite nothing is moved.

        Parameters are those of a `Step`; shards draw from generators that `rng` spawns.
        """
        workers, S, each = self.workers, self.shards, self._each
        rows, weights = cuts(batch, S), weighed(batch, S, self.model.reduction)
        of = penalised(self.model, batch)
        ends = self._ends(batch, state)
        drawn = [None] * S if rng is None else rng.spawn(S)
        found = np.zeros((S, 4))  # L_s, the sum of its positions' losses, what the worker asks for
        with Beside(apart=len(self._parts) > 1) as beside:
            for k in range(each):  # (1)
                s = workers.rank * each + k
                own = slice(rows[s], rows[s + 1])
                first = None if state is None else {name: array[own] for name, array in state.items()}
                some, part = of_rows(batch, own), weights[s]
                if of is not None and part:  # which is what the gradient is multiplied by
                    some = replace(some, penalised=(of[0] * part, of[1] * part))
                added = _Added(self, k, part, beside)
                found[s, :2] = self._shard(some, part, first, drawn[s], added.take)
                for name, array in self._take.state.items():
                    ends[name][own] = array
        found[workers.rank * each, 2:] = workers.asks()
        workers.gather(found, range(0, S + 1, each))
        workers.heard = bool(found[:, 2].any()), bool(found[0, 3])
        self.state = ends
        loss, self.total = (_tree(column) for column in found.T[:2])
        self.norm = optim.global_norm(self.grads, backend=self.model.backend)
        if np.isfinite(loss):  # (3)
            if self.clip_value is not None:
                optim.clip_values(self.grads, self.clip_value)
            if self.clip_norm is not None:
                optim.clip_norm(self.grads, self.clip_norm, backend=self.model.backend)
            self.optimizer.update(self.params, self.grads, self.slots, lr, backend=self.model.backend)
            if int(self.slots["t"]) % DIGESTS == 0:
                workers.expect_same(int(self.slots["t"]), self.params, self.slots)
        return loss

    def _shard(
        self, batch: Batch, weight: float, state: Params | None, rng: Generator | None, take: Done
    ) -> tuple[float, float]:
        """Find a shard's gradient, and return its loss and the sum of its positions' losses, weighed."""
        if not weight:  # nothing to learn here; its states go on
            take(dict.fromkeys(self.params, np.zeros(())))
            if batch.inputs.shape[1]:
                self._take.state = self.model.forward(self.params, batch, state, rng=rng).state
            else:
                self._take.state = Params()
            return 0.0, 0.0
        loss = self._take(batch, 0.0, state, rng=rng, done=take)
        take(self._take.grads)
        return loss * weight, self._take.total

    def _ends(self, batch: Batch, state: Params | None) -> Params:
        """Return arrays for where the sequences end: those of before, where they are this step's own."""
        N = batch.inputs.shape[1]
        if state and state is self.state:
            return state
        return self.model.zero_state(N, next(iter(self.params.values())).dtype)


class _Sum:
    """The gradients of some shards, end to end, and by name."""

    def __init__(self, params: Params, order: Iterable[str]) -> None:
        count, dtype = sum(p.size for p in params.values()), np.result_type(*params.values())
        self.flat, laid, start = np.empty(count, dtype), Params(), 0
        for name in order:
            p = params[name]
            laid[name] = self.flat[start : start + p.size].reshape(p.shape)
            start += p.size
        self.parts = {name: laid[name] for name in params}


class _Added:
    """A worker's shard k, whose gradients are added to those of the shards before it as they are there.

    After an odd one two sums of as many shards are one, and so on: (2), of this worker. What the last of
    them completes is sent.
    """

    def __init__(self, step: Sharded, k: int, weight: float, beside: Beside) -> None:
        held, left = k.bit_count(), (k + 1).bit_count()  # sums before and after
        self._sums = step._sums[left - 1 : held + 1]
        self._weight, self._left, self._there = weight, list(step._parts), Params()
        self._send = partial(_sent, beside, step.workers) if k == step._each - 1 else id

    def take(self, grads: Params) -> None:
        """Take gradients that are there; those of each part when all of it are, in the order of parts."""
        self._there |= grads
        while self._left and self._there.keys() >= {*self._left[0][0]}:
            names, cut = self._left.pop(0)
            for name in names:
                own = self._sums[-1].parts[name]
                np.multiply(self._there[name], self._weight, out=own, dtype=own.dtype)
            for into, last in reversed(list(pairwise(self._sums))):
                into.flat[cut] += last.flat[cut]
            self._send(self._sums[0].flat[cut])


def _sent(beside: Beside, workers: Workers, array: Array) -> None:
    """Have an array made the sum of those of all workers."""
    beside.do(partial(workers.sum, array))


def cuts(batch: Batch, shards: int) -> list[int]:
    """Return at which rows shards begin, and the end: as equal as can be where a batch has fewer rows."""
    N = batch.inputs.shape[1]
    return [k * N // shards for k in range(shards + 1)]


def of_rows(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""

    def own(array: Array) -> Array:
        return np.ascontiguousarray(array[:, rows])

    def some(array: Array | None) -> Array | None:
        return None if array is None else own(array)

    return replace(
        batch,
        inputs=own(batch.inputs),
        targets=own(batch.targets),
        mask=some(batch.mask),
        target_mask=some(batch.target_mask),
        reset=some(batch.reset),
        features=None if batch.features is None else batch.features[rows],
        given=batch.given and {name: own(array) for name, array in batch.given.items()},
    )


def weighed(batch: Batch, shards: int, reduction: str) -> list[float]:
    """Return what each shard's loss counts in that of the batch: its part of the targets, or of the rows.

    Examples
    --------
    >>> mask = np.array([[True, True, True, False], [True, False, True, False]])
    >>> weighed(Batch(np.zeros((2, 4), int), mask=mask), 2, "mean_over_time_and_batch")
    [0.6, 0.4]
    """
    rows, counted = cuts(batch, shards), batch.counted
    parts = [slice(start, stop) for start, stop in pairwise(rows)]
    size = [part.stop - part.start for part in parts]
    count = size if counted is None else [int(counted[:, part].sum()) for part in parts]
    if not any(count):
        return [1.0] * shards  # which is an error, and the loss says so
    if reduction in ("sum_over_time_and_batch", "mean_over_time_sum_over_batch"):
        return [float(n > 0) for n in count]
    of = count if reduction == "mean_over_time_and_batch" else size
    return [n / sum(of) * (m > 0) for n, m in zip(of, count, strict=True)]


def penalised(model: Model, batch: Batch) -> activation.Counts | None:
    """Return of what the means of a model's penalties are in a batch; None where it has none."""
    if not model.activation_penalty + model.temporal_penalty:
        return None
    mask = None if model.pool else batch.mask
    return activation.counts(1 if model.pool else len(batch.inputs), batch.inputs.shape[1], mask, batch.reset)


def _tree(values: Array) -> float:
    """Return the sum of values in the order in which shards are added."""
    while len(values) > 1:
        values = values[::2] + values[1::2]
    return float(values[0])
