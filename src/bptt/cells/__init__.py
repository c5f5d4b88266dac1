"""Recurrent cells, one file each: the equations, the forward, and under it the backward.

>>> import bptt
>>> bptt.cells.CELLS["lstm"]
<cell lstm: gates i f o g, states h c>
"""

from bptt.cells.base import Cache, Cell, States, blocks
from bptt.cells.gru import GRU
from bptt.cells.gru_cho import GRUCho
from bptt.cells.lstm import LSTM
from bptt.cells.rnn import RNN
from bptt.elementwise import sigmoid

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cache", "Cell", "GRUCho", "States", "blocks", "sigmoid"]

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN(), RNN("relu"), LSTM(), GRU(), GRUCho())}
"""The built-in cells by name."""


def _named(name: str) -> Cell:
    """Return a cell that is written by hand, for pickle."""
    return CELLS[name]


for _cell in CELLS.values():
    _cell.pickled = _named, (_cell.name,)
