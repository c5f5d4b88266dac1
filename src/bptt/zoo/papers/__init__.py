"""Cells of the literature beyond the zoo's first: each is its equations, and the paper they come from.

:mod:`~bptt.zoo.papers.gated` has the kin of LSTM and GRU, :mod:`~bptt.zoo.papers.scans` what is linear in
its states, :mod:`~bptt.zoo.papers.chains` several products in a step, :mod:`~bptt.zoo.papers.units` what
goes over units, :mod:`~bptt.zoo.papers.memories` matrices as states, :mod:`~bptt.zoo.papers.dynamics`
differential equations, oscillators and spikes, :mod:`~bptt.zoo.papers.mapped` matrices of a form,
:mod:`~bptt.zoo.papers.inputs` what reads x itself or the time, :mod:`~bptt.zoo.papers.recent` what is
newest.
"""

from types import ModuleType

from bptt.derive import EquationCell
from bptt.zoo.equations import ZOO
from bptt.zoo.papers import chains, dynamics, gated, inputs, mapped, memories, recent, scans, units


def _cells(module: ModuleType) -> dict[str, EquationCell]:
    return {c.name: c for c in vars(module).values() if isinstance(c, EquationCell)}


GROUPS: dict[str, dict[str, EquationCell]] = {
    "Kin of the LSTM and the GRU, for what these are for: texts, words, series.": (_cells(gated)),
    "Linear in their states, for long sequences: no U, so a step is cheap, and h decides nothing.": (
        _cells(scans)
    ),
    "Several products in a step, what one gives read by the next: deep in each step.": _cells(chains),
    "Over all units: normalised, in an order, or skipping steps together.": _cells(units),
    "Matrices as memories, for long sequences: what is written is found again by a key.": _cells(memories),
    "The newest, of these and of other kinds.": _cells(recent),
    "Differential equations, oscillators, spikes and clocks, for signals and times.": (_cells(dynamics)),
    "Matrices of a form, so that what is kept neither grows nor fades, or heads stay apart.": _cells(mapped),
    "What reads x itself, where D = H, or is told the time t.": _cells(inputs),
}
"""Cells by name, under what they are and are for."""

PAPERS: dict[str, EquationCell] = {name: c for cells in GROUPS.values() for name, c in cells.items()}
"""By name: lstm-multiplicative, mi-rnn, ..."""

EVERY = ZOO | PAPERS
"""All cells that are equations, by name."""


def _named(name: str) -> EquationCell:
    """Return one of them, for pickle."""
    return PAPERS[name]


for _cell in PAPERS.values():
    _cell.pickled = _named, (_cell.name,)
