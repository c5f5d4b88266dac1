"""Processes that train one model together: who they are, and how they speak.

::

    sum      adds an array of each, in a fixed binary tree: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))
    gather   hands each one's part of an array to all
    once     the first does something, and all have what came of it
    each     all do something, and where one fails all do

All is made of one thing, an exchange of arrays between two of them, which an engine has (gloo, or MPI).
A sum goes up the tree by halves (at each level two workers exchange half of what they have, and each adds the
other) and comes down as it went, so that each sends 2 (1 - 1/W) times the array, as an all-reduce does; which
numbers are added to which does not depend on how many workers there are. Nothing of an engine is loaded where
there is one process.
"""

import json
import os
import platform
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np

from bptt import errors
from bptt.errors import BpttError, ConfigError, RunError
from bptt.training import engines
from bptt.training.engines import Engine
from bptt.types import NONE, Array, Params

T = TypeVar("T")

BEAT = 5.0
"""Seconds between two signs of life of a worker for which the others wait."""

LIMIT = 1000
"""Bytes of what a worker says of itself."""


class LostError(RunError):
    """A worker has ended, or cannot be reached."""


class StoppedError(Exception):
    """A stop is asked for while the model is measured."""


class Workers:
    """The processes of a run; by itself, one.

    Parameters
    ----------
    engine : Engine, optional

    Attributes
    ----------
    rank, size : int
        Which one this is, and how many there are, W, a power of two.
    names : list of str
        Which process each is.
    overlaps : bool
        Whether sums travel while others are computed: where workers are on several machines.
    restarts, may_restart
        How often torchrun has begun anew, and whether it may.
    asks : callable
        Whether this worker wants training to stop, and its state to be saved.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine
        self.rank: int = 0 if engine is None else engine.rank
        self.size: int = 1 if engine is None else engine.size
        if self.size & (self.size - 1):
            raise ConfigError(f"{self.size} workers: a run takes 1, 2, 4, 8, ... that divide its --shards")
        self.restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        self.may_restart = engines.may_restart()
        self.asks: Callable[[], tuple[bool, bool]] = lambda: (False, False)
        self._heard = False, False
        self.names = [str(k) for k in range(self.size)]
        wish = os.environ.get("BPTT_OVERLAP", "")
        if wish not in ("", "0", "1"):
            raise ConfigError(f"BPTT_OVERLAP must be 0 or 1, got {wish!r}")
        own = [f"process {os.getpid()}", platform.node()[:80], wish, engine is not None and engine.may_thread]
        said = [json.loads(text) for text in self._say(json.dumps(own))]
        self.names = [f"{k} ({process} on {node})" for k, (process, node, *_) in enumerate(said)]
        _, nodes, wishes, may = zip(*said, strict=True)
        self.overlaps: bool = all(may) and "0" not in wishes and ("1" in wishes or len({*nodes}) > 1)

    @property
    def is_first(self) -> bool:
        """Whether this one logs, saves and evaluates."""
        return self.rank == 0

    @property
    def heard(self) -> tuple[bool, bool]:
        """Whether any wants to stop, and the first to save, as of the last step."""
        return self.asks() if self.size == 1 else self._heard

    @heard.setter
    def heard(self, heard: tuple[bool, bool]) -> None:
        self._heard = heard

    def expect_to_share(self, shards: int) -> None:
        """Raise a ConfigError unless each has as many shards as the others."""
        if shards % self.size:
            raise ConfigError(
                f"{self.size} workers cannot share {shards} shard{'s' * (shards > 1)}: --shards must be "
                f"{self.size} or a power of two above; what a run finds depends on it, not on the workers"
            )

    def sum(self, array: Array) -> None:
        """Make an array, which is (K,), the sum of those of all."""
        cuts, low, high = [], 0, len(array)
        spare = np.empty((high + 1) // 2, array.dtype) if self.size > 1 else NONE
        for partner in self._partners():
            middle = (low + high) // 2
            (low, high), (start, stop) = ((low, middle), (middle, high))[:: 1 if self.rank < partner else -1]
            cuts.append((partner, start, stop))
            into = spare[: high - low]
            self._exchange(partner, array[start:stop], into)
            array[low:high] += into
        for partner, start, stop in reversed(cuts):
            self._exchange(partner, array[low:high], array[start:stop])
            low, high = min(low, start), max(high, stop)

    def gather(self, array: Array, bounds: Sequence[int]) -> None:
        """Fill in an array whose rows bounds[k] .. bounds[k + 1] worker k has."""
        for level, partner in enumerate(self._partners()):
            mine, other = (who >> level << level for who in (self.rank, partner))
            own, theirs = (array[bounds[at] : bounds[at + (1 << level)]] for at in (mine, other))
            self._exchange(partner, own, theirs)

    def gather_rows(self, array: Array) -> None:
        """Fill in an array of rows that workers share, as equally as can be."""
        self.gather(array, [k * len(array) // self.size for k in range(self.size + 1)])

    def all_of(self, array: Array | None) -> list[Array] | None:
        """Return (K,) arrays of float64 of all, whatever K each has; None where one has none."""
        if self.size == 1:
            return None if array is None else [array]
        sizes = np.full(self.size, -1 if array is None else array.size)
        self.gather(sizes, range(self.size + 1))
        if sizes.min() < 0:
            return None
        ends = [0, *np.cumsum(sizes).tolist()]
        whole = np.empty(ends[-1])
        whole[ends[self.rank] : ends[self.rank + 1]] = array
        self.gather(whole, ends)
        return [whole[start:stop] for start, stop in pairwise(ends)]

    def share(self, arrays: Params) -> None:
        """Make arrays those of the first worker."""
        for array in arrays.values():
            own = array if array.flags.c_contiguous else np.ascontiguousarray(array)
            self._hand_on(own)
            if own is not array:
                array[...] = own

    def once(self, function: Callable[[], T], kind: Any = None) -> T:
        """Have the first worker do something; all return what came of it, of this kind, or raise what it did.

        The others wait for as long as it takes, and see where it dies.
        """
        if self.size == 1:
            return function()
        if self.is_first:
            error = None
            try:
                with self._beating():
                    said = ["", found := function()]
            except (BpttError, StoppedError) as raised:
                error, said = raised, [type(raised).__name__, str(raised)]
            message = np.frombuffer(
                bytearray(msgspec.msgpack.encode(said, enc_hook=np.generic.item)), np.uint8
            )
            for other in range(1, self.size):
                self._exchange(other, np.array([len(message)]), NONE)
            self._hand_on(message)
            if error is not None:
                raise error
            return found
        length = np.zeros(1, np.int64)
        while not length[0]:  # a beat
            self._exchange(0, NONE, length)
        message = np.empty(length[0], np.uint8)
        self._hand_on(message)
        name, told = msgspec.msgpack.decode(message.tobytes())
        if name:
            raise StoppedError if name == StoppedError.__name__ else getattr(errors, name, RunError)(told)
        made: T = msgspec.convert(told, kind, strict=False)
        return made

    def each(self, function: Callable[[], T]) -> T:
        """Have all do something; where one cannot, none goes on, and the error says which could not."""
        if self.size == 1:
            return function()
        failed = None
        try:
            found = function()
        except BpttError as error:
            failed = error
        said = self._say(str(failed) if failed is not None else "")
        if failed is not None:
            raise failed
        for name, text in zip(self.names, said, strict=True):
            if text:
                raise RunError(text if name.startswith("0 ") else f"worker {name}: {text}")
        return found

    def expect_alike(self, facts: dict[str, tuple[str, str]]) -> None:
        """Raise a ConfigError where a worker has another value of something; each fact has a way out."""
        said = [json.loads(text) for text in self._say(json.dumps([v for v, _ in facts.values()]))]
        for name, values in zip(self.names, said, strict=True):
            for (what, (_, way)), value, first in zip(facts.items(), values, said[0], strict=True):
                if value != first:
                    raise ConfigError(f"worker {name} has {what} {value}, worker 0 {first}: {way}")

    def expect_same(self, step: int, *arrays: Params) -> None:
        """Raise a RunError that names the workers whose arrays are not those of most."""
        if self.size == 1:
            return
        sums = np.zeros(self.size, np.int64)
        for group in arrays:
            for array in group.values():
                sums[self.rank] = zlib.crc32(np.ascontiguousarray(array).data, int(sums[self.rank]))
        self.gather(sums, range(self.size + 1))
        values, counts = np.unique(sums, return_counts=True)
        if len(values) == 1:
            return
        usual = sums[0] if 2 * counts.max() <= self.size else values[counts.argmax()]
        odd = ", ".join(self.names[k] for k in np.flatnonzero(sums != usual))
        doubt = "" if 2 * counts.max() > self.size else ", or worker 0: they are as many"
        raise RunError(
            f"at step {step} the parameters of worker {odd}{doubt} are no longer those of the others: "
            "a fault of that machine's memory or processor, or another version of a library there"
        )

    def says(self, error: BaseException) -> bool:
        """Return whether this worker is to say an error: the first that has it."""
        if self._engine is None:
            return True
        key = f"said/{zlib.crc32(str(error).encode())}"
        return self._engine.first_to(key, str(self.rank)) in (None, str(self.rank))

    def close(self) -> None:
        """Let go of the others."""
        if self._engine is not None:
            self._engine.close()

    def _partners(self) -> Iterator[int]:
        """Yield whom this one speaks with at each level of the tree, from below."""
        return (self.rank ^ 1 << level for level in range(self.size.bit_length() - 1))

    def _exchange(self, partner: int, out: Array, into: Array) -> None:
        assert self._engine is not None
        try:
            self._engine.exchange(partner, out, into)
        except Exception as error:  # each engine has its own
            raise self._lost(partner, error) from None

    def _lost(self, partner: int, error: Exception) -> LostError:
        """Say who has ended: it takes others along, and whoever saw it first is right."""
        assert self._engine is not None
        first = self._engine.first_to("gone", str(partner))
        says = "" if first not in (None, str(partner)) else str(error).splitlines()[0][:200]
        who = self.names[partner if first is None else int(first)]
        why = " in time" if "imed out" in says else ""
        return LostError(f"worker {who} has ended, or does not answer{why}")

    def _hand_on(self, array: Array) -> None:
        """Make an array the first worker's."""
        for level in range(self.size.bit_length() - 1):
            if self.rank < 1 << level:
                self._exchange(self.rank + (1 << level), array, NONE)
            elif self.rank < 2 << level:
                self._exchange(self.rank - (1 << level), NONE, array)

    def _say(self, text: str) -> list[str]:
        """Return what each says of itself."""
        said = np.zeros((self.size, LIMIT), np.uint8)
        own = text.encode()[:LIMIT]
        said[self.rank, : len(own)] = np.frombuffer(own, np.uint8)
        self.gather(said, range(self.size + 1))
        return [row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in said]

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Give signs of life meanwhile to all others."""
        done, beat = threading.Event(), np.zeros(1, np.int64)

        def run() -> None:
            while not done.wait(BEAT):
                try:
                    for other in range(1, self.size):
                        self._exchange(other, beat, NONE)
                except LostError:  # the main thread will see it, too
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def joined() -> Workers:
    """Return the workers that torchrun or mpirun has started, of which this process is one; or one alone.

    Raises
    ------
    ConfigError
        If what they speak by is not installed, or there are not 1, 2, 4, 8, ... of them.
    RunError
        If one of them does not come.

    Examples
    --------
    >>> joined().size
    1
    """
    return Workers(engines.found())
