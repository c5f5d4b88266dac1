"""Whether the generated tasks meet their 1997 criteria, from several seeds.

    python benchmarks/criteria.py [TASK ...] [--seeds 0 1 2]

Trains each task as `bptt train TASK` does and prints a table: whether the criterion is met, after how
many training sequences, and in how many seconds. Exit code 1 if one is not met.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import bptt


def main() -> int:
    parser = argparse.ArgumentParser(description="Train generated tasks to their criteria.")
    parser.add_argument("tasks", nargs="*", default=["reber", "adding"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    print(f"{'task':16}{'seed':>5}{'steps':>8}{'sequences':>11}{'seconds':>9}  verdict")
    met = True
    with tempfile.TemporaryDirectory() as folder:
        for task in asked.tasks:
            for seed in asked.seeds:
                settings = bptt.Settings.of(data=task, seed=seed)
                trainer = bptt.Trainer.start(settings, Path(folder) / f"{task}-{seed}")
                begun = time.perf_counter()
                for report in trainer.reports():
                    last = report
                seconds = time.perf_counter() - begun
                assert last.verdict is not None
                met = met and last.verdict.met
                sequences = trainer.step * settings.batch
                says = last.verdict.says
                print(f"{task:16}{seed:5}{trainer.step:8,}{sequences:11,}{seconds:9.0f}  {says}", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
