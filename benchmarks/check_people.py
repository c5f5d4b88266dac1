"""The checker on generated code of other people's kinds, at length.

    python benchmarks/check_people.py [--right 500] [--faults 500] [--pairs 30] [--seed 0]

Prints how many right implementations are called right, wrong, undecided or are not recognised; how many
faults are found and named; how many pairs of faults are found, and how often both are named. The texts that
go wrong are kept in a folder.
Exit code 1 on a false alarm or a fault that is let through.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from bptt.checking import Judgement, check_file
from bptt.errors import BpttError
from judged.people import drawn, source
from judged.people_faults import mutants, pairs
from judged.people_lines import Style

FOLDER = Path(tempfile.mkdtemp(prefix="check-people-"))


def judged(text: str, name: str) -> Judgement | None:
    path = FOLDER / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    try:
        return check_file(path)[0]
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
        if judgement and judgement.cell is None:
            found["cell not known"] += 1
        if verdict != "right":
            print(f"right-{k}: {verdict}: {style}")
    print(f"right implementations: {dict(found)}")
    return found["wrong"] + found["wrong, single precision"]


def faults(rng: np.random.Generator, count: int) -> int:
    found: Counter[str] = Counter()
    named: dict[int, Counter[bool]] = {}
    for k in range(count):
        able = list(mutants(double(rng)))
        if not able:
            continue
        mutation, text = able[rng.integers(len(able))]
        judgement = judged(text, f"fault-{k}")
        verdict = judgement.verdict if judgement else "not recognised"
        says = str(judgement.fault["id"]) if judgement and judgement.fault else ""
        found[verdict] += 1
        named.setdefault(mutation.number, Counter())[bool(re.search(mutation.names, says))] += 1
        if verdict != "wrong" or not re.search(mutation.names, says):
            print(
                f"fault-{k}: {verdict}: kind {mutation.number}, {mutation.instead!r}: {says or 'not named'}"
            )
    print(f"faults: {dict(found)}; named: {sum(c[True] for c in named.values())}")
    for number, counts in sorted(named.items()):
        print(f"  kind {number}: {counts[True]} of {counts.total()} named")
    return found.total() - found["wrong"]


def two(rng: np.random.Generator, count: int) -> int:
    found: Counter[str] = Counter()
    named: Counter[bool] = Counter()
    while found.total() < count:
        if drawn_pair := pairs(double(rng), rng):
            text, *planted = drawn_pair
            judgement = judged(text, f"pair-{found.total()}")
            says = str(judgement.fault["id"]) if judgement and judgement.fault else ""
            found[judgement.verdict if judgement else "not recognised"] += 1
            named[all(re.search(mutation.names, says) for mutation in planted)] += 1
    print(f"pairs of faults: {dict(found)}; both named: {named[True]}")
    return found.total() - found["wrong"]


def double(rng: np.random.Generator) -> Style:
    return replace(drawn(rng), single=False)


if __name__ == "__main__":
    sys.exit(main())
