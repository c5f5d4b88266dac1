"""Recurrent cells, one file each: the equations, the forward, and under it the backward.

>>> import bptt
>>> bptt.cells.get("lstm")
<cell lstm: gates i f o g, states h c>
"""

from bptt.cells._cell import Cache, Cell, States, blocks
from bptt.cells.gru import GRU
from bptt.cells.gru_cho import GRUCho
from bptt.cells.lstm import LSTM
from bptt.cells.rnn import RNN
from bptt.elementwise import sigmoid
from bptt.errors import ConfigError

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cache", "Cell", "GRUCho", "States", "blocks", "get", "sigmoid"]

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN(), RNN("relu"), LSTM(), GRU(), GRUCho())}
"""The built-in cells by name."""


def get(cell: str | Cell) -> Cell:
    """Return the cell that is meant; a cell is returned as it is.

    Parameters
    ----------
    cell : str or Cell
        A name in `CELLS` or in ``bptt.cells.zoo.ZOO``; or ``"FILE.py:NAME"``, or ``"FILE.py"`` where the file
        has one cell; or ``"PACKAGE.MODULE:NAME"``. Such a file or module is run.

    Raises
    ------
    ConfigError
        If there is no such cell, or the file cannot be run.
    EquationError
        If a cell of the file cannot be read.
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise ConfigError(f"a cell is a name or a bptt.cells.Cell, got {cell!r}")
    if cell in CELLS:
        return CELLS[cell]
    from bptt.cells.zoo import ZOO  # made of equations, so above this room; and not needed at every start
    from bptt.derive.load import load, split

    if split(cell)[0] is not None:
        return load(cell)
    name = cell.replace("_", "-")
    if name not in ZOO:
        names = ", ".join(dict.fromkeys((*CELLS, *ZOO)))
        raise ConfigError(f"no cell is called {cell!r}; there are {names}; one of your own is FILE.py:NAME")
    return CELLS.get(name, ZOO[name])
