"""Cells by what people call them: written by hand, a zoo of equations, or a user's own file.

>>> import bptt
>>> bptt.zoo.get("lstm")
<cell lstm: gates i f o g, states h c>
"""

from bptt.cells import CELLS, Cell
from bptt.derive import EquationCell
from bptt.errors import ConfigError
from bptt.zoo.loading import load, split, unknown

__all__ = ["equations_of", "get", "load"]


def get(cell: str | Cell) -> Cell:
    """Return the cell that is meant; a cell is returned as it is.

    Parameters
    ----------
    cell : str or Cell
        A name in ``bptt.cells.CELLS`` or ``bptt.zoo.papers.EVERY``; or ``"FILE.py:NAME"``, or
        ``"FILE.py"`` where the file has one cell; or ``"PACKAGE.MODULE:NAME"``. Such a file or module is run.

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
    if split(cell)[0] is not None:
        return load(cell)
    from bptt.zoo.equations import ZOO  # read when one is wanted: they take a moment

    name = cell.replace("_", "-")
    if name in CELLS or name in ZOO:
        return CELLS.get(name) or ZOO[name]
    from bptt.zoo.papers import EVERY

    if name not in EVERY:
        raise unknown(cell, dict.fromkeys((*CELLS, *EVERY)))
    return EVERY[name]


def equations_of(cell: Cell) -> EquationCell | None:
    """Return the cell as its equations: itself, or the zoo's of a cell that is written by hand."""
    if isinstance(cell, EquationCell):
        return cell
    from bptt.zoo.equations import ZOO

    return ZOO.get(cell.name) if CELLS.get(cell.name) is cell else None
