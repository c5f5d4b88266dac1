"""The checker on generated code of other people's kinds, at length.

    python benchmarks/check_people.py [--right 500] [--faults 500] [--pairs 30] [--seed 0]

Without an example: the checker writes its own. Prints how many right implementations are called right, wrong
or undecided; how many faults, and pairs of faults, are found and mended. The texts that go wrong are kept.
Exit code 1 on a false alarm or a fault that is let through.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from bptt.checking import Report, check_file
from bptt.errors import BpttError
from judged.people import drawn, source
from judged.people_faults import mutants, pairs
from judged.people_lines import Style

FOLDER = Path(tempfile.mkdtemp(prefix="check-people-"))


def judged(text: str, name: str) -> Report | None:
    path = FOLDER / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    try:
        return check_file(path, seconds=300)[0]
    except BpttError as error:
        print(f"{path}: {str(error).splitlines()[0]}")
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description="Check generated code.")
    for name, number in (("right", 500), ("faults", 500), ("pairs", 30), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    alarms = right(rng, asked.right)
    missed = faults(rng, asked.faults) + two(rng, asked.pairs)
    return int(alarms + missed > 0)


def right(rng: np.random.Generator, count: int) -> int:
    found: Counter[str] = Counter()
    for k in range(count):
        style = drawn(rng)
        judgement = judged(source(style), f"right-{k}")
        verdict = judgement.verdict if judgement else "not recognised"
        found[f"{verdict}{', single precision' if style.single else ''}"] += 1
        if judgement and not judgement.cell:
            found["cell not known"] += 1
        if verdict != "right":
            print(f"right-{k}: {verdict}: {style}")
    print(f"right implementations: {dict(found)}")
    return found["wrong"] + found["wrong, single precision"]


def faults(rng: np.random.Generator, count: int) -> int:
    found: Counter[str] = Counter()
    mended: dict[int, Counter[bool]] = {}
    for k in range(count):
        able = list(mutants(double(rng)))
        if not able:
            continue
        mutation, text = able[rng.integers(len(able))]
        judgement = judged(text, f"fault-{k}")
        verdict = judgement.verdict if judgement else "not recognised"
        is_mended = bool(judgement and judgement.whole)
        found[verdict] += 1
        mended.setdefault(mutation.number, Counter())[is_mended] += 1
        if verdict != "wrong" or not is_mended:
            print(f"fault-{k}: {verdict}, not mended: kind {mutation.number}, {mutation.instead!r}")
    print(f"faults: {dict(found)}; mended: {sum(c[True] for c in mended.values())}")
    for number, counts in sorted(mended.items()):
        print(f"  kind {number}: {counts[True]} of {counts.total()} mended")
    return found.total() - found["wrong"]


def two(rng: np.random.Generator, count: int) -> int:
    found: Counter[str] = Counter()
    mended: Counter[bool] = Counter()
    while found.total() < count:
        if drawn_pair := pairs(double(rng), rng):
            text = drawn_pair[0]
            judgement = judged(text, f"pair-{found.total()}")
            found[judgement.verdict if judgement else "not recognised"] += 1
            mended[bool(judgement and judgement.whole)] += 1
    print(f"pairs of faults: {dict(found)}; both mended: {mended[True]}")
    return found.total() - found["wrong"]


def double(rng: np.random.Generator) -> Style:
    return replace(drawn(rng), single=False)


if __name__ == "__main__":
    sys.exit(main())
