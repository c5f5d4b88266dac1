"""Whether runs that are killed, again and again, end in the bits of one that nobody disturbed.

    python benchmarks/kills.py [--kills 30] [--seed 0] [--workers 4]

Trains a stream, lines, labelled sequences and series, of data that it makes itself; kills each with SIGKILL
at random moments, resumes it, and compares `last`, `best` and the log without its times. Exit code 1 if one
differs. With --workers it is any of so many that is killed, and torchrun begins again by itself; the one that
nobody disturbs has one process. On Linux.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "bptt", "train"]
SMALL = ["--hidden", "16", "--batch", "4", "--steps", "4000", "--report-every", "20", "--eval-every", "100"]
KINDS = {
    "stream": ["book.txt", "--chunk", "16"],
    "lines": ["names.txt", "--lines"],
    "labels": ["names.csv", "--task", "classify", "--text", "name", "--label", "kind"],
    "series": ["sales.csv", "--task", "forecast", "--series", "shop", "--time", "day", "--value", "sold"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill runs, and compare what they end in.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    same, shares = True, [asked.kills // 4 + (k < asked.kills % 4) for k in range(4)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_data(folder, rng)
        for (kind, options), kills in zip(KINDS.items(), shares, strict=True):
            options = [*options, *SMALL, *(["--steps", "400", "--shards", "4"] if asked.workers > 1 else [])]
            _train(folder, [*options, "--out", f"{kind}-whole"])
            if asked.workers > 1:
                done = _shared(folder, [*options, "--out", f"{kind}-killed"], kills, rng, asked.workers)
            else:
                done = _disturbed(folder, kind, options, kills, rng)
            alike = _left_by(folder / f"{kind}-whole") == _left_by(folder / f"{kind}-killed")
            print(f"{kind}: killed {done} times; {'the same' if alike else 'OTHER'} bits", flush=True)
            same = same and alike
    return 0 if same else 1


def _write_data(folder: Path, rng: random.Random) -> None:
    names = ["".join(rng.choice("abcdeilnorst") for _ in range(rng.randint(2, 12))) for _ in range(600)]
    (folder / "names.txt").write_text("\n".join(names) + "\n")
    (folder / "book.txt").write_text(" ".join(rng.choice(names) for _ in range(3000)))
    rows = [f"{name},{'long' if len(name) > 7 else 'short'}" for name in names]
    (folder / "names.csv").write_text("\n".join(["name,kind", *rows]) + "\n")
    sales = [
        f"{shop},{day},{10 + day % 7 + shop + rng.random():.3f}" for shop in range(3) for day in range(168)
    ]
    (folder / "sales.csv").write_text("\n".join(["shop,day,sold", *sales]) + "\n")


def _train(folder: Path, arguments: list[str], seconds: float | None = None) -> bool:
    """Train, and return whether it came to its end before it was killed."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, says = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}: {says}")
    return True


def _disturbed(folder: Path, kind: str, options: list[str], kills: int, rng: random.Random) -> int:
    """Train with so many kills at random moments, and return how many there were."""
    run, done = f"{kind}-killed", 0
    while True:
        begun = (folder / run / "config.json").exists()
        arguments = ["--resume", run] if begun else [*options, "--out", run]
        if _train(folder, arguments, rng.uniform(0.3, 4.0) if done < kills else None):
            return done
        done += 1


def _shared(folder: Path, arguments: list[str], kills: int, rng: random.Random, workers: int) -> int:
    """Train by workers, any of which is killed now and then, and return how often."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
    command = [*torchrun, f"--max-restarts={kills}", "-m", "bptt", "train", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done = 0
    log = folder / arguments[-1] / "log.jsonl"
    while process.poll() is None:
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (not log.exists() or log.stat().st_size == before):
            time.sleep(0.05)  # until it trains
        time.sleep(rng.uniform(0, 2))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        own = [int(pid) for pid in children.read_text().split()] if process.poll() is None else []
        own = [pid for pid in own if b"train" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if done < kills and len(own) == workers:
            os.kill(rng.choice(own), signal.SIGKILL)
            done += 1
            time.sleep(1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return done


def _left_by(run: Path) -> tuple[object, ...]:
    """Return what a run ends in, but for times."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    timed = ("seconds", "tokens_per_second", "crc32")
    log = [{key: value for key, value in line.items() if key not in timed} for line in lines]
    return (*((run / f"{name}.safetensors").read_bytes() for name in ("last", "best")), log)


if __name__ == "__main__":
    sys.exit(main())
