"""Whether runs that are killed, again and again, end in the bits of one that nobody disturbed.

    python benchmarks/kills.py [--kills 30] [--seed 0]

Trains a stream, lines, labelled sequences and series, of data that it makes itself; kills each with SIGKILL
at random moments, resumes it, and compares `last`, `best` and the log without its times. Exit code 1 if one
differs.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
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
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    same, shares = True, [asked.kills // 4 + (k < asked.kills % 4) for k in range(4)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_data(folder, rng)
        for (kind, options), kills in zip(KINDS.items(), shares, strict=True):
            _train(folder, [*options, *SMALL, "--out", f"{kind}-whole"])
            done = _disturbed(folder, kind, [*options, *SMALL], kills, rng)
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


def _left_by(run: Path) -> tuple[object, ...]:
    """Return what a run ends in, but for times."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    timed = ("seconds", "tokens_per_second", "crc32")
    log = [{key: value for key, value in line.items() if key not in timed} for line in lines]
    return (*((run / f"{name}.safetensors").read_bytes() for name in ("last", "best")), log)


if __name__ == "__main__":
    sys.exit(main())
