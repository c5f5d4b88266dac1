"""Cells side by side: what one layer of each takes, forward and backward, at one setting."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import numpy as np

from bptt.bench.contenders import CONTENDERS
from bptt.bench.rounds import Say, Times, measure
from bptt.bench.settings import Setting
from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import reason_against
from bptt.layer.shapes import layer_shapes
from bptt.types import BiasCount, Shapes
from bptt.zoo import get
from bptt.zoo.papers import EVERY


@dataclass
class Entry:
    """A cell.

    Attributes
    ----------
    cell, paper : str
        Its name, and what its equations say of themselves.
    parameters : int
        Of one layer.
    multiply_adds : int
        In the products with W and U, forward and backward; what else a step does is not counted.
    reference : str or None
        Why it runs in the reference, where no kernel runs it.
    times : Times or None
    """

    cell: str
    paper: str
    parameters: int
    multiply_adds: int
    reference: str | None
    times: Times | None = None


@dataclass
class CellBench:
    """The result: an entry for each cell, at one setting, with `peak` multiply-adds a second as the limit."""

    setting: Setting
    seconds: float
    machine: dict[str, str]
    peak: float | None = None
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def share(self, entry: Entry) -> float | None:
        """Return which part of the machine's limit a cell reaches."""
        if self.peak is None or entry.times is None:
            return None
        return entry.multiply_adds / self.peak / entry.times.seconds

    def to_json(self) -> dict[str, Any]:
        """Return all of it; times in seconds."""
        return {
            "machine": self.machine,
            "setting": asdict(self.setting),
            "seconds": self.seconds,
            "multiply_adds_per_second": self.peak,
            "cells": [asdict(e) | {"share_of_limit": self.share(e)} for e in self.entries],
            "notes": self.notes,
        }


def known(names: Iterable[str], setting: Setting) -> tuple[list[Entry], list[str]]:
    """Return what is known of cells before they are measured, and why some cannot be so large."""
    found, unfit = [], []
    for name in names:
        get(name)  # one that is not there is told
        try:
            found.append(entry(name, setting))
        except (ConfigError, ShapeError) as error:
            says = str(error)  # a map's says nothing of the cell
            unfit.append(says if says.startswith(f"{name}: ") else f"{name}: {says}")
    return found, unfit


def entry(name: str, setting: Setting) -> Entry:
    """Return what is known of a cell.

    Examples
    --------
    >>> entry("lstm", Setting("", V=5, E=3, H=4, layers=1, N=2, T=7)).parameters
    128
    """
    cell = get(name)
    shapes, used = (shapes_of(each, setting.E, setting.H) for each in (cell, cell.plain))  # as maps make them
    products = sum(prod(s) for n, s in used.items() if n[0] in "WU" and len(s) == 2)
    reason = reason_against(cell, np.dtype(np.float32))
    count = sum(map(prod, shapes.values()))
    return Entry(name, paper(name), count, 3 * setting.T * setting.N * products, reason)


def paper(name: str) -> str:
    """Return the first sentence of what a cell's equations say of themselves."""
    return " ".join((EVERY[name].equations.doc if name in EVERY else "").split("\n\n")[0].split())


def shapes_of(cell: Cell, D: int, H: int) -> Shapes:
    """Return the shapes of a layer's parameters, with biases where the cell has them."""
    bias: BiasCount = "one" if cell.bias else "none"
    return layer_shapes(cell, D, H, bias)


def measured(bench: CellBench, entries: Sequence[Entry], say: Say) -> CellBench:
    """Measure the cells one after the other, each in a process of its own."""
    for found in entries:
        who = CONTENDERS["reference" if found.reference else "bptt"]

        def say_of(text: str, cell: str = found.cell) -> None:
            say(f"{cell}, {text}")

        times, failed = measure("cell", bench.setting, found.cell, [who], bench.seconds, say_of)
        found.times = times.get(who.name)
        bench.notes += [f"{found.cell}: {why}" for why in failed.values()]
        bench.entries.append(found)
    return bench
