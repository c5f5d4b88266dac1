"""What carries arrays between the processes of a run: PyTorch's gloo, or MPI, loaded when they are used."""

import contextlib
import os
import threading
import time
from datetime import timedelta
from typing import Protocol

from bptt.errors import BpttError, ConfigError, RunError
from bptt.types import Array

ASKED_AGAIN = 1e-4
"""Seconds after which a thread beside one that computes looks again whether MPI is done."""

ASKING = 5.0
"""Seconds in which what is kept for all must be told."""


class Engine(Protocol):
    """What carries arrays between processes."""

    rank: int
    size: int
    may_thread: bool
    """Whether a thread may exchange while another computes; never do two exchange at once."""

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        """Send an array to a partner and fill another with what it sends; what is empty is left out."""

    def first_to(self, what: str, value: str) -> str | None:
        """Keep a value for all and return it, or the one that is kept already; None where nobody keeps."""

    def close(self) -> None:
        """End it."""


class Gloo:
    """PyTorch's distributed package over gloo, as torchrun's environment has it."""

    def __init__(self) -> None:
        import torch
        import torch.distributed as dist

        self._dist, self._tensor, self._answers, self.may_thread = dist, torch.from_numpy, True, True
        wait = timedelta(seconds=waiting())
        store, self.rank, self.size = next(iter(dist.rendezvous("env://", timeout=wait)))
        # torchrun's store outlasts those that it starts: what ended ones have said there is not for these
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = dist.PrefixStore(f"bptt/{attempt}", store)
        dist.init_process_group("gloo", store=self._store, rank=self.rank, world_size=self.size, timeout=wait)

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        """Send and receive, both at once."""
        works = [self._dist.irecv(self._tensor(into), partner)] if into.size else []
        works += [self._dist.isend(self._tensor(out), partner)] if out.size else []
        for work in works:
            work.wait()

    def first_to(self, what: str, value: str) -> str | None:
        """Ask the store that torchrun keeps, which may not answer where the network is cut."""
        found: list[str] = []

        def ask() -> None:
            with contextlib.suppress(RuntimeError):  # who kept it has ended
                found.append(bytes(self._store.compare_set(f"bptt/{what}", "", value)).decode())

        if self._answers:
            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            thread.join(ASKING)
            self._answers = bool(found)
        return found[0] if found else None

    def close(self) -> None:
        """Close the connections."""
        self._dist.destroy_process_group()


class Mpi:
    """MPI, as mpirun has started it."""

    def __init__(self) -> None:
        from mpi4py import MPI

        self._all = MPI.COMM_WORLD
        self.rank, self.size = self._all.rank, self._all.size
        self._all_done, self.may_thread = MPI.Request.Testall, MPI.Query_thread() >= MPI.THREAD_SERIALIZED

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        """Send and receive, both at once."""
        works = [self._all.Irecv(into, partner)] if into.size else []
        works += [self._all.Isend(out, partner)] if out.size else []
        if threading.current_thread() is not threading.main_thread():
            while not self._all_done(works):  # MPI waits by asking, which takes a core: others compute
                time.sleep(ASKED_AGAIN)
        for work in works:
            work.Wait()

    def first_to(self, what: str, value: str) -> str | None:
        """Nobody keeps anything; where a process dies mpirun ends the others and says so."""
        return None

    def close(self) -> None:
        """Leave it to MPI, which ends with the process."""


def is_first() -> bool:
    """Return whether this process is the first of its workers, as the environment has it."""
    ranks = (os.environ.get(name) for name in ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"))
    return next((rank for rank in ranks if rank), "0") == "0"


def may_restart() -> bool:
    """Return whether torchrun begins again what ends with another exit code than 0."""
    return os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"


def waiting() -> float:
    """Return for how many seconds a worker that does not answer is waited for."""
    given = os.environ.get("BPTT_WAIT", "300")
    if not given.isdecimal() or not 1 <= int(given) <= 10**6:
        raise ConfigError(f"BPTT_WAIT must be a whole number of seconds from 1, got {given!r}")
    return float(given)


def found() -> Engine | None:
    """Return what the environment of torchrun or mpirun asks for; None where there is one process.

    ConfigError if it is not installed, RunError if the others do not come.
    """
    env = os.environ
    kind: type[Gloo] | type[Mpi]
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= env.keys():
        kind, size, needs = Gloo, env["WORLD_SIZE"], "torch"
    else:
        size = env.get("OMPI_COMM_WORLD_SIZE") or env.get("PMI_SIZE") or "1"
        kind, needs = Mpi, "mpi4py"
    if size == "1":
        return None
    try:
        engine = kind()
    except ImportError:
        raise ConfigError(
            f"{size} workers speak by {needs}, which is not installed: pip install {needs}"
        ) from None
    except BpttError:
        raise
    except (RuntimeError, ValueError) as error:  # also of torch's subclasses
        said = str(error).splitlines()[0][:300]
        raise RunError(f"the {size} workers do not come together: {said}") from None
    if str(engine.size) != size:
        raise RunError(f"of {size} workers {needs} finds {engine.size}: it was made for another MPI")
    return engine
