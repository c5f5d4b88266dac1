"""A training step that workers share, and PyTorch's DistributedDataParallel; run as a script, one of them."""

import json
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bptt.bench.rounds import Say
from bptt.bench.settings import SETTINGS, Setting
from bptt.errors import ConfigError
from bptt.training import optim
from bptt.training.engines import Engine
from bptt.training.shards import Sharded
from bptt.training.step import Step
from bptt.training.workers import Workers, joined
from bptt.types import Array, Batch

MOST = 8
"""Workers that are measured at most."""

WHO = ("bptt", "torch")

FIRST = 5
"""Steps after which parameters are compared."""


@dataclass(frozen=True)
class Shared:
    """What a step took.

    Attributes
    ----------
    contender : str
        ``"bptt"`` or ``"torch"``.
    workers, shards : int
    seconds, exchange : float
        For a step, the median; of it, in which the first worker speaks with others or waits for them.
    sent : int
        Bytes that the first worker sends in a step.
    digest : int
        Of the parameters after some steps.
    """

    contender: str
    workers: int
    shards: int
    seconds: float
    exchange: float = 0.0
    sent: int = 0
    digest: int = 0


class Counted:
    """An engine that counts what passes, and how long that takes."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.rank, self.size = engine, engine.rank, engine.size
        self.sent, self.seconds, self.may_thread = 0, 0.0, engine.may_thread

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        """Exchange, and count."""
        begun = time.perf_counter()
        self.engine.exchange(partner, out, into)
        self.seconds += time.perf_counter() - begun
        self.sent += out.nbytes

    def first_to(self, what: str, value: str) -> str | None:
        """Ask the engine."""
        return self.engine.first_to(what, value)

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()


def measure(
    name: str, cell: str, contenders: Sequence[str], seconds: float, say: Say
) -> tuple[Setting, list[Shared]]:
    """Measure a step by 1, 2, 4, ... workers, as many as there are cores, which cut the batch alike.

    ConfigError if there is no such setting or contender, or workers fail.
    """
    for what, known, given in (("setting", SETTINGS, [name]), ("contenders", WHO, contenders)):
        if odd := [each for each in given if each not in known]:
            raise ConfigError(f"{what} must be one of {', '.join(known)}; got {odd[0]!r}")
    setting, found = SETTINGS[name], []
    counts = [1 << k for k in range(max(2, min(MOST, os.cpu_count() or 1).bit_length()))]
    if setting.N % counts[-1]:
        raise ConfigError(f"setting {name} has {setting.N} row, and workers share rows; take another")
    for contender in contenders or WHO:
        shared = [(count, counts[-1]) for count in counts[contender == "torch" :]]
        for count, shards in [(1, 1), *shared]:
            say(f"{contender}: {count} worker{'s' * (count > 1)}, {shards} shard{'s' * (shards > 1)}")
            job = {"contender": contender, "setting": asdict(setting), "cell": cell, "shards": shards}
            found.append(Shared(**run(job | {"seconds": seconds}, count)))
    return setting, found


def run(job: dict[str, Any], count: int) -> dict[str, Any]:
    """Run so many workers, and return what the first found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = os.pathsep.join(p for p in sys.path if p)  # the same bptt as here, wherever that is
    env = os.environ | {"PYTHONPATH": path, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "bptt.bench.together", json.dumps(job)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=env | {"RANK": str(k)}, **pipes) for k in range(count)]
    ends = [(process.communicate(), process.returncode) for process in running]
    for (_, errors), code in ends:
        if code:
            said = errors.strip().splitlines() or [f"a worker ended with {code}"]
            raise ConfigError(f"{count} workers of {job['contender']}: {said[-1]}")
    result: dict[str, Any] = json.loads(ends[0][0][0].splitlines()[-1])
    return result


def _one_of_them(job: dict[str, Any]) -> dict[str, Any]:
    """Take steps beside the others, and return what they took."""
    workers = joined()
    engine = workers._engine
    counted = None if engine is None else Counted(engine)
    workers._engine = counted
    make = {"bptt": _ours, "torch": _torchs}[job["contender"]]
    step, digest = make(Setting(**job["setting"]), job["cell"], job["shards"], workers)
    for _ in range(FIRST):
        step()
    summed = digest()
    times: list[float] = []
    before = (0, 0.0) if counted is None else (counted.sent, counted.seconds)
    while not workers.once(lambda: sum(times) > job["seconds"], bool):
        for _ in range(10):
            begun = time.perf_counter()
            step()
            times.append(time.perf_counter() - begun)
    sent, waited = (0, 0.0) if counted is None else (counted.sent - before[0], counted.seconds - before[1])
    kept = {"contender": job["contender"], "workers": workers.size, "shards": job["shards"], "digest": summed}
    kept |= {"seconds": float(np.median(times)), "exchange": waited / len(times), "sent": sent // len(times)}
    workers.once(lambda: None)
    return kept


def _ours(
    setting: Setting, cell: str, shards: int, workers: Workers
) -> tuple[Callable[[], object], Callable[[], int]]:
    model = setting.model(cell)
    params, adam, tokens = model.init(np.random.default_rng(0)), optim.Adam(), setting.tokens()
    batch, slots = Batch(tokens[:-1], tokens[1:]), adam.init(params)
    step: Step | Sharded = Step(model, params, adam, slots, clip_norm=1.0)
    if shards > 1:
        step = Sharded(model, params, adam, slots, shards, workers, clip_norm=1.0)
    return (
        lambda: step(batch, 1e-3, step.state or None),
        lambda: zlib.crc32(b"".join(p.tobytes() for p in params.values())),
    )


def _torchs(
    setting: Setting, cell: str, shards: int, workers: Workers
) -> tuple[Callable[[], object], Callable[[], int]]:
    """Return a step of the same model by PyTorch, each worker on its rows."""
    import torch

    from bptt.bench.with_torch import layer_of

    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = layer_of(torch.nn, cell, setting.E, setting.H, setting.layers)
    if layers is None:
        raise ConfigError(f"PyTorch has no {cell}")

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.layers = torch.nn.Embedding(setting.V, setting.E), layers
            self.output = torch.nn.Linear(setting.H, setting.V)

        def forward(self, tokens: Any, state: Any) -> Any:
            h, state = self.layers(self.embedding(tokens), state)
            return self.output(h).view(-1, setting.V), state

    own = Model()
    model = torch.nn.parallel.DistributedDataParallel(own) if workers.size > 1 else own
    adam = torch.optim.Adam(own.parameters(), 1e-3)
    each = setting.N // workers.size
    tokens = torch.from_numpy(setting.tokens()[:, workers.rank * each : (workers.rank + 1) * each].copy())
    carried: Any = None

    def step() -> None:
        nonlocal carried
        adam.zero_grad()
        logits, state = model(tokens[:-1], carried)
        torch.nn.functional.cross_entropy(logits, tokens[1:].reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        adam.step()
        carried = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()

    return step, lambda: zlib.crc32(b"".join(p.detach().numpy().tobytes() for p in own.parameters()))


if __name__ == "__main__":
    print(json.dumps(_one_of_them(json.loads(sys.argv[1]))))
