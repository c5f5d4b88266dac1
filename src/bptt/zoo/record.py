"""A cell as a run's configuration keeps it: as text, and never as anything that runs.

The cells that bptt has by hand are kept by their names. Any other is kept as its equations, so that a run
goes on as it began when the file that they came from is changed or gone, or the zoo's cell is another.
"""

from typing import Any

from bptt.cells import CELLS, Cell
from bptt.derive import EquationCell, read
from bptt.derive.mapping import as_text
from bptt.errors import BpttError, ConfigError, RunError


def to_json(cell: Cell) -> dict[str, str]:
    """Return the cell as JSON values: its name and, unless it is one of `CELLS`, its equations.

    Raises
    ------
    ConfigError
        If the cell is neither one of `CELLS` nor made of equations, or one of its maps is code.
    """
    if code := next((at for at, made in cell.maps.items() if as_text(made) is None), None):
        raise ConfigError(
            f"{cell.name}: a run keeps its cell as text, and the map of {code} is code: write it as an "
            "equation (see bptt.maps), or train it with Model.loss_and_grads"
        )
    if equations := getattr(cell, "equations", None):
        return {"name": cell.name, "equations": equations.text}
    if type(CELLS.get(cell.name)) is not type(cell):
        raise ConfigError(
            f"{cell.name}: a run keeps its cell as equations, and this one is a class of its own: write it "
            "as equations (see bptt.cell), or train it with Model.loss_and_grads"
        )
    return {"name": cell.name}


def from_json(value: Any) -> str | Cell:
    """Return the name of one of `CELLS`, or the cell made of the equations: they are read, nothing is run.

    Raises
    ------
    RunError
        If `value` is not what `to_json` returned.

    Examples
    --------
    >>> import bptt
    >>> kept = to_json(bptt.zoo.get("ugrnn"))
    >>> kept["equations"].splitlines()[:2]
    ["@bptt.cell(state='h', bias=True)", 'def ugrnn(a_g, a_c, h):']
    >>> from_json(kept)
    <cell ugrnn: gates g c, states h>
    """
    try:
        name, text = str(value["name"]), value.get("equations")
        if text is None and name in CELLS:
            return name
        return EquationCell(read(text, name=name, file="the equations in config.json"))
    except (AttributeError, KeyError, TypeError, ValueError, BpttError) as error:
        raise RunError(f"the run's configuration does not describe a cell: {error}") from None


def same(a: Cell, b: Cell) -> bool:
    """Return whether two cells are the same function of the same parameters."""
    if type(a) is not type(b) or a.name != b.name:
        return False
    ours, theirs = (getattr(cell, "equations", None) for cell in (a, b))
    return bool(getattr(ours, "text", None) == getattr(theirs, "text", None))
