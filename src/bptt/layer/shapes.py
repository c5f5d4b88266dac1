"""A layer's parameters, once: their names and shapes."""

from bptt.cells import Cell
from bptt.types import BiasCount, Shapes


def layer_shapes(cell: Cell, D: int, H: int, bias: BiasCount = "one") -> Shapes:
    """Return the shape of each parameter of a layer: the one place that says which there are.

    Parameters
    ----------
    cell : Cell
    D, H : int
        The size of the input, and the hidden units.
    bias : "none", "one" or "two"
        Biases: none, b, or b and b_h.

    Examples
    --------
    >>> from bptt.cells import CELLS
    >>> layer_shapes(CELLS["gru"], 3, 4, "two")
    {'W': (3, 12), 'U': (4, 12), 'b': (12,), 'b_h': (12,)}
    """
    Gx, Gh = len(cell.from_x) * H, (len(cell.from_h) + len(cell.from_q)) * H
    shapes: Shapes = {"W": (D, Gx), "U": (H, Gh)}
    if bias != "none" and cell.bias:
        shapes |= {"b": (Gx,)} if bias == "one" else {"b": (Gx,), "b_h": (Gh,)}
    return shapes | dict.fromkeys(cell.units, (H,))
