"""Workers that are threads of this process, so that many of them start in no time."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Queue
from typing import Any, TypeVar

from bptt.training.workers import Workers
from bptt.types import Array

T = TypeVar("T")

GONE = object()


@dataclass
class Between:
    """What lies between workers."""

    queues: dict[tuple[int, int], "Queue[Any]"] = field(default_factory=lambda: defaultdict(Queue))
    kept: dict[str, str] = field(default_factory=dict)
    bytes: list[int] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)


class Threads:
    """An engine between threads; who ends is seen by those that wait for it."""

    may_thread = True

    def __init__(self, rank: int, size: int, between: Between) -> None:
        self.rank, self.size, self.between = rank, size, between

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        if out.size:
            self.between.queues[self.rank, partner].put(out.copy())
            self.between.bytes[self.rank] += out.nbytes
        if into.size:
            found = self.between.queues[partner, self.rank].get(timeout=60)
            if found is GONE:
                self.between.queues[partner, self.rank].put(GONE)
                raise RuntimeError("Connection closed by peer")
            assert (found.shape, found.dtype) == (into.shape, into.dtype)
            into[...] = found

    def first_to(self, what: str, value: str) -> str | None:
        with self.between.lock:
            return self.between.kept.setdefault(what, value)

    def close(self) -> None:
        for other in range(self.size):
            self.between.queues[self.rank, other].put(GONE)


def together(size: int, function: Callable[[Workers], T]) -> list[T | Exception]:
    """Run a function in so many workers, and return what each returned or raised."""
    between = Between(bytes=[0] * size)
    found: list[T | Exception] = [RuntimeError("it has not ended")] * size

    def run(rank: int) -> None:
        engine = Threads(rank, size, between)
        try:
            found[rank] = function(Workers(engine) if size > 1 else Workers())
        except Exception as error:
            found[rank] = error
        engine.close()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def all_well(size: int, function: Callable[[Workers], T]) -> list[T]:
    """Return what each returned, where none raised."""
    good: list[T] = []
    for each in together(size, function):
        if isinstance(each, Exception):
            raise each
        good.append(each)
    return good
