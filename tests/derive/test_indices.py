"""Indices on a page are those of what is computed: each line is read as loops over them, and compared."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt.derive.describe
from bptt.derive.algebra import names_in
from bptt.derive.axes import numbers
from bptt.derive.blocks import Block, Page, printed
from bptt.derive.describe import describe
from bptt.derive.lines import FLOATS, value
from bptt.derive.notation import TextPrinter
from bptt.derive.proof import Proof
from bptt.zoo import load
from readback import of_indexed
from sampling import count as so_many
from shaped_cells import CELLS
from whole_cells import cell_of

PAGES = {cell.name: cell for cell in (*CELLS, load("deltanet"), load("gla"))}
INDEX = re.compile(r"(?<=[\w)])\[([a-z](?:,[a-z])*)\]")
FUNCTIONS = FLOATS | {"total": lambda a: 1.3 * a - 0.2}


def lines(made: Page) -> list[Any]:
    """Return the lines that have indices and no product with a matrix."""
    found = [x for part in made.parts() if isinstance(part, Block) for x in part.lines if not x.gates]
    printer = TextPrinter(made.whole)
    products = ("affine", "product", "outer")
    return [
        x for x in found if not any(p in str(x.right) for p in products) and INDEX.search(printed(x, printer))
    ]


@np.errstate(all="ignore")
def off(made: Page) -> list[str]:
    """Return the lines that do not say what is computed."""
    whole, rng = made.whole, np.random.default_rng(0)
    ends = {"head": 2, "unit": 3, "key": 3 if made.whole.equations.keys is None else 4}
    sizes = {whole.sizes[f"size_{axis}"]: np.float64(end) for axis, end in ends.items()}
    letters = {c: end for axis, end in ends.items() for c in whole.letters[axis]}
    wrong = list[str]()
    for line in lines(made):
        arrays, shown = {}, dict[str, Any](sizes)
        for name in names_in([line.right]):
            own = [axis for axis in ends if axis in whole.axes.get(name, ())]
            shown[name] = rng.uniform(0.5, 2, [ends[axis] for axis in own])
            arrays[name] = shown[name].reshape([ends[axis] if axis in own else 1 for axis in ends])
        headed = [n for n in arrays if "head" in whole.axes.get(n, ())]
        wanted = value(line.right, arrays | numbers(*ends.values()), FUNCTIONS)
        left, right = printed(line, TextPrinter(whole)).split(" = ", 1)
        free = re.findall(r"\w", (INDEX.search(left) or ["", ""])[1])
        axes = [axis for axis in ("unit", "key") if axis in whole.axes_of(line.left)]
        if [whole.letters[axis][0] for axis in axes] != free:
            wrong.append(left)
            continue
        for place in itertools.product(*(range(ends[axis]) for axis in axes)):
            at = dict(zip(axes, place, strict=True))
            exact = np.broadcast_to(wanted, [*ends.values()])[0, at.get("unit", 0), at.get("key", 0)]
            try:
                got = of_indexed(right, shown, dict(zip(free, place, strict=True)), letters, headed)
            except (AssertionError, KeyError, IndexError):
                got = np.nan
            if not np.isclose(got, exact, 1e-10, equal_nan=True):
                wrong.append(f"{left} = {right}")
                break
    return wrong


@pytest.mark.parametrize("name", PAGES)
def test_a_line_is_what_its_indices_say(name: str) -> None:
    made = describe(PAGES[name])
    assert not off(made)
    assert bool(lines(made)) == (name not in ("projected", "deep"))  # where no line has several shapes


def test_lines_that_nobody_would_write_are_what_their_indices_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bptt.derive.describe, "prove_page", lambda page, cell: Proof(0.0, 1, 1, 1))
    count = 0
    for seed in range(so_many(15, 300)):
        cell = cell_of(seed)
        if not cell.equations.is_elementwise:
            made = describe(cell)
            count += len(lines(made))
            assert not off(made), seed
    assert count > 50


FAULTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "turned": ("_with_index", lambda show: lambda self, shown, at: show(self, shown, at[::-1])),
    "of the sum around it": ("_over_axis", lambda show: lambda self, e: show(self, e).replace("[l]", "[j]")),
    "lost": ("_with_index", lambda show: lambda self, shown, at: show(self, shown, at[:1])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_index_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = describe(PAGES["mlstm"])
    name, wrong = FAULTS[fault]
    monkeypatch.setattr(TextPrinter, name, wrong(getattr(TextPrinter, name)))
    assert off(made)


def test_values_of_one_shape_stand_without() -> None:
    made = describe(load("lstm"))
    assert made.lines("forward")
    assert not lines(made)
