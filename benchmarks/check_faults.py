"""The checker on code that no template knows and on faults of any kind: what it finds, places and mends.

    python benchmarks/check_faults.py --right 200 --faults 300 --most 3

Right code is that of tests/helpers/judged/unlike, and implementations that are generated: of one cell in a
style of its own, or composed of layers. Each has a truth of its own, by differences. Faults are planted in
both; each of them changes a gradient.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from bptt.checking.examine import check_source
from bptt.checking.file import read
from bptt.errors import BpttError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from judged.composed import composed
from judged.faults import SEEDS, Fault, Planted, gradients, plant_in
from judged.generated import styles
from judged.truth import Truth, apart, unlike
from judged.unlike_truths import TRUTHS

SECONDS = 15.0
"""How long a file may take."""


class Judged(NamedTuple):
    """What the checker says: right, wrong or cannot tell; the first line that is wrong; the mended text."""

    verdict: str
    line: int | None = None
    mended: str | None = None


def judge(text: str, example: str) -> Judged:
    """Judge a file's text with an example: the one place that knows the checker."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "code.py")
        path.write_text(text, encoding="utf-8")
        try:
            report = check_source(read(path), example, seconds=SECONDS)
        except BpttError:
            return Judged("cannot tell")
    line = report.located[0]["line"] if report.located else None
    return Judged(report.verdict, line, report.fixed.get(str(path)) if report.whole else None)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check right code and planted faults.")
    for name, number in (("right", 200), ("faults", 300), ("most", 3), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    alarms = right(rng, asked.right)
    missed = faults(rng, asked.faults, asked.most)
    return int(alarms + missed > 0)


def drawn(rng: np.random.Generator) -> tuple[str, str, Truth]:
    """Return the name, text and truth of right code: of a person's style, or generated."""
    kind = rng.random()
    if kind < 0.4:
        name = str(rng.choice(list(TRUTHS)))
        return name, unlike(name), TRUTHS[name]
    return made(int(rng.integers(1_000_000)), kind < 0.7)


def made(seed: int, layers: bool) -> tuple[str, str, Truth]:
    """Return the name, text and truth of a model composed of layers, or of one cell in a style of its own."""
    return (f"composed {seed}", *composed(seed)) if layers else (f"style {seed}", *styles(seed))


def right(rng: np.random.Generator, count: int) -> int:
    """Print how right code is judged; return how much of it is called wrong."""
    found: Counter[str] = Counter()
    generated = count - len(TRUTHS)
    codes = [(name, unlike(name), TRUTHS[name]) for name in list(TRUTHS)[:count]]
    seeds = rng.integers(1_000_000, size=max(generated, 0))
    codes += [made(int(seed), k % 2 == 0) for k, seed in enumerate(seeds)]
    for name, text, truth in codes:
        judged = judge(text, truth.example)
        found[judged.verdict] += 1
        if judged.verdict != "right" or judged.mended:
            print(
                f"{name}: {judged.verdict}, line {judged.line}{', an edit is offered' * bool(judged.mended)}"
            )
    print(f"right code: {dict(found)}")
    return found["wrong"]


def faults(rng: np.random.Generator, count: int, most: int) -> int:
    """Print what is found of planted faults, by how many there are and by kind; return how many are not."""
    by_number: dict[int, Counter[str]] = {}
    by_kind: dict[str, Counter[str]] = {}
    files = 0
    while files < count:
        name, text, truth = drawn(rng)
        number, seed = int(rng.integers(1, most + 1)), int(rng.integers(1_000_000))
        try:
            planted = plant_in(text, truth, seed, number)
        except ValueError:  # too few faults fit there
            continue
        files += 1
        says = outcome(planted, truth, text)
        by_number.setdefault(number, Counter()).update(says)
        if number == 1:
            by_kind.setdefault(planted.faults[0].kind, Counter()).update(says)
        if "mended" not in says:
            print(f"{name}, seed {seed}, {number} planted: {', '.join(says[1:]) or 'not found'}")
            for fault in planted.faults:
                print(f"  {fault.kind}: {fault.before.strip()!r} -> {fault.after.strip()!r}")
    for title, table in (("faults in a file", by_number), ("kind, alone in its file", by_kind)):
        print(title)
        for row, says_all in sorted(table.items(), key=str):
            parts = [f"{says_all[what]} {what}" for what in ("found", "at a line of a fault", "mended")]
            print(f"  {row}: {says_all['files']} files, {', '.join(parts)}")
    return sum(says_all["files"] - says_all["found"] for says_all in by_number.values())


def outcome(planted: Planted, truth: Truth, text: str) -> list[str]:
    """Return what holds of the judgement of wrong code; mended is what has the right code's gradients."""
    judged = judge(planted.text, planted.example)
    says = ["files"]
    if judged.verdict == "wrong":
        says.append("found")
    if judged.line is not None and any(at(fault, judged.line) for fault in planted.faults):
        says.append("at a line of a fault")
    if judged.mended and same(judged.mended, text, truth):
        says.append("mended")
    return says


def at(fault: Fault, line: int) -> bool:
    """Return whether a line is one of a fault's; that of a deleted statement is beside where it was."""
    return line in fault.lines or (not fault.after and line == fault.lines[0] - 1)


def same(mended: str, text: str, truth: Truth) -> bool:
    """Return whether a mended text has the gradients of the right one."""
    try:
        pairs = zip(gradients(mended, truth), gradients(text, truth), strict=True)
        return all(apart(got, wanted) < 1e-6 for got, wanted in pairs)
    except Exception as error:  # whatever a mended file may raise
        print(f"a mended file of seeds {SEEDS} fails: {error!r}")
        return False


if __name__ == "__main__":
    sys.exit(main())
