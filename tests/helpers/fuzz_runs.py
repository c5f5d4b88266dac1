"""The judges of a run's folder at length, by hand: each prints counts by outcome, and what must not be.

python tests/helpers/fuzz_runs.py --folders 5000 --seed 0
python tests/helpers/fuzz_runs.py --flips 1000
python tests/helpers/fuzz_runs.py --faults 10000 --power 10000
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from hostile import judge
from hostile.crashes import Crashes


def main() -> int:
    """Run what is asked for; exit with 1 where something is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=0, help="mutated folders, through every command")
    parser.add_argument("--first", type=int, default=0, help="the first one's number")
    parser.add_argument("--flips", type=int, default=0, help="single flipped bits")
    parser.add_argument("--faults", type=int, default=0, help="calls of a training that fail, at most all")
    parser.add_argument("--power", type=int, default=0, help="states of a disk that lost power, at most all")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    tallies = []
    with tempfile.TemporaryDirectory(prefix="bptt-fuzz-") as made:
        root = Path(made)
        if asked.folders:
            fuzzer = judge.Fuzzer(_new(root / "folders"))
            tallies.append(fuzzer.tally)
            with contextlib.suppress(KeyboardInterrupt):  # what was counted until then is printed
                for k in range(asked.first, asked.first + asked.folders):
                    for fault in fuzzer.judge(asked.seed, k):
                        print(fault, flush=True)
        if asked.flips:
            tallies.append(judge.flips(_new(root / "flips"), asked.flips, asked.seed))
        for resumed in (False, True):
            if asked.faults or asked.power:
                crashes = Crashes(_new(root / f"crashes-{resumed}"), resumed=resumed)
                tallies += [crashes.faults(asked.faults, asked.seed)] if asked.faults else []
                tallies += [crashes.power(asked.power, asked.seed)] if asked.power else []
    for tally in tallies:
        print(tally.table())
    return int(any(tally.faults for tally in tallies))


def _new(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    sys.exit(main())
