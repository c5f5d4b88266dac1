"""Cells of the literature beyond the zoo's first: each is its equations, and the paper they come from.

:mod:`~bptt.zoo.papers.gated` has the kin of LSTM and GRU, :mod:`~bptt.zoo.papers.scans` what is linear in its
states, :mod:`~bptt.zoo.papers.dynamics` differential equations, oscillators and spikes.
"""

from bptt.derive import EquationCell
from bptt.zoo.equations import ZOO
from bptt.zoo.papers import dynamics, gated, scans

PAPERS: dict[str, EquationCell] = {
    c.name: c for m in (gated, scans, dynamics) for c in vars(m).values() if isinstance(c, EquationCell)
}
"""By name: lstm-multiplicative, mi-rnn, ..."""

EVERY = ZOO | PAPERS
"""All cells that are equations, by name."""


def _named(name: str) -> EquationCell:
    """Return one of them, for pickle."""
    return PAPERS[name]


for _cell in PAPERS.values():
    _cell.pickled = _named, (_cell.name,)
