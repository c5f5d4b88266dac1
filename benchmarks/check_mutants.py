"""What the checker says of files with one fault each: found, its statement, mended.

    python benchmarks/check_mutants.py --sample 60 --seed 0 --jobs 2 --seconds 30

A mutant that leaves every number as it is counts as none. What is missed is written to --keep, beside its
example.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from bptt.checking.examine import check_source
from bptt.checking.file import read
from bptt.checking.taps.program import Program
from bptt.checking.taps.values import flat, leaves
from bptt.types import Array
from judged.mutants import Mutant, every


class Told(NamedTuple):
    """What is said of a mutant."""

    verdict: str
    line: int | None = None
    must: str = ""
    mended: bool = False
    note: str = ""
    seconds: float = 0.0


def left(text: str, example: str) -> dict[str, Array]:
    """Return all arrays that are there after an example."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "code.py")
        path.write_text(text, encoding="utf-8")
        names = Program(read(path), example).run().names
    found = {n: v for n, v in names.items() if not n.startswith("_") and n != "np"}
    arrays = {str(path): flat(value) for path, value in leaves(found)}
    return {path: numbers for path, numbers in arrays.items() if numbers is not None}


def same(text: str, mutant: Mutant) -> bool:
    """Return whether a text leaves the numbers that the right one leaves."""
    ours, wanted = left(text, mutant.example), left(mutant.right, mutant.example)
    return ours.keys() == wanted.keys() and all(
        ours[n].shape == wanted[n].shape and np.allclose(ours[n], wanted[n], 1e-7, 1e-10) for n in wanted
    )


def told(mutant: Mutant, seconds: float = 30.0) -> Told:
    """Judge a mutant."""
    start = time.perf_counter()
    try:
        if same(mutant.text, mutant):
            return Told("none")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "code.py")
            path.write_text(mutant.text, encoding="utf-8")
            report = check_source(read(path), mutant.example, seconds=seconds)
            fixed = report.fixed.get(str(path), "")
        line, must = next(((p["line"], p["must"]) for p in report.located), (None, ""))
        mended = report.whole and bool(fixed) and same(fixed, mutant)
        note = "; ".join(f"{m['line']}: {m['after'].strip()}" for m in report.mends) or " ".join(
            report.notes[-1:]
        )
        return Told(report.verdict, line, must, mended, note, time.perf_counter() - start)
    except Exception as error:
        return Told(f"{type(error).__name__}: {error}"[:100])


def main() -> int:
    parser = argparse.ArgumentParser(description="Check files with one fault each.")
    for name, number in (("sample", 60), ("seed", 0), ("jobs", 1), ("seconds", 30)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--form", default="", help="only forms that hold this text")
    parser.add_argument("--keep", type=Path, help="a folder for the files that are missed")
    asked = parser.parse_args()
    mutants = [one for one in every(asked.seed) if asked.form in one.form]
    chosen = np.random.default_rng(asked.seed).permutation(len(mutants))[: asked.sample]
    sample = [mutants[k] for k in chosen]
    by_form: dict[str, Counter[str]] = {}
    with ProcessPoolExecutor(asked.jobs) as pool:
        for mutant, says in zip(sample, pool.map(told, sample, [asked.seconds] * len(sample)), strict=True):
            counts = by_form.setdefault(mutant.form.partition(":")[0], Counter())
            if says.verdict == "none":
                counts["without effect"] += 1
                continue
            at = says.line in mutant.lines
            counts.update(
                {
                    "files": 1,
                    "found": int(says.verdict == "wrong"),
                    "located": int(at),
                    "mended": int(says.mended),
                }
            )
            if not (at and says.mended):
                print(f"{mutant.form}, {mutant.fault}: {says}, lines {sorted(mutant.lines)}", flush=True)
                keep(asked.keep, mutant)
    total = sum(by_form.values(), Counter())
    for form, counts in [*sorted(by_form.items()), ("all", total)]:
        print(
            f"{form}: "
            + ", ".join(f"{counts[k]} {k}" for k in ("files", "found", "located", "mended", "without effect"))
        )
    return int(total["found"] < total["files"])


def keep(folder: Path | None, mutant: Mutant) -> None:
    if folder is None:
        return
    name = "".join(c if c.isalnum() else "-" for c in f"{mutant.form}--{mutant.fault}")[:90]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(mutant.text, encoding="utf-8")
    (folder / f"{name}.example.txt").write_text(mutant.example, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
