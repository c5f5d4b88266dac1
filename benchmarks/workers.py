"""How a training step would scale to 64 machines: measured costs of computing and of messages, put together.

    python benchmarks/workers.py [--setting C] [--seconds 5]
    python benchmarks/workers.py --slowed 100,1000 --layers 1,2,3 [--setting C] [--seconds 20]

Measured here, in turn: a step of ours and of PyTorch on the rows of one worker; ours and that of
DistributedDataParallel by two workers; and how long two processes take to exchange messages. Then W workers
with as many rows each are simulated, a network at a time. Ours waits for its partner at each level of the
tree; each layer's sum begins when its gradient is there, or all with --together, and the last one done the
step moves; DistributedDataParallel sends around a ring while the backward, two thirds of a step, goes on.
Each computes a little longer or shorter at each step, as the measured turns did. What is simulated is a
model, and no measurement.

With --slowed two workers are measured here whose messages take as long as on a network of so many Mbit/s,
since who exchanges sleeps until then: with layers' sums sent while others are computed, and without, in turn.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import product

import numpy as np

from bptt.bench.settings import SETTINGS, Setting
from bptt.bench.together import Counted, run
from bptt.training import optim
from bptt.training.beside import parts
from bptt.training.shards import Sharded
from bptt.training.workers import joined
from bptt.types import Array, Batch, Generator

NETWORKS = {"1 Gbit/s": (1e-4, 1.25e8), "10 Gbit/s": (5e-5, 1.25e9), "100 Gbit/s": (2e-5, 1.25e10)}
"""Seconds that a message takes, and bytes a second."""

LATENCY = 1e-4
"""Seconds that a message takes on a network that is made slower."""

STEPS = 200
BACKWARD = 2 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate workers by measured costs.")
    parser.add_argument("--setting", default="C", choices=sorted(set(SETTINGS) - {"A"}))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--together", action="store_true", help="simulate sums after the backward")
    parser.add_argument("--slowed", metavar="MBIT,...", help="measure two workers on slow networks")
    parser.add_argument("--layers", metavar="L,...", default="1,2,3")
    asked = parser.parse_args()
    setting = SETTINGS[asked.setting]
    if asked.slowed:
        for L, mbit in product(asked.layers.split(","), asked.slowed.split(",")):
            slowed(replace(setting, layers=int(L)), float(mbit), asked.seconds)
        return
    params = setting.model("lstm").init(np.random.default_rng(0))
    size = 4 * sum(p.size for p in params.values())
    sizes = [4 * sum(params[name].size for name in names) for names in parts(params)]
    sizes = [size] if asked.together else sizes
    costs, pairs = {}, {}
    for name in ("bptt", "torch"):
        turns = [taken(name, setting, 1, asked.seconds / 3) for _ in range(3)]
        costs[name] = float(np.median(turns)), float(np.std(turns) / np.mean(turns))
        pairs[name] = taken(name, replace(setting, N=2 * setting.N), 2, asked.seconds)
    here = messages()
    rows = f"{setting.N} rows of {setting.T} steps a worker"
    print(f"setting {setting.name}, {rows}, {size / 1e6:.1f} MB of gradients in {len(sizes)} parts")
    print(f"messages between two processes here: {here[0] * 1e6:.0f} us and {here[1] / 1e9:.2f} GB/s")
    for name, (seconds, spread) in costs.items():
        alone = f"{seconds * 1e3:9.2f} ms alone (turns differ by {spread:.0%})"
        print(f"{name:6}{alone}{pairs[name] * 1e3:9.2f} ms by two here")
    print(f"\nsimulated: the part of W times one worker's speed that is reached\n{'':12}{'':8}", end="")
    counts = [2, 4, 8, 16, 32, 64]
    print("".join(f"{W:>7}" for W in counts))
    for network, (latency, speed) in {"measured": here, **NETWORKS}.items():
        for name, step in (("bptt", tree), ("torch", ring)):
            own, spread, travel = *costs[name], np.array(sizes)
            reached = [
                own / float(np.mean(step(np.random.default_rng(W), W, own, spread, latency, travel / speed)))
                for W in counts
            ]
            print(f"{network:12}{name:8}" + "".join(f"{part:7.0%}" for part in reached))


def taken(contender: str, setting: Setting, count: int, seconds: float) -> float:
    """Return the seconds of a step by so many workers, a shard each."""
    job = {"contender": contender, "setting": asdict(setting), "cell": "lstm", "shards": count}
    return float(run(job | {"seconds": seconds}, count)["seconds"])


def tree(rng: Generator, W: int, own: float, spread: float, latency: float, travel: Array) -> list[float]:
    """Return the seconds of steps of ours: partners exchange halves of halves, up the tree and down again."""
    levels, found = W.bit_length() - 1, []
    for _ in range(STEPS):
        computed = own * np.maximum(0.1, 1 + spread * rng.normal(size=W))
        at = np.zeros(W)
        for there, whole in zip(np.cumsum(travel) / travel.sum(), travel, strict=True):
            at = np.maximum(at, computed * (1 - BACKWARD * (1 - there)))  # there, and those before are sent
            for level in [*range(levels), *reversed(range(levels))]:
                partner = np.arange(W) ^ 1 << level
                at = np.maximum(at, at[partner]) + latency + whole / (2 << level)
        at += levels * latency  # losses and wishes
        found.append(float(at.max()))
    return found


def ring(rng: Generator, W: int, own: float, spread: float, latency: float, travel: Array) -> list[float]:
    """Return the seconds of steps whose gradients go around a ring while the backward computes others."""
    sending, found = 2 * (W - 1) * (latency + float(travel.sum()) / W), []
    for _ in range(STEPS):
        at = own * np.maximum(0.1, 1 + spread * rng.normal(size=W))
        found.append(float(max(at.max(), (1 - BACKWARD) * at.max() + sending)))
    return found


def messages() -> tuple[float, float]:
    """Return what a small message between two processes takes here, and the bytes a second of large ones."""
    small, large, size = by_two("--exchange")
    return small, size / (large - small)


def slowed(setting: Setting, mbit: float, seconds: float) -> None:
    """Print how long a step of two workers takes on a network, with sums meanwhile and without."""
    whole, meanwhile, alone = by_two("--of-two", json.dumps([asdict(setting), mbit * 1e6 / 8, seconds]))
    print(
        f"setting {setting.name}, {setting.layers} layers, {mbit:.0f} Mbit/s: alone {alone * 1e3:.0f} ms, "
        f"then {whole * 1e3:.0f} ms, sums meanwhile {meanwhile * 1e3:.0f} ms ({meanwhile / whole - 1:+.0%})",
        flush=True,
    )


def by_two(*arguments: str) -> list[float]:
    """Have two workers run this script, and return what the first says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    env |= {"BPTT_OVERLAP": "1", "BPTT_THREADS": "1"}
    command = [sys.executable, __file__, *arguments]
    both = [subprocess.Popen(command, env=env | {"RANK": r}, stdout=subprocess.PIPE, text=True) for r in "01"]
    said = [process.communicate()[0] for process in both]
    found: list[float] = json.loads(said[0].splitlines()[-1])
    return found


