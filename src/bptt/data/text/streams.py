"""Token ids to batches: streams to train on, and windows to score a model cold.

Both ask for the next token: a target is the token after its input, so a text of L tokens has L - 1 of
them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.batches import is_count
from bptt.errors import ConfigError, DataError, ShapeError
from bptt.types import Array, Batch


class TextStream:
    """A text read as N contiguous streams, T tokens of each at a time.

    Row n reads the n-th of N equal stretches of the text, and in one epoch goes through it without a
    gap: each batch carries on where the one before ended, the epoch's first begins anew. The last batch
    of an epoch is shorter where T does not divide the stretch. Of the text's targets only the remainder
    of the division by N is left out: fewer than N, at the text's end.

    With a jitter, or a part of halves, a batch has T steps, or T/2, with a normal deviation, drawn anew in
    each epoch, so that borders do not fall on the same tokens always (Merity, Keskar and Socher, ICLR 2018,
    section 4.1). Each epoch has as many batches: what was drawn is stretched a little to fill the text.

    Parameters
    ----------
    ids : (L,) integers
        The text's tokens, at least N·T + 1.
    batch : int
        N, the number of streams.
    chunk : int
        T, the steps of a batch.
    name : str
        What errors call the text.
    jitter : float
        The deviation, in steps; at least 5 steps, and at most 2T, are drawn.
    half : float
        The part of the batches that are of T/2 steps.
    seed : int
        Of what is drawn.

    Attributes
    ----------
    batches_per_epoch : int
        Batches in one pass.

    Raises
    ------
    ShapeError
        `ids` are not a vector of integers.
    ConfigError
        `batch` or `chunk` is below 1.
    DataError
        The text is too short.

    Examples
    --------
    >>> stream = TextStream(np.arange(10), batch=2, chunk=3)
    >>> first, last = stream.next(), stream.next()
    >>> first.inputs.T
    array([[0, 1, 2],
           [4, 5, 6]], dtype=int32)
    >>> last.inputs.T, last.targets.T, last.carry
    (array([[3],
           [7]], dtype=int32), array([[4],
           [8]], dtype=int32), True)
    >>> stream.batches_per_epoch
    2
    """

    def __init__(
        self,
        ids: Array,
        batch: int,
        chunk: int,
        *,
        name: str = "text",
        jitter: float = 0.0,
        half: float = 0.0,
        seed: int = 0,
    ) -> None:
        ids = _check_ids(ids, name)
        for option, size in (("batch", batch), ("chunk", chunk)):
            if size < 1:
                raise ConfigError(f"--{option} must be at least 1, got {size}")
        if len(ids) <= batch * chunk:
            raise DataError(
                f"{name}: {len(ids)} tokens are too few for one batch of {batch} rows of {chunk}, which "
                f"takes {batch} x {chunk} + 1 = {batch * chunk + 1}; use a smaller --batch or --chunk"
            )
        self._steps = (len(ids) - 1) // batch
        used = batch * self._steps
        self._inputs = ids[:used].reshape(batch, self._steps).T
        self._targets = ids[1 : used + 1].reshape(batch, self._steps).T
        self._chunk, self._drawn = chunk, (jitter, half, seed)
        mean = chunk * (1 - half / 2)
        varied = min(self._steps, max(1, round(self._steps / mean)))
        self.batches_per_epoch = varied if jitter or half else -(-self._steps // chunk)
        self._cuts: tuple[int, list[int]] = (-1, [])
        self._shape = {"length": len(ids), "batch": batch, "chunk": chunk}
        self._batches = 0

    def next(self) -> Batch:
        """Return the next batch, (T, N) int32."""
        epoch, k = divmod(self._batches, self.batches_per_epoch)
        if self._cuts[0] != epoch:
            self._cuts = epoch, self._cut(epoch).tolist()
        steps = slice(*self._cuts[1][k : k + 2])
        self._batches += 1
        inputs = self._inputs[steps].astype(np.int32, order="C")
        return Batch(inputs, self._targets[steps].astype(np.int32, order="C"), carry=k > 0)

    def _cut(self, epoch: int) -> Array:
        """Return the steps at which an epoch's batches begin, and its end."""
        (jitter, half, seed), T, count = self._drawn, self._chunk, self.batches_per_epoch
        if not (jitter or half):
            return np.minimum(np.arange(count + 1) * T, self._steps)
        rng = np.random.default_rng([seed, 4, epoch])
        lengths = np.where(rng.random(count) < half, T / 2, T) + jitter * rng.normal(size=count)
        # one step each, and of the rest as much as its length says
        ends = np.cumsum(np.clip(lengths, min(5, T), 2 * T) - 1)
        rest = np.rint(ends / max(ends[-1], 1) * (self._steps - count)).astype(int)
        return np.append(0, np.arange(1, count + 1) + rest)

    def state(self) -> dict[str, Any]:
        """Return the place reached, as JSON values."""
        return {"batches": self._batches, **self._shape}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` returned.

        Raises
        ------
        DataError
            It is no such place, or one in a text of other length, batch or chunk.
        """
        wanted = self.state()
        if (
            not isinstance(state, dict)
            or state.keys() != wanted.keys()
            or not all(map(is_count, state.values()))
        ):
            raise DataError(
                f"text stream: not a place in a text, which has {', '.join(wanted)}, each a count"
            )
        for key, here in self._shape.items():
            if state[key] != here:
                raise DataError(f"text stream: the place saved has {key} {state[key]}, this stream {here}")
        self._batches = state["batches"]


def windows(ids: Array, length: int = 256) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Array]:
    """Cut a text into consecutive windows, to be scored from a cold start each.

    Every token but the first is the target of just one step. The last window is filled up with 0.

    Parameters
    ----------
    ids : (L,) integers
        At least two.
    length : int
        T, the steps of a window.

    Returns
    -------
    inputs, targets : (T, W) int32
        W = ceil((L - 1) / T) windows.
    mask : (T, W) bool
        Where there is a target.

    Raises
    ------
    ShapeError
        `ids` are not a vector of integers.
    ConfigError
        `length` is below 1.
    DataError
        There is nothing to predict.

    Examples
    --------
    >>> inputs, targets, mask = windows(np.array([5, 6, 7, 8]), length=2)
    >>> inputs.T
    array([[5, 6],
           [7, 0]], dtype=int32)
    >>> targets[mask]
    array([6, 8, 7], dtype=int32)
    """
    ids = _check_ids(ids, "text").astype(np.int32, copy=False)
    if length < 1:
        raise ConfigError(f"a window must have at least 1 step, got {length}")
    if len(ids) < 2:
        raise DataError(f"text: a score takes at least 2 tokens, an input and its target, got {len(ids)}")
    targets = len(ids) - 1
    shape = (-(-targets // length), length)
    fill = (0, shape[0] * length - targets)
    inputs, wanted = (np.pad(part, fill).reshape(shape).T for part in (ids[:-1], ids[1:]))
    mask = (np.arange(shape[0] * length) < targets).reshape(shape).T
    return np.ascontiguousarray(inputs), np.ascontiguousarray(wanted), np.ascontiguousarray(mask)


def _check_ids(ids: Array, name: str) -> npt.NDArray[np.integer[Any]]:
    ids = np.asarray(ids)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ShapeError(f"{name}: ids must be (L,) integers, got {ids.shape} {ids.dtype}")
    return ids
