"""Training steps of cells over axes beside PyTorch's loops and JAX's scan: how many times as fast bptt is.

    python benchmarks/axes.py [--seconds 2] [CELL ...]

PyTorch is a loop over the cell's equations, and one over a step that torch.compile has compiled; JAX compiles
the whole step. A is one row, B and C are batches. lstm-dropped is the LSTM with recurrent dropout, which each
draws for each batch. Wanted: 3 times the faster of PyTorch's, 1.5 times JAX's; exit code 1: one is not, or
was not measured. Fifteen places of four contenders; quiet the machine first.
"""

import argparse
import sys
from dataclasses import replace

from bptt.bench import SETTINGS, bench

DROPPED = "lstm-dropped"
CELLS = ("lstm-layernorm", DROPPED, "lstm-projected", "mlstm", "gla")
WANTED = {"torch": 3.0, "torch-compiled": 3.0, "jax": 1.5}


def main() -> int:
    """Measure, and print a line for each place."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*", default=CELLS)
    parser.add_argument("--settings", default="A,B,C")
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    names = given.settings.split(",")
    settings, holds = [replace(SETTINGS[name], lengths=False, sampling=False) for name in names], True
    print(f"{'':18}{'':4}{'bptt, ms':>9}" + "".join(f"{f'x {name}':>18}" for name in WANTED), flush=True)
    for cell in given.cells:
        name, part = ("lstm", 0.25) if cell == DROPPED else (cell, 0.0)
        places = [replace(setting, recurrent_dropout=part) for setting in settings]
        found = bench(places, name, ["bptt", *WANTED], given.seconds, lambda _: None)
        for place in found.places:
            ratios = [place.ratio("step", "bptt", name) for name in WANTED]
            times = place.found["step"].get("bptt")
            enough = all(r is not None and r >= w for r, w in zip(ratios, WANTED.values(), strict=True))
            holds &= enough
            shown = "".join(f"{'-' if r is None else f'{r:.2f}':>18}" for r in ratios)
            ms = "-" if times is None else f"{times.seconds * 1e3:.2f}"
            print(f"{cell:18}{place.setting.name:4}{ms:>9}{shown}{'' if enough else '  no'}", flush=True)
        for note in found.notes:
            print(f"  {note}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
