"""Write the zoo's tables into docs/cells.md: `python docs/make_cells.py [BENCH.json]`.

Parameters are counted. What a step costs is what `bptt bench --cells --json` found, written into BENCH.json,
as a part of the LSTM's time; without the file the page keeps what it has.
"""

import json
import re
import sys
from itertools import product
from math import prod
from pathlib import Path

import numpy as np

from bptt.derive import EquationCell
from bptt.layer.shapes import layer_shapes
from bptt.types import BiasCount
from bptt.zoo.equations import ZOO
from bptt.zoo.papers import GROUPS

PAGE = Path(__file__).parent / "cells.md"
BEGIN, END = "<!-- the zoo: python docs/make_cells.py -->\n", "<!-- end of the zoo -->\n"

TERMS = {"DH": (1, 1), "H²": (0, 2), "D": (1, 0), "H": (0, 1), "": (0, 0)}
"""What a number of parameters is made of: powers of D and of H."""

SIZES = [(D, H) for D, H in product((8, 16, 24), (8, 16, 24))]


def parameters(cell: EquationCell) -> str:
    """Return how many parameters a layer has, for D inputs and H units.

    Examples
    --------
    >>> parameters(ZOO["lstm-peephole"])
    '4DH + 4H² + 7H'
    """
    bias: BiasCount = "one" if cell.bias else "none"
    counts = [sum(map(prod, layer_shapes(cell, D, H, bias).values())) for D, H in SIZES]
    powers = np.array([[float(D) ** i * float(H) ** j for i, j in TERMS.values()] for D, H in SIZES])
    found, *_ = np.linalg.lstsq(powers, np.array(counts, float), rcond=None)
    factors = [round(4 * float(f)) / 4 for f in found]  # a quarter of H² is what four heads share
    assert np.allclose(powers @ factors, counts, rtol=0, atol=1e-6), cell
    terms = [f"{f:g}"[f == 1 and term != "" :] + term for f, term in zip(factors, TERMS, strict=True) if f]
    return " + ".join(terms)


def costs(text: str, bench: Path | None) -> dict[str, str]:
    """Return what a step costs, by cell: measured, or as the page has it."""
    if bench is None:
        return dict(re.findall(r"^\| `([^`]+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE))
    found = json.loads(bench.read_text(encoding="utf-8"))["cells"]
    seconds = {e["cell"]: e["times"]["seconds"] for e in found if e["times"]}
    slow = {e["cell"] for e in found if e["reference"]}
    return {n: f"{s / seconds['lstm']:.2f}{', reference' * (n in slow)}" for n, s in seconds.items()}


def said(cell: EquationCell) -> str:
    """Return the first paragraph of what a cell says of itself."""
    return " ".join(cell.equations.doc.split("\n\n")[0].split())


def table(cells: dict[str, EquationCell], cost: dict[str, str]) -> str:
    """Return a table's lines."""
    rows = (
        f"| `{n}` | {said(c)} | {' '.join(c.states)} | {parameters(c)} | {cost.get(n, '')} |"
        for n, c in cells.items()
    )
    return "\n".join(["| name | what it is | states | parameters | cost |", "|---|---|---|---|---|", *rows])


def page(text: str, bench: Path | None = None) -> str:
    """Return the page with its tables made anew."""
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    cost = costs(old, bench)
    parts = [table(ZOO, cost)] + [f"{about}\n\n{table(cells, cost)}" for about, cells in GROUPS.items()]
    return before + BEGIN + "\n" + "\n\n".join(parts) + "\n\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), *map(Path, sys.argv[1:2])), encoding="utf-8")