class Slowed(Counted):
    """An engine whose messages take as long as on a network of so many bytes a second."""

    speed = float("inf")

    def exchange(self, partner: int, out: Array, into: Array) -> None:
        """Exchange, and sleep until it would have come."""
        begun = time.perf_counter()
        super().exchange(partner, out, into)
        least = LATENCY + max(out.nbytes, into.nbytes) / self.speed
        time.sleep(max(0.0, begun + least - time.perf_counter()))


def of_two(setting: Setting, speed: float, seconds: float) -> None:
    workers = joined()
    assert workers._engine is not None
    workers._engine = engine = Slowed(workers._engine)
    model, adam = setting.model("lstm"), optim.Adam()
    tokens, steps = setting.tokens(), []
    batch = Batch(tokens[:-1], tokens[1:])
    for meanwhile in (False, True):
        params, workers.overlaps = model.init(np.random.default_rng(0)), meanwhile
        steps.append(Sharded(model, params, adam, adam.init(params), 2, workers, clip_norm=1.0))
    times: list[list[float]] = [[], [], []]
    begun = time.perf_counter()
    while not workers.once(lambda: time.perf_counter() - begun > seconds, bool) or len(times[0]) < 6:
        for step, engine.speed, found in zip((*steps, steps[0]), (speed, speed, 1e20), times, strict=True):
            before = time.perf_counter()
            step(batch, 1e-3, step.state or None)
            found.append(time.perf_counter() - before)
    workers.once(lambda: None)
    print(json.dumps([float(np.median(found[3:])) for found in times]))


def exchange() -> None:
    workers = joined()
    found = []
    for size in (16, 1 << 22):
        out, into, times = np.zeros(size, np.uint8), np.empty(size, np.uint8), []
        for _ in range(50):
            begun = time.perf_counter()
            workers._exchange(1 - workers.rank, out, into)
            times.append(time.perf_counter() - begun)
        found.append(float(np.median(times)))
    print(json.dumps([*found, 1 << 22]))


if __name__ == "__main__":
    if sys.argv[1:] == ["--exchange"]:
        exchange()
    elif sys.argv[1:2] == ["--of-two"]:
        told, speed, seconds = json.loads(sys.argv[2])
        of_two(Setting(**told), speed, seconds)
    else:
        main()
