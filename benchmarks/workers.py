"""How a training step would scale to 64 machines: measured costs of computing and of messages, put together.

    python benchmarks/workers.py [--setting C] [--seconds 5]

Measured here, in turn: a step of ours and of PyTorch on the rows of one worker; ours and that of
DistributedDataParallel by two workers; and how long two processes take to exchange messages. Then W workers
with as many rows each are simulated, a network at a time. Ours waits for its partner at each level of the
tree, and moves when all is added; DistributedDataParallel sends around a ring while the backward, two
thirds of a step, goes on. Each computes a little longer or shorter at each step, as the measured turns did.
What is simulated is a model, and no measurement.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np

from bptt.bench.settings import SETTINGS, Setting
from bptt.bench.together import run
from bptt.training.workers import joined
from bptt.types import Generator

NETWORKS = {"1 Gbit/s": (1e-4, 1.25e8), "10 Gbit/s": (5e-5, 1.25e9), "100 Gbit/s": (2e-5, 1.25e10)}
"""Seconds that a message takes, and bytes a second."""

STEPS = 200
BACKWARD = 2 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate workers by measured costs.")
    parser.add_argument("--setting", default="C", choices=sorted(set(SETTINGS) - {"A"}))
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    setting = SETTINGS[asked.setting]
    size = 4 * sum(p.size for p in setting.model("lstm").init(np.random.default_rng(0)).values())
    costs, pairs = {}, {}
    for name in ("bptt", "torch"):
        turns = [taken(name, setting, 1, asked.seconds / 3) for _ in range(3)]
        costs[name] = float(np.median(turns)), float(np.std(turns) / np.mean(turns))
        pairs[name] = taken(name, replace(setting, N=2 * setting.N), 2, asked.seconds)
    here = messages()
    rows = f"{setting.N} rows of {setting.T} steps a worker"
    print(f"setting {setting.name}, {rows}, {size / 1e6:.1f} MB of gradients")
    print(f"messages between two processes here: {here[0] * 1e6:.0f} us and {here[1] / 1e9:.2f} GB/s")
    for name, (seconds, spread) in costs.items():
        alone = f"{seconds * 1e3:9.2f} ms alone (turns differ by {spread:.0%})"
        print(f"{name:6}{alone}{pairs[name] * 1e3:9.2f} ms by two here")
    print(f"\nsimulated: the part of W times one worker's speed that is reached\n{'':12}{'':8}", end="")
    counts = [2, 4, 8, 16, 32, 64]
    print("".join(f"{W:>7}" for W in counts))
    for network, (latency, speed) in {"measured": here, **NETWORKS}.items():
        for name, step in (("bptt", tree), ("torch", ring)):
            own, spread = costs[name]
            reached = [
                own / float(np.mean(step(np.random.default_rng(W), W, own, spread, latency, size / speed)))
                for W in counts
            ]
            print(f"{network:12}{name:8}" + "".join(f"{part:7.0%}" for part in reached))


def taken(contender: str, setting: Setting, count: int, seconds: float) -> float:
    """Return the seconds of a step by so many workers, a shard each."""
    job = {"contender": contender, "setting": asdict(setting), "cell": "lstm", "shards": count}
    return float(run(job | {"seconds": seconds}, count)["seconds"])


def tree(rng: Generator, W: int, own: float, spread: float, latency: float, whole: float) -> list[float]:
    """Return the seconds of steps of ours: partners exchange halves of halves, up the tree and down again."""
    levels, found = W.bit_length() - 1, []
    for _ in range(STEPS):
        at = own * np.maximum(0.1, 1 + spread * rng.normal(size=W))
        for level in [*range(levels), *reversed(range(levels))]:
            partner = np.arange(W) ^ 1 << level
            at = np.maximum(at, at[partner]) + latency + whole / (2 << level)
        at += levels * latency  # losses and wishes
        found.append(float(at.max()))
    return found


def ring(rng: Generator, W: int, own: float, spread: float, latency: float, whole: float) -> list[float]:
    """Return the seconds of steps whose gradients go around a ring while the backward computes others."""
    sending, found = 2 * (W - 1) * (latency + whole / W), []
    for _ in range(STEPS):
        at = own * np.maximum(0.1, 1 + spread * rng.normal(size=W))
        found.append(float(max(at.max(), (1 - BACKWARD) * at.max() + sending)))
    return found


def messages() -> tuple[float, float]:
    """Return what a small message between two processes takes here, and the bytes a second of large ones."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = [sys.executable, __file__, "--exchange"]
    both = [subprocess.Popen(command, env=env | {"RANK": r}, stdout=subprocess.PIPE, text=True) for r in "01"]
    said = [process.communicate()[0] for process in both]
    small, large, size = json.loads(said[0].splitlines()[-1])
    return small, size / (large - small)


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
    exchange() if sys.argv[1:] == ["--exchange"] else main()
