"""Recurrent cells, one file each: the equations, the forward, and under it the backward.

>>> import bptt
>>> bptt.cells.get("lstm")
<cell lstm: gates i f o g, states h c>
"""

from bptt.cells._cell import Cache, Cell, States, blocks, sigmoid
from bptt.cells.gru import GRU
from bptt.cells.gru_cho import GRUCho
from bptt.cells.lstm import LSTM
from bptt.cells.rnn import RNN
from bptt.errors import ConfigError

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cache", "Cell", "GRUCho", "States", "blocks", "get", "sigmoid"]

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN(), RNN("relu"), LSTM(), GRU(), GRUCho())}
"""The built-in cells by name."""


def get(cell: str | Cell) -> Cell:
    """Return the cell of that name; a cell is returned as it is.

    Raises
    ------
    ConfigError
        If there is no such cell.
    """
    if isinstance(cell, Cell):
        return cell
    if cell in CELLS:
        return CELLS[cell]
    from bptt.cells.zoo import ZOO  # made of equations, so above this room; and not needed at every start

    if cell not in ZOO:
        raise ConfigError(f"no cell is called {cell!r}; there are {', '.join(dict.fromkeys((*CELLS, *ZOO)))}")
    return ZOO[cell]
